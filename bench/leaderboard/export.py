"""Figures for other programs: a leaderboard as CSV, results as mteb's JSON.

The CSV is in long form: one line a figure, in full precision, measured and published alike from 0 to 1.

An mteb file is where mteb's own cache looks: ``results/<model>/<revision>/<task>.json``, next to the model_meta.json
that the cache asks for. The revision's name has the first stage, since a score over candidates is not the score of
ranking the whole corpus, and the reranker's id, since one model makes several rerankers: by another prompt, precision
or window. The whole protocol comes with the scores.
"""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import escape
from bench.console import note
from bench.errors import BenchError
from bench.files import write_whole
from bench.leaderboard import speed
from bench.leaderboard.board import Cell, Leaderboard, Row, Section
from bench.leaderboard.columns import Column, declared_queries
from bench.measures import Measure
from bench.paths import short_hash
from bench.results import Generation, Result
from bench.suites import find, undeclared

FIELDS = (
    "block", "suite", "embedded", "column", "kind", "over", "measure", "reranker", "letter", "mark", "score",
    "interval_low", "interval_high", "first_stage_score", "difference", "difference_low", "difference_high", "ceiling",
    "share_of_ceiling", "judged@10", "differs_from", "queries", "queries_declared", "first_stage", "depth", "protocol",
    "parameters", "family", "model", "revision", "fingerprint", "documents_per_second", "tokens_per_second",
    "latency_p50_seconds", "latency_p95_seconds", "peak_memory_bytes", "documents_cut", "queries_cut", "tokens_lost",
    "calls", "tokens_in", "tokens_out", "tokens_thinking", "money", "queries_without_order", "source",
)  # fmt: skip

Value = str | int | float | bool | None


