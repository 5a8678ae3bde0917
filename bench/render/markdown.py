"""Markdown as GitHub shows it: pipe tables, best figures bold, second best in italics."""

from collections.abc import Iterable, Sequence

from bench import escape
from bench.leaderboard.board import Leaderboard
from bench.leaderboard.layout import TITLE, page
from bench.render.blocks import Block, Bullets, Code, Entry, Grid, Heading, link

_MARKS = {"best": "**", "second": "*", "": ""}


def write(board: Leaderboard, command: str = "") -> str:
    """The whole leaderboard as one page."""
    legend = "The best figure of a column is bold, the second best in italics."
    return "\n\n".join([f"# {TITLE}", *map(_block, page(board, legend, command))]) + "\n"


def _block(block: Block) -> str:
    if isinstance(block, Grid):
        return f"### {escape.markdown_cell(block.caption)}\n\n{_table(block)}"
    if isinstance(block, Heading):
        return f"## {escape.markdown_cell(block.text)}"
    if isinstance(block, Bullets):
        return "\n".join(f"- {_linked(item)}" for item in block.items)
    if isinstance(block, Code):
        # Indented code needs no fence that a line of it could close.
        return "\n".join(f"    {escape.terminal(line)}" for line in block.lines)
    return escape.markdown_cell(block.text)


def _linked(text: str) -> str:
    address, rest = link(text)
    return f"<{address}>{escape.markdown_cell(rest)}" if address else escape.markdown_cell(text)


def _table(grid: Grid) -> str:
    rule = ["---" if grid.is_left(column) else "---:" for column in range(len(grid.heads))]
    lines = [_line("<br>".join(map(escape.markdown_cell, head)) for head in grid.heads), _line(rule)]
    for body in grid.bodies:
        if body.heading:
            blank = [""] * len(grid.heads)
            blank[grid.stub - 1] = f"**{escape.markdown_cell(body.heading)}**"
            lines.append(_line(blank))
        lines += [_line(map(_entry, row)) for row in body.rows]
    return "\n".join(lines)


def _line(cells: Iterable[str] | Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _entry(entry: Entry) -> str:
    text = escape.markdown_cell(entry.text)
    mark = _MARKS[entry.mark]
    return f"{mark}{text}{mark}" + (f" <sup>{entry.letters}</sup>" if entry.letters else "")
