"""A table for a terminal, in which a figure is never broken: names are shortened, the least telling columns left out.

Text in it is raw: it is made harmless here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from bench.escape import terminal

_GAP = 2
_LEAST = {"name": 10, "prose": 24}
"""How narrow a column of text may become before another column is left out."""


@dataclass(frozen=True, slots=True)
class Head:
    """A column: its title, which may have several lines, and what may happen to it.

    ``figure`` and ``key`` columns are shown whole or not at all, a ``name`` may be shortened with an ellipsis, and
    ``prose`` goes on in the next line. Columns of the highest ``drop`` are left out first, from the right; the first
    column always stays. ``called`` is what a column that is left out is called, its title if empty.
    """

    title: str
    kind: Literal["figure", "key", "name", "prose"] = "figure"
    drop: int = 0
    called: str = ""


@dataclass(frozen=True, slots=True)
class Fitted:
    """Rows under heads, printed by ``console.print`` within the console's width.

    A row that is None parts the rows above from those below. ``title`` and ``captions`` are lines above and below;
    ``column`` says what a column that may be left out is called, and ``hint`` how to see it.
    """

    heads: Sequence[Head]
    rows: Sequence[Sequence[str | Text] | None]
    title: str = ""
    captions: Sequence[str] = ()
    column: str = "column"
    hint: str = "use a wider terminal"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield title, table, captions and a line on what was left out."""
        texts = [[_text(cell) for cell in row] if row else None for row in self.rows]
        natural = [
            max(map(_width, (_head(head), *(row[column] for row in texts if row))))
            for column, head in enumerate(self.heads)
        ]
        chosen = self._chosen(natural, options.max_width)
        if self.title:
            yield Text(terminal(self.title))
        yield self._table(texts, dict(zip(chosen, self._widths(natural, chosen, options.max_width), strict=True)))
        for caption in self.captions:
            yield Text(terminal(caption))
        missing = [
            head.called or " ".join(head.title.split()) for place, head in enumerate(self.heads) if place not in chosen
        ]
        if missing:
            columns = f"1 {self.column}" if len(missing) == 1 else f"{len(missing)} {self.column}s"
            missed = f"{columns} not shown at {options.max_width} columns: {', '.join(missing)}."
            yield Text(terminal(f"{missed} To see more, {self.hint}."))

    def _chosen(self, natural: Sequence[int], room: int) -> list[int]:
        """The columns that fit, the most telling ones."""
        chosen = list(range(len(self.heads)))
        while len(chosen) > 1 and _total([self._least(natural, column) for column in chosen]) > room:
            chosen.remove(max(chosen[1:], key=lambda column: (self.heads[column].drop, column)))
        return chosen

    def _least(self, natural: Sequence[int], column: int) -> int:
        return min(natural[column], _LEAST.get(self.heads[column].kind, natural[column]))

    def _widths(self, natural: Sequence[int], chosen: Sequence[int], room: int) -> list[int]:
        """The chosen columns' widths: what is too much is taken from prose first, then from the longest name."""
        widths = [natural[column] for column in chosen]
        while _total(widths) > room and max(widths) > 1:
            place = max(range(len(chosen)), key=lambda place: self._spare(natural, chosen[place], widths[place]))
            widths[place] -= 1
        return widths

    def _spare(self, natural: Sequence[int], column: int, width: int) -> tuple[bool, bool, int]:
        over = width > self._least(natural, column)
        return over, over and self.heads[column].kind == "prose", width

    def _table(self, rows: Sequence[Sequence[Text] | None], widths: dict[int, int]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
        lines = max(self.heads[column].title.count("\n") for column in widths)
        for column, width in widths.items():
            head = self.heads[column]
            whole = head.kind != "prose"
            table.add_column(
                Text("\n" * (lines - head.title.count("\n"))) + _head(head),
                justify="right" if head.kind == "figure" else "left",
                width=width,
                no_wrap=whole,
                overflow="ellipsis" if whole else "fold",
            )
        for row in rows:
            if row is None:
                table.add_section()
            else:
                table.add_row(*(self._shown(row[column], column, width) for column, width in widths.items()))
        return table

    def _shown(self, text: Text, column: int, width: int) -> Text:
        """A name that is too long loses its middle: names of one family differ at their ends."""
        if self.heads[column].kind != "name" or text.cell_len <= width:
            return text
        start = (width - 1) // 3
        end = set_cell_size(text.plain[::-1], width - 1 - start)[::-1]
        return Text(f"{set_cell_size(text.plain, start)}…{end}", text.style)


def _text(cell: str | Text) -> Text:
    return cell if isinstance(cell, Text) else Text(terminal(cell))


def _head(head: Head) -> Text:
    return Text("\n".join(map(terminal, head.title.split("\n"))))


def _width(text: Text) -> int:
    return max(map(cell_len, text.plain.split("\n")))


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)
