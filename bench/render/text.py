"""For a terminal or a log: plain characters, at most `WIDTH` columns wide where no other width is given."""

import re
import textwrap
from collections.abc import Sequence
from itertools import zip_longest

from rich.cells import cell_len, chop_cells

from bench import escape
from bench.leaderboard.board import Leaderboard
from bench.leaderboard.layout import TITLE, page
from bench.render.blocks import Block, Bullets, Code, Entry, Grid, Heading

WIDTH = 100
WIDEST = 36
"""A column is at most so wide, and at most 40% of a narrow page; longer names go on in the next line."""

_GAP = "  "
_MARKS = {"best": " **", "second": " * ", "": "   "}


def write(board: Leaderboard, command: str = "", width: int = WIDTH) -> str:
    """The whole leaderboard; tables too wide are cut into pieces that each name their rows."""
    blocks = page(board, "** is the best of its column, * the second best.", command)
    return "\n\n".join([TITLE, *(write_block(block, width) for block in blocks)]) + "\n"


def write_block(block: Block, width: int = WIDTH) -> str:
    """One heading, sentence, list or table."""
    if isinstance(block, Grid):
        return "\n\n".join([_wrapped(block.caption, width), *(_table(piece, width) for piece in pieces(block, width))])
    if isinstance(block, Heading):
        lines = _wrapped(block.text, width)
        return f"{lines}\n{'=' * max(map(cell_len, lines.splitlines()))}"
    if isinstance(block, Bullets):
        return "\n".join(_wrapped(text, width, "- ") for text in block.items)
    if isinstance(block, Code):
        return "\n".join(_command(escape.terminal(line), width) for line in block.lines)
    return _wrapped(block.text, width)


def _wrapped(text: str, width: int, bullet: str = "") -> str:
    lines = _folded(escape.terminal(text), width - len(bullet))
    return bullet + f"\n{' ' * len(bullet)}".join(lines)


def _command(line: str, width: int) -> str:
    """A command to copy: where it is too long it goes on after a backslash, but not inside quotes."""
    lines = ["    "]
    for word in re.findall(r"""(?:'[^']*'|"[^"]*"|\S)+""", line):
        if lines[-1].strip() and cell_len(f"{lines[-1]}{word} \\") > width:
            lines.append("      ")
        lines[-1] += f"{word} "
    return "\\\n".join(lines).rstrip()


def pieces(grid: Grid, width: int) -> list[Grid]:
    """Cut a grid by columns so that each piece fits; every piece keeps the columns that name the row."""
    widths = _widths(grid, width)
    stub = list(range(grid.stub))
    room = width - sum(widths[column] + len(_GAP) for column in stub)
    chosen: list[list[int]] = [[]]
    used = 0
    for column in range(grid.stub, len(grid.heads)):
        if chosen[-1] and used + widths[column] > room:
            chosen.append([])
            used = 0
        chosen[-1].append(column)
        used += widths[column] + len(_GAP)
    return [grid.columns(stub + piece) for piece in chosen]


def _widths(grid: Grid, width: int) -> list[int]:
    marked = _marked(grid)
    widths = []
    for column, head in enumerate(grid.heads):
        texts = [
            *(_shown(Entry(text), marked[column]) for text in head),
            *(_shown(row[column], marked[column]) for row in _rows(grid)),
        ]
        widths.append(min(max(map(cell_len, texts)), WIDEST, width * 2 // 5))
    return widths


def _rows(grid: Grid) -> list[tuple[Entry, ...]]:
    return [row for body in grid.bodies for row in body.rows]


def _marked(grid: Grid) -> list[bool]:
    """Which columns hold marks: all their entries keep room for one, so that decimal points stand in line."""
    return [any(row[column].mark for row in _rows(grid)) for column in range(len(grid.heads))]


def _shown(entry: Entry, marked: bool) -> str:
    return escape.terminal(entry.text) + (_MARKS[entry.mark] if marked else "")


def _table(grid: Grid, width: int) -> str:
    widths = _widths(grid, width)
    marked = _marked(grid)
    heads = list(zip_longest(*grid.heads, fillvalue=""))
    lines = [
        _line(
            grid,
            [_shown(Entry(text), room) for text, room in zip(line, marked, strict=True)],
            widths,
        )
        for line in heads
    ]
    lines.append("─" * min(width, sum(widths) + len(_GAP) * (len(widths) - 1)))
    for position, body in enumerate(grid.bodies):
        if position:
            lines.append("")
        if body.heading:
            lines.append(_wrapped(body.heading, width))
        lines += [
            _line(grid, [_shown(entry, room) for entry, room in zip(row, marked, strict=True)], widths)
            for row in body.rows
        ]
    return "\n".join(lines)


def _line(grid: Grid, texts: Sequence[str], widths: Sequence[int]) -> str:
    """One row; a text wider than its column goes on below."""
    cut = [_folded(text, width) for text, width in zip(texts, widths, strict=True)]
    lines = (
        _GAP.join(
            _padded(text, width, grid.is_left(column))
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in zip_longest(*cut, fillvalue="")
    )
    return "\n".join(line.rstrip() for line in lines)


def _folded(text: str, width: int) -> list[str]:
    if cell_len(text) <= width:
        return [text]
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return [piece for line in lines for piece in _chopped(line, width)]


def _chopped(line: str, width: int) -> list[str]:
    """A word too long for a line goes on after a separator where it can, so that a number in it stays whole."""
    lines = [""]
    for part in re.split(r"(?<=[/_:@ -])", line):
        if lines[-1] and cell_len(lines[-1] + part) > width:
            lines.append("")
        *whole, rest = chop_cells(lines[-1] + part, width)  # a character may be two columns wide
        lines[-1:] = [*whole, rest]
    return [each.rstrip() for each in lines]


def _padded(text: str, width: int, left: bool) -> str:
    space = " " * (width - cell_len(text))
    return text + space if left else space + text
