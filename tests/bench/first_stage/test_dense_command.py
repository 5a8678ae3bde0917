"""The dense first stage, with the bi-encoder whose weights come with its package."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from bench.collections.beir_folder import load_folder
from bench.collections.collection import Collection
from bench.console import Advance
from bench.errors import BenchError
from bench.evaluation.corpus_crew import CorpusCrew
from bench.evaluation.evaluate import evaluate
from bench.evaluation.plan import Plan, settled
from bench.evaluation.prepare import prepare
from bench.evaluation.worker import Order, Request, Worker, packages
from bench.evaluation.workers import Died, Done, Event, Ready
from bench.first_stage import dense
from bench.first_stage.dense import EmbedAll, dense_run
from bench.first_stage.runs import first_stage
from bench.rerankers import ROWS, load
from bench.rerankers.base import Card, Options
from bench.rerankers.embeddings import Vectors
from bench.rerankers.local.checkpoint import locate
from bench.run import Run
from bench.suites.folder import folder_task
from bench.task import Task

CORPUS = """
    onion |  | Onions irritate the eyes with a gas that is set free when their cells are cut.
    same1 |  | A kettle boils water.
    tide  |  | The moon's gravity makes the ocean rise and fall twice a day.
    same2 |  | A kettle boils water.
    bread |  | Bread goes stale as its starch crystallises.
"""
QUERIES = """
    tide | why does the sea come and go
    q2   | chopping vegetables makes me cry
"""
QRELS = """
    tide tide 1
    q2 onion 1
"""


@pytest.fixture
def collection(beir_folder: Callable[..., Path]) -> Iterator[Collection]:
    made = load_folder(Task("folder", "small"), beir_folder(CORPUS, QUERIES, QRELS))
    yield made
    made.documents.close()


def orders(run: Run) -> dict[str, list[str]]:
    return {query_id: [document_id for document_id, _ in ranking] for query_id, ranking in run.rankings.items()}


def test_documents_are_found_without_sharing_a_word_and_equal_ones_keep_their_order(collection: Collection):
    read: list[int] = []
    run = first_stage(collection, "dense:minilm", 100, read.append)
    found = orders(run)
    assert found["tide"][0] == "tide"
    assert found["q2"][0] == "onion"
    assert sum(read) == 5
    for ranking in run.rankings.values():
        assert [score for _, score in ranking] == sorted((score for _, score in ranking), reverse=True)
        assert all(-1.001 <= score <= 1.001 for _, score in ranking)
        assert len(ranking) == 5
    for ranking in found.values():
        assert ranking.index("same1") + 1 == ranking.index("same2")
    assert run.name == "dense:minilm"


def test_the_best_are_kept_whatever_the_blocks(collection: Collection, monkeypatch: pytest.MonkeyPatch):
    whole = dense_run(collection, "minilm", 3)
    monkeypatch.setattr(dense, "_BLOCK", 2)
    assert orders(dense_run(collection, "minilm", 3)) == orders(whole)
    assert {len(ranking) for ranking in whole.rankings.values()} == {3}


def test_a_querys_own_document_takes_no_place(beir_folder: Callable[..., Path]):
    task = Task("folder", "small", drop_identical_ids=True)
    made = load_folder(task, beir_folder(CORPUS, QUERIES, QRELS))
    found = orders(dense_run(made, "minilm", 2))
    assert "tide" not in found["tide"]
    assert {len(ranking) for ranking in found.values()} == {2}


def test_reranking_a_dense_run_with_its_own_model_changes_nothing(collection: Collection):
    run = dense_run(collection, "minilm", 100)
    settled = prepare(collection, run, 100, Options())
    _, reranked = evaluate(settled, load("minilm", Options()))
    assert orders(reranked) == orders(run)


class Fake:
    """An encoder that gives a not-a-number for every text with some word."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.card = Card("fake", "", "bi-encoder")

    def embed(self, texts: list[str], is_query: bool, task: str = "") -> Vectors:
        return np.array([[np.nan if self.word in text else 1.0, 0.0] for text in texts], np.float32)


