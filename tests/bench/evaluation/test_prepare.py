"""Preparing a task: narrowing gives a new value; queries without candidates are counted and reported."""

from dataclasses import replace

import pytest

from bench.collections.collection import Collection
from bench.collections.mkqa import RULE, answer_judge
from bench.errors import BenchError
from bench.evaluation.evaluate import evaluate
from bench.evaluation.prepare import keep_queries, prepare, without_candidates
from bench.rerankers import load
from bench.rerankers.base import Options
from bench.run import Run
from bench.task import Task
from tests.bench.factories import HeldDocuments, toy_collection, toy_first_stage

ANSWERS = {"q1": ("Ottawa",), "q2": ("Paris",), "q3": ("Rome",), "q4": ("Oslo",)}


def answered() -> Collection:
    """Four questions, of which a run that gives everybody d1 (Ottawa) finds the first one's answer alone."""
    return Collection(
        task=Task("mkqa", "toy", measure="Success@10"),
        queries={query_id: f"capital {query_id}" for query_id in ANSWERS},
        judgements={},
        documents=HeldDocuments({"d1": "Ottawa", "d2": "Bern"}),
        source="made by hand",
        judge=answer_judge(ANSWERS),
        judgement_rule=RULE,
        answers=ANSWERS,
    )


def everybody(collection: Collection) -> Run:
    return Run("bm25", {query_id: [("d1", 2.0), ("d2", 1.0)] for query_id in collection.queries})


@pytest.mark.parametrize("queries", [1, 2, 3, None])
def test_some_questions_judged_by_their_answers_are_measured_alone(queries: int | None):
    # A mean over all four questions, of which some were never measured, would be too low.
    made = answered()
    settled = prepare(made, everybody(made), 10, Options(), queries)
    result, _ = evaluate(settled, load("first-stage", Options()))
    asked = list(settled.collection.queries)
    assert len(asked) == (queries or 4)
    assert result.per_query == {query_id: float(query_id == "q1") for query_id in asked}
    assert result.main == ("q1" in asked) / len(asked)
    # As a verification does: the same again, from a copy of the collection.
    again, _ = evaluate(prepare(replace(made), everybody(made), 10, Options(), queries), load("first-stage", Options()))
    assert (again.main, again.per_query) == (result.main, result.per_query)


@pytest.mark.parametrize("made", [answered(), toy_collection()], ids=["answers", "judgements"])
def test_narrowing_changes_nothing_that_is_given(made: Collection):
    before = replace(made, queries=dict(made.queries), judgements=dict(made.judgements), answers=dict(made.answers))
    kept, words = keep_queries(made, 1)
    assert made == before
    assert (len(kept.queries), words) == (1, "by hash of the id")
    assert kept.judgements.keys() | kept.answers.keys() == kept.queries.keys()
    assert keep_queries(made, None) == (made, "all")


def test_queries_without_candidates_are_counted():
    run = Run("mine", {"q1": [("d1", 1.0)]})
    settled = prepare(toy_collection(), run, 10, Options())
    assert without_candidates(settled) == "beir/toy: 1 of 2 judged queries have no candidates and count as 0."
    assert without_candidates(prepare(toy_collection(), toy_first_stage(), 10, Options())) == ""


def test_a_query_whose_only_candidate_is_itself_has_none():
    made = toy_collection()
    made = replace(made, task=replace(made.task, drop_identical_ids=True))
    made = replace(made, documents=HeldDocuments({"q1": "x", "d1": "y"}))
    settled = prepare(made, Run("mine", {"q1": [("q1", 1.0)], "q2": [("d1", 1.0)]}), 10, Options())
    assert "1 of 2 judged queries have no candidates" in without_candidates(settled)


def test_bm25_that_finds_nothing_in_a_folder_is_refused_and_the_analysis_named():
    made = replace(toy_collection(), task=Task("folder", "toy", analysis="english"))
    with pytest.raises(BenchError, match=r"for any of the 2 judged queries by its english analysis\..*--analysis jap"):
        prepare(made, Run("bm25", {"q1": [], "q2": []}), 10, Options())


def test_bm25_that_finds_nothing_in_a_declared_task_is_said():
    # As across scripts: MKQA's questions in Japanese share no word with English passages.
    settled = prepare(toy_collection(), Run("bm25", {"q1": [], "q2": []}), 10, Options())
    told = without_candidates(settled)
    assert told.startswith("beir/toy: 2 of 2 judged queries have no candidates and count as 0.")
    assert "--first-stage dense:MODEL" in told


@pytest.mark.parametrize("depth", [12, 10**6, 2**31, 2**63, 10**30])
def test_a_depth_beyond_every_list_gives_the_recall_of_the_lists(depth: int):
    # q1 has both of its relevant documents among the twelve, q2 its one.
    assert prepare(toy_collection(), toy_first_stage(), depth, Options()).about.recall == 1
