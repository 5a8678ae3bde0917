"""Latency: which lists are timed, alone and as new texts, and what its figures are."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace

import pytest

from bench.collections.collection import Collection
from bench.console import Silent
from bench.errors import BenchError
from bench.evaluation.latency import latency
from bench.evaluation.plan import Plan, check
from bench.evaluation.prepare import PreparedTask, prepare
from bench.evaluation.shards import Shard
from bench.rerankers.base import CandidateList, Card, Lazy, Options, Reranker, Scored
from bench.rerankers.fusion import Fusion
from bench.results import Latency
from bench.run import Run
from bench.task import Task
from tests.bench.factories import Texts


class Clock(Reranker):
    """Takes as many seconds for a list as its query says, on a clock of its own."""

    card = Card("clock", "c", "own")

    def __init__(self) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        self.forgotten = 0
        self.failing: set[str] = set()

    def forget(self) -> None:
        self.forgotten += 1

    def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
        (candidates,) = lists  # one at a time
        self.asked.append(candidates.query_id)
        self.now += float(candidates.query)
        failure = "no answer" if candidates.query_id in self.failing else ""
        yield Scored(candidates.query_id, () if failure else (1.0,) * len(candidates.ids), failure=failure)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("bench.evaluation.chunks.time", SimpleNamespace(perf_counter=lambda: made.now))
    return made


def prepared(queries: int) -> PreparedTask:
    """Query q7 is the text "7"."""
    names = {f"q{number}": str(number) for number in range(queries)}
    judgements = {name: {"d": 1} for name in names}
    collection = Collection(Task("folder", "made"), names, judgements, Texts({"d": "text"}), "made")
    return prepare(collection, Run("made", {name: [("d", 1.0)] for name in names}), 10, Options())


def measured(of: PreparedTask, reranker: Reranker) -> Latency | None:
    with Silent().step("", None) as advance:
        return latency(of, reranker, advance)


def test_fifty_lists_are_taken_evenly_and_the_first_one_is_not_counted(clock: Clock) -> None:
    found = measured(prepared(101), clock)
    assert clock.asked == ["q0", *(f"q{2 * number + 1}" for number in range(50))]
    assert clock.forgotten == 51
    # Of 1, 3, ... 99 the median is between 49 and 51; 5% of the way down from the last is between 93 and 95.
    assert found == Latency(50, 50.0, pytest.approx(93 + 0.55 * 2))


def test_a_model_that_is_not_loaded_and_one_that_is_fused_are_forgotten_too(clock: Clock) -> None:
    assert measured(prepared(3), Fusion(Lazy(clock.card, lambda: clock))) == Latency(2, 1.5, pytest.approx(1.95))
    assert clock.forgotten == 3


def test_lists_without_candidates_are_left_out_and_a_single_one_is_scored_twice(clock: Clock) -> None:
    of = prepared(2)
    some = replace(of, candidates=Run("made", {**of.candidates.rankings, "q0": []}))
    assert measured(some, clock) == Latency(1, 1.0, 1.0)
    assert clock.asked == ["q1", "q1"]
    assert measured(replace(of, candidates=Run("made", {"q0": []})), clock) is None


def test_a_list_that_gets_no_order_is_not_counted(clock: Clock) -> None:
    clock.failing = {"q2"}
    assert measured(prepared(4), clock) == Latency(2, 2.0, pytest.approx(2.9))
    clock.failing = {"q0", "q1"}
    assert measured(prepared(2), clock) is None


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (Plan((), ["random", "oracle"], None, latency=True), "none of the rerankers scores texts. Leave it out."),
        (Plan((), ["minilm"], None, shard=Shard(1, 2), latency=True), "no effect on a shard, which writes no result."),
    ],
)
def test_where_it_has_no_effect_it_is_refused(plan: Plan, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        check(plan)
