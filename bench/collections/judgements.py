"""Judgements (qrels) of a folder: BEIR's three columns or TREC's four, plain or gzipped."""

import re
import stat
from collections.abc import Sequence
from pathlib import Path

from bench.errors import BenchError
from bench.files import kind, readable, text_lines
from bench.measures import MAX_GRADE
from bench.run_formats import ID

_GRADE = re.compile(r"(-?[0-9]+)(?:\.0*)?", re.ASCII)
_ITERATION = re.compile(r"Q?[0-9]+", re.ASCII)  # TREC's second column, which nobody reads


def judgements_file(folder: Path, split: str) -> Path:
    """Where a folder has the judgements of a split: ``qrels/<split>.tsv``, or ``qrels.tsv`` for test, or either as .gz.

    Raises:
        BenchError: naming the splits that are there.
    """
    path = folder / "qrels" / f"{split}.tsv"
    places = [path, folder / "qrels.tsv"] if split == "test" else [path]
    for place in places:
        for either in (place, place.with_name(f"{place.name}.gz")):
            if kind(either) not in (0, stat.S_IFDIR):
                return either
    there = _splits(folder / "qrels")
    if there:
        hint = f"Splits that are there: {', '.join(there)}."
    elif kind(folder / "qrels.tsv") or kind(folder / "qrels.tsv.gz"):
        hint = "The folder's qrels.tsv is its test split."
    elif kind(folder) == stat.S_IFDIR:
        hint = "The folder has no qrels/<split>.tsv at all."
    else:
        hint = f"There is no folder {folder}: it must hold corpus.jsonl, queries.jsonl and qrels/<split>.tsv."
    raise BenchError(f"{path} does not exist. {hint}")


def _splits(folder: Path) -> list[str]:
    if kind(folder) != stat.S_IFDIR:
        return []
    with readable(folder):
        names = {path.name.removesuffix(".gz") for path in folder.iterdir()}
    return sorted(name.removesuffix(".tsv") for name in names if name.endswith(".tsv"))


def read_judgements(path: Path) -> dict[str, dict[str, int]]:
    """Read ``query-id<TAB>corpus-id<TAB>score``, with or without that header, or TREC's ``query 0 document grade``.

    Which of the two it is, the first line with judgements says, and the others must follow.

    Raises:
        BenchError: naming file and line, for a malformed or repeated judgement, or a file without any.
    """
    judgements: dict[str, dict[str, int]] = {}
    columns = 0
    for number, line in enumerate(text_lines(path), start=1):
        fields = _fields(line)
        if not line.strip() or (number == 1 and fields[-1] == "score"):
            continue
        columns = columns or (4 if _is_trec(fields) else 3)
        if len(fields) != columns or not all(fields) or (columns == 3 and "\t" not in line):
            raise BenchError(f"{path}, line {number}: {_other_columns(line, fields, columns)}")
        query_id, document_id, grade = fields[0], fields[-2], fields[-1]
        for identifier in (query_id, document_id):
            if not ID.fullmatch(identifier):
                raise BenchError(
                    f"{path}, line {number}: the id {identifier[:80]!r} contains white space or a control character. "
                    "Remove it, in the file that declares the id too."
                )
        grades = judgements.setdefault(query_id, {})
        if document_id in grades:
            raise BenchError(
                f"{path}, line {number}: document {document_id!r} is judged twice for query {query_id!r}. Keep one of "
                "the lines."
            )
        grades[document_id] = _grade(grade, path, number)
    if not judgements:
        raise BenchError(f"{path} has no judgements. Write lines 'query-id<TAB>corpus-id<TAB>score'.")
    return judgements


def _fields(line: str) -> list[str]:
    """A line's columns: parted by tabs where these make three or four, else by white space."""
    fields = line.rstrip("\n").split("\t")
    return fields if len(fields) in (3, 4) else line.split() or [""]


def _is_trec(fields: Sequence[str]) -> bool:
    return len(fields) == 4 and _ITERATION.fullmatch(fields[1]) is not None


def _other_columns(line: str, fields: Sequence[str], columns: int) -> str:
    """What is wrong with a line of other columns, and what to do about it."""
    form = "query-id<TAB>corpus-id<TAB>score" if columns == 3 else "query 0 document grade"
    if _is_trec(fields):
        mending = "This line has TREC's four columns and the lines before have three: write all in one form."
    elif columns == 3 and "\t" not in line.strip():
        mending = "Separate the columns by tabs."
    else:
        mending = f"Give each line these {'three' if columns == 3 else 'four'} columns."
    return f"expected '{form}', found {line.strip()[:80]!r}. {mending}"


def _grade(text: str, path: Path, number: int) -> int:
    match = _GRADE.fullmatch(text)
    if not match:
        raise BenchError(
            f"{path}, line {number}: the score {text[:20]!r} is not a whole number. Write it in digits, such as 0 or 2."
        )
    if len(match[1]) > 9 or abs(int(match[1])) > MAX_GRADE:
        raise BenchError(
            f"{path}, line {number}: the score {text[:20]!r} is not between -{MAX_GRADE:,} and {MAX_GRADE:,}. Write a "
            "grade of relevance, such as 0 or 2."
        )
    return int(match[1])
