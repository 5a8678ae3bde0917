"""A run: for each query an ordered list of (document id, score), read and written as a TREC run file."""

import gzip
import hashlib
import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.files import text_lines, write_whole
from bench.run_formats import Rows, is_json, json_rows, not_a_run, refuse_binary, three_columns

Ranking = list[tuple[str, float]]

_BLANKS = " \t\n\r\f\v"
_SPACE = re.compile(f"[{_BLANKS}]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Run:
    """A ranked list per query from a first stage or reranker: ``rankings[query id]`` is best first.

    ``name`` is the last column of a TREC file. Scores never increase along a ranking.
    """

    name: str
    rankings: Mapping[str, Ranking]

    def ids(self, query_id: str) -> list[str]:
        """A query's document ids, best first; none for a query that the run does not have."""
        return [document_id for document_id, _ in self.rankings.get(query_id, ())]

    @property
    def orders(self) -> dict[str, list[str]]:
        """The document ids of every query, best first."""
        return {query_id: self.ids(query_id) for query_id in self.rankings}

    def lines(self) -> Iterator[str]:
        """The lines of the TREC run file: ``query Q0 document rank score name``, ranks from 1.

        Scores are written with ``repr``, so that reading gives the same numbers back.
        """
        for query_id, ranking in self.rankings.items():
            for rank, (document_id, score) in enumerate(ranking, start=1):
                yield f"{query_id} Q0 {document_id} {rank} {score!r} {self.name}\n"

    @property
    def sha256(self) -> str:
        """Hash of the TREC text, unpacked: how a file was compressed does not change it."""
        return text_sha256(self.lines())

    def top(self, depth: int) -> "Run":
        """The same run with every ranking cut to its first ``depth`` documents."""
        return Run(self.name, {query_id: ranking[:depth] for query_id, ranking in self.rankings.items()})


def read_run(path: Path, may_be_empty: bool = False) -> Run:
    """Read a run file, plain or gzipped: TREC's six columns, or one of the forms of `bench.run_formats`.

    Order is by score; equal scores by rank column, then by line, so that nothing depends on document names. A run that
    the harness wrote itself may be empty: BM25 finds nothing where queries and documents share no word.

    Raises:
        BenchError: naming file and line, for a line of other than these fields, a rank or score that is not a finite
            number, a document that occurs twice for one query, or a file that cannot be read.
    """
    refuse_binary(path)
    lines = enumerate(text_lines(path), start=1)
    first = next((pair for pair in lines if pair[1].strip(_BLANKS)), None)
    if first is None:
        if may_be_empty:
            return Run(path.name, {})
        raise BenchError(f"{path}: the run is empty. A TREC run has lines 'query Q0 document rank score name'.")
    whole = chain((first,), lines)
    if is_json(first[1]):
        name, rows = json_rows("".join(line for _, line in whole), path)
    elif len(_SPACE.split(first[1].strip(_BLANKS))) == 3:
        name, rows = three_columns(whole, path)
    else:
        name, rows = _trec_rows(whole, path)
    return Run(
        name,
        {
            query_id: [(document_id, -key[0]) for document_id, key in sorted(ranking.items(), key=lambda item: item[1])]
            for query_id, ranking in rows.items()
        },
    )


def _trec_rows(lines: Iterable[tuple[int, str]], path: Path) -> tuple[str, Rows]:
    """A TREC run's name, and what its rankings are sorted by."""
    rows: Rows = {}
    name = path.name
    for number, line in lines:
        if not line.strip(_BLANKS):
            continue
        query_id, document_id, rank, score, name = _fields(line, path, number)
        ranking = rows.setdefault(query_id, {})
        if document_id in ranking:
            raise BenchError(
                f"{path}, line {number}: document {document_id!r} occurs twice for query {query_id!r}. "
                "Keep one line for each query and document."
            )
        ranking[document_id] = (-score, rank)
    return name, rows


def text_sha256(lines: Iterable[str]) -> str:
    """Hash of a text that comes in lines."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode())
    return digest.hexdigest()


def write_run(run: Run, path: Path) -> None:
    """Write a gzipped TREC run. A reader sees a whole file or none."""
    write_whole(path, packed(run))


def packed(run: Run) -> bytes:
    """The gzipped TREC run; the same run always gives the same bytes."""
    buffer = io.BytesIO()
    lines = run.lines()
    # No time of day and no file name inside, so that equal runs are equal files.
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=6, mtime=0, filename="") as stream:
        while batch := list(islice(lines, 1_000)):
            stream.write("".join(batch).encode())
    return buffer.getvalue()


def strictly_decreasing(run: Run) -> Run:
    """The same order with scores that strictly decrease, in single precision too.

    TREC tools ignore the rank column, read scores in single precision, and order equal ones by document name. A score
    that is not below its predecessor's becomes the next lower one in single precision; the others stay. Where scores
    do not fit single precision, a query's become n, n - 1, … 1.
    """
    return Run(run.name, {query_id: _apart(ranking) for query_id, ranking in run.rankings.items()})


def _apart(ranking: Ranking) -> Ranking:
    with np.errstate(over="ignore"):
        singles = np.array([score for _, score in ranking], dtype=np.float64).astype(np.float32)
    if np.isfinite(singles).all():
        if (singles[1:] < singles[:-1]).all():
            return ranking
        lowered = list(_lowered(ranking, singles))
        if math.isfinite(lowered[-1][1]):
            return lowered
    return [(document_id, float(len(ranking) - place)) for place, (document_id, _) in enumerate(ranking)]


def _lowered(ranking: Ranking, singles: NDArray[np.float32]) -> Iterator[tuple[str, float]]:
    lowest = np.float32(-np.inf)
    last = np.float32(np.inf)
    for (document_id, score), single in zip(ranking, singles, strict=True):
        if single < last:
            last = single
            yield document_id, score
        else:
            with np.errstate(over="ignore", under="ignore"):
                last = np.nextafter(last, lowest)
            yield document_id, float(last)


def _fields(line: str, path: Path, number: int) -> tuple[str, str, float, float, str]:
    """The parts of a line. As trec_eval does, white space is ASCII's alone, and a name may hold some: ``my_run``."""
    fields = _SPACE.split(line.strip(_BLANKS))
    if len(fields) < 6:
        raise BenchError(
            f"{path}, line {number}: expected 6 fields 'query Q0 document rank score name', found {len(fields)}. "
            f"{not_a_run(line)}".rstrip()
        )
    query_id, _, document_id, rank, score, *name = fields
    if not (_is_number(rank) and _is_number(score)):
        raise BenchError(
            f"{path}, line {number}: rank {rank[:20]!r} and score {score[:20]!r} must be finite numbers, such as 1 and "
            "12.5."
        )
    if len(name) > 1 and _is_number(name[0]):
        raise BenchError(
            f"{path}, line {number}: expected 6 fields 'query Q0 document rank score name', found {len(fields)}, the "
            "sixth being a number: does an id hold a blank? Take it out, or begin the name with a letter."
        )
    return query_id, document_id, float(rank), float(score), "_".join(name)


def _is_number(text: str) -> bool:
    """A decimal number that is finite, as other tools read it; Python takes ``1_0`` and digits of any script too."""
    return _NUMBER.fullmatch(text) is not None and math.isfinite(float(text))


def rank_by_score(ids: Iterable[str], scores: Iterable[float]) -> Ranking:
    """Order candidates by score, highest first; equal scores keep the candidates' order."""
    return sorted(zip(ids, scores, strict=True), key=lambda pair: -pair[1])
