"""The pipeline's rules, each with figures worked out by hand: ties, identical ids, queries that nobody answered."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log2, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.collections.collection import Collection
from bench.errors import BenchError
from bench.evaluation.cache import chunk_key
from bench.evaluation.chunks import chunks
from bench.evaluation.evaluate import evaluate
from bench.evaluation.prepare import PreparedTask, prepare
from bench.measures import STANDARD, Measure
from bench.rerankers import load
from bench.rerankers.base import CandidateList, Card, Options, Scored
from bench.rerankers.fusion import Fusion
from bench.run import Run, read_run, write_run
from bench.task import Task

TASK = Task("folder", "small", join_title=False)


class InMemory:
    """Documents whose text is their id's, for collections that a test makes up."""

    def __init__(self, ids: Sequence[str]) -> None:
        self._texts = {document_id: f"text of {document_id}" for document_id in ids}

    def __len__(self) -> int:
        return len(self._texts)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._texts.items())

    def texts(self, ids: Sequence[str]) -> dict[str, str]:
        return {document_id: self._texts[document_id] for document_id in ids if document_id in self._texts}

    def close(self) -> None:
        pass


def collection(judgements: Mapping[str, Mapping[str, int]], documents: Sequence[str] = "abcdefg", task: Task = TASK):
    queries = {query_id: f"question {query_id}" for query_id in judgements}
    return Collection(
        task, queries, {key: dict(grades) for key, grades in judgements.items()}, InMemory(documents), "here"
    )


def run_of(**orders: Sequence[str]) -> Run:
    return Run("first", {key: [(name, -float(place)) for place, name in enumerate(ids)] for key, ids in orders.items()})


def settle(
    judgements: Mapping[str, Mapping[str, int]],
    run: Run,
    depth: int = 100,
    queries: int | None = None,
    task: Task = TASK,
) -> PreparedTask:
    return prepare(collection(judgements, task=task), run, depth, Options(), queries)


MINE = Card(name="mine", fingerprint="x", family="own", needs=frozenset())


@dataclass
class ByFunction:
    """A reranker that is one function from a list to its scores."""

    function: Callable[[CandidateList], Sequence[float]]
    card: Card = MINE

    def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
        for each in lists:
            yield Scored(each.query_id, tuple(self.function(each)))


def ndcg(settled: PreparedTask, name: str) -> float:
    return evaluate(settled, load(name, Options()))[0].main


def order(run: Run, query_id: str = "q") -> list[str]:
    return [document_id for document_id, _ in run.rankings[query_id]]


NAMES = st.lists(st.text("abz09-", min_size=1, max_size=3), min_size=1, max_size=15, unique=True)


@given(names=NAMES, data=st.data(), score=st.sampled_from([0.0, -1.5, 1e-300]))
def test_a_constant_scorer_gives_exactly_the_first_stage(names: list[str], data: st.DataObject, score: float):
    grades = {name: data.draw(st.integers(-1, 2)) for name in names}
    depth = data.draw(st.integers(1, len(names)))
    given_run = run_of(q=data.draw(st.permutations(names)))
    settled = prepare(collection({"q": grades}, names), given_run, depth, Options())
    constant, reranked = evaluate(settled, ByFunction(lambda each: [score] * len(each.ids)))
    first, kept = evaluate(settled, load("first-stage", Options()))
    assert order(reranked) == order(kept) == order(given_run)[:depth]
    assert constant.measures == first.measures
    assert constant.per_query == first.per_query
    assert constant.main == first.main == constant.candidates.first_stage


@given(names=NAMES, data=st.data())
def test_the_oracle_is_the_ceiling_and_nobody_is_above_it(names: list[str], data: st.DataObject):
    grades = {name: data.draw(st.integers(-1, 3)) for name in names}
    found = data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    settled = prepare(collection({"q": grades}, names), run_of(q=found), 100, Options())
    oracle, reranked = evaluate(settled, load("oracle", Options()))
    assert oracle.main == oracle.candidates.ceiling
    assert sorted(order(reranked)) == sorted(found)
    for name in ("first-stage", "reverse", "random"):
        assert ndcg(settled, name) <= oracle.main + 1e-12


