"""Scores from papers, model cards and result repositories: one CSV file a suite, each row with its source.

A published figure was measured over a first stage of its own, so it is kept separate from measured ones: it is shown
next to figures of the same first stage, and never ranked or averaged together with anything measured here.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from bench.measures import Measure

FOLDER = Path(__file__).parent
FIELDS = ("suite", "task", "reranker", "parameters_b", "measure", "value", "first_stage", "source", "note")
ALONE = "none"
"""The first stage of a retriever that ranked the whole corpus itself."""
UNKNOWN = "not stated"


@dataclass(frozen=True, slots=True)
class Published:
    """One published figure.

    ``task`` is a task's or group's name, or ``mean of 13`` (``mean`` where the source does not say of how many);
    ``parameters_b`` counts billions, None where unknown; ``value`` is times 100, as printed; ``first_stage`` reads
    ``name@depth``, `ALONE` or `UNKNOWN`; ``note`` says what a reader of the source would stumble over.
    """

    suite: str
    task: str
    reranker: str
    parameters_b: float | None
    measure: str
    value: float
    first_stage: str
    source: str
    note: str


@dataclass(frozen=True, slots=True)
class Row:
    """What one source reports of one reranker; ``values`` are in the order of the block's columns."""

    reranker: str
    parameters_b: float | None
    source: str
    notes: tuple[str, ...]
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """Published rows for some columns, those of one first stage together."""

    columns: tuple[str, ...]
    groups: Mapping[str, tuple[Row, ...]]


def suites() -> tuple[str, ...]:
    """The suites that have a file."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.csv")))


def read_all() -> tuple[Published, ...]:
    """Every published figure of every suite."""
    return tuple(figure for suite in suites() for figure in read(FOLDER / f"{suite}.csv"))


def read(path: Path) -> tuple[Published, ...]:
    """The figures of one suite's file, in its order.

    Raises:
        BenchError: naming file and line, for other columns than `FIELDS`, a figure that is none or not from 0 to
            100, an unknown measure, a missing source or first stage, or a repeated figure.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        if tuple(reader.fieldnames or ()) != FIELDS:
            raise BenchError(f"{path}, line 1: the columns must be {', '.join(FIELDS)}.")
        figures: dict[tuple[str, ...], Published] = {}
        for record in reader:
            place = f"{path}, line {reader.line_num}"
            figure = _figure(record, place, path.stem)
            key = (figure.task, figure.reranker, figure.measure, figure.first_stage, figure.source)
            if key in figures:
                raise BenchError(f"{place}: {figure.reranker} on {figure.task} is given twice for {figure.source}.")
            figures[key] = figure
    return tuple(figures.values())


def block(suite: str, columns: Mapping[str, str], figures: Iterable[Published]) -> Block | None:
    """The published rows that concern some columns; None where there are none.

    ``columns`` maps the name of a task, a group or a mean to its measure: a figure of another measure is another
    figure. Rows that only repeat what another source of the same first stage reports are left out.
    """
    cells: dict[str, dict[tuple[str, str], dict[str, Published]]] = {}
    for figure in figures:
        if figure.suite == suite and columns.get(figure.task) == figure.measure:
            group = cells.setdefault(figure.first_stage, {})
            group.setdefault((figure.reranker, figure.source), {})[figure.task] = figure
    used = tuple(name for name in columns if any(name in row for group in cells.values() for row in group.values()))
    # Sources that state a first stage come before those without one.
    order = sorted(cells, key=lambda first_stage: first_stage in (ALONE, UNKNOWN))
    groups = {first_stage: _rows(list(cells[first_stage].values()), used) for first_stage in order}
    return Block(used, groups) if groups else None


def _figure(record: Mapping[str, str | None], place: str, suite: str) -> Published:
    text = {field: record.get(field) or "" for field in FIELDS}
    missing = [field for field in FIELDS if not text[field] and field not in ("parameters_b", "note")]
    if missing or None in record:
        raise BenchError(f"{place}: {' and '.join(missing) or 'a column'} is missing or there is one too many.")
    if text["suite"] != suite:
        raise BenchError(f"{place}: suite {text['suite']!r} does not belong in {suite}.csv.")
    if "@" not in text["first_stage"] and text["first_stage"] not in (ALONE, UNKNOWN):
        raise BenchError(f"{place}: first stage {text['first_stage']!r} must read name@depth, {ALONE} or {UNKNOWN}.")
    Measure.parse(text["measure"])
    return Published(
        suite=suite,
        task=text["task"],
        reranker=text["reranker"],
        parameters_b=_number(text["parameters_b"], place) if text["parameters_b"] else None,
        measure=text["measure"],
        value=_number(text["value"], place),
        first_stage=text["first_stage"],
        source=text["source"],
        note=text["note"],
    )


def _number(text: str, place: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", text) or not 0 <= float(text) <= 100:
        raise BenchError(f"{place}: {text!r} is not a number from 0 to 100.")
    return float(text)


def _rows(rows: Sequence[Mapping[str, Published]], columns: Sequence[str]) -> tuple[Row, ...]:
    """A first stage's rows without repetitions: of equal rows the first is kept."""
    kept = [
        row
        for position, row in enumerate(rows)
        if not any(
            _holds(other, row) and (len(other) > len(row) or earlier < position)
            for earlier, other in enumerate(rows)
            if earlier != position
        )
    ]
    return tuple(_row(row, columns) for row in kept)


def _holds(row: Mapping[str, Published], other: Mapping[str, Published]) -> bool:
    """Whether a row reports the same reranker's same figures as another, and maybe more."""
    return all(
        task in row and row[task].reranker == figure.reranker and row[task].value == figure.value
        for task, figure in other.items()
    )


def _row(figures: Mapping[str, Published], columns: Sequence[str]) -> Row:
    one = next(iter(figures.values()))
    return Row(
        reranker=one.reranker,
        parameters_b=one.parameters_b,
        source=one.source,
        notes=tuple(dict.fromkeys(figure.note for figure in figures.values() if figure.note)),
        values=tuple(figures[name].value if name in figures else None for name in columns),
    )
