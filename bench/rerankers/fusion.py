"""Reciprocal rank fusion of the first stage's order and a reranker's: each document gets the sum of 1 / (60 + rank).

Cormack, Clarke and Büttcher 2009, https://doi.org/10.1145/1571941.1572114, with its constant of 60.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from bench.rerankers.answers import checked
from bench.rerankers.base import CandidateList, Card, Reranker, Scored

K = 60


class Fusion:
    """A reranker's order fused with the order that it was given."""

    def __init__(self, reranker: Reranker) -> None:
        self.reranker = reranker
        inner = reranker.card
        fingerprint = hashlib.sha256(f"fusion 1 {K} {inner.fingerprint}".encode()).hexdigest()
        self.card: Card = replace(
            inner,
            name=f"fusion:{inner.name}",
            fingerprint=fingerprint,
            family="fusion",
            # A fused score holds the document's rank among the others.
            listwise=True,
            settings={**inner.settings, "k": K, "fused": inner.name},
        )

    def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
        """The reranker's answers, fused."""
        return map(self.fuse, checked(self.reranker.card.name, self.reranker.score(lists), lists))

    def fuse(self, answer: Scored) -> Scored:
        """The reranker's own answer with each score replaced by the fused one.

        Scores that are not finite have no rank; they stay as they are, for the harness to refuse.
        """
        return replace(answer, scores=fused(answer.scores)) if all(map(math.isfinite, answer.scores)) else answer


def innermost(reranker: Reranker) -> Reranker:
    """The reranker that gives the scores: the one that a fusion fuses, else itself."""
    while isinstance(reranker, Fusion):
        reranker = reranker.reranker
    return reranker


def fused(scores: Sequence[float]) -> tuple[float, ...]:
    """Fuse scores given in the first stage's order with that order; equal scores rank in it."""
    order = sorted(range(len(scores)), key=lambda position: -scores[position])
    rank_of = {position: rank for rank, position in enumerate(order, start=1)}
    return tuple(1 / (K + position + 1) + 1 / (K + rank_of[position]) for position in range(len(scores)))
