"""Markdown as GitHub shows it: pipe tables, best figures bold, second best in italics."""

from collections.abc import Iterable

from bench import escape
from bench.render.page import Block, Bullets, Cell, Code, Heading, Notes, Page, Table, link

_LEGEND = "The best figure of a column is bold, the second best in italics."
_MARKS = {"best": "**", "second": "*", "": ""}


def write(page: Page) -> str:
    """Write a page as Markdown."""
    title = [f"# {escape.markdown_cell(page.title)}"] if page.title else []
    conclusion = [f"### {escape.markdown_cell(page.conclusion)}"] if page.conclusion else []
    return "\n\n".join([*title, *conclusion, *map(_block, page.blocks)]) + "\n"


def _block(block: Block) -> str:
    if isinstance(block, Table):
        caption = f"### {escape.markdown_cell(block.caption)}\n\n" if block.caption else ""
        return caption + _table(block)
    if isinstance(block, Heading):
        return f"## {escape.markdown_cell(block.text)}"
    if isinstance(block, Bullets | Notes):
        legend = [f"- {_LEGEND}"] if isinstance(block, Bullets) and block.legend else []
        return "\n".join([*legend, *(f"- {_linked(item)}" for item in block.items)])
    if isinstance(block, Code):
        # Indented code needs no fence that a line of it could close.
        return "\n".join(f"    {escape.terminal(line)}" for line in block.lines)
    return escape.markdown_cell(block.text)


def _linked(text: str) -> str:
    address, rest = link(text)
    return f"<{address}>{escape.markdown_cell(rest)}" if address else escape.markdown_cell(text)


def _table(table: Table) -> str:
    heads = ("<br>".join(map(escape.markdown_cell, column.title.split("\n"))) for column in table.columns)
    lines = [_line(heads), _line("---" if column.is_left else "---:" for column in table.columns)]
    for group in table.groups:
        if group.heading:
            blank = [""] * len(table.columns)
            blank[table.stub - 1] = f"**{escape.markdown_cell(group.heading)}**"
            lines.append(_line(blank))
        lines += [_line(map(_cell, row)) for row in group.rows]
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell) -> str:
    text = escape.markdown_cell(cell.text)
    mark = _MARKS[cell.mark]
    return f"{mark}{text}{mark}" + (f" <sup>{cell.letters}</sup>" if cell.letters else "")
