"""Kept scores: what lets a command that was killed go on where it was.

A chunk of lists (see `bench.evaluate`) is scored in the same forward passes, and company in a forward pass can change
a score's last bits. So a chunk is the unit of keeping: its answers are written in one transaction as soon as they are
there, under the hash of everything that decides them, and found again only by a chunk of the very same lists in the
same order. A changed reranker, cap, text, candidate or neighbour is another hash. Where one row of a chunk is damaged,
the whole chunk is scored again, since one list alone would be scored in other company.

The file is SQLite's, in the output folder. Nothing in it is trusted: each row carries a checksum over its place and
its answer, and a file that SQLite cannot make sense of is moved aside, its whole rows carried over into a new one.
"""

import dataclasses
import fcntl
import hashlib
import logging
import math
import os
import sqlite3
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, TypeVar

from bench.errors import BenchError
from bench.evaluate import Answered, ScoreLists, ask
from bench.interrupt import interruptible
from bench.rerankers.base import CandidateList, Card, Options, Reranker, Scored
from bench.rerankers.fusion import Fusion

STORE = "scores.sqlite"
LOCK = ".lock"
PATIENCE = 5.0
"""Seconds that a second command waits for the first one's output folder."""

_LAYOUT = "kept scores 1"
_ARITHMETIC = ("torch", "transformers", "sentence-transformers", "tokenizers", "numpy")
_ROWS = (
    "CREATE TABLE IF NOT EXISTS lists"
    " (chunk BLOB NOT NULL, place INTEGER NOT NULL, answer BLOB NOT NULL, checksum BLOB NOT NULL,"
    " PRIMARY KEY (chunk, place))"
)
_INSERT = "INSERT OR REPLACE INTO lists VALUES (?, ?, ?, ?)"
_COUNTS = struct.Struct("<d4q")
_HOST_TROUBLE = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOLFS,
}
# SQLite quotes a damaged schema in its message, which then does not decode.
_FAILURES = (sqlite3.Error, UnicodeDecodeError)
_log = logging.getLogger(__name__)
_T = TypeVar("_T")
Row = tuple[bytes, int, bytes, bytes]
"""Chunk, place in the chunk, answer, checksum."""


@contextmanager
def keeping(output: Path) -> Iterator["Store"]:
    """Hold an output folder alone, with the scores kept in it.

    Raises:
        BenchError: where another command holds the folder and does not let go, or the file cannot be written.
        Stopped: for Ctrl-C inside the context, saying what is kept and how to go on.
    """
    with locked(output), closing(Store(output / STORE)) as store, interruptible(lambda: _kept(store)):
        yield store


