"""One self-contained page: no script, no font, no picture, nothing fetched; light or dark as the reader's system is."""

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.escape import terminal
from bench.render.page import Group, Heading, Page, Table, link


def write(page: Page) -> str:
    """Write a page as one HTML document, by the template ``page.html``."""
    environment = Environment(
        loader=PackageLoader("bench.render", ""),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"link": link, "letters": _letters, "reach": _reach, "used": _used}
    environment.tests["kind"] = lambda block, name: type(block).__name__ == name
    headings = [block for block in page.blocks if isinstance(block, Heading)]
    return environment.get_template("page.html").render(page=page, headings=headings).strip() + "\n"


def _shown(value: object) -> object:
    """Text without what acts unseen; autoescape then quotes the markup in it."""
    return terminal(value) if isinstance(value, str) and not isinstance(value, Markup) else value


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
