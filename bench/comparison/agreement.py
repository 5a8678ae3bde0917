"""How far two orders of the same candidates differ in their first ten documents."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations, islice

from bench.run import Run

TOP = 10


@dataclass(frozen=True, slots=True)
class Disagreement:
    """How another order's top ten differs from the base's, averaged over the queries that have candidates.

    ``replaced`` is the share of the base's top ten that is not in the other's. ``reversed`` is the share of pairs,
    among the documents in both, whose order is reversed (Kendall's tau is 1 - 2 * reversed); queries with fewer than
    two such documents do not count. ``first`` is the share of queries whose first document is another.
    A document that the base does not rank is taken out before the tops are compared.
    """

    replaced: float
    reversed: float
    first: float


SAME = Disagreement(replaced=0.0, reversed=0.0, first=0.0)
"""Of top tens that are the same in the same order."""


def disagreement(base: Run, other: Run) -> Disagreement:
    """Compare the top tens of two runs over the same queries."""
    replaced, swapped, first = [], [], []
    for query_id, ids in base.orders.items():
        if not ids:
            continue
        before, known = ids[:TOP], set(ids)
        after = list(islice((document_id for document_id in other.ids(query_id) if document_id in known), TOP))
        place = {document_id: position for position, document_id in enumerate(after)}
        both = [place[document_id] for document_id in before if document_id in place]
        pairs = [earlier > later for earlier, later in combinations(both, 2)]
        replaced.append((len(before) - len(both)) / len(before))
        first.append(float(before[:1] != after[:1]))
        if pairs:
            swapped.append(sum(pairs) / len(pairs))
    return Disagreement(mean(replaced), mean(swapped), mean(first))


def mean(values: Iterable[float]) -> float:
    """The mean; 0 of nothing."""
    figures = list(values)
    return sum(figures) / len(figures) if figures else 0.0
