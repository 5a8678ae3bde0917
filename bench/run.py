"""A run: for each query an ordered list of (document id, score), read and written as a TREC run file."""

import gzip
import hashlib
import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bench.errors import BenchError
from bench.files import text_lines, write_whole

Ranking = list[tuple[str, float]]

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Run:
    """What one first stage or reranker answered: ``rankings[query id]`` is best first.

    ``name`` stands in a TREC file's last column. Scores never increase along a ranking.
    """

    name: str
    rankings: Mapping[str, Ranking]

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
        digest = hashlib.sha256()
        for line in self.lines():
            digest.update(line.encode())
        return digest.hexdigest()

    def top(self, depth: int) -> "Run":
        """The same run with every ranking cut to its first ``depth`` documents."""
        return Run(self.name, {query_id: ranking[:depth] for query_id, ranking in self.rankings.items()})


def read_run(path: Path, may_be_empty: bool = False) -> Run:
    """Read a TREC run file, plain or gzipped.

    Order is by score; equal scores by rank column, then by line, so that nothing depends on document names. A run that
    the harness wrote itself may be empty: BM25 finds nothing where queries and documents share no word.

    Raises:
        BenchError: naming file and line, for a line that is not six fields, a rank or score that is not a finite
            number, a document that occurs twice for one query, or a file that cannot be read.
    """
    rows: dict[str, dict[str, tuple[float, float]]] = {}
    name = path.name
    for number, line in enumerate(text_lines(path), start=1):
        if not line.strip():
            continue
        query_id, document_id, rank, score, name = _fields(line, path, number)
        ranking = rows.setdefault(query_id, {})
        if document_id in ranking:
            raise BenchError(
                f"{path}, line {number}: document {document_id!r} occurs twice for query {query_id!r}. "
                "Keep one line for each query and document."
            )
        ranking[document_id] = (-score, rank)
    if not rows and not may_be_empty:
        raise BenchError(f"{path}: the run is empty. A TREC run has lines 'query Q0 document rank score name'.")
    return Run(
        name,
        {
            query_id: [(document_id, -key[0]) for document_id, key in sorted(ranking.items(), key=lambda item: item[1])]
            for query_id, ranking in rows.items()
        },
    )


def write_run(run: Run, path: Path) -> None:
    """Write a gzipped TREC run; the same run always gives the same bytes. A reader sees a whole file or none."""
    buffer = io.BytesIO()
    lines = run.lines()
    # No time of day and no file name inside, so that equal runs are equal files.
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=6, mtime=0, filename="") as stream:
        while batch := list(islice(lines, 1_000)):
            stream.write("".join(batch).encode())
    write_whole(path, buffer.getvalue())


def _fields(line: str, path: Path, number: int) -> tuple[str, str, float, float, str]:
    fields = line.split()
    if len(fields) != 6:
        raise BenchError(
            f"{path}, line {number}: expected 6 fields 'query Q0 document rank score name', found {len(fields)}."
        )
    query_id, _, document_id, rank, score, name = fields
    numbers = _number(rank), _number(score)
    if not all(map(math.isfinite, numbers)):
        raise BenchError(
            f"{path}, line {number}: rank {rank[:20]!r} and score {score[:20]!r} must be finite numbers, such as 1 and "
            "12.5."
        )
    return query_id, document_id, *numbers, name


def _number(text: str) -> float:
    """A number in plain ASCII digits; not a number for all else that Python takes for one, such as ``1_0``."""
    return float(text) if _NUMBER.fullmatch(text) else math.nan


def rank_by_score(ids: Iterable[str], scores: Iterable[float]) -> Ranking:
    """Order candidates by score, highest first; equal scores keep the candidates' order."""
    return sorted(zip(ids, scores, strict=True), key=lambda pair: -pair[1])
