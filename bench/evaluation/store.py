"""The file of kept scores (`bench.evaluation.cache`), SQLite's, in the output folder.

Nothing in it is trusted: each row carries a checksum over its place and its answer, and a file that SQLite cannot make
sense of is moved aside, its whole rows carried over into a new one.
"""

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol, TypeVar

from bench.console import note
from bench.errors import BenchError

STORE = "scores.sqlite"

_ROWS = (
    "CREATE TABLE IF NOT EXISTS lists"
    " (chunk BLOB NOT NULL, place INTEGER NOT NULL, answer BLOB NOT NULL, checksum BLOB NOT NULL,"
    " PRIMARY KEY (chunk, place))"
)
_INSERT = "INSERT OR REPLACE INTO lists VALUES (?, ?, ?, ?)"
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
_NO_RIGHT = "Give yourself the right to read and write the file and its folder, or choose another one with --output."
_FIXES = {
    sqlite3.SQLITE_FULL: "Free the disk; then give the same command.",
    sqlite3.SQLITE_CANTOPEN: _NO_RIGHT,
    sqlite3.SQLITE_PERM: _NO_RIGHT,
    sqlite3.SQLITE_READONLY: _NO_RIGHT,
    sqlite3.SQLITE_BUSY: "End the program that has the file open; then give the same command.",
    sqlite3.SQLITE_LOCKED: "End the program that has the file open; then give the same command.",
}
# SQLite quotes a damaged schema in its message, which then does not decode.
_FAILURES = (sqlite3.Error, UnicodeDecodeError)
_T = TypeVar("_T")
Row = tuple[bytes, int, bytes, bytes]
"""Chunk, place in the chunk, answer, checksum."""


class Rows(Protocol):
    """Where a chunk's answers are kept, by chunk and place in it.

    ``lists`` counts those that the present command has found here or written here, ``found`` the former alone.
    """

    lists: int
    found: int

    @property
    def name(self) -> str: ...

    def read(self, chunk: bytes) -> Mapping[int, tuple[object, object]]:
        """A chunk's (answer, checksum) by place in the chunk, unchecked."""
        ...

    def write(self, chunk: bytes, answers: Sequence[bytes]) -> None:
        """Keep a chunk's answers: all of them or, whatever happens, none."""
        ...


class Passing:
    """Scores kept in memory, for the present command alone."""

    name = "this command"

    def __init__(self) -> None:
        self.lists = self.found = 0
        self._chunks: dict[bytes, Sequence[bytes]] = {}

    def read(self, chunk: bytes) -> dict[int, tuple[object, object]]:
        """See `Rows`."""
        answers = enumerate(self._chunks.get(chunk, ()))
        return {place: (answer, checksum_of(chunk, place, answer)) for place, answer in answers}

    def write(self, chunk: bytes, answers: Sequence[bytes]) -> None:
        """See `Rows`."""
        self._chunks[chunk] = answers


class Store:
    """The file of kept scores.

    ``lists`` counts those that the present command has found in it or written to it, ``found`` the former alone;
    ``passing`` holds what must not outlive the command.
    """

    name = STORE

    def __init__(self, path: Path) -> None:
        """Open or make the file.

        Raises:
            BenchError: where it cannot be opened or written; damage is no error, it is reported and set aside.
        """
        self.path = path
        self.lists = self.found = 0
        self.passing = Passing()
        try:
            if _successor(path).exists():
                raise sqlite3.DatabaseError("its repair was interrupted")
            self._database = _open(path)
        except _FAILURES as error:
            self._database = self._renewed(error)

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
        rows = [(chunk, place, answer, checksum_of(chunk, place, answer)) for place, answer in enumerate(answers)]
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
            aside, carried = _replaced(self.path)
            database = _open(self.path)
        except OSError as cause:
            raise BenchError(f"Cannot set {self.path} aside, which is damaged: {cause.strerror}.") from cause
        except _FAILURES as cause:
            raise self._unusable(cause) from cause
        note(
            f"{self.path} is damaged ({error}). It is set aside as {aside.name}; {carried:,} kept lists were whole "
            "and are carried over, the others are scored again."
        )
        return database

    def _unusable(self, error: Exception) -> BenchError:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        fix = _FIXES.get(code, "Free the disk, or end the program that has the file open; then give the same command.")
        return BenchError(
            f"Cannot keep scores in {self.path}: {error}. What was kept until now is intact ({self.lists:,} lists of "
            f"this command). {fix}"
        )


def checksum_of(chunk: bytes, place: int, answer: bytes) -> bytes:
    """The checksum of a row."""
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


def _successor(path: Path) -> Path:
    """The file that takes a damaged one's place when it is whole."""
    return path.with_name(f"{path.name}.new")


def _log_of(path: Path) -> Path:
    """SQLite's write-ahead log of a file."""
    return path.with_name(f"{path.name}-wal")


def _replaced(path: Path) -> tuple[Path, int]:
    """Put a new file with a damaged one's whole rows in its place.

    The damaged file and its log are only touched when the new file holds their rows. Until the last step, which puts
    the new file in place, it is there under another name: a later command then finds it and begins again, so that a
    full disk or a kill at any moment loses no row.

    Returns:
        The name that the damaged file has now, and the number of rows in the new one.
    """
    new = _successor(path)
    try:
        database = _open(new)
    except _FAILURES as error:
        if not _is_damage(error, new):
            raise
        # The repair of a repair: its rows were not taken from the damaged file yet.
        for torn in (new, _log_of(new)):
            torn.unlink(missing_ok=True)
        database = _open(new)
    with closing(database):
        _insert(database, _whole_rows(path) if path.exists() else [])
        (carried,) = database.execute("SELECT count(*) FROM lists").fetchone()
    aside = _set_aside(path)
    if _log_of(path).exists():
        _log_of(path).replace(_log_of(aside))
    new.replace(path)
    return aside, carried


def _set_aside(path: Path) -> Path:
    """Give a damaged file a second name, so that it is never missing from its place."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        if path.exists() and aside.samefile(path):
            return aside  # by a repair that was interrupted
        number += 1
    if path.exists():
        try:
            aside.hardlink_to(path)
        except OSError:  # not every file system has links
            shutil.copyfile(path, aside)
    return aside


def _whole_rows(damaged: Path) -> list[Row]:
    """The rows that can still be read and whose checksums hold, read from both ends as far as the damage lets."""
    found: dict[tuple[bytes, int], Row] = {}
    for direction in ("ASC", "DESC"):
        for row in _readable(damaged, direction):
            chunk, place, answer, checksum = row
            typed = isinstance(chunk, bytes) and isinstance(place, int) and isinstance(answer, bytes)
            if typed and checksum == checksum_of(chunk, place, answer):
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