def test_ties_go_to_the_candidate_that_came_first():
    # Scores 1, 2, 1, 2 over z, a, m, b. By document name the order would be b, a, z, m or a, b, m, z.
    settled = prepare(collection({"q": {"a": 1}}, "zamb"), run_of(q="zamb"), 100, Options())
    _, reranked = evaluate(settled, ByFunction(lambda each: (1.0, 2.0, 1.0, 2.0)))
    assert order(reranked) == ["a", "b", "z", "m"]


@pytest.mark.parametrize(
    ("drop", "expected"),
    # The query is the document a. Kept, the two candidates are a, b, and the relevant c stays out: 0.
    # Dropped before the cut they are b, c: 1/log2(3). Dropped after the cut, b alone would remain: 0 again.
    [(False, 0.0), (True, 1 / log2(3))],
)
def test_a_querys_own_document_is_dropped_before_the_cut(drop: bool, expected: float):
    settled = settle({"a": {"c": 1}}, run_of(a="abc"), depth=2, task=replace(TASK, drop_identical_ids=drop))
    assert order(settled.candidates, "a") == (["b", "c"] if drop else ["a", "b"])
    assert ndcg(settled, "first-stage") == pytest.approx(expected)
    assert settled.protocol.identical_ids == ("dropped" if drop else "kept")


def test_a_query_without_candidates_counts_as_zero():
    # The first query is answered perfectly (1), the second's list is empty, the run does not know the third: 1 of 3.
    settled = settle({"q": {"a": 1}, "empty": {"a": 1}, "missing": {"a": 1}}, run_of(q="a", empty=""))
    for name in ("first-stage", "oracle", "random", "reverse"):
        result, _ = evaluate(settled, load(name, Options()))
        assert result.per_query == {"q": 1, "empty": 0, "missing": 0}
        assert result.main == pytest.approx(1 / 3)
        assert result.protocol.queries == 3


def test_a_judged_query_without_relevant_documents_counts_as_zero():
    assert ndcg(settle({"q": {"a": 1}, "none": {"a": 0, "b": -1}}, run_of(q="a", none="ab")), "oracle") == 1 / 2


def test_gold_is_never_put_among_the_candidates():
    # b is relevant, and not found: no reranker can show it, and the ceiling says so.
    # best possible of a alone: 1/log2(2) of 1/log2(2) + 1/log2(3) = 1.63093
    settled = settle({"q": {"a": 1, "b": 1}}, run_of(q="dca"))
    result, reranked = evaluate(settled, load("oracle", Options()))
    assert order(reranked) == ["a", "d", "c"]
    assert result.main == pytest.approx(1 / (1 + 1 / log2(3)))
    assert result.candidates.recall == 1 / 2
    # the first stage has a at rank 3: 1/log2(4) = .5
    assert result.candidates.first_stage == pytest.approx(0.5 / (1 + 1 / log2(3)))


def test_a_run_may_answer_other_queries_too():
    settled = settle({"q": {"a": 1}}, run_of(other="ab", q="ba"))
    assert list(settled.candidates.rankings) == ["q"]


def test_a_run_that_answers_none_of_the_queries_is_refused():
    with pytest.raises(BenchError, match="'first' answers none of the 1 judged queries of folder/small") as caught:
        settle({"q": {"a": 1}}, run_of(other="ab"))
    assert "'other'" in str(caught.value)
    assert "'q'" in str(caught.value)


def test_a_choice_of_queries_that_the_run_does_not_answer_counts_as_zero():
    judgements = {f"q{n}": {"a": 1} for n in range(9)}
    (chosen,) = settle(judgements, run_of(**dict.fromkeys(judgements, "ab")), queries=1).collection.queries
    settled = settle(judgements, run_of(**dict.fromkeys(judgements.keys() - {chosen}, "ab")), queries=1)
    assert settled.candidates.rankings == {}
    assert ndcg(settled, "oracle") == 0


def test_only_the_first_documents_are_candidates():
    settled = settle({"q": {"c": 1}}, run_of(q="abc"), depth=2)
    assert order(settled.candidates) == ["a", "b"]
    assert settled.protocol.depth == 2
    assert ndcg(settled, "oracle") == 0


def test_every_standard_measure_is_reported():
    # a (grade 1) stands at rank 2 of 2, b is not judged, c is relevant and was not found
    result, _ = evaluate(settle({"q": {"a": 1, "c": 1}}, run_of(q="ba")), load("first-stage", Options()))
    assert result.measures == pytest.approx(
        {
            "nDCG@10": (1 / log2(3)) / (1 + 1 / log2(3)),
            "MRR@10": 1 / 2,
            "MAP": (1 / 2) / 2,
            "P@10": 1 / 10,
            "R@10": 1 / 2,
            "R@100": 1 / 2,
            "judged@10": 1 / 2,
        }
    )
    assert set(result.measures) == {str(measure) for measure in STANDARD}


