"""The core model as mteb takes models: lists stay whole, also where two queries have one text."""

import math

import mteb
import pytest
from datasets import Dataset
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.models.models_protocols import SearchProtocol

from bench.adapters.mteb import MtebReranker
from bench.errors import BenchError
from reranker import Reranker

BODIES = {"d1": "The moon pulls the sea.", "d2": "Onions make eyes water.", "d3": "The sea is salt."}
TEXTS = BODIES | {"d1": "Tides The moon pulls the sea."}


@pytest.fixture(scope="module")
def model() -> Reranker:
    return Reranker.from_pretrained("embedded")


def test_each_querys_candidates_are_one_list_in_their_order(model: Reranker) -> None:
    adapter = MtebReranker(model, "owner/embedded")
    assert isinstance(adapter, SearchProtocol)
    assert adapter.mteb_model_meta.name == "owner/embedded"
    corpus = Dataset.from_dict({"id": list(TEXTS), "title": ["Tides", "", ""], "text": list(BODIES.values())})
    queries = Dataset.from_dict({"id": ["q1", "q2", "q3"], "text": ["salt sea", "salt sea", "onion"]})
    ranked = {"q1": ["d3", "d1", "d2"], "q2": ["d2", "d3"]}
    adapter.index(corpus, task_metadata=None, hf_split="test", hf_subset="default", encode_kwargs={})
    found = adapter.search(queries, top_k=2, top_ranked=ranked)
    [one, other] = model.score([("salt sea", [TEXTS[each] for each in ids]) for ids in ranked.values()])
    best = sorted(zip(ranked["q1"], one, strict=True), key=lambda pair: -pair[1])[:2]
    assert found == {"q1": dict(best), "q2": dict(zip(ranked["q2"], other, strict=True)), "q3": {}}


def test_a_task_without_candidates_is_refused(model: Reranker) -> None:
    with pytest.raises(BenchError, match="no candidates to rerank"):
        MtebReranker(model, "owner/embedded").search(Dataset.from_dict({"id": [], "text": []}), top_k=10)


class Recorder:
    """A model that writes down the lists it is given."""

    def __init__(self, model: Reranker) -> None:
        self._model = model
        self.fingerprint, self.parameters = model.fingerprint, model.parameters
        self.calls: list[list[tuple[str, list[str]]]] = []

    def score(self, lists: list[tuple[str, list[str]]]) -> list[list[float]]:
        self.calls.append(lists)
        return self._model.score(lists)


class SeaQuestions(AbsTaskRetrieval):
    """A reranking task of mteb, its data given here in place of being downloaded."""

    metadata = TaskMetadata(
        name="SeaQuestions",
        description="Two queries.",
        dataset={"path": "nobody/none", "revision": "1"},
        type="Reranking",
        category="t2t",
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="ndcg_at_10",
    )

    def load_data(self, **_: object) -> None:
        part = {
            "corpus": Dataset.from_dict({"id": list(TEXTS), "title": ["Tides", "", ""], "text": list(BODIES.values())}),
            "queries": Dataset.from_dict(
                {"id": ["q1", "q2"], "text": ["salt sea", "salt sea"], "instruction": [None, "Prefer onions."]}
            ),
            "relevant_docs": {"q1": {"d1": 1}, "q2": {"d2": 2, "d3": 1}},
            "top_ranked": {"q1": ["d2", "d1", "d3"], "q2": ["d3", "d2"]},
        }
        self.dataset = {"default": {"test": part}}
        self.data_loaded = True


def test_mteb_evaluates_the_model_on_whole_lists(model: Reranker) -> None:
    recorder = Recorder(model)
    adapter = MtebReranker(recorder, "owner/embedded")  # type: ignore[arg-type]
    [result] = mteb.evaluate(adapter, SeaQuestions(), cache=None, co2_tracker=False, show_progress_bar=False)
    one = ("salt sea", [TEXTS["d2"], TEXTS["d1"], TEXTS["d3"]])
    other = ("salt sea Prefer onions.", [TEXTS["d3"], TEXTS["d2"]])
    assert recorder.calls == [[one, other]]
    orders = [[ranked.index for ranked in model.rerank(*each)] for each in (one, other)]
    assert orders == [[2, 1, 0], [0, 1]]  # d3, d1, d2 and d3, d2
    first = 1 / math.log2(3)
    second = (1 + 2 / math.log2(3)) / (2 + 1 / math.log2(3))
    assert result.get_score() == pytest.approx((first + second) / 2, abs=1e-5)