@contextmanager
def locked(output: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Hold an output folder's lock. The kernel lets go of it when the process ends, however it ends.

    The lock file is never removed: one command could hold the removed file, and another a new one of the same name.

    Raises:
        BenchError: naming the process that still holds the folder after ``patience`` seconds.
    """
    with _lock_file(output) as stream:
        _take(stream, output, patience)
        yield


class Store:
    """The file of kept scores. ``lists`` counts those that the present command has found in it or written to it."""

    def __init__(self, path: Path) -> None:
        """Open or make the file.

        Raises:
            BenchError: where it cannot be opened or written; damage is no error, it is reported and set aside.
        """
        self.path = path
        self.lists = 0
        try:
            self._database = _open(path)
        except _FAILURES as error:
            self._database = self._renewed(error)

    def before(self, reranker: Reranker, options: Options) -> ScoreLists | None:
        """Kept scores put before a reranker; None for one that reads no texts, since asking it costs less.

        A fusion is made of the scores kept for the reranker that it fuses, so that both together cost one of them.
        """
        if isinstance(reranker, Fusion):
            score = self.before(reranker.reranker, options)
            return _fused(reranker, score) if score else None
        return KeptScores(self, reranker, options) if "texts" in reranker.card.needs else None

    def read(self, chunk: bytes) -> dict[int, tuple[object, object]]:
        """A chunk's (answer, checksum) by place in the chunk, unchecked."""
        rows = self._done(
            lambda database: database.execute(
                "SELECT place, answer, checksum FROM lists WHERE chunk = ?", (chunk,)
            ).fetchall()
        )
        return {place: (answer, checksum) for place, answer, checksum in rows}

    def write(self, chunk: bytes, answers: Sequence[bytes]) -> None:
        """Keep a chunk's answers: all of them or, whatever happens, none."""
        rows = [(chunk, place, answer, _checksum(chunk, place, answer)) for place, answer in enumerate(answers)]
        self._done(lambda database: _insert(database, rows))

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _done(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do some work on the file; where the file proves damaged, once more on its successor."""
        try:
            return work(self._database)
        except _FAILURES as error:
            self._database = self._renewed(error)
        try:
            return work(self._database)
        except _FAILURES as error:
            raise self._unusable(error) from error

    def _renewed(self, error: Exception) -> sqlite3.Connection:
        """Set a damaged file aside and start a new one with the rows of the old that are whole."""
        if not _is_damage(error, self.path):
            raise self._unusable(error) from error
        if hasattr(self, "_database"):
            self._database.close()
        try:
            rows = _whole_rows(self.path)
            aside = _replaced(self.path, rows)
            database = _open(self.path)
        except OSError as cause:
            raise BenchError(f"Cannot set {self.path} aside, which is damaged: {cause.strerror}.") from cause
        except _FAILURES as cause:
            raise self._unusable(cause) from cause
        _log.warning(
            f"{self.path} is damaged ({error}). It is set aside as {aside.name}; {len(rows):,} kept lists were whole "
            "and are carried over, the others are scored again."
        )
        return database

    def _unusable(self, error: Exception) -> BenchError:
        return BenchError(
            f"Cannot keep scores in {self.path}: {error}. What was kept until now is intact ({self.lists:,} lists of "
            "this command). Free the disk, or end the program that has the file open; then give the same command."
        )


def _fused(fusion: Fusion, score: ScoreLists) -> ScoreLists:
    """Answers of the reranker that a fusion fuses, fused."""

    def fuse(lists: Sequence[CandidateList]) -> Answered:
        answered = score(lists)
        return dataclasses.replace(answered, answers=[fusion.fuse(answer) for answer in answered.answers])

    return fuse


@dataclass(frozen=True, slots=True)
class KeptScores:
    """Answers a chunk from the store, else by the reranker, and then keeps the answers."""

    store: Store
    reranker: Reranker
    options: Options

    def __call__(self, lists: Sequence[CandidateList]) -> Answered:
        """Answer one chunk.

        Raises:
            BenchError: where answers cannot be kept; those of earlier chunks stay.
        """
        chunk = chunk_key(self.reranker.card, self.options, lists)
        found = self._found(chunk, lists)
        if found is None:
            answered = ask(self.reranker, lists)
            whole = _whole(answered.answers, lists)
            if whole is None:
                return answered  # not kept, and refused by who asked
            share = answered.seconds / len(lists)
            packed = [_pack(answer, share) for answer in whole]
            self.store.write(chunk, packed)
            # What goes on is what was kept: a resumed command sees the same numbers, in the same types.
            found = Answered([_unpack(each, of)[0] for each, of in zip(packed, lists, strict=True)], answered.seconds)
        self.store.lists += len(lists)
        return found

    def _found(self, chunk: bytes, lists: Sequence[CandidateList]) -> Answered | None:
        rows = self.store.read(chunk)
        if not rows:
            return None
        answers: list[Scored] = []
        seconds = 0.0
        for place, of in enumerate(lists):
            answer, checksum = rows.get(place, (None, None))
            if not isinstance(answer, bytes) or checksum != _checksum(chunk, place, answer):
                _log.warning(
                    f"{self.store.path}: what was kept for query {of.query_id!r} is damaged. It is scored again, with "
                    f"the {len(lists) - 1} lists that were scored beside it."
                )
                return None
            scored, share = _unpack(answer, of)
            answers.append(scored)
            seconds += share
        return Answered(answers, seconds, kept=True)


def chunk_key(card: Card, options: Options, lists: Sequence[CandidateList]) -> bytes:
    """The hash of all that decides a chunk's scores.

    That is: who scores (fingerprint, device, precision, settings), the command's options, the versions of the packages
    that do the arithmetic, and the ordered lists with all that they carry. Of the protocol, the caps stand among the
    options, and the rest acts through the lists alone.
    """
    who = [card.fingerprint, card.device, card.dtype, repr(sorted(card.settings.items()))]
    parts = [_LAYOUT, *who, repr(dataclasses.astuple(options)), *_versions(), *map(_list_key, lists)]
    return _hash(parts).digest()


def _list_key(candidates: CandidateList) -> str:
    counts = f"{len(candidates.ids)} {len(candidates.texts)}"
    numbers = repr((candidates.first_stage_scores, candidates.grades))
    texts = (*candidates.ids, *candidates.texts)
    return _hash([candidates.query_id, candidates.query, counts, numbers, *texts]).hexdigest()


def _hash(parts: Iterable[str]) -> "hashlib._Hash":
    """Hash strings with their borders: each is preceded by its length."""
    hasher = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        hasher.update(len(encoded).to_bytes(8, "big"))
        hasher.update(encoded)
    return hasher


@cache
def _versions() -> tuple[str, ...]:
    found = []
    for name in _ARITHMETIC:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return tuple(found)


def _whole(answers: Sequence[Scored], lists: Sequence[CandidateList]) -> list[Scored] | None:
    """The answers in the lists' order; None where one is missing or is not a finite score a candidate."""
    by_query = {answer.query_id: answer for answer in answers}
    ordered = [by_query[of.query_id] for of in lists if of.query_id in by_query]
    right = len(ordered) == len(lists) and all(
        len(answer.scores) == len(of.ids) and all(map(math.isfinite, answer.scores))
        for answer, of in zip(ordered, lists, strict=True)
    )
    return ordered if right else None


def _pack(answer: Scored, seconds: float) -> bytes:
    counts = _COUNTS.pack(seconds, answer.tokens, answer.documents_cut, answer.tokens_lost, answer.queries_cut)
    return counts + struct.pack(f"<{len(answer.scores)}d", *answer.scores)


def _unpack(answer: bytes, of: CandidateList) -> tuple[Scored, float]:
    seconds, *counts = _COUNTS.unpack_from(answer)
    scores = struct.unpack_from(f"<{len(of.ids)}d", answer, _COUNTS.size)
    return Scored(of.query_id, scores, *counts), seconds


def _checksum(chunk: bytes, place: int, answer: bytes) -> bytes:
    return hashlib.sha256(chunk + place.to_bytes(8, "big", signed=True) + answer).digest()


def _open(path: Path) -> sqlite3.Connection:
    """Open the file, make its table, and look it through: a damaged file is found now and not in the tenth hour.

    A commit is synced to the disk (FULL): it costs some milliseconds a chunk, which takes seconds to score, and what
    was kept then survives a loss of power and not only a kill. The lock on the folder admits one writer, so the file is
    held exclusively, and WAL then works without shared memory: on network file systems too.
    """
    database = sqlite3.connect(path, timeout=1)
    try:
        database.text_factory = bytes  # in a damaged row an answer may pass for a text, and not decode
        for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL", "cell_size_check = ON"):
            database.execute(f"PRAGMA {pragma}")
        with database:
            database.execute("BEGIN IMMEDIATE")
            database.execute(_ROWS)
        said = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if said != b"ok":
            raise sqlite3.DatabaseError(said.decode(errors="replace"))
    except BaseException:
        database.close()
        raise
    return database


def _insert(database: sqlite3.Connection, rows: Iterable[Row]) -> None:
    with database:
        database.executemany(_INSERT, rows)


def _is_damage(error: Exception, path: Path) -> bool:
    """Whether the file is to blame, and not the disk, its rights or another program."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    if code == sqlite3.SQLITE_READONLY:
        # A flipped bit in the header calls the file read-only; then the system does not.
        return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    return code not in _HOST_TROUBLE


def _replaced(path: Path, rows: Sequence[Row]) -> Path:
    """Put a new file with some rows in a damaged one's place; gives the name that the damaged one has now.

    The new file is whole before the damaged one is touched, so that a full disk or a kill loses no row.
    """
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with closing(_open(new)) as database:
        _insert(database, rows)
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    log = path.with_name(f"{path.name}-wal")
    if log.exists():
        log.replace(aside.with_name(f"{aside.name}-wal"))
    path.replace(aside)
    new.replace(path)
    return aside


def _whole_rows(damaged: Path) -> list[Row]:
    """The rows that can still be read and whose checksums hold, read from both ends as far as the damage lets."""
    found: dict[tuple[bytes, int], Row] = {}
    for direction in ("ASC", "DESC"):
        for row in _readable(damaged, direction):
            chunk, place, answer, checksum = row
            typed = isinstance(chunk, bytes) and isinstance(place, int) and isinstance(answer, bytes)
            if typed and checksum == _checksum(chunk, place, answer):
                found[chunk, place] = row
    return list(found.values())


def _readable(damaged: Path, direction: str) -> Iterator[Row]:
    with closing(sqlite3.connect(damaged)) as database:
        database.text_factory = bytes
        try:
            # SQLite refuses a file that is shorter than its header says, unless somebody is there to repair it.
            database.execute("PRAGMA writable_schema = ON")
            yield from database.execute(
                f"SELECT chunk, place, answer, checksum FROM lists NOT INDEXED ORDER BY rowid {direction}"
            )
        except _FAILURES:
            return  # as far as it could be read; how much that was, the warning says


def _lock_file(output: Path) -> IO[bytes]:
    try:
        output.mkdir(parents=True, exist_ok=True)
        return open(output / LOCK, "a+b", buffering=0)
    except OSError as error:
        raise _unwritable(output, error) from error


def _unwritable(output: Path, error: OSError) -> BenchError:
    return BenchError(f"Cannot write results to {output}: {error.strerror}. Choose another folder with --output.")


def _take(stream: IO[bytes], output: Path, patience: float) -> None:
    """Take the lock and write down who has it."""
    until = time.monotonic() + patience
    told = False
    while not _try(stream, output):
        stream.seek(0)
        holder = f"process {stream.read(20).decode('ascii', 'replace').strip() or 'unknown'}"
        if time.monotonic() >= until:
            raise BenchError(
                f"{output} is being written by another command ({holder}). Wait until it has ended, or choose another "
                "folder with --output."
            )
        if not told:
            _log.warning(f"{output} is being written by another command ({holder}); waiting {patience:.0f} seconds.")
            told = True
        time.sleep(0.1)
    try:
        stream.truncate(0)
        stream.write(f"{os.getpid()}\n".encode())
    except OSError as error:
        raise _unwritable(output, error) from error


def _try(stream: IO[bytes], output: Path) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        _log.warning(f"{output} cannot be locked ({error.strerror}). See that no other command writes there.")
    return True


def _kept(store: Store) -> str:
    return f"{store.lists:,} lists are kept in {store.path}" if store.lists else "No list had been scored"
