"""A table for a terminal in which no figure is broken: names are shortened, the least telling columns left out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.table import Table as RichTable
from rich.text import Text

from bench.escape import terminal
from bench.render.page import Cell, Column, Table

_GAP = 2
_LEAST = {"name": 10, "line": 24, "prose": 24}
"""How narrow a column of text may become before another column is left out."""
_STYLES = {"best": "bold", "good": "green", "bad": "bold red", "unsure": "yellow"}


def fitted(table: Table, room: int) -> Iterator[Text | RichTable]:
    """Yield caption, table and a line on what was left out, each at most ``room`` columns wide."""
    natural, least = _natural_and_least(table)
    if table.caption:
        yield Text(terminal(table.caption))
    yield _rich(table, _widths(table, natural, least, _chosen(table, least, room), room))
    missing = [column.called or " ".join(column.title.split()) for column in left_out(table, room)]
    if missing:
        columns = f"1 {table.column}" if len(missing) == 1 else f"{len(missing)} {table.column}s"
        missed = f"{columns} not shown at {room} columns: {', '.join(missing)}."
        yield Text(terminal(f"{missed} To see more, {table.hint}."))


def left_out(table: Table, room: int) -> list[Column]:
    """The columns that `fitted` leaves out."""
    chosen = _chosen(table, _natural_and_least(table)[1], room)
    return [column for place, column in enumerate(table.columns) if place not in chosen]


def _natural_and_least(table: Table) -> tuple[list[int], list[int]]:
    """How wide each column is, and how narrow it may become before another column is left out."""
    natural = [
        max(_width(_title(column)), *(cell_len(terminal(row[place].text)) for row in table.rows), 0)
        for place, column in enumerate(table.columns)
    ]
    return natural, [
        min(width, _LEAST.get(column.kind, width)) for width, column in zip(natural, table.columns, strict=True)
    ]


def _chosen(table: Table, least: Sequence[int], room: int) -> list[int]:
    """The columns that fit, the most telling ones."""
    chosen = list(range(len(least)))
    while len(chosen) > 1 and _total(least[column] for column in chosen) > room:
        chosen.remove(max(chosen[1:], key=lambda column: (table.columns[column].drop, column)))
    return chosen


def _widths(
    table: Table, natural: Sequence[int], least: Sequence[int], chosen: Sequence[int], room: int
) -> dict[int, int]:
    """The chosen columns' widths: what is too much is taken from prose and lines first, then from the longest name."""
    widths = {column: min(natural[column], room) for column in chosen}

    def spare(column: int) -> tuple[bool, bool, int]:
        over = widths[column] > least[column]
        return over, over and table.columns[column].kind in ("prose", "line"), widths[column]

    while _total(widths.values()) > room and max(widths.values()) > 1:
        widths[max(chosen, key=spare)] -= 1
    return widths


def _rich(table: Table, widths: Mapping[int, int]) -> RichTable:
    shown = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    lines = max(table.columns[column].title.count("\n") for column in widths)
    for place, width in widths.items():
        column = table.columns[place]
        whole = column.kind != "prose"
        shown.add_column(
            Text("\n" * (lines - column.title.count("\n"))) + _title(column),
            justify="left" if column.is_left else "right",
            width=width,
            no_wrap=whole,
            overflow="ellipsis" if whole else "fold",
        )
    for group in table.groups:
        for row in group.rows:
            shown.add_row(*(_text(row[place], table.columns[place], width) for place, width in widths.items()))
        shown.add_section()
    return shown


def _text(cell: Cell, column: Column, width: int) -> Text:
    """A cell's text. A name that is too long loses its middle: names of one family differ at their ends."""
    text = terminal(cell.text)
    if column.kind == "name" and cell_len(text) > width:
        start = (width - 1) // 3
        end = set_cell_size(text[::-1], width - 1 - start)[::-1]
        text = f"{set_cell_size(text, start)}…{end}"
    return Text(text, _STYLES.get(cell.tone or cell.mark, ""))


def _title(column: Column) -> Text:
    return Text("\n".join(map(terminal, column.title.split("\n"))))


def _width(text: Text) -> int:
    return max(map(cell_len, text.plain.split("\n")))


def _total(widths: Iterable[int]) -> int:
    taken = list(widths)
    return sum(taken) + _GAP * (len(taken) - 1)
