"""Score cache, so that an interrupted command can resume and a repeated one does not score again.

A chunk of lists (see `bench.evaluation.evaluate`) is scored in the same forward passes, and company in a forward pass
can change a score's last bits. So a chunk is the unit of keeping: its answers are written in one transaction as soon as
they are there, under the hash of everything that decides them, and found again only by a chunk of the very same lists
in the same order. A changed reranker, cap, text, candidate or neighbour is another hash. Where one row of a chunk is
damaged, the whole chunk is scored again, since one list alone would be scored in other company.

What cannot be fingerprinted (a server, a class of the user's own without a ``fingerprint``) may be another model in the
next command. Its scores are shared within one command alone, unless the user vouches for the model with a cache id.
"""

import dataclasses
import hashlib
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.console import note
from bench.evaluation.evaluate import Answered, ScoreLists, ask
from bench.evaluation.interrupt import interruptible
from bench.evaluation.store import STORE, Rows, Store, checksum_of
from bench.lock import locked
from bench.rerankers.base import CandidateList, Card, Options, Reranker, Scored
from bench.rerankers.fusion import Fusion

_LAYOUT = "kept scores 1"
_ARITHMETIC = ("torch", "transformers", "sentence-transformers", "tokenizers", "numpy")
_COUNTS = struct.Struct("<d4q")


@contextmanager
def keeping(output: Path) -> Iterator["Store"]:
    """Hold an output folder alone, with the scores kept in it.

    Raises:
        BenchError: where another command holds the folder and does not let go, or the file cannot be written.
        Stopped: for Ctrl-C inside the context, saying what is kept and how to go on.
    """
    with locked(output), closing(Store(output / STORE)) as store, interruptible(lambda: _kept(store)):
        yield store


def scorer(store: Store, reranker: Reranker, options: Options, cache_id: str = "") -> ScoreLists | None:
    """The score cache put before a reranker; None for one that reads no texts, since asking it costs less.

    A fusion is made of the scores kept for the reranker that it fuses, so that both together cost one of them.

    Args:
        store: The output folder's cache.
        reranker: What is asked for the lists that are not in the cache.
        options: The command's options.
        cache_id: The user's word that a reranker without a fingerprint is the same one as in every other command with
            this id; without one, such a reranker gets no scores of another command.
    """
    if isinstance(reranker, Fusion):
        return _fused(reranker, scorer(store, reranker.reranker, options, cache_id))
    if "texts" not in reranker.card.needs:
        return None
    if getattr(reranker, "cacheable", True):
        return KeptScores(store, reranker, options)
    return KeptScores(store if cache_id else store.passing, reranker, options, cache_id)


def _fused(fusion: Fusion, score: ScoreLists | None) -> ScoreLists:
    """Answers of the reranker that a fusion fuses, fused."""

    def fuse(lists: Sequence[CandidateList]) -> Answered:
        answered = score(lists) if score else ask(fusion.reranker, lists)
        return dataclasses.replace(answered, answers=[fusion.fuse(answer) for answer in answered.answers])

    return fuse


@dataclass(frozen=True, slots=True)
class KeptScores:
    """Answers a chunk from the store, else by the reranker, and then keeps the answers."""

    store: Rows
    reranker: Reranker
    options: Options
    cache_id: str = ""

    def __call__(self, lists: Sequence[CandidateList]) -> Answered:
        """Answer one chunk.

        Raises:
            BenchError: where the reranker answers badly, or answers cannot be kept; those of earlier chunks stay.
        """
        chunk = chunk_key(self.reranker.card, self.options, lists, self.cache_id)
        found = self._found(chunk, lists)
        if found is None:
            answered = ask(self.reranker, lists)
            share = answered.seconds / len(lists)
            packed = [_pack(answer, share) for answer in answered.answers]
            self.store.write(chunk, packed)
            # What goes on is what was kept: a resumed command sees the same numbers, in the same types.
            unpacked = [_unpack(each, of)[0] for each, of in zip(packed, lists, strict=True)]
            found = dataclasses.replace(answered, answers=unpacked)
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
                note(
                    f"{self.store.name}: the row of query {of.query_id!r} is damaged. It is scored again, with the "
                    f"{len(lists) - 1} lists of its chunk."
                )
                return None
            scored, share = _unpack(answer, of)
            answers.append(scored)
            seconds += share
        self.store.found += len(lists)
        return Answered(answers, seconds, kept=self.store.name)


def chunk_key(card: Card, options: Options, lists: Sequence[CandidateList], cache_id: str = "") -> bytes:
    """The hash of all that decides a chunk's scores.

    That is: who scores (fingerprint, device, precision, settings), the command's options, the versions of the packages
    that do the arithmetic, and the ordered lists with all that they carry. Of the protocol, the caps are among the
    options, and the rest acts through the lists alone.
    """
    who = [card.fingerprint, card.device, card.dtype, repr(sorted(card.settings.items()))]
    vouched = [f"cache id {cache_id}"] if cache_id else []
    parts = [_LAYOUT, *who, *vouched, repr(dataclasses.astuple(options)), *_versions(), *map(_list_key, lists)]
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


def _pack(answer: Scored, seconds: float) -> bytes:
    counts = _COUNTS.pack(seconds, answer.tokens, answer.documents_cut, answer.tokens_lost, answer.queries_cut)
    return counts + struct.pack(f"<{len(answer.scores)}d", *answer.scores)


def _unpack(answer: bytes, of: CandidateList) -> tuple[Scored, float]:
    seconds, *counts = _COUNTS.unpack_from(answer)
    scores = struct.unpack_from(f"<{len(of.ids)}d", answer, _COUNTS.size)
    return Scored(of.query_id, scores, *counts), seconds


def _kept(store: Store) -> str:
    kept = f"{store.lists:,} lists are kept in {store.path}." if store.lists else "No list is kept."
    if store.passing.lists:
        kept += (
            f" {store.passing.lists:,} lists are lost: their reranker has no fingerprint. With --cache-id TEXT they "
            "are kept, and count for every command with that id."
        )
    return kept
