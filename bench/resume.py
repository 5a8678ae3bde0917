"""Kept scores: what lets a command that was killed go on where it was.

A chunk of lists (see `bench.evaluate`) is scored in the same forward passes, and company in a forward pass can change
a score's last bits. So a chunk is the unit of keeping: its answers are written in one transaction as soon as they are
there, under the hash of everything that decides them, and found again only by a chunk of the very same lists in the
same order. A changed reranker, cap, text, candidate or neighbour is another hash. Where one row of a chunk is damaged,
the whole chunk is scored again, since one list alone would be scored in other company.
"""

import dataclasses
import hashlib
import logging
import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.evaluate import Answered, ScoreLists, ask
from bench.interrupt import interruptible
from bench.lock import locked
from bench.rerankers.base import CandidateList, Card, Options, Reranker, Scored
from bench.rerankers.fusion import Fusion
from bench.store import STORE, Store, checksum_of

_LAYOUT = "kept scores 1"
_ARITHMETIC = ("torch", "transformers", "sentence-transformers", "tokenizers", "numpy")
_COUNTS = struct.Struct("<d4q")
_log = logging.getLogger(__name__)


@contextmanager
def keeping(output: Path) -> Iterator["Store"]:
    """Hold an output folder alone, with the scores kept in it.

    Raises:
        BenchError: where another command holds the folder and does not let go, or the file cannot be written.
        Stopped: for Ctrl-C inside the context, saying what is kept and how to go on.
    """
    with locked(output), closing(Store(output / STORE)) as store, interruptible(lambda: _kept(store)):
        yield store


def scorer(store: Store, reranker: Reranker, options: Options) -> ScoreLists | None:
    """Kept scores put before a reranker; None for one that reads no texts, since asking it costs less.

    A fusion is made of the scores kept for the reranker that it fuses, so that both together cost one of them.
    """
    if isinstance(reranker, Fusion):
        score = scorer(store, reranker.reranker, options)
        return _fused(reranker, score) if score else None
    return KeptScores(store, reranker, options) if "texts" in reranker.card.needs else None


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
            if not isinstance(answer, bytes) or checksum != checksum_of(chunk, place, answer):
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


def _kept(store: Store) -> str:
    return f"{store.lists:,} lists are kept in {store.path}" if store.lists else "No list had been scored"
