"""Self-contained HTML: nothing is fetched, no script runs but the report's own; light or dark as the system is.

`write` makes one page without a script, as for other formats. `document` makes the pages of a report, which may also
hold pictures, links to each other and tools that a script fills.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.escape import terminal
from bench.render.page import Block, Group, Heading, Page, Table, link


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart as SVG of ours, for wide and for narrow screens; ``told`` says in words what it shows."""

    title: str
    told: str
    wide: str
    narrow: str


@dataclass(frozen=True, slots=True)
class Links:
    """Links to other sheets: text and the sheet's name."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Tool:
    """What the script shows of ``data`` (anything that JSON holds): its part named ``name``."""

    name: str
    data: Mapping[str, Any]
    without_script: str


@dataclass(frozen=True, slots=True)
class Body:
    """A report's page: a `Page` whose blocks may be pictures, links and tools too."""

    title: str
    blocks: tuple[Block | Picture | Links | Tool, ...]
    conclusion: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page of a report under its name, with links to the pages above it."""

    body: Page | Body
    name: str
    crumbs: tuple[tuple[str, str], ...] = ()


def write(page: Page) -> str:
    """Write a page as one HTML document without a script."""
    return _document([Sheet(page, "")], page.title or page.conclusion, "", lambda name: f"#{name}")


def document(sheets: Sequence[Sheet], href: Callable[[str], str]) -> str:
    """Write some of a report's pages as one HTML document; ``href`` is the address of a page of that name."""
    return _document(sheets, sheets[0].body.title, _file("report.js"), href, _file("report.css"))


def _document(
    sheets: Sequence[Sheet], title: str, script: str, href: Callable[[str], str], more_style: str = ""
) -> str:
    environment = Environment(
        loader=PackageLoader("bench.render", ""),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    tables = [block for sheet in sheets for block in sheet.body.blocks if isinstance(block, Table)]
    style = "\n".join([_file("style.css"), more_style, *_room_for_letters(tables)])
    environment.globals |= {
        "link": link, "letters": _letters, "reach": _reach, "used": _used, "headings_of": _headings, "href": href,
    }  # fmt: skip
    environment.tests["kind"] = lambda block, name: type(block).__name__ == name
    text = environment.get_template("page.html").render(
        sheets=[(sheet.body, sheet.name, sheet.crumbs) for sheet in sheets],
        title=title or "rerank-bench",
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script),
    )
    return text.strip() + "\n"


def _file(name: str) -> str:
    return (files("bench.render") / name).read_text("utf-8")


def _policy(style: str, script: str) -> str:
    """Only this style and this script, by their hashes; nothing is loaded, framed, sent or based elsewhere."""
    allowed = [("style-src", style), *([("script-src", script)] if script else [])]
    hashes = (f"{kind} 'sha256-{_hash(text)}'" for kind, text in allowed)
    return "; ".join(["default-src 'none'", *hashes, "base-uri 'none'", "form-action 'none'"])


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _shown(value: object) -> object:
    """Text without what acts unseen; autoescape then quotes the markup in it."""
    return terminal(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _headings(body: Page | Body) -> list[Heading]:
    return [block for block in body.blocks if isinstance(block, Heading)]


def _room_for_letters(tables: Sequence[Table]) -> list[str]:
    """A rule for each number of letters that a cell may have, so that the figures before them stay aligned."""
    return [
        f".letters-{count} sup {{ min-width: {0.62 * count:.2f}em }}" for count in sorted(set(map(_letters, tables)))
    ]


def _letters(table: Table) -> int:
    """The most letters that a cell of a table has."""
    return max((len(cell.letters) for row in table.rows for cell in row), default=0)


def _reach(group: Group) -> float:
    """The bound of a group's intervals that is farthest from 0."""
    cells = (cell for row in group.rows for cell in row)
    return max((max(abs(low), abs(high)) for cell in cells for low, _, high in cell.whisker), default=0)


def _used(table: Table, column: int, field: str) -> bool:
    """Whether any cell of a column has letters or a whisker: then all keep room for them, to align decimal points."""
    return any(getattr(row[column], field) for row in table.rows)
