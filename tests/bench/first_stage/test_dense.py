"""The dense first stage by hand-made vectors, and on an embedded collection with the weights that come in a package."""

import json

import numpy as np
import pytest

from bench.collections.collection import Collection
from bench.errors import BenchError
from bench.first_stage import dense
from bench.first_stage.dense import dense_run
from bench.run import Run
from bench.task import Task

TEXTS = (
    "Tides rise and fall because the moon pulls the water of the oceans.",
    "Bread is baked from flour, water, salt and yeast in a hot oven.",
    "The moon is the only natural satellite of the earth, and a cold one.",
    "A short text.",
    "",
    "Water boils at one hundred degrees, less on a mountain. " * 12,
    "A short text.",
)
VECTORS = {
    "east": (1.0, 0.0),
    "north": (0.0, 1.0),
    "north-east": (0.6, 0.8),
    "west": (-1.0, 0.0),
    "nowhere": (0.0, 0.0),
}


class Corpus:
    """Documents in memory."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts)

    def __iter__(self):
        return iter(self._texts.items())

    def texts(self, ids):
        return {document_id: self._texts[document_id] for document_id in ids}

    def close(self) -> None:
        """There is nothing to let go of."""


class Compass:
    """Embeds the names of directions."""

    class card:
        name = "bi-encoder:owner/my model"

    def embed(self, texts, is_query, task=""):
        return np.array([VECTORS[text] for text in texts], dtype=np.float32)


@pytest.fixture
def compass(monkeypatch):
    monkeypatch.setattr(dense, "load", lambda name, options: Compass())


def collection(documents, queries, drop_identical_ids=False):
    task = Task("folder", "compass", drop_identical_ids=drop_identical_ids)
    return Collection(task, queries, {}, Corpus(documents), "memory")


def orders(run: Run) -> dict[str, list[str]]:
    return {query_id: [document_id for document_id, _ in ranking] for query_id, ranking in run.rankings.items()}


@pytest.mark.parametrize("block", [1, 2, 3, 256])
def test_worked_out_by_hand_and_ties_in_the_corpus_order(compass, monkeypatch, block):
    monkeypatch.setattr(dense, "_BLOCK", block)
    documents = {"z": "east", "w": "west", "b": "north", "a": "north-east", "c": "east", "y": "east"}
    read = []
    run = dense_run(collection(documents, {"q1": "east", "q2": "north"}), "any", 4, read.append)
    assert sum(read) == 6
    assert orders(run) == {"q1": ["z", "c", "y", "a"], "q2": ["b", "a", "z", "w"]}
    assert [score for _, score in run.rankings["q1"]] == pytest.approx([1.0, 1.0, 1.0, 0.6])
    assert [score for _, score in run.rankings["q2"]] == pytest.approx([1.0, 0.8, 0.0, 0.0])


def test_equal_vectors_have_equal_scores_wherever_they_stand():
    made = np.random.default_rng(5).normal(size=(300, 384)).astype(np.float32)
    made[1::2] = made[1]
    cosines = dense._cosines(made, made)
    assert (cosines[:, 1::2] == cosines[:, 1:2]).all()


@pytest.mark.parametrize("drop", [True, False])
def test_a_querys_own_document_is_dropped_before_the_cut(compass, drop):
    documents = {"q1": "east", "a": "north-east", "b": "north", "c": "west"}
    run = dense_run(collection(documents, {"q1": "east"}, drop), "any", 2)
    assert orders(run) == {"q1": ["a", "b"] if drop else ["q1", "a"]}


def test_embeddings_of_zeros_are_counted(compass, capsys):
    documents = {"a": "east", "b": "nowhere", "c": "west"}
    run = dense_run(collection(documents, {"q1": "nowhere", "q2": "west"}), "any", 3)
    assert orders(run) == {"q1": ["a", "b", "c"], "q2": ["c", "b", "a"]}
    said = capsys.readouterr().err
    assert "gave 1 of 2 queries an embedding of zeros" in said
    assert "gave 1 of 3 documents an embedding of zeros" in said
    dense_run(collection({"a": "east"}, {"q1": "east"}), "any", 3)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("document", "query", "said"),
    [("east", "nowhere", "all 1 queries"), ("nowhere", "east", "all 1 documents")],
)
def test_nothing_but_zeros_is_refused(compass, document, query, said):
    with pytest.raises(BenchError, match=f"{said} an embedding of zeros"):
        dense_run(collection({"a": document}, {"q1": query}), "any", 3)


def test_a_name_fit_for_a_run_file(compass):
    run = dense_run(collection({"a": "east"}, {"q1": "east"}), "owner/my model", 2)
    assert run.name == "dense:owner_my_model"


def test_a_folder_stands_in_the_name_without_its_place(tmp_path, monkeypatch):
    from bench.rerankers import ROWS
    from bench.rerankers.local import checkpoint

    folder = tmp_path / "my-encoder"
    folder.symlink_to(checkpoint.locate(ROWS["minilm"]).folder)
    run = dense_run(collection({"a": "east"}, {"q1": "east"}), str(folder), 2)
    assert run.name == "dense:my-encoder"


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("bge-reranker-v2-m3", "cross-encoder"),
        ("first-stage", "order-only"),
        ("core:owner/model", "core"),
        ("fusion:minilm", "fusion"),
    ],
)
def test_a_model_of_another_family_is_refused_before_it_is_fetched(model, family):
    with pytest.raises(BenchError, match=f"dense:{model} is no dense first stage.* family {family}, not a bi-encoder"):
        dense_run(collection({"a": "east"}, {"q1": "east"}), model, 2)


def test_an_embedded_collection_on_the_command_line(in_process, tmp_path):
    """Questions in Japanese over passages in English, where BM25 finds next to nothing."""
    given = ["mkqa", "ja", "--embedded", "--first-stage", "dense:minilm", "-r", "first-stage", "--output", tmp_path]
    status, _, messages = in_process(*given)
    assert status == 0, messages
    (path,) = tmp_path.rglob("result.json")
    result = json.loads(path.read_text())
    assert result["protocol"]["first_stage"] == "dense:minilm"
    assert 0.2 < result["measures"]["Success@10"] < 1


def test_the_same_run_every_time(monkeypatch):
    texts = {str(number): text for number, text in enumerate(TEXTS)}
    first, second, blocks = (
        [monkeypatch.setattr(dense, "_BLOCK", block), dense_run(collection(texts, {"q": "the moon"}), "minilm", 10)][1]
        for block in (256, 256, 3)
    )
    assert list(first.lines()) == list(second.lines()) == list(blocks.lines())
