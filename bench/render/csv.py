"""CSV in long form for further work: one line a figure, in full precision, measured and published alike from 0 to 1."""

import csv
import io
import unicodedata
from collections.abc import Iterator

from bench import escape
from bench.leaderboard.board import Cell, Leaderboard, Row, Section
from bench.leaderboard.columns import Column, declared_queries

FIELDS = (
    "block", "suite", "embedded", "column", "kind", "over", "measure", "reranker", "letter", "mark", "score",
    "interval_low", "interval_high", "first_stage_score", "difference", "difference_low", "difference_high", "ceiling",
    "share_of_ceiling", "judged@10", "differs_from", "queries", "queries_declared", "first_stage", "depth", "protocol",
    "parameters", "family", "model", "revision", "fingerprint", "documents_per_second", "tokens_per_second",
    "peak_memory_bytes", "documents_cut", "queries_cut", "tokens_lost", "source",
)  # fmt: skip

Value = str | int | float | bool | None


def write(board: Leaderboard, command: str = "") -> str:
    """All cells of all sections; an empty field is a figure that there is none of. ``command`` has no place here."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, FIELDS, restval="", lineterminator="\n")
    writer.writeheader()
    for section in board.sections:
        for line in (*_measured(section), *_published(section)):
            writer.writerow({name: _plain(value) for name, value in line.items()})
    return stream.getvalue()


def _plain(value: Value) -> Value:
    """Text on one line, and none that a spreadsheet would take for a formula."""
    if not isinstance(value, str):
        return value
    line = escape.terminal(value)
    # Compatibility forms (full width, small, raised) count as the plain characters, and blanks before them as nothing.
    return f"'{line}" if unicodedata.normalize("NFKC", line).lstrip().startswith(("=", "+", "-", "@", "−")) else line


def _measured(section: Section) -> Iterator[dict[str, Value]]:
    for row in section.rows:
        for column, cell in zip(section.columns, row.cells, strict=True):
            if cell:
                yield _about(section, column) | _who(row) | _figures(cell, column)


def _about(section: Section, column: Column) -> dict[str, Value]:
    protocol = column.protocol
    return {
        "block": "measured",
        "suite": section.suite,
        "embedded": section.embedded,
        "column": column.name,
        "kind": column.kind,
        "over": " ".join(column.over),
        "measure": column.measure,
        "queries": protocol.queries if protocol else None,
        "queries_declared": declared_queries(protocol) if protocol else None,
        "first_stage": protocol.first_stage if protocol else column.label,
        "depth": protocol.depth if protocol else None,
        "protocol": protocol.id if protocol else None,
    }


def _who(row: Row) -> dict[str, Value]:
    return {
        "reranker": row.name,
        "letter": row.letter,
        "parameters": row.card.parameters or None,
        "family": row.card.family,
        "model": row.card.model,
        "revision": row.card.revision,
        "fingerprint": row.card.fingerprint,
        "documents_per_second": row.cost.documents_per_second,
        "tokens_per_second": row.cost.tokens_per_second,
        "peak_memory_bytes": row.cost.peak_memory_bytes or None,
        "documents_cut": row.cost.documents_cut,
        "queries_cut": row.cost.queries_cut,
        "tokens_lost": row.cost.tokens_lost,
    }


def _figures(cell: Cell, column: Column) -> dict[str, Value]:
    low, high = cell.gain_interval or (None, None)
    return {
        "mark": cell.mark,
        "score": cell.score,
        "interval_low": cell.interval[0],
        "interval_high": cell.interval[1],
        "first_stage_score": column.candidates.first_stage,
        "difference": cell.gain,
        "difference_low": low,
        "difference_high": high,
        "ceiling": column.candidates.ceiling,
        "share_of_ceiling": cell.share,
        "judged@10": cell.judged,
        "differs_from": " ".join(cell.differs),
    }


def _published(section: Section) -> Iterator[dict[str, Value]]:
    if section.published is None:
        return
    measures = {column.name: column.measure for column in section.columns}
    for first_stage, rows in section.published.groups.items():
        name, _, depth = first_stage.partition("@")
        for row in rows:
            for column, value in zip(section.published.columns, row.values, strict=True):
                if value is not None:
                    yield {
                        "block": "published",
                        "suite": section.suite,
                        "column": column,
                        "measure": measures[column],
                        "reranker": row.reranker,
                        "score": round(value / 100, 6),
                        "first_stage": name,
                        "depth": depth,
                        "parameters": round(row.parameters_b * 10**9) if row.parameters_b else None,
                        "source": row.source,
                    }