def test_another_main_measure_stands_before_the_standard_ones():
    task = replace(TASK, measure="Success@1")
    result, _ = evaluate(settle({"q": {"a": 1}}, run_of(q="ba"), task=task), load("oracle", Options()))
    assert next(iter(result.measures)) == "Success@1"
    assert result.main == result.candidates.ceiling == 1
    assert result.candidates.first_stage == 0
    assert result.per_query == {"q": 1}
    assert str(Measure.parse("nDCG@10")) in result.measures


def test_judgements_are_shown_to_the_oracle_alone_and_texts_to_who_reads():
    seen: dict[str, CandidateList] = {}

    def noting(name: str, *needs: str) -> ByFunction:
        def look(each: CandidateList) -> Sequence[float]:
            seen[name] = each
            return [0.0] * len(each.ids)

        return ByFunction(look, Card(name=name, fingerprint=name, family="own", needs=frozenset(needs)))

    settled = settle({"q": {"a": 2, "c": -1}}, run_of(q="bac"))
    for reranker in (noting("nothing"), noting("texts", "texts"), noting("grades", "grades")):
        evaluate(settled, reranker)
    assert {each.ids for each in seen.values()} == {("b", "a", "c")}
    assert {each.query for each in seen.values()} == {"question q"}
    assert {each.first_stage_scores for each in seen.values()} == {(0.0, -1.0, -2.0)}
    assert [(seen[name].texts, seen[name].grades) for name in seen] == [
        ((), ()),
        (("text of b", "text of a", "text of c"), ()),
        ((), (0, 2, -1)),
    ]


def test_a_run_that_names_unknown_documents_is_refused():
    with pytest.raises(BenchError, match="names document 'nowhere' for query 'q'"):
        settle({"q": {"a": 1}}, run_of(q=["a", "nowhere"]))


def test_only_candidates_need_texts():
    # The third document is below the cut; with the identical-id rule it moves up into it.
    run = run_of(a=["a", "b", "nowhere"])
    assert order(settle({"a": {"b": 1}}, run, depth=2).candidates, "a") == ["a", "b"]
    with pytest.raises(BenchError, match="'nowhere'"):
        settle({"a": {"b": 1}}, run, depth=2, task=replace(TASK, drop_identical_ids=True))


@pytest.mark.parametrize(
    ("scores", "reason"),
    [((1.0,), "gave 1 scores for 2 candidates"), ((1.0, 2.0, 3.0), "gave 3 scores"), ((1.0, nan), "not finite"),
     ((float("inf"), 1.0), "not finite"), ((1.0, -float("inf")), "not finite")],
)  # fmt: skip
def test_answers_that_cannot_be_ranked_are_refused(scores: tuple[float, ...], reason: str):
    settled = settle({"p": {"a": 1}, "q": {"a": 1}}, run_of(p="a", q="ab"))
    reranker = ByFunction(lambda each: scores if each.query_id == "q" else [0.0])
    with pytest.raises(BenchError, match=reason) as caught:
        evaluate(settled, reranker)
    assert "mine" in str(caught.value)
    assert "query 'q' ('question q')" in str(caught.value)


def test_a_list_without_an_answer_is_refused():
    class Forgetful(ByFunction):
        def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
            return (Scored(each.query_id, (0.0,)) for each in lists if each.query_id != "q")

    with pytest.raises(BenchError, match="gave no answer for query 'q'"):
        evaluate(settle({"p": {"a": 1}, "q": {"a": 1}}, run_of(p="a", q="a")), Forgetful(lambda each: ()))


def test_answers_may_come_in_any_order():
    class Backwards(ByFunction):
        def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
            return reversed(list(super().score(lists)))

    judgements = {key: {"b": 1} for key in "pqr"}
    result, reranked = evaluate(
        settle(judgements, run_of(p="ab", q="abc", r="cab")),
        Backwards(
            lambda each: [*each.ids].index("b") * [0.0] + [1.0] + [0.0] * (len(each.ids) - [*each.ids].index("b") - 1)
        ),
    )
    assert result.main == 1
    assert list(reranked.rankings) == ["p", "q", "r"]


