"""How top tens differ, counted by hand."""

import pytest

from bench.comparison.agreement import Disagreement, disagreement
from bench.run import Run


def run_of(**orders: str) -> Run:
    return Run("made", {query: [(name, 0.0) for name in order.split()] for query, order in orders.items()})


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ("a b c d", Disagreement(0, 0, 0)),
        ("b a d c", Disagreement(0, 2 / 6, 1)),
        ("d c b a", Disagreement(0, 1, 1)),
        ("x a b c d", Disagreement(0, 0, 0)),
        ("a c", Disagreement(2 / 4, 0, 0)),
        ("d", Disagreement(3 / 4, 0, 1)),
    ],
)
def test_disagreement_by_hand(other: str, expected: Disagreement) -> None:
    assert disagreement(run_of(q="a b c d"), run_of(q=other)) == expected


def test_disagreement_concerns_the_top_ten_only() -> None:
    base = "a b c d e f g h i j k l"
    assert disagreement(run_of(q=base), run_of(q="a b c d e f g h i j l k")) == Disagreement(0, 0, 0)
    assert disagreement(run_of(q=base), run_of(q="a b c d e f g h i k j l")) == Disagreement(0.1, 0, 0)


def test_disagreement_is_averaged_over_the_queries_with_candidates() -> None:
    assert disagreement(run_of(p="a b", q="a b", r=""), run_of(p="a b", q="b a", r="")) == Disagreement(0, 0.5, 0.5)
    # One common document makes no pair, so the second query says nothing about pairs.
    assert disagreement(run_of(p="a b", q="a b"), run_of(p="b a", q="a c")) == Disagreement(0.25, 1, 0.5)


def test_a_query_that_the_other_run_lacks_is_all_replaced() -> None:
    assert disagreement(run_of(q="a b"), Run("made", {})) == Disagreement(1, 0, 1)
