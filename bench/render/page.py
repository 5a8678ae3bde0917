"""What a command shows, before any format writes it: a page of headings, text, lists, commands and tables.

Text in a page is raw: names are as they came, and each format escapes what it writes.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Mark = Literal["best", "second", ""]
Tone = Literal["good", "bad", "unsure", ""]

_LINK = re.compile(r"(https://[A-Za-z0-9./_~%#?=&:+-]*[A-Za-z0-9/])(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text, its mark, and the letters of the rows that it differs from.

    ``whisker`` holds the interval (low, middle, high) of a difference that a format with pictures may draw, if any.
    ``tone`` is what a format with colours may show.
    """

    text: str
    mark: Mark = ""
    letters: str = ""
    whisker: tuple[tuple[float, float, float], ...] = ()
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column: its title, which may have several lines, and how a narrow terminal shows it.

    ``figure`` and ``key`` columns are shown whole or not at all, a ``name`` may lose its middle and a ``line`` its end,
    and ``prose`` continues on the next line. Only figures are set flush right. Columns of the highest ``drop`` are left
    out first, from the right. A column that is left out is named by ``called``, or by its title if that is empty.
    """

    title: str
    kind: Literal["figure", "key", "name", "line", "prose"] = "figure"
    drop: int = 0
    called: str = ""

    @property
    def is_left(self) -> bool:
        """Whether the column is set flush left."""
        return self.kind != "figure"


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of a table that belong together, with an optional heading."""

    rows: tuple[tuple[Cell, ...], ...]
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first ``stub`` columns name the row and are always shown.

    Where a ``split`` table is too wide for text, it continues below; any other leaves columns out, and says which:
    ``column`` is what such a column is called, and ``hint`` how to see it. A ``folded`` table may be hidden until a
    reader opens it. ``label`` is what a paper refers to it by.
    """

    columns: tuple[Column, ...]
    groups: tuple[Group, ...]
    caption: str = ""
    stub: int = 1
    folded: bool = False
    split: bool = False
    label: str = ""
    column: str = "column"
    hint: str = "use a wider terminal"

    @property
    def rows(self) -> list[tuple[Cell, ...]]:
        """The rows of all groups."""
        return [row for group in self.groups for row in group.rows]

    def choose(self, columns: Sequence[int]) -> "Table":
        """The same table with only these columns."""
        return replace(
            self,
            columns=tuple(self.columns[column] for column in columns),
            groups=tuple(
                replace(group, rows=tuple(tuple(row[column] for column in columns) for row in group.rows))
                for group in self.groups
            ),
        )


@dataclass(frozen=True, slots=True)
class Heading:
    """The start of a section."""

    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A sentence or more."""

    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list; an item that begins with a link may be shown as one.

    With ``legend`` the first item says how the format marks the best and second best figure.
    """

    items: tuple[str, ...]
    legend: bool = False


@dataclass(frozen=True, slots=True)
class Notes:
    """Remarks, one a line of text, directly below what they are about. ``whole`` lines are not wrapped.

    Notes that explain a column, by its title, of the last table are left out where that column is.
    """

    items: tuple[str, ...]
    whole: bool = False
    explains: str = ""


@dataclass(frozen=True, slots=True)
class Code:
    """Commands, one a line."""

    lines: tuple[str, ...]


Block = Heading | Paragraph | Bullets | Notes | Code | Table


@dataclass(frozen=True, slots=True)
class Page:
    """Blocks under a title, both optional.

    ``conclusion`` is the outcome in one sentence: the last line in a terminal, where readers look, and the first in
    other formats.
    """

    blocks: tuple[Block, ...]
    title: str = ""
    conclusion: str = ""


def title(*lines: str) -> str:
    """A column's title of these lines; a line end inside a name begins no further one."""
    return "\n".join(" ".join(line.splitlines()) for line in lines)


def columns(titles: Sequence[str], left: Collection[int] = (0,)) -> tuple[Column, ...]:
    """Columns with these titles: keys at the positions ``left``, figures elsewhere."""
    return tuple(Column(title, "key" if place in left else "figure") for place, title in enumerate(titles))


def rows(texts: Iterable[Iterable[str | Cell]], heading: str = "") -> Group:
    """A group of rows given by the texts of their cells."""
    return Group(tuple(tuple(Cell(each) if isinstance(each, str) else each for each in row) for row in texts), heading)


def link(text: str) -> tuple[str, str]:
    """Split a text into its leading https address, empty if there is none, and the rest."""
    match = _LINK.match(text)
    return (match[1], match[2]) if match else ("", text)