@pytest.mark.parametrize("scores", [(1.0, 1.0, 1.0), (1.0, 1.0 + 1e-12, 1.0), (1e300, 1e300, 2e300), (-0.0, 0.0, 0.0)])
def test_trec_eval_gives_the_results_figures_from_the_written_run(tmp_path, scores: tuple[float, ...]):
    import pytrec_eval

    # trec_eval puts equal scores in falling order of their names, which is the worst order here.
    judgements = {"q": {"a": 1}}
    result, reranked = evaluate(settle(judgements, run_of(q="abc")), ByFunction(lambda each: scores))
    write_run(reranked, tmp_path / "run.trec.gz")
    again = {query_id: dict(ranking) for query_id, ranking in read_run(tmp_path / "run.trec.gz").rankings.items()}
    figures = pytrec_eval.RelevanceEvaluator(judgements, {"ndcg_cut.10"}).evaluate(again)
    assert figures["q"]["ndcg_cut_10"] == result.per_query["q"] >= 0.5


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64, int, float])
def test_scores_of_any_number_type_become_a_run_that_can_be_read(tmp_path, kind: Callable[[int], float]):
    settled = settle({"q": {"b": 1}}, run_of(q="ab"))
    result, reranked = evaluate(settled, ByFunction(lambda each: [kind(1), kind(2)]))
    write_run(reranked, tmp_path / "run.trec.gz")
    again = read_run(tmp_path / "run.trec.gz")
    assert again.rankings == {"q": [("b", 2.0), ("a", 1.0)]}
    assert again.sha256 == result.run_sha256


@pytest.mark.parametrize("name", ["with  some\tspace", "with\u00a0one\u3000too"])
def test_a_rerankers_name_does_not_break_the_run_file(tmp_path, name: str):
    reranker = ByFunction(lambda each: [0.0] * len(each.ids), Card(name, "x", "own", needs=frozenset()))
    result, reranked = evaluate(settle({"q": {"b": 1}}, run_of(q="ab")), reranker)
    write_run(reranked, tmp_path / "run.trec.gz")
    assert read_run(tmp_path / "run.trec.gz").sha256 == result.run_sha256
    assert result.reranker.name == name


def test_each_list_is_scored_once_however_many_there_are():
    count = 700
    judgements = {f"q{n}": {"a": 1} for n in range(count)}
    seen: list[str] = []
    sizes: list[int] = []
    settled = settle(judgements, run_of(**dict.fromkeys(judgements, "ab")))
    progress = lambda units, restored, workers: sizes.append(units)  # noqa: E731
    evaluate(settled, ByFunction(lambda each: seen.append(each.query_id) or (0.0, 0.0)), progress=progress)
    assert seen == list(judgements)
    assert sum(sizes) == count
    assert len(sizes) > 1


def test_what_was_cut_and_what_it_cost_is_added_up():
    class Counting(ByFunction):
        def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
            for each in lists:
                yield Scored(
                    each.query_id, (0.0,) * len(each.ids), tokens=10, documents_cut=2, tokens_lost=5, queries_cut=1
                )

    settled = settle({"p": {"a": 1}, "q": {"a": 1}, "none": {"a": 1}}, run_of(p="ab", q="abc"))
    result, _ = evaluate(settled, Counting(lambda each: ()))
    assert (result.cut.documents, result.cut.tokens, result.cut.queries) == (4, 10, 2)
    assert (result.cost.lists, result.cost.documents, result.cost.tokens) == (2, 5, 20)
    assert result.cost.seconds >= 0
    assert result.cost.harness_seconds >= 0
    assert result.cost.peak_memory_bytes == 0  # the process's high-water mark is not the reranker's


def test_some_queries_are_the_same_ones_for_everybody():
    judgements = {f"q{n}": {"a": 1} for n in range(20)}
    answers = run_of(**dict.fromkeys(judgements, "ab"))
    backwards = dict(reversed(judgements.items()))
    some = settle(judgements, answers, queries=5)
    assert set(some.collection.queries) == set(settle(backwards, answers, queries=5).collection.queries)
    # More queries are the same ones and others beside them.
    assert set(some.collection.queries) < set(settle(judgements, answers, queries=6).collection.queries)
    assert some.protocol.queries == len(some.candidates.rankings) == len(some.judgements) == 5
    assert set(some.collection.queries) == set(some.judgements)
    assert evaluate(some, load("oracle", Options()))[0].main == 1


