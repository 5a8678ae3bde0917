"""The core model as mteb takes models: lists stay whole, also where two queries have one text."""

import pytest
from datasets import Dataset
from mteb.models.models_protocols import SearchProtocol

from bench.adapters.mteb import MtebReranker
from bench.errors import BenchError
from reranker import Reranker

TEXTS = {"d1": "Tides The moon pulls the sea.", "d2": "Onions make eyes water.", "d3": "The sea is salt."}


@pytest.fixture(scope="module")
def model() -> Reranker:
    return Reranker.from_pretrained("embedded")


def test_each_querys_candidates_are_one_list_in_their_order(model: Reranker) -> None:
    adapter = MtebReranker(model, "owner/embedded")
    assert isinstance(adapter, SearchProtocol)
    assert adapter.mteb_model_meta.name == "owner/embedded"
    corpus = Dataset.from_dict(
        {
            "id": ["d1", "d2", "d3"],
            "title": ["Tides", "", ""],
            "text": ["The moon pulls the sea.", TEXTS["d2"], TEXTS["d3"]],
        }
    )
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
