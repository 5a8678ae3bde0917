"""Score cache, so that an interrupted command can resume and a repeated one does not score again.

The unit is the chunk of lists that are scored together (`bench.evaluation.chunks`), since batch composition can
change a score's last bits. Its key hashes everything that decides its scores, so its answers are found again only for
the same lists in the same order, scored by the same reranker under the same caps.

What cannot be fingerprinted (a server, a class of the user's own without a ``fingerprint``) may be another model in the
next command. Its scores are cached in memory, for one command, unless the user vouches for the model with a cache id.
"""

import dataclasses
import hashlib
import io
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any

from bench.console import note
from bench.errors import BenchError
from bench.evaluation.chunks import Answered, Chunk, ScoreChunks
from bench.evaluation.workers import Here, Workers, in_process
from bench.files import kind
from bench.interrupt import resumable
from bench.lock import locked
from bench.protocol import digest
from bench.provenance import ARITHMETIC, versions
from bench.rerankers.base import CandidateList, Card, Options, Reranker, Scored
from bench.rerankers.fusion import Fusion
from bench.rerankers.generative.answers import answers_of

CACHE = "scores.cache"

_OLD = "scores.sqlite"
_LAYOUT = "score cache 1"
_DIGITS = 64
# What a record has of an answer: not the query, which the list has, nor the failure, since failures are not cached.
_ANSWER = attrgetter(*(each.name for each in dataclasses.fields(Scored)[1:-1]))


class Log:
    """Answers by chunk, in an append-only log: a file, or memory where no path is given.

    A generative reranker's raw answers are in it too, one a window, so that an interrupted chunk loses none of them.

    A record is the line ``SHA-256 of the rest, key, JSON``, with a line break before and after it, so that damage to
    one record does not reach the next. Damaged records are ignored, and left out of the file when it is opened.

    ``lists`` counts the lists that the present command found or added, ``found`` those that it found.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Open or make the file.

        Raises:
            BenchError: where the file cannot be read or written. Damage is no error: it is reported once.
        """
        self.path = path
        self.lists = self.found = 0
        self._records: dict[str, tuple[int, int]] = {}  # key: place in the file, length in bytes
        if path and kind(path) not in (0, stat.S_IFREG):
            raise BenchError(f"{path} is not a regular file. Remove it, or choose another folder with --output.")
        with self._usable():
            if path and path.exists() and (damaged := self._index(path)):
                self._rewrite(path)
                note(f"{path} is damaged. Records ignored: {damaged:,}. Lists that only they contain are scored again.")
            self._file = path.open("a+b", buffering=0) if path else io.BytesIO()

    def get(self, key: str, lists: Sequence[CandidateList]) -> Answered | None:
        """A chunk's answers, or None where there are none.

        Raises:
            BenchError: where the file cannot be read.
        """
        content = self._content(key, f"The lists from query {lists[0].query_id!r} on are scored again.")
        if content is None:
            return None
        seconds, answers = content
        self.lists += len(lists)
        self.found += len(lists)
        scored = [
            Scored(of.query_id, tuple(scores), *counts) for of, (scores, *counts) in zip(lists, answers, strict=True)
        ]
        return Answered(scored, seconds, cache=self.path.name if self.path else "this command")

    def add(self, key: str, answered: Answered) -> None:
        """Append a chunk's answers; they are on the disk when this returns.

        Raises:
            BenchError: where they cannot be written; the file is then as it was before.
        """
        self._append(key, [answered.seconds, list(map(_ANSWER, answered.answers))])
        self.lists += len(answered.answers)

    def answer(self, key: str) -> Mapping[str, Any] | None:
        """See `bench.rerankers.generative.answers.AnswerLog`."""
        found: Mapping[str, Any] | None = self._content(key, "One window is asked about again.")
        return found

    def answers(self) -> Iterator[Mapping[str, Any]]:
        """All raw answers, in the order in which they were kept."""
        for key in self._records:
            content = self._content(key, "One window's answer is not shown.")
            if isinstance(content, dict):
                yield content

    def keep(self, key: str, record: Mapping[str, Any]) -> None:
        """See `bench.rerankers.generative.answers.AnswerLog`."""
        self._append(key, record)

    def _content(self, key: str, consequence: str) -> Any:
        """A record's JSON; None where there is none, or it was damaged since the file was opened."""
        if key not in self._records:
            return None
        place, length = self._records[key]
        with self._usable():
            self._file.seek(place)
            record = _checked(self._file.read(length))
        if record is None or record[0] != key:
            note(f"{self.path} is damaged. {consequence}")
            return None
        return json.loads(record[1])

    def copy(self, other: "Log") -> int:
        """Append the records of another log that this one lacks; gives their number.

        Raises:
            BenchError: as `add`.
        """
        new = [key for key in other._records if key not in self._records]
        for key in new:
            place, length = other._records[key]
            with other._usable():
                other._file.seek(place)
                self._write(key, other._file.read(length), sync=key == new[-1])
        return len(new)

    def _append(self, key: str, content: object) -> None:
        record = f"{key} {json.dumps(content)}".encode()
        self._write(key, hashlib.sha256(record).hexdigest().encode() + b" " + record + b"\n")

    def _write(self, key: str, line: bytes, sync: bool = True) -> None:
        """Append a record's line, which is on the disk when this returns if ``sync``."""
        with self._usable():
            end = self._file.seek(0, os.SEEK_END)
            try:
                rest = b"\n" + line
                while rest:
                    rest = rest[self._file.write(rest) :]
                if self.path and sync:
                    os.fsync(self._file.fileno())
            except OSError:
                self._file.truncate(end)
                raise
        self._records[key] = (end + 1, len(line))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _index(self, path: Path) -> int:
        """Find the records in the file; gives the number of damaged ones."""
        place = damaged = 0
        with path.open("rb") as lines:
            for line in lines:
                if record := _checked(line):
                    self._records[record[0]] = (place, len(line))
                elif line != b"\n":
                    damaged += 1
                place += len(line)
        return damaged

    def _rewrite(self, path: Path) -> None:
        """Replace the file by one with the intact records alone, so that damage is not reported again."""
        path = path.resolve()  # a link to the file stays one
        # One name, not one for each process: the folder is locked, and a copy that a kill left is removed.
        whole = path.with_name(f".{path.name}")
        whole.unlink(missing_ok=True)
        records, self._records = self._records, {}
        try:
            with path.open("rb") as old, whole.open("xb") as new:
                for key, (place, length) in records.items():
                    old.seek(place)
                    line = b"\n" + old.read(length).removesuffix(b"\n") + b"\n"
                    self._records[key] = (new.tell() + 1, len(line) - 1)
                    new.write(line)
                new.flush()
                os.fsync(new.fileno())
            whole.replace(path)
        finally:
            whole.unlink(missing_ok=True)

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise BenchError(
                f"Cannot use the score cache {self.path}: {error.strerror or error}. {self.lists:,} lists of this "
                "command are cached. Free the disk or restore the file's permissions, then run the same command again."
            ) from error


