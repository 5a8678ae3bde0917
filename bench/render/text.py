"""For a terminal or a log: plain characters, in which no line is too long and no figure is broken.

A table too wide is split into pieces below each other, or loses its least telling columns (`bench.render.fitted`).
"""

import re
import textwrap
from collections.abc import Sequence
from io import StringIO
from itertools import zip_longest

from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.text import Text

from bench import escape
from bench.render.fitted import fitted, left_out
from bench.render.page import Bullets, Cell, Code, Heading, Notes, Page, Paragraph, Table

WIDTH = 100
"""Columns of sentences and split tables where there is no terminal."""
WIDE = 400
"""Columns of other tables where there is no terminal: enough for a suite of 26 tasks."""
WIDEST = 36
"""A column of a split table is at most so wide, and at most 40% of a narrow page; longer names continue below."""

_GAP = "  "
_LEGEND = "** is the best of its column, * the second best."
_MARKS = {"best": " **", "second": " * ", "": "   "}


def write(page: Page, width: int = WIDE) -> str:
    """Write a page as plain text."""
    console = Console(file=StringIO(), width=width, color_system=None)
    show(page, console)
    assert isinstance(console.file, StringIO)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().split("\n")[:-1])


def show(page: Page, console: Console) -> None:
    """Print a page as wide as the console is; figures and verdicts may be bold or coloured."""
    width = console.width if console.is_terminal else min(console.width, WIDTH)
    if page.title:
        console.print(Text(_wrapped(page.title, width)), soft_wrap=True)
    missing: set[str] = set()
    for place, block in enumerate(page.blocks):
        if isinstance(block, Notes):
            for line in block.items if block.explains not in missing else ():
                console.print(Text(escape.terminal(line)), soft_wrap=block.whole)
            continue
        if isinstance(block, Table) and not block.split:
            missing = {column.title for column in left_out(block, console.width)}
            for part in fitted(block, console.width):
                console.print(part)
            continue
        if place or page.title:
            console.print()
        console.print(Text(_block(block, width)), soft_wrap=True)
    if page.conclusion:
        console.print(Text(escape.terminal(page.conclusion)), style="bold")


def _block(block: Heading | Paragraph | Bullets | Code | Table, width: int) -> str:
    if isinstance(block, Table):
        return "\n\n".join([_wrapped(block.caption, width), *(_table(piece, width) for piece in pieces(block, width))])
    if isinstance(block, Heading):
        lines = _wrapped(block.text, width)
        return f"{lines}\n{'=' * max(map(cell_len, lines.splitlines()))}"
    if isinstance(block, Bullets):
        return "\n".join(_wrapped(text, width, "- ") for text in ([_LEGEND] if block.legend else []) + [*block.items])
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


def pieces(table: Table, width: int) -> list[Table]:
    """Split a table by columns so that each piece fits; every piece keeps the columns that name the row."""
    return [table.choose(columns) for columns in cuts(table, width)]


def cuts(table: Table, width: int) -> list[list[int]]:
    """The columns of each piece of a table."""
    widths = _widths(table, width)
    stub = list(range(table.stub))
    room = width - sum(widths[column] + len(_GAP) for column in stub)
    chosen: list[list[int]] = [[]]
    used = 0
    for column in range(table.stub, len(table.columns)):
        if chosen[-1] and used + widths[column] > room:
            chosen.append([])
            used = 0
        chosen[-1].append(column)
        used += widths[column] + len(_GAP)
    return [stub + piece for piece in chosen]


def total_width(table: Table, width: int) -> int:
    """How many characters wide a table is on a page of so many."""
    widths = _widths(table, width)
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _widths(table: Table, width: int) -> list[int]:
    marked = _marked(table)
    widths = []
    for place, column in enumerate(table.columns):
        titles = (_shown(Cell(line), marked[place]) for line in column.title.split("\n"))
        texts = [*titles, *(_shown(row[place], marked[place]) for row in table.rows)]
        widths.append(min(max(map(cell_len, texts)), WIDEST, width * 2 // 5))
    return widths


def _marked(table: Table) -> list[bool]:
    """Which columns hold marks: all their cells keep room for one, to align decimal points."""
    return [any(row[column].mark for row in table.rows) for column in range(len(table.columns))]


def _shown(cell: Cell, marked: bool) -> str:
    return escape.terminal(cell.text) + (_MARKS[cell.mark] if marked else "")


def _table(table: Table, width: int) -> str:
    widths = _widths(table, width)
    marked = _marked(table)

    def line(cells: Sequence[Cell]) -> str:
        return _line(table, [_shown(cell, room) for cell, room in zip(cells, marked, strict=True)], widths)

    titles = zip_longest(*(column.title.split("\n") for column in table.columns), fillvalue="")
    lines = [line([Cell(text) for text in texts]) for texts in titles]
    lines.append("─" * min(width, sum(widths) + len(_GAP) * (len(widths) - 1)))
    for position, group in enumerate(table.groups):
        if position:
            lines.append("")
        if group.heading:
            lines.append(_wrapped(group.heading, width))
        lines += map(line, group.rows)
    return "\n".join(lines)


def _line(table: Table, texts: Sequence[str], widths: Sequence[int]) -> str:
    """One row; a text wider than its column goes on below."""
    cut = [_folded(text, width) for text, width in zip(texts, widths, strict=True)]
    lines = (
        _GAP.join(
            _padded(text, width, column.is_left)
            for column, text, width in zip(table.columns, line, widths, strict=True)
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
