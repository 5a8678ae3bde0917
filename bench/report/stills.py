"""Still pictures of charts, by vl-convert: SVG in a page's own colours, and files for papers."""

import re
from importlib.util import find_spec
from itertools import count
from typing import TYPE_CHECKING, Literal, get_args

from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.report.charts import Chart

Form = Literal["svg", "png", "pdf"]
FORMS: tuple[str, ...] = get_args(Form)
INSTALL = "pip install 'rerank-bench[report]'"

_numbers = count()


def available() -> bool:
    """Whether the packages that draw charts are installed."""
    return find_spec("altair") is not None and find_spec("vl_convert") is not None


def require() -> None:
    """Refuse to write pictures without the packages that draw them.

    Raises:
        BenchError: saying how to install them.
    """
    if not available():
        raise BenchError(f"Charts need altair and vl-convert, which are not installed. Install them: {INSTALL}.")


def inline(chart: "Chart") -> str:
    """SVG for a page: no background, colours by the page's variables, ids that occur once."""
    import vl_convert

    from bench.report.charts import COLOURS, specification

    svg: str = vl_convert.vegalite_to_svg(specification(chart))
    names = {colour: f"var(--{name})" for name, colour in COLOURS.items()}
    svg = re.sub(r'(?<=(?:fill|roke)=")#[0-9a-f]{6}(?=")', lambda match: names.get(match[0], match[0]), svg)
    prefix = f"chart{next(_numbers)}-"
    return re.sub(r'(?<= id=")|(?<=url\(#)', prefix, svg)


def as_file(chart: "Chart", form: Form) -> bytes:
    """A picture file on the light page's colour; PNG at twice the size."""
    import vl_convert

    from bench.report.charts import COLOURS, specification

    content = specification(chart, COLOURS["page"])
    if form == "svg":
        return vl_convert.vegalite_to_svg(content).encode()
    if form == "png":
        return vl_convert.vegalite_to_png(content, scale=2)
    return vl_convert.vegalite_to_pdf(content)
