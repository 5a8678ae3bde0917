"""The rows that a report's tables and charts share, in points of 100: each is computed here, once."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench import statistics
from bench.leaderboard.board import Cell, Row, Section
from bench.leaderboard.columns import Column
from bench.rerankers.base import Card
from bench.results import Result

Role = Literal["reranker", "first stage", "order", "ceiling"]
"""``order``: random and reverse, which bound a figure from below; ``ceiling``: the oracle. Neither is drawn."""

BINS = 4
"""Shades of a heat map for gains, and as many for losses."""


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One reranker's figure in one column, in points, with its 95% intervals; None where one is not known.

    ``speed`` is documents a second over all of the reranker's tasks, None for rerankers that read no text.
    """

    reranker: str
    letter: str
    role: Role
    score: float
    low: float
    high: float
    gain: float
    gain_low: float | None
    gain_high: float | None
    speed: float | None
    device: str
    is_edge: bool
    cell: Cell


@dataclass(frozen=True, slots=True)
class GainCell:
    """A reranker's difference to the first stage in a column, in points; ``step`` is its shade, -`BINS` to `BINS`.

    ``is_clear``: its 95% interval excludes 0.
    """

    reranker: str
    column: str
    gain: float
    step: int
    shade: str
    is_clear: bool


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """Per-query differences of a reranker to the first stage, in points, largest first."""

    reranker: str
    wins: int
    ties: int
    losses: int
    mean: float
    low: float
    high: float
    values: tuple[float, ...]


def role(card: Card) -> Role:
    """What a row is in a chart."""
    if "grades" in card.needs:
        return "ceiling"
    if card.name == "first-stage":
        return "first stage"
    return "order" if card.family == "order-only" else "reranker"


def score_rows(section: Section, position: int) -> list[ScoreRow]:
    """The rows of a column that have a figure there, in the section's order; the Pareto edge is within a device."""
    found = [(row, cell) for row in section.rows if (cell := row.cells[position]) is not None]
    edge = _edge([(row, cell) for row, cell in found if role(row.card) == "reranker"])
    return [_score_row(row, cell, row.name in edge) for row, cell in found]


def drawn(rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    """The rerankers, without what would stretch every scale."""
    return [row for row in rows if row.role == "reranker"]


def gain_cells(section: Section) -> list[GainCell]:
    """Every reranker's gain in every column; empty where there is one column or no reranker."""
    cells = [
        (row.name, column.title, cell)
        for row in section.rows
        if role(row.card) == "reranker"
        for column, cell in zip(section.columns, row.cells, strict=True)
        if cell is not None
    ]
    limit = _limit([abs(100 * cell.gain) for _, _, cell in cells])
    return [
        GainCell(name, column, 100 * cell.gain, step, shade(step, limit), _is_clear(cell))
        for name, column, cell in cells
        for step in [_step(100 * cell.gain, limit)]
    ]


def shade(step: int, limit: float) -> str:
    """What a shade of the heat map means, in points."""
    if step == 0:
        return f"within {limit / 40:g}"
    sign = "+" if step > 0 else "−"
    low, high = limit / BINS * (abs(step) - 1) or limit / 40, limit / BINS * abs(step)
    return f"{sign}{low:g} or more" if abs(step) == BINS else f"{sign}{low:g} to {sign}{high:g}"


def shades(cells: Sequence[GainCell]) -> dict[int, str]:
    """The shades' names by step, of all steps from the largest gain down."""
    limit = _limit([abs(cell.gain) for cell in cells])
    return {step: shade(step, limit) for step in range(BINS, -BINS - 1, -1)}


def difference_rows(results: Mapping[str, Result]) -> list[DifferenceRow]:
    """Each reranker's differences to the first stage; none where that was not measured. ``results`` by row name."""
    first = next((each for each in results.values() if role(each.reranker) == "first stage"), None)
    if first is None:
        return []
    return [
        _difference_row(name, statistics.differences(first.per_query, each.per_query))
        for name, each in results.items()
        if role(each.reranker) == "reranker"
    ]


def results_of(section: Section, column: Column, results: Sequence[Result]) -> dict[str, Result]:
    """A task column's results by the names that the section gives its rows, in their order."""
    names = {_identity(row.card): row.name for row in section.rows}
    found = {names[_identity(each.reranker)]: each for each in results if each.protocol.id in column.parts}
    return {row.name: found[row.name] for row in section.rows if row.name in found}


def _identity(card: Card) -> tuple[object, ...]:
    return card.name, card.fingerprint, card.device, card.dtype, str(sorted(card.settings.items()))


def _score_row(row: Row, cell: Cell, is_edge: bool) -> ScoreRow:
    low, high = cell.gain_interval or (None, None)
    return ScoreRow(
        reranker=row.name,
        letter=row.letter,
        role=role(row.card),
        score=100 * cell.score,
        low=100 * cell.interval[0],
        high=100 * cell.interval[1],
        gain=100 * cell.gain,
        gain_low=None if low is None else 100 * low,
        gain_high=None if high is None else 100 * high,
        speed=_speed(row),
        device=", ".join(row.cost.devices),
        is_edge=is_edge,
        cell=cell,
    )


def _speed(row: Row) -> float | None:
    return row.cost.documents_per_second if "texts" in row.card.needs else None


def _edge(rows: Sequence[tuple[Row, Cell]]) -> set[str]:
    """The rows that no other one of the same device beats in both speed and score."""
    known = [(row, cell.score, speed) for row, cell in rows if (speed := _speed(row)) is not None]
    return {
        row.name
        for row, score, speed in known
        if not any(
            other.cost.devices == row.cost.devices and s >= score and v >= speed and (s > score or v > speed)
            for other, s, v in known
        )
    }


def _is_clear(cell: Cell) -> bool:
    return cell.gain_interval is not None and not cell.gain_interval[0] <= 0 <= cell.gain_interval[1]


def _limit(sizes: Sequence[float]) -> float:
    """Where the last shade ends: a round number that nine in ten gains do not exceed, at least 1 point."""
    size = float(np.quantile(sizes, 0.9)) if sizes else 1.0
    return next(each for each in _round_numbers() if each >= size)


def _round_numbers() -> Iterator[float]:
    for power in range(3):
        yield from (10**power, 2 * 10**power, 4 * 10**power)
    yield math.inf


def _step(gain: float, limit: float) -> int:
    if abs(gain) < limit / 40:
        return 0
    return int(math.copysign(min(BINS, math.ceil(abs(gain) / limit * BINS)), gain))


def _difference_row(name: str, values: statistics.Array) -> DifferenceRow:
    low, high = statistics.interval(values)
    return DifferenceRow(
        reranker=name,
        wins=int((values > 0).sum()),
        ties=int((values == 0).sum()),
        losses=int((values < 0).sum()),
        mean=100 * float(values.mean()),
        low=100 * low,
        high=100 * high,
        values=tuple((100 * np.sort(values)[::-1]).tolist()),
    )
