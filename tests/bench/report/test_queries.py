"""Which queries are shown, what of them, and the score at smaller depths."""

from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.measures import Measure, mean, per_query
from bench.report.queries import task_queries
from tests.bench.report import made


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    made.make(folder, tasks=["toy"])
    return folder


def by_name(output: Path) -> dict[str, made.StoredResult]:
    return {each.result.reranker.name.split()[0]: each for each in made.stored(output)}


def test_each_rerankers_largest_changes_come_first_and_then_the_hardest(output: Path):
    found = task_queries(by_name(output), made.collection("toy"), 4)
    assert [view.why for view in found.queries] == ["changed", "changed", "hard", "hard"]
    # The first stage has query n's document at rank n + 1. The bad one loses most on query 0, whose document was first;
    # the good one gains most on query 8, whose document was ninth.
    assert {view.query_id for view in found.queries[:2]} == {made.query(0), made.query(8)}


def test_a_query_has_both_orders_with_ranks_grades_and_texts(output: Path):
    found = task_queries(by_name(output), made.collection("toy"), 2)
    view = found.queries[0]
    assert view.lists["good"].top[0][0] == made.document(0)
    assert view.lists["bad"].ranks[made.document(0)] == 12
    assert view.lists["good"].ranks[made.document(0)] == 1
    assert view.grades == {made.document(0): 1, made.document(10): 0}  # the others are unjudged
    assert "number0" in view.text and "number0" in found.texts[made.document(0)]


def test_without_a_collection_ids_and_scores_are_left(output: Path):
    found = task_queries(by_name(output), None, 2)
    assert found.queries[0].grades is None and not found.texts and not found.depths
    assert found.queries[0].lists["good"].top[0][0] == made.document(0)


def test_another_version_of_the_collection_is_refused(output: Path):
    other = made.collection("toy")
    other.queries[made.query(0)] = "another question"
    with pytest.raises(BenchError, match="is not the data that"):
        task_queries(by_name(output), other, 2)


def test_the_score_at_a_depth_is_that_of_reranking_so_many_candidates(output: Path):
    found = task_queries(by_name(output), made.collection("toy"), 2)
    depths = {(name, depth): figure for name, depth, figure in found.depths}
    # Among the first five candidates are the documents of queries 0 to 4, which the good one puts first.
    assert depths["good", 5] == pytest.approx(5 / made.QUERIES)
    assert depths["good", 12] == by_name(output)["good"].result.main == 1.0
    # The bad one puts a query's document behind the four others: nDCG 1 / log2(6) for each of the five.
    graded = {"q": {"d": 1}}
    behind = mean(per_query(graded, {"q": ["a", "b", "c", "e", "d"]}, [Measure("nDCG", 10)])[Measure("nDCG", 10)])
    assert depths["bad", 5] == pytest.approx(5 / made.QUERIES * behind)
    assert not any(name == "random" for name, _ in depths)