@dataclass(frozen=True, slots=True)
class ScoreCache:
    """An output folder's score cache, and one in memory for scores that must not outlive the command."""

    file: Log
    memory: Log = field(default_factory=Log)

    def __str__(self) -> str:
        """What a command that resumes will find, in a sentence or two."""
        number = self.file.lists
        cached = f"{number:,} {'query is' if number == 1 else 'queries are'} already scored."
        if self.memory.lists:
            cached += (
                f" {self.memory.lists:,} more cannot be resumed: their reranker has no fingerprint. Give --cache-id "
                "TEXT to cache their scores for every command with that id."
            )
        return cached


@contextmanager
def score_cache(output: Path, name: str = CACHE) -> Iterator[ScoreCache]:
    """Lock an output folder and open its score cache. Ctrl-C within the context prints what is cached.

    Raises:
        BenchError: where another command keeps the folder locked, or the folder or the file cannot be written.
    """
    with locked(output):
        if (output / _OLD).exists():
            note(f"{output / _OLD} is from an older version and is no longer used. Delete it to free the disk.")
        with closing(Log(output / name)) as file:
            scores = ScoreCache(file)
            with resumable(scores.__str__):
                yield scores


def scorer(
    scores: ScoreCache, reranker: Reranker, options: Options, cache_id: str = "", workers: Workers | None = None
) -> ScoreChunks | None:
    """Scores chunks from the cache, else by workers; None for a reranker that reads no texts and costs less.

    A fusion uses the scores that are cached for the reranker that it fuses, so both together cost one of them.

    Args:
        scores: The output folder's cache.
        reranker: Whose scores they are.
        options: The command's options.
        cache_id: The user's word that a reranker without a fingerprint is the same one as in every other command with
            this id; without one, such a reranker gets no scores of another command.
        workers: Score the chunks that are not in the cache; None has the reranker do so in this process.
    """
    if isinstance(reranker, Fusion):
        return _fused(reranker, scorer(scores, reranker.reranker, options, cache_id, workers))
    if "texts" not in reranker.card.needs:
        return None
    log, vouched = _log(scores, reranker, cache_id)
    crew = workers or Here(reranker)
    if (answers := answers_of(reranker)) is not None:
        answers.log = log

    keys: dict[Chunk, str] = {}  # of the chunks that are being scored

    def fresh(scored: Iterable[tuple[Chunk, Answered]]) -> Iterator[Answered]:
        for chunk, answered in scored:
            key = keys.pop(chunk)
            if not any(answer.failure for answer in answered.answers):  # else its windows alone are kept
                log.add(key, answered)
            yield answered

    def score(chunks: Iterable[Chunk]) -> Iterator[Answered]:
        for chunk in chunks:
            lists = chunk.lists()
            key = chunk_key(reranker.card, options, lists, vouched)
            answered = log.get(key, lists)
            if answered is not None:
                yield answered
                continue
            keys[chunk] = key
            yield from fresh(crew.take(chunk))
        yield from fresh(crew.rest())

    return score


