"""How top tens differ, counted by hand."""

import pytest

from bench.comparison.agreement import Flips, flips
from bench.run import Run


def run_of(**orders: str) -> Run:
    return Run("made", {query: [(name, 0.0) for name in order.split()] for query, order in orders.items()})


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ("a b c d", Flips(0, 0, 0)),
        ("b a d c", Flips(0, 2 / 6, 1)),
        ("d c b a", Flips(0, 1, 1)),
        ("x a b c d", Flips(0, 0, 0)),
        ("a c", Flips(2 / 4, 0, 0)),
        ("d", Flips(3 / 4, 0, 1)),
    ],
)
def test_flips_by_hand(other: str, expected: Flips) -> None:
    assert flips(run_of(q="a b c d"), run_of(q=other)) == expected


def test_flips_concern_the_top_ten_only() -> None:
    base = "a b c d e f g h i j k l"
    assert flips(run_of(q=base), run_of(q="a b c d e f g h i j l k")) == Flips(0, 0, 0)
    assert flips(run_of(q=base), run_of(q="a b c d e f g h i k j l")) == Flips(0.1, 0, 0)


def test_flips_are_averaged_over_the_queries_with_candidates() -> None:
    assert flips(run_of(p="a b", q="a b", r=""), run_of(p="a b", q="b a", r="")) == Flips(0, 0.5, 0.5)
    # One common document makes no pair, so the second query says nothing about pairs.
    assert flips(run_of(p="a b", q="a b"), run_of(p="b a", q="a c")) == Flips(0.25, 1, 0.5)


def test_a_query_that_the_other_run_lacks_is_all_replaced() -> None:
    assert flips(run_of(q="a b"), Run("made", {})) == Flips(1, 0, 1)
