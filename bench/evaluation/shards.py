"""Shards: one command's chunks divided over several commands, such as the jobs of a SLURM array, without Ray.

Each scores its share into a score cache of its own, ``OUTPUT/shards/2-of-8/scores.cache``. A chunk's key hashes all
that decides its scores, so the caches are merged by key, and the command without ``--shard`` finds all its chunks.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from bench.console import Advance, note
from bench.errors import BenchError
from bench.evaluation.cache import CACHE, Log, ScoreCache
from bench.evaluation.chunks import Chunk, ScoreChunks, chunks
from bench.evaluation.prepare import PreparedTask
from bench.lock import locked
from bench.rerankers.base import Reranker

SHARDS = "shards"


@dataclass(frozen=True, slots=True)
class Shard:
    """One of ``of`` shares of all chunks; ``number`` counts from 1.

    The chunks of all tasks and rerankers are dealt out in turn: many tasks have only one.
    """

    number: int
    of: int
    _turns: Iterator[int] = field(default_factory=count, init=False, repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read ``2/8``.

        Raises:
            BenchError: it is no such thing.
        """
        found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise BenchError(f"--shard {text} is no share. Give I/N, from 1/N to N/N, such as 2/8.")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}-of-{self.of}"

    def folder(self, output: Path) -> Path:
        """Where its score cache is."""
        return output / SHARDS / str(self)

    def check(self, reranker: Reranker, cache_id: str) -> None:
        """Refuse a reranker whose scores could not be passed on.

        Raises:
            BenchError: it has no fingerprint, and the user does not vouch for it.
        """
        if not (getattr(reranker, "cacheable", True) or cache_id):
            raise BenchError(
                f"{reranker.card.name} has no fingerprint, so that a shard's scores could not be used by another "
                "command. Give all of them the same --cache-id TEXT."
            )

    def score(
        self, prepared: PreparedTask, reranker: Reranker, score: ScoreChunks | None, progress: Advance | None = None
    ) -> None:
        """Have the share's chunks of a task scored, and so cached. The other shards' count as restored in progress.

        ``score`` None is for a reranker that needs no cache: there is nothing to do.
        """
        if score is None:
            return
        for answered in score(self._own(chunks(prepared, reranker), progress)):
            if progress:
                progress(len(answered.answers), restored=bool(answered.cache), workers=answered.workers)

    def _own(self, every: Iterable[Chunk], progress: Advance | None) -> Iterator[Chunk]:
        for chunk in every:
            if next(self._turns) % self.of == self.number - 1:
                yield chunk
            elif progress:
                progress(len(chunk.queries), restored=True)


def shard_folders(output: Path) -> list[Path]:
    """The folders of an output folder's shards, in the order of their numbers."""
    found = (path.parent for path in (output / SHARDS).glob(f"*/{CACHE}"))
    return sorted(found, key=lambda path: (len(path.name), path.name))


def merge(scores: ScoreCache, folders: Sequence[Path]) -> int:
    """Copy what the caches in some folders have into a command's cache; gives the number of new records.

    The folders stay as they are: merging again adds nothing.

    Raises:
        BenchError: a folder has no score cache, or is still being written.
    """
    new = 0
    for folder in folders:
        if not (folder / CACHE).is_file():
            raise BenchError(f"{folder} has no {CACHE}. Give the folders that commands with --shard have written.")
        with locked(folder), closing(Log(folder / CACHE)) as log:
            new += scores.file.copy(log)
    return new


def assemble(scores: ScoreCache, output: Path) -> None:
    """Merge an output folder's own shards before its results are made."""
    if new := merge(scores, shard_folders(output)):
        note(f"{new:,} records of shards in {output / SHARDS} merged into {output / CACHE}.")
