"""Read the files of a collection in BEIR format, plain or gzipped; malformed content is an error with file and line.

The rules are those of `bench.collections.beir_folder`, which `reranker` may not import.
"""

import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from reranker.errors import RerankerError
from reranker.schema import parse_json

_ID = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff\ufeff]+")
_GRADE = re.compile(r"[+-]?[0-9]{1,4}")
_HEADER = ("query-id", "corpus-id", "score")
_GZIP = b"\x1f\x8b"
_LONGEST_LINE = 256 * 1024**2  # bytes


def texts(folder: Path, name: str) -> Iterator[tuple[str, str, str]]:
    """The id, title ("" where there is none) and text of each line of `name`.jsonl or `name`.jsonl.gz.

    Raises:
        RerankerError: there is no such file, or it is damaged or malformed.
    """
    path = _either(folder, name)
    known = set()
    for number, line in _lines(path):
        where = f"{path}, line {number}"
        row = parse_json(line, where, RerankerError)
        if not isinstance(row, dict):
            raise RerankerError(f"{where}: expected an object with '_id' and 'text'")
        identifier = row.get("_id")
        if not isinstance(identifier, str) or not _ID.fullmatch(identifier):
            raise RerankerError(f"{where}: '_id' must be a text without white space, found {identifier!r:.80}")
        if identifier in known:
            raise RerankerError(f"{where}: the id {identifier!r:.80} occurs a second time")
        known.add(identifier)
        title = row.get("title")
        for key, value in (("title", "" if title is None else title), ("text", row.get("text"))):
            if not isinstance(value, str):
                raise RerankerError(f"{where}: '{key}' must be a text, found {value!r:.80}")
        yield identifier, title or "", row["text"]


def splits(folder: Path) -> dict[str, Path]:
    """The files of judgements, `qrels/<split>.tsv`, by split.

    Raises:
        RerankerError: the folder cannot be read.
    """
    qrels = folder / "qrels"
    try:
        return {path.stem: path for path in sorted(qrels.iterdir()) if path.suffix == ".tsv"} if qrels.is_dir() else {}
    except OSError as error:
        raise RerankerError(f"{qrels} cannot be read: {error.strerror}") from error


def judgements(path: Path) -> dict[str, dict[str, int]]:
    """Each query's grades by document, from lines query-id<TAB>corpus-id<TAB>score, with or without that header.

    Raises:
        RerankerError: the file is damaged or malformed.
    """
    grades: dict[str, dict[str, int]] = {}
    for number, line in _lines(path):
        fields = tuple(line.rstrip("\r\n").split("\t"))
        if number == 1 and fields == _HEADER:
            continue
        where = f"{path}, line {number}"
        if len(fields) != 3 or not _ID.fullmatch(fields[0]) or not _ID.fullmatch(fields[1]):
            raise RerankerError(f"{where}: expected query-id<TAB>corpus-id<TAB>score, found {line.strip()[:80]!r}")
        query, document, grade = fields
        if not _GRADE.fullmatch(grade):
            raise RerankerError(f"{where}: the score must be a whole number, found {grade[:80]!r}")
        judged = grades.setdefault(query, {})
        if document in judged:
            raise RerankerError(f"{where}: document {document!r} is judged a second time for query {query!r}")
        judged[document] = int(grade)
    return grades


def _either(folder: Path, name: str) -> Path:
    for path in (folder / f"{name}.jsonl", folder / f"{name}.jsonl.gz"):
        try:
            if path.is_file():
                return path
        except OSError as error:
            raise RerankerError(f"{path} cannot be read: {error.strerror}") from error
    raise RerankerError(f"{folder} has no {name}.jsonl or {name}.jsonl.gz: it is not a collection in BEIR format")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers; whether the file is packed is told from its first bytes."""
    number = 0
    try:
        with open(path, "rb") as raw:
            packed = raw.peek(2)[:2] == _GZIP
            stream = gzip.GzipFile(fileobj=raw) if packed else raw
            while line := stream.readline(_LONGEST_LINE):
                number += 1
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                if text.strip():
                    yield number, text
    except UnicodeDecodeError as error:
        raise RerankerError(f"{path}, line {number}: not UTF-8 text ({error}). Convert the file to UTF-8.") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RerankerError(f"{path} is a damaged gzip file ({error}). Download it or pack it again.") from error
    except OSError as error:
        raise RerankerError(f"{path} cannot be read: {error.strerror or error}") from error