def test_some_queries_are_another_protocol_and_all_of_them_are_not():
    judgements = {f"q{n}": {"a": 1} for n in range(4)}
    answers = run_of(**dict.fromkeys(judgements, "ab"))
    ids = [settle(judgements, answers, queries=queries).protocol.id for queries in (None, 4, 9, 3, 2)]
    assert ids[0] == ids[1] == ids[2]
    assert len(set(ids)) == 3


def test_the_protocol_says_what_the_figure_depends_on():
    judgements = {"q": {"a": 1}}
    base = settle(judgements, run_of(q="abc")).protocol
    assert base.differences(settle(judgements, run_of(q="abc")).protocol) == []

    def changed(settled: PreparedTask) -> set[str]:
        return {line.partition(":")[0] for line in base.differences(settled.protocol)}

    assert changed(settle({"q": {"a": 2}}, run_of(q="abc"))) == {"data"}
    assert changed(settle(judgements, run_of(q="acb"))) == {"first_stage_sha256"}
    assert changed(settle(judgements, run_of(q="abc"), depth=2)) == {"depth", "texts"}
    edited = collection(judgements)
    edited.documents._texts["c"] = "edited"
    assert changed(prepare(edited, run_of(q="abc"), 100, Options())) == {"texts"}
    assert changed(settle(judgements, run_of(q="abc"), task=replace(TASK, join_title=True))) == {"text_rule"}
    assert changed(settle(judgements, run_of(q="abc"), task=replace(TASK, measure="MAP"))) == {"measure"}
    assert changed(settle(judgements, run_of(q="abc"), task=replace(TASK, drop_identical_ids=True))) == {
        "identical_ids"
    }
    assert changed(settle(judgements, run_of(q="abc"), task=replace(TASK, split="dev"))) == {"split"}
    caps = prepare(collection(judgements), run_of(q="abc"), 100, Options(max_query_length=1, max_doc_length=2))
    assert changed(caps) == {"max_query_length", "max_doc_length"}
    assert (
        changed(prepare(collection(judgements), run_of(q="abc"), 100, Options(device="cpu", dtype="float32"))) == set()
    )


def test_random_depends_on_its_seed_and_the_query_alone():
    judgements = {f"q{n}": {"a": 1} for n in range(8)}
    settled = settle(judgements, run_of(**dict.fromkeys(judgements, "abcdefg")))

    def orders(seed: int) -> list[list[str]]:
        _, reranked = evaluate(settled, load("random", Options(seed=seed)))
        return [order(reranked, key) for key in judgements]

    assert orders(0) == orders(0)
    assert orders(0) != orders(1)
    assert len({tuple(each) for each in orders(0)}) > 1


@pytest.mark.parametrize("needs", [{"texts"}, {"texts", "task"}])
def test_who_asks_for_the_task_is_told_it_and_its_scores_are_cached_by_it(needs: set[str]):
    seen = []

    class Asking:
        card = Card("asking", "f", "bi-encoder", needs=frozenset(needs))

        def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
            seen.extend(lists)
            return (Scored(each.query_id, (0.0,) * len(each.ids)) for each in lists)

    for name in ("one", "two"):
        task = replace(TASK, name=name)
        evaluate(prepare(collection({"q": {"a": 1}}, task=task), run_of(q="ab"), 10, Options()), Asking())
    told = "task" in needs
    assert [each.task for each in seen] == ([f"{TASK.suite}/one", f"{TASK.suite}/two"] if told else ["", ""])
    keys = {chunk_key(Asking.card, Options(), [each]) for each in seen}
    assert len(keys) == (2 if told else 1)


def test_a_fusion_is_scored_in_the_chunks_of_what_it_fuses():
    # Its scores are then found in the cache.
    prepared = settle({query: {"a": 1} for query in ("q1", "q2", "q3")}, run_of(q1="ab", q2="ab", q3="ab"))
    reranker = load("minilm", Options())
    two = 2 * sum(len(f"text of {each}") for each in "ab")
    for characters, sizes in ((two, [2, 1]), (1, [1, 1, 1])):
        reranker.chunk_characters = characters  # type: ignore[attr-defined]
        for each in (reranker, Fusion(reranker)):
            assert [len(chunk.queries) for chunk in chunks(prepared, each)] == sizes
