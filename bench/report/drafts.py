"""A report's page before it is drawn: blocks, among them figures that are drawn when the page is written."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.leaderboard.columns import Column
from bench.paths import component, with_hash
from bench.render.html import Links, Tool
from bench.render.page import Block
from bench.report.rows import ScoreRow

if TYPE_CHECKING:
    from bench.report.charts import Chart

OVERVIEW = "index"


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart to be drawn at a width; ``name`` is its file's, ``told`` says what it shows."""

    name: str
    title: str
    told: str
    draw: "Callable[[int], Chart]"
    wide: int = 540


@dataclass(frozen=True, slots=True)
class Draft:
    """A page before its figures are drawn."""

    name: str
    title: str
    blocks: tuple[Block | Links | Tool | Figure, ...]
    crumbs: tuple[tuple[str, str], ...] = ()


Drafted = Iterator[Block | Links | Tool | Figure]


def task_name(column: Column) -> str:
    """The file name of a task column's page, without its ending."""
    assert column.protocol
    return with_hash(component(column.protocol.task.replace("/", "-").lower()), column.protocol.id)


def chart_width(width: int) -> int:
    """The room that a chart has next to its rows' names."""
    return width - 130 if width > 400 else width - 110


def scores_figure(scored: Sequence[ScoreRow], column: Column, stem: str) -> Figure:
    """The scores of a column with their intervals."""
    return Figure(
        f"{stem}-scores",
        "Scores and intervals",
        f"{column.title}: {column.measure} × 100 with 95% intervals. Dashed: the first stage. Random orders are "
        "left out.",
        lambda width: charts().scores(scored, column.measure, chart_width(width)),
    )


def charts() -> Any:
    """The charts' module, which needs the extra: only imported when a figure is drawn."""
    from bench.report import charts as found

    return found
