"""Collections in BEIR's format: ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/<split>.tsv``, plain or .gz.

A folder may be packed as a zip archive, as BEIR hosts its own, and any of the three may be a table (`tables.py`).

Format: https://github.com/beir-cellar/beir/wiki/Load-your-custom-dataset. Ids may be whole numbers, ``_id`` may be
``id``, and ``text`` may be ``contents``, as Anserini's collections have it. The corpus stays on disk: one pass notes
where each document's line begins, and texts are read from there. A gzipped one, or a pipe, is first unpacked into a
temporary file. Every file is opened by what it contains, whatever its name ends in.
"""

import gzip
import json
import os
import stat
import tempfile
import weakref
import zipfile
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from bench.collections.collection import Collection, Documents, assemble
from bench.collections.judgements import judgements_file, read_judgements
from bench.collections.tables import has_table, table_documents, table_judgements, table_queries
from bench.errors import BenchError
from bench.files import kind, readable, text_lines, unpacked
from bench.protocol import digest
from bench.run_formats import ID
from bench.task import Task

_MARKS = ("corpus.jsonl", "corpus.jsonl.gz", "corpus.parquet", "corpus")


def place_of(parent: Path, name: str) -> Path:
    """A task's folder below a parent, or the archive of that name where there is no such folder."""
    folder, archive = parent / name, parent / f"{name}.zip"
    return archive if not kind(folder) and kind(archive) else folder


def load_folder(task: Task, place: Path) -> Collection:
    """Load one task from a folder or an archive and check its counts.

    Raises:
        BenchError: naming file and line, for a file that is missing, damaged or malformed, or counts that differ.
    """
    if kind(place) == stat.S_IFREG:
        return _unpacked(task, place)
    if has_table(place, "qrels"):
        judgements = table_judgements(place, task.split)
    else:
        judgements = read_judgements(judgements_file(place, task.split))
    queries = table_queries(place) if has_table(place, "queries") else read_queries(_either(place, "queries.jsonl"))
    documents: Documents = table_documents(task, place) if has_table(place, "corpus") else read_documents(place, task)
    try:
        return assemble(task, queries, judgements, documents, str(place))
    except BenchError:
        documents.close()
        raise


def _unpacked(task: Task, archive: Path) -> Collection:
    """A collection from a zip archive, unpacked into a temporary folder that goes with the collection's documents."""
    folder = tempfile.TemporaryDirectory(prefix="rerank-bench-")
    try:
        with readable(archive), zipfile.ZipFile(archive) as stream, _spooling(archive):
            stream.extractall(folder.name)
        root = Path(folder.name)
        inside = next((path.parent for mark in _MARKS for path in sorted(root.rglob(mark))), None)
        if inside is None:
            raise BenchError(f"{archive} has no corpus.jsonl in it. Give an archive of a BEIR-format folder.")
        collection = load_folder(task, inside)
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
    ) as error:  # a packing or a password that is not known
        folder.cleanup()
        raise BenchError(
            f"{archive} cannot be unpacked as a zip archive ({error}). Download it again, or unpack it yourself."
        ) from error
    except BaseException:
        folder.cleanup()
        raise
    weakref.finalize(collection.documents, folder.cleanup)
    collection.source = str(archive)
    return collection


def read_documents(folder: Path, task: Task) -> "FolderDocuments":
    """The folder's corpus, indexed by id."""
    return FolderDocuments(_either(folder, "corpus.jsonl"), task)


def read_queries(path: Path) -> dict[str, str]:
    """Query texts by id, in the file's order."""
    queries: dict[str, str] = {}
    for number, row in _objects(path):
        query_id = _id(row, path, number)
        if query_id in queries:
            raise BenchError(f"{path}, line {number}: query {query_id!r} occurs twice. Keep one of the two.")
        queries[query_id] = _body(row, path, number)
    return queries


