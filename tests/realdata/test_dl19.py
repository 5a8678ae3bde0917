"""TREC Deep Learning 2019 as a user's own folder: only the candidates' texts, six published runs, NIST's judgements."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.results import read_result, result_paths
from bench.run import read_run
from tests.bench.chat_server import ChatServer, reversing
from tests.bench.tiny_generators import write_model

pytestmark = pytest.mark.realdata

Call = Callable[..., "subprocess.CompletedProcess[str]"]

RUNS = ("BM25", "BM25_RM3", "D_BERT_KD_TASB", "OPEN_AI_ADA2", "REP_LLAMA", "SPLADE_P_P_ENSEMBLE_DISTIL")


@pytest.fixture
def dl19(shared_data: Path) -> Path:
    return shared_data / "msmarco-pool" / "dl19"


def test_bm25s_published_figure(bench: Call, dl19: Path, tmp_path: Path):
    answer = bench("folder", dl19, "--first-stage", dl19 / "runs" / "BM25.trec.gz", "-r", "first-stage", "-r", "oracle")
    assert answer.returncode == 0, answer.stderr
    results = {each.reranker.name: each for each in map(read_result, result_paths([tmp_path / "here" / "out"]))}
    first = results["first-stage"]
    assert first.main == pytest.approx(0.5058, abs=0.00005)
    assert first.protocol.queries == 43
    assert first.task == "folder/dl19"
    assert first.main < results["oracle"].main < 1
    assert "50.58" in answer.stdout


def test_generative_rerankers(bench: Call, dl19: Path, tmp_path: Path):
    """A scripted endpoint and a tiny model over real passages, 100 deep: nine windows a query, none of them lost."""
    run = dl19 / "runs" / "BM25.trec.gz"
    model = write_model(tmp_path / "tiny", "mistral", positions=1024)
    local = f"generative:{model}#first,window=10,stride=10"
    with ChatServer(reversing).running() as server:
        arguments = ("folder", dl19, "--first-stage", run, "--queries", 2, "-r", "first-stage")
        environment = {"NO_PROXY": "127.0.0.1"}
        answer = bench(*arguments, "-r", f"chat:{server.url}#m", "-r", local, env=environment, timeout=280)
    assert answer.returncode == 0, answer.stderr
    results = {each.reranker.family: each for each in map(read_result, result_paths([tmp_path / "here" / "out"]))}
    for family, calls in (("chat", 18), ("generative", 20)):
        generation = results[family].generation
        assert generation is not None
        assert (generation.calls, generation.answers) == (calls, {"whole": calls})
    assert results["generative"].cut.documents == 200


@pytest.mark.parametrize("name", RUNS)
def test_every_run_is_a_first_stage(bench: Call, dl19: Path, tmp_path: Path, name: str):
    path = dl19 / "runs" / f"{name}.trec.gz"
    answer = bench("folder", dl19, "--first-stage", path, "-r", "first-stage")
    assert answer.returncode == 0, answer.stderr
    (result,) = map(read_result, result_paths([tmp_path / "here" / "out"]))
    assert result.candidates.first_stage == result.main >= 0.5
    assert result.cost.lists == 43
    given = read_run(path)
    (kept,) = (tmp_path / "here" / "out").rglob("run.trec.gz")
    assert {query: [document for document, _ in ranking] for query, ranking in read_run(kept).rankings.items()} == {
        query: [document for document, _ in given.rankings[query][:100]] for query in read_run(kept).rankings
    }
