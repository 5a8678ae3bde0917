"""What has to be run for the paper's figures."""

from bench.leaderboard.reproduce import paper
from bench.leaderboard.steps import steps
from bench.suites import tasks
from tests.bench.leaderboard.test_reproduce import result


def test_all_of_the_papers_tables():
    found = {(step.tasks[0].partition("/")[0], step.first_stage): step for step in steps(paper([]))}
    text, code = "dense:jina-embeddings-v3", "dense:jinaai/jina-code-embeddings-0.5b"
    assert set(found) == {("beir", text), ("miracl", text), ("mkqa", text), ("coir", code)}
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
