"""What has to be run for the paper's figures."""

from bench.leaderboard.reproduce import not_built, paper
from bench.leaderboard.reproduce_page import page
from bench.leaderboard.steps import steps
from bench.render import render
from bench.suites import tasks
from tests.bench.leaderboard.test_reproduce import result


def test_all_of_the_papers_tables():
    found = {(step.tasks[0].partition("/")[0], step.first_stage): step for step in steps(paper([]))}
    text = "dense:jina-embeddings-v3"
    assert set(found) == {("beir", text), ("miracl", text), ("mkqa", text)}
    for (suite, _), step in found.items():
        assert sorted(step.tasks) == sorted(task.id for task in tasks(suite) if task.default and not task.embedded)
        assert step.depth == 100
        assert {"first-stage", "jina-reranker-v3", "Qwen3-Reranker-4B"} < set(step.rerankers)
    assert "jina-colbert-v2" in found["beir", text].rerankers
    assert "jina-colbert-v2" not in found["mkqa", text].rerankers


def test_what_has_a_result_under_the_papers_protocol_is_left_out():
    """Also where its first stage does not score what the paper's scores: another run would not change that."""
    made = [
        result("beir/scifact", "jina-reranker-v3", 0.5, "dense:jina-embeddings-v3", scores=11.0),
        result("beir/nfcorpus", "jina-reranker-v3", 0.5, "bm25"),
        result("beir/arguana", "jina-reranker-v3", 0.5, "dense:jina-embeddings-v3", depth=50),
    ]
    waiting = {task for step in steps(paper(made)) for task in step.tasks if "jina-reranker-v3" in step.rerankers}
    assert "beir/scifact" not in waiting
    assert {"beir/nfcorpus", "beir/arguana"} < waiting
    others = {task for step in steps(paper(made)) for task in step.tasks if "bge-reranker-v2-m3" in step.rerankers}
    assert "beir/scifact" in others


def test_a_first_stage_that_is_not_built_is_named_until_a_run_of_ones_own_is_measured():
    """CoIR's: its prompts are known, but not which of them go with which task."""
    name = "jina-code-embeddings-0.5b"
    assert "no source says with which pair" in not_built(paper([]))[name]
    assert f"- {name} as first stage: it has a pair of prompts" in render(page(paper([])), "text")
    codes = [task.id for task in tasks("coir") if task.default and not task.embedded]
    made = [result(task, "jina-reranker-v3", 0.5, name) for task in codes]
    measured = [row for row in paper(made) if row.figure.suite == "coir" and row.reranker == "jina-reranker-v3"]
    assert (not_built(measured), steps(measured)) == ({}, [])
    assert all(row.measured is not None for row in measured)