def cached(
    scores: ScoreCache, reranker: Reranker, options: Options, cache_id: str, lists: Sequence[CandidateList]
) -> Answered | None:
    """A chunk's answers as `scorer` would find them, None where it would score."""
    if isinstance(reranker, Fusion):
        return cached(scores, reranker.reranker, options, cache_id, lists)
    log, vouched = _log(scores, reranker, cache_id)
    return log.get(chunk_key(reranker.card, options, lists, vouched), lists)


def _log(scores: ScoreCache, reranker: Reranker, cache_id: str) -> tuple[Log, str]:
    """Where a reranker's answers are cached, and the user's word for its model where that counts."""
    cacheable = getattr(reranker, "cacheable", True)
    return scores.file if cacheable or cache_id else scores.memory, "" if cacheable else cache_id


def _fused(fusion: Fusion, score: ScoreChunks | None) -> ScoreChunks:
    """Scores chunks by the reranker that a fusion fuses, and fuses the answers."""

    def fuse(chunks: Iterable[Chunk]) -> Iterator[Answered]:
        for answered in (score or in_process(fusion.reranker))(chunks):
            fused = [each if each.failure else fusion.fuse(each) for each in answered.answers]
            yield dataclasses.replace(answered, answers=fused)

    return fuse


def chunk_key(card: Card, options: Options, lists: Sequence[CandidateList], cache_id: str = "") -> str:
    """The hash of everything that decides a chunk's scores.

    That is the reranker (fingerprint, device, precision, settings), the command's options (the caps among them), the
    versions of the packages that do the arithmetic, and the ordered lists with all that they carry.
    """
    who = [card.fingerprint, card.device, card.dtype, repr(sorted(card.settings.items()))]
    vouched = [f"cache id {cache_id}"] if cache_id else []
    parts = [
        _LAYOUT,
        *who,
        *vouched,
        repr(dataclasses.astuple(options)),
        *map(" ".join, versions(ARITHMETIC).items()),
        *map(_list_key, lists),
    ]
    return digest(parts, _DIGITS)


def _list_key(candidates: CandidateList) -> str:
    counts = f"{len(candidates.ids)} {len(candidates.texts)}"
    numbers = repr((candidates.first_stage_scores, candidates.grades))
    parts = [candidates.query_id, candidates.query, counts, numbers, *candidates.ids, *candidates.texts]
    return digest([*parts, candidates.task] if candidates.task else parts, _DIGITS)


def _checked(line: bytes) -> tuple[str, bytes] | None:
    """A record's key and JSON; None where the line is damaged."""
    checksum, _, record = line.removesuffix(b"\n").partition(b" ")
    if hashlib.sha256(record).hexdigest().encode() != checksum:
        return None
    key, _, content = record.partition(b" ")
    return key.decode(), content