@pytest.mark.parametrize(("word", "named"), [("starch", "document 'bread'"), ("vegetables", "query 'q2'")])
def test_an_embedding_that_is_not_a_number_is_not_ranked(
    collection: Collection, word: str, named: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(dense, "load", lambda *_: Fake(word))
    with pytest.raises(BenchError, match=f"{named} an embedding that is not a finite number"):
        dense_run(collection, "minilm", 10)


def test_weights_that_are_not_numbers_are_not_ranked(collection: Collection, tmp_path: Path):
    folder = Path(shutil.copytree(locate(ROWS["minilm"]).folder, tmp_path / "broken"))
    tensors = load_file(folder / "model.safetensors")
    tensors["encoder.layer.5.output.LayerNorm.bias"][0] = float("nan")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(BenchError, match="bi-encoder:broken gave query 'tide' an embedding that is not a finite"):
        first_stage(collection, f"dense:{folder}", 10)


def test_device_and_precision_reach_the_first_stage(collection: Collection):
    with pytest.raises(BenchError, match="device 'meta' cannot be used"):
        first_stage(collection, "dense:minilm", 10, None, Options(device="meta"))
    halved = first_stage(collection, "dense:minilm", 10, None, Options(device="cpu", dtype="bfloat16"))
    whole = first_stage(collection, "dense:minilm", 10, None, Options(device="cpu"))
    assert halved.rankings["tide"] != whole.rankings["tide"]


class Quiet:
    """Shows no progress."""

    @contextmanager
    def step(self, label: str, total: int | None) -> Iterator[Advance]:
        yield lambda _: None


def test_the_commands_options_reach_the_first_stage(beir_folder: Callable[..., Path], tmp_path: Path):
    task = folder_task(beir_folder(CORPUS, QUERIES, QRELS), "test")
    plan = Plan([task], ["first-stage"], tmp_path, "dense:minilm", options=Options(device="meta"))
    with pytest.raises(BenchError, match="device 'meta' cannot be used"), settled(plan, task, Quiet()):
        pass


@pytest.mark.parametrize("model", ["nowhere/nothing", "oracle"])
def test_a_model_that_is_not_there_is_named(collection: Collection, model: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(BenchError, match=model):
        dense_run(collection, model, 10)


class Frail:
    """A team of two workers in this process; one dies of its first request. The newest answer comes first."""

    def __init__(self, order: Order) -> None:
        self._worker = Worker(order)
        self._news: list[Event] = [Ready(0), Ready(1)]
        self._done: list[Done] = []
        self._has_died = False

    def send(self, worker: int, ticket: int, request: Request[object]) -> None:
        if worker == 0 and not self._has_died:
            self._has_died = True
            self._news += [Ready(0), Died(0, "at once")]
        else:
            self._done.append(Done(worker, ticket, request(self._worker)))

    def next(self, wait: bool) -> Event | None:
        if self._news:
            return self._news.pop()
        return self._done.pop() if wait else None

    def close(self) -> None:
        pass


class Doomed:
    """A team whose worker dies of every request."""

    def __init__(self) -> None:
        self._news: list[Event] = [Ready(0)]

    def send(self, worker: int, ticket: int, request: Request[object]) -> None:
        self._news = [Ready(0), Died(0, "as always")]

    def next(self, wait: bool) -> Event | None:
        return self._news.pop() if self._news else None

    def close(self) -> None:
        pass


def frail(name: str, card: Card, options: Options, task: str) -> EmbedAll:
    return CorpusCrew(name, lambda: Frail(Order(name, options, card, packages())), task).embedded


def test_workers_embed_a_corpus_to_the_same_bytes_though_one_dies(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(dense, "_STORED", 0)
    monkeypatch.setattr(dense, "_BLOCK", 1)
    made = []
    for name, spread in (("alone", None), ("workers", frail)):
        monkeypatch.setenv("RERANK_BENCH_CACHE", str(tmp_path / name))
        steps: list[int] = []
        run = dense_run(collection, "minilm", 5, steps.append, Options(device="cpu"), spread)
        assert steps == [1] * 5
        made.append((run.sha256, *(path.read_bytes() for path in (tmp_path / name).rglob("documents.f16"))))
    assert len(made[0]) == 2
    assert made[0] == made[1]
    assert "A worker ended, at once, while it worked on documents 'same1' to 'same1'." in capsys.readouterr().err


def test_documents_that_kill_workers_are_named_with_advice_that_fits_a_first_stage() -> None:
    blocks = [[("a", "text"), ("b", "text")]]
    with pytest.raises(
        BenchError, match="3 workers ended, as always, while they worked on documents 'a' to 'b'"
    ) as said:
        list(CorpusCrew("m", Doomed, "beir/scifact").embedded(iter(blocks)))
    assert "take fewer --workers; else" in str(said.value)  # --max-doc-length has no effect here