def as_csv(board: Leaderboard) -> str:
    """All cells of all sections; the field of a figure that does not exist is empty."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, FIELDS, restval="", lineterminator="\n")
    writer.writeheader()
    for line in flat_rows(board):
        writer.writerow({name: _plain(value) for name, value in line.items()})
    return stream.getvalue()


def flat_rows(board: Leaderboard) -> Iterator[dict[str, Value]]:
    """A row for each cell of each section, with the fields of the CSV that it has."""
    for section in board.sections:
        yield from _measured(section)
        yield from _published(section)


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
        **speed.fields(row.cost.latency),
        "peak_memory_bytes": row.cost.peak_memory_bytes or None,
        "documents_cut": row.cost.documents_cut,
        "queries_cut": row.cost.queries_cut,
        "tokens_lost": row.cost.tokens_lost,
        **(_generation(row.cost.generation) if row.cost.generation else {}),
    }


def _generation(generation: Generation) -> dict[str, Value]:
    return {
        "calls": generation.calls,
        "tokens_in": generation.tokens_in,
        "tokens_out": generation.tokens_out,
        "tokens_thinking": generation.tokens_thinking,
        "money": generation.money or None,
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
        "queries_without_order": cell.failed or None,
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


_NAMES = {"nDCG": "ndcg", "P": "precision", "R": "recall", "Success": "hit_rate", "MRR": "mrr", "MAP": "map"}
_LENGTH = 100
_NO_LANGUAGE = "und-Zyyy"  # a user's own task: the language is not ours to say


def write_mteb(results: Sequence[Result], output: Path) -> list[Path]:
    """Write each result under ``output``; subsets of one mteb task (MIRACL's languages) share a file.

    Tasks that mteb does not have keep their own names, with ``/`` as ``-``.

    Raises:
        BenchError: where two results would be the same subset of the same file, or a file cannot be written.
    """
    files: dict[Path, dict[str, Result]] = {}
    for result in results:
        task, subset = _task_and_subset(result)
        path = output / "results" / _safe(_model(result), "__") / _safe(_revision(result)) / f"{_safe(task)}.json"
        subsets = files.setdefault(path, {})
        if subset in subsets:
            raise BenchError(_clash(result, subsets[subset]))
        subsets[subset] = result
        if result.generation and result.generation.failed:
            note(
                f"{result.task} by {result.reranker.name}: queries without an order, which count as 0: "
                f"{result.generation.failed}. mteb's format cannot say so."
            )
    for path, subsets in files.items():
        write_whole(path.with_name("model_meta.json"), _model_meta(next(iter(subsets.values())), path.parent))
        write_whole(path, _file(subsets))
    return list(files)


def _model_meta(result: Result, folder: Path) -> bytes:
    """What mteb's cache reads of a model before its results: its name, and the revision, which is the folder's name."""
    from mteb.models.model_meta import ModelMeta

    card = result.reranker
    known = {"name": _model(result), "revision": folder.name, "n_parameters": card.parameters or None}
    meta = ModelMeta.create_empty(overwrites=known).to_dict()
    return (json.dumps(meta, indent=2, ensure_ascii=False, default=str) + "\n").encode(errors="backslashreplace")


def _clash(result: Result, other: Result) -> str:
    """Why two results cannot be in one file."""
    ours, theirs = (f"{each.reranker.name} on {each.task}" for each in (result, other))
    if ours != theirs:
        return f"{ours} and {theirs} would be one mteb file. Give one of them."
    if result.protocol == other.protocol:
        return f"{ours} is there twice under the protocol {result.protocol.label}. Give one of them."
    return (
        f"{ours} is there under two protocols, {result.protocol.label} and {other.protocol.label}, which mteb's files "
        "cannot distinguish. Give one of them."
    )


def _file(subsets: Mapping[str, Result]) -> bytes:
    text = json.dumps(_content(subsets), indent=2, ensure_ascii=False) + "\n"
    # As in a result: the source may be a path that is not UTF-8.
    return text.encode(errors="backslashreplace")


def _task_and_subset(result: Result) -> tuple[str, str]:
    protocol = result.protocol
    known = find(result.task) or undeclared(result.task, protocol.split, protocol.identical_ids == "dropped", "")
    task, _, subset = (known.mteb if known else "").partition(":")
    return task or result.task, subset or "default"


def _model(result: Result) -> str:
    """The model's name; a fusion is not the model that it fuses."""
    card = result.reranker
    return card.name if card.family == "fusion" else card.model or card.name


def _revision(result: Result) -> str:
    card, protocol = result.reranker, result.protocol
    revision = card.revision or card.fingerprint[:12]
    return f"{revision}-{result.reranker_id}_{protocol.first_stage}@{protocol.depth}"


def _safe(name: str, slash: str = "-") -> str:
    """A file's name: nothing in it leads to another folder. It has a hash where too much of the text is lost."""
    safe = re.sub(r"[^A-Za-z0-9_.@=+-]", "_", name.replace("/", slash)).lstrip(".") or "_"
    return safe if name.isascii() and len(safe) <= _LENGTH else f"{safe[:_LENGTH]}-{short_hash(name)}"


def _content(subsets: Mapping[str, Result]) -> dict[str, Any]:
    """One file's content, checked by mteb's own class."""
    from mteb.results import TaskResult

    results = list(subsets.values())
    task, _ = _task_and_subset(results[0])
    revision, languages = _declared_by_mteb(task)
    scores: dict[str, list[Mapping[str, Any]]] = {}
    for subset, result in subsets.items():
        row = _mteb_scores(result) | {"hf_subset": subset, "languages": languages.get(subset, [_NO_LANGUAGE])}
        scores.setdefault(result.protocol.split, []).append(row)
    content = TaskResult(
        dataset_revision=revision or results[0].protocol.data,
        task_name=_safe(task),
        mteb_version=version("mteb"),
        scores=scores,
        evaluation_time=sum(result.cost.seconds + result.cost.harness_seconds for result in results),
    ).to_dict()
    return {**content, "date": _date(results)}


def _declared_by_mteb(task: str) -> tuple[str, Mapping[str, list[str]]]:
    """The data's revision and each subset's languages; nothing for a task that mteb does not have."""
    if "/" in task:
        return "", {}
    import mteb

    metadata = mteb.get_task(task).metadata
    return str(metadata.revision), metadata.hf_subsets_to_langscripts


def _mteb_scores(result: Result) -> dict[str, Any]:
    figures = {_mteb_measure(Measure.parse(text), result): figure for text, figure in result.measures.items()}
    return {
        "main_score": result.main,
        **figures,
        "reranker": result.reranker.name,
        "protocol": result.protocol.as_dict(),
        "source": str(result.provenance.get("source", "")),
    }


def _mteb_measure(measure: Measure, result: Result) -> str:
    """A measure in mteb's words; one over the whole list ends at the candidates' depth."""
    name = _NAMES.get(measure.name, measure.name)
    level = "" if measure.level == 1 else f"_rel{measure.level}"
    return f"{name}{level}_at_{measure.cut or result.protocol.depth}"


def _date(results: Iterable[Result]) -> float | None:
    """When the last of them was measured, in seconds since 1970, as mteb writes it."""
    times = []
    for result in results:
        try:
            times.append(datetime.fromisoformat(str(result.provenance.get("time", ""))).timestamp())
        except ValueError:
            continue  # a result without a time is a result all the same
    return max(times, default=None)