class FolderDocuments:
    """A corpus file's documents by id; see `bench.collections.collection.Documents`.

    The file is open while it is read and closed after, so that any number of corpora can be in use at once.
    """

    def __init__(self, path: Path, task: Task) -> None:
        """Read the corpus once, noting where each document is and the hash of all.

        Raises:
            BenchError: naming file and line, for a file that cannot be read or a document that is malformed.
        """
        self._path = path
        self._task = task
        self._spooled = _spooled(path)
        self._position: dict[str, int] = {}
        self._offsets = array("Q")
        self._lines = array("Q")
        self._state: tuple[int, ...] = ()
        try:
            self._texts_hash = digest(self._index())
        except BenchError:
            self.close()
            raise

    def _index(self) -> Iterator[str]:
        """Note each document's place; gives its id and its text."""
        offset = 0
        with self._open() as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    row = _object(line, self._path, number)
                    document_id = _id(row, self._path, number)
                    if document_id in self._position:
                        raise BenchError(
                            f"{self._path}, line {number}: document {document_id!r} occurs twice. Keep one of the two."
                        )
                    yield document_id
                    yield self._text(row, number)
                    self._position[document_id] = len(self._offsets)
                    self._offsets.append(offset)
                    self._lines.append(number)
                offset += len(line)
        if not self._offsets:
            raise BenchError(f"{self._path} has no documents. Write a line {{'_id': …, 'text': …}} for each.")

    def __len__(self) -> int:
        return len(self._offsets)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        with self._open() as stream:
            for document_id, position in self._position.items():
                yield document_id, self._read(stream, position)

    def texts(self, ids: Sequence[str]) -> dict[str, str]:
        """The texts of the ids that the corpus has."""
        known = [document_id for document_id in ids if document_id in self._position]
        if not known:
            return {}
        with self._open() as stream:
            return {document_id: self._read(stream, self._position[document_id]) for document_id in known}

    def lacking(self, ids: Sequence[str]) -> list[str]:
        """Those of the ids that the corpus lacks."""
        return [document_id for document_id in ids if document_id not in self._position]

    def texts_hash(self) -> str:
        """Hash of every id and text, taken while the corpus was first read."""
        return self._texts_hash

    def close(self) -> None:
        """Let go of a temporary file, which is gone then."""
        if self._spooled:
            self._spooled.close()

    @contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        """The corpus file, as long as it is the one that was indexed."""
        if self._spooled:
            # A second reader moves the place of the first, so each seeks before it reads.
            self._spooled.seek(0)
            yield self._spooled
            return
        with readable(self._path), open(self._path, "rb") as stream:
            status = os.fstat(stream.fileno())
            state = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
            if self._state and state != self._state:
                raise BenchError(f"{self._path} was changed while it was in use. Run the command again.")
            self._state = state
            yield stream

    def _read(self, stream: IO[bytes], position: int) -> str:
        stream.seek(self._offsets[position])
        number = self._lines[position]
        return self._text(_object(stream.readline(), self._path, number), number)

    def _text(self, row: dict[str, Any], number: int) -> str:
        title = _text(row, "title", self._path, number) if row.get("title") is not None else ""
        return self._task.document_text(title, _body(row, self._path, number))


def _either(folder: Path, name: str) -> Path:
    """The plain file or its gzipped twin."""
    for path in (folder / name, folder / f"{name}.gz"):
        if kind(path) not in (0, stat.S_IFDIR):
            return path
    raise BenchError(
        f"{folder / name} (or {name}.gz) does not exist. A BEIR-format folder holds corpus.jsonl, queries.jsonl and "
        "qrels/<split>.tsv."
    )


def _spooled(path: Path) -> IO[bytes] | None:
    """A gzipped corpus or a pipe as a temporary file, which can be read from any byte; None for a plain file."""
    with unpacked(path) as stream:
        if kind(path) == stat.S_IFREG and not isinstance(stream, gzip.GzipFile):
            return None
        with _spooling(path):
            spooled = tempfile.TemporaryFile(prefix="rerank-bench-")
        try:
            while block := stream.read(1 << 20):
                with _spooling(path):
                    spooled.write(block)
            with _spooling(path):
                spooled.flush()
        except BaseException:
            spooled.close()
            raise
        return spooled


@contextmanager
def _spooling(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BenchError(
            f"Cannot unpack {path} into {tempfile.gettempdir()}: {error.strerror or error}. Make room there, set "
            "TMPDIR to another folder, or unpack the corpus yourself."
        ) from error


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text_lines(path), start=1):
        if line.strip():
            yield number, _object(line, path, number)


def _object(line: str | bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except UnicodeDecodeError as error:
        raise BenchError(
            f"{path}, line {number}: not UTF-8 text ({error}). Convert the file to UTF-8, or unpack it if it is packed "
            "by anything but gzip."
        ) from error
    except (ValueError, RecursionError) as error:
        raise BenchError(f"{path}, line {number}: not JSON ({error}). Write one object a line.") from error
    if not isinstance(row, dict):
        raise BenchError(f"{path}, line {number}: expected an object like {{'_id': …, 'text': …}}.")
    return row


def _id(row: dict[str, Any], path: Path, number: int) -> str:
    key = next((key for key in ("_id", "id") if key in row), "_id")
    value = row.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not ID.fullmatch(value):
        raise BenchError(
            f"{path}, line {number}: '{key}' must be a text without white space or a whole number, found {value!r:.80}."
        )
    return value


def _body(row: dict[str, Any], path: Path, number: int) -> str:
    """The text of a query or document; Anserini's collections call it ``contents``."""
    return _text(row, "contents" if "contents" in row and "text" not in row else "text", path, number)


def _text(row: dict[str, Any], key: str, path: Path, number: int) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise BenchError(f"{path}, line {number}: '{key}' must be a text, found {value!r:.80}.")
    return value
