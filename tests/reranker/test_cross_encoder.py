"""`rank` and `predict` are called as sentence-transformers' CrossEncoder is, and return what it returns."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sentence_transformers import CrossEncoder
from transformers import BertConfig, BertForSequenceClassification

from reranker import Reranker
from tests.tiny_tokenizers import wordpiece_tokenizer

QUERY = "glacier"
DOCUMENTS = ["The tide turns twice a day.", "A glacier moves slowly.", "Copper wire conducts."]
PAIRS = [(query, text) for query in ("glacier", "tide") for text in DOCUMENTS]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> CrossEncoder:
    folder = tmp_path_factory.mktemp("cross-encoder")
    tokenizer = wordpiece_tokenizer(tuple(DOCUMENTS))
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, num_labels=1, **sizes)
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return CrossEncoder(str(folder), device="cpu")


def shape(value: Any) -> Any:
    """A result without its figures: what types, keys and lengths it has."""
    if isinstance(value, list):
        return [shape(each) for each in value]
    if isinstance(value, dict):
        return {key: type(each) for key, each in value.items()}
    return type(value), getattr(value, "shape", None), getattr(value, "dtype", None)


@pytest.mark.parametrize(
    "call",
    [
        lambda model: model.rank(QUERY, DOCUMENTS),
        lambda model: model.rank(QUERY, DOCUMENTS, 2),
        lambda model: model.rank(QUERY, DOCUMENTS, top_k=99, return_documents=True),
        lambda model: model.rank(query=QUERY, documents=tuple(DOCUMENTS), top_k=None),
        lambda model: model.rank(QUERY, []),
        lambda model: model.predict(PAIRS),
        lambda model: model.predict([list(pair) for pair in PAIRS]),
        lambda model: model.predict(np.array(PAIRS)),
        lambda model: model.predict((QUERY, DOCUMENTS[0])),
        lambda model: model.predict([QUERY, DOCUMENTS[0]]),
        lambda model: model.predict(np.array([QUERY, DOCUMENTS[0]])),
    ],
)
def test_the_same_call_gives_a_result_of_the_same_form(
    call: Callable[[Any], Any], tiny: Reranker, theirs: CrossEncoder
) -> None:
    ours = call(tiny)
    assert shape(ours) == shape(call(theirs))
    if isinstance(ours, list):
        assert [each["score"] for each in ours] == sorted((each["score"] for each in ours), reverse=True)
        assert all(each.get("text", text) == text for each in ours for text in [DOCUMENTS[each["corpus_id"]]])


def test_what_rank_takes_first_has_the_same_names() -> None:
    ours, theirs = (list(inspect.signature(each.rank).parameters)[:5] for each in (Reranker, CrossEncoder))
    assert ours == theirs == ["self", "query", "documents", "top_k", "return_documents"]


@pytest.mark.parametrize("documents", [iter(DOCUMENTS), pd.Series(DOCUMENTS, index=[7, 8, 9]), np.array(DOCUMENTS)])
def test_rank_takes_what_gives_texts_one_by_one(documents: Any, tiny: Reranker) -> None:
    assert tiny.rank(QUERY, documents) == tiny.rank(QUERY, DOCUMENTS)


def test_predict_takes_what_gives_pairs_one_by_one(tiny: Reranker) -> None:
    assert tiny.predict(pair for pair in PAIRS) == pytest.approx(tiny.predict(PAIRS))
