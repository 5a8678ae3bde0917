"""What a page is made of: headings, sentences, lists, commands and grids.

Text in them is raw: a name stands as it is, and each format escapes what it writes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bench.leaderboard.board import Mark

_LINK = re.compile(r"(https://[A-Za-z0-9./_~%#?=&:+-]*[A-Za-z0-9/])(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Entry:
    """One cell: its text, its mark, and the letters of the rows that it differs from.

    ``whisker`` holds the interval (low, middle, high) of a difference that a format with pictures may draw, if any.
    """

    text: str
    mark: Mark = ""
    letters: str = ""
    whisker: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Body:
    """Some rows of a grid that belong together, under a heading of their own where there is one."""

    rows: tuple[tuple[Entry, ...], ...]
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table. ``heads`` are lines of text each; the first ``stub`` columns name the row and stay with every piece.

    ``words`` are the positions of columns of text, which are set flush left as the stub is; the others hold figures.
    A ``folded`` grid may be hidden until it is asked for.
    """

    caption: str
    heads: tuple[tuple[str, ...], ...]
    bodies: tuple[Body, ...]
    stub: int
    words: frozenset[int] = frozenset()
    folded: bool = False

    def is_left(self, column: int) -> bool:
        """Whether a column is set flush left."""
        return column < self.stub or column in self.words

    def columns(self, chosen: Sequence[int]) -> "Grid":
        """The same grid with some of its columns only."""
        return Grid(
            caption=self.caption,
            heads=tuple(self.heads[column] for column in chosen),
            bodies=tuple(
                Body(tuple(tuple(row[column] for column in chosen) for row in body.rows), body.heading)
                for body in self.bodies
            ),
            stub=self.stub,
            words=frozenset(place for place, column in enumerate(chosen) if column in self.words),
            folded=self.folded,
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
    """A list; an item that begins with a link may be shown as one."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """Commands, a line each."""

    lines: tuple[str, ...]


Block = Heading | Paragraph | Bullets | Code | Grid


def link(text: str) -> tuple[str, str]:
    """A text's leading https address and the rest; empty where it has none."""
    match = _LINK.match(text)
    return (match[1], match[2]) if match else ("", text)
