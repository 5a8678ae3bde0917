"""Tiny random checkpoints of every architecture, written to disk once and loaded as real ones are; and some lists."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    PreTrainedTokenizerFast,
)

from bench.rerankers import ROWS
from bench.rerankers.base import CandidateList, Options, Reranker, Scored
from bench.rerankers.local import checkpoint
from tests.bench.tiny_generators import write_model
from tests.tiny_tokenizers import byte_level_tokenizer, wordpiece_tokenizer
from tests.torch_threads import torch_threads

TEXTS = (
    "Tides rise and fall because the moon pulls the water of the oceans.",
    "Bread is baked from flour, water, salt and yeast in a hot oven.",
    "The moon is the only natural satellite of the earth, and a cold one.",
    "Le pain est cuit au four; la farine vient du moulin.",
    "A short text.",
    "",
    "Water boils at one hundred degrees, less on a mountain. " * 8,
)
QUERIES = ("why do tides rise", "how is bread baked from flour and water", "moon")


def lists_of(texts: tuple[str, ...] = TEXTS, queries: tuple[str, ...] = QUERIES) -> list[CandidateList]:
    """One list a query, all with the same texts."""
    ids = tuple(f"d{number}" for number in range(len(texts)))
    scores = tuple(float(-number) for number in range(len(texts)))
    return [CandidateList(f"q{number}", query, ids, scores, texts) for number, query in enumerate(queries)]


def by_query(answers: Iterator[Scored]) -> dict[str, Scored]:
    return {answer.query_id: answer for answer in answers}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Models as small as these only wait for each other on several threads."""
    with torch_threads(1):
        yield


@pytest.fixture
def lists() -> list[CandidateList]:
    return lists_of()


@pytest.fixture(scope="session")
def cpu() -> Options:
    return Options(device="cpu")


@pytest.fixture(scope="session")
def stays_put() -> Callable[[Reranker], None]:
    """Check that a pair's score does not depend on its company: the other pairs, their number or their order."""

    def check(reranker: Reranker) -> None:
        together = by_query(reranker.score(lists_of()))
        back_to_front = by_query(reranker.score(lists_of()[::-1]))
        for candidates in lists_of():
            expected = together[candidates.query_id].scores
            assert back_to_front[candidates.query_id].scores == pytest.approx(expected, abs=1e-4)
        first = lists_of()[0]
        for text, expected_score in zip(first.texts, together[first.query_id].scores, strict=True):
            (alone,) = reranker.score([CandidateList("q", first.query, ("d",), (0.0,), (text,))])
            assert alone.scores == pytest.approx((expected_score,), abs=1e-4)

    return check


@pytest.fixture(scope="session")
def wordpiece() -> PreTrainedTokenizerFast:
    return wordpiece_tokenizer(TEXTS + QUERIES)


def bert_config(vocabulary: int, **more: object) -> BertConfig:
    return BertConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=64,
        initializer_range=0.5,
        **more,
    )


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory, wordpiece: PreTrainedTokenizerFast) -> Path:
    """A BERT classifier with one output and a window of 64 tokens."""
    folder = tmp_path_factory.mktemp("classifier")
    torch.manual_seed(1)
    BertForSequenceClassification(bert_config(len(wordpiece), num_labels=1)).save_pretrained(folder)
    wordpiece.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory, wordpiece: PreTrainedTokenizerFast) -> Path:
    """A plain BERT without any head."""
    folder = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(2)
    BertModel(bert_config(len(wordpiece))).save_pretrained(folder)
    wordpiece.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def minilm_folder() -> Path:
    return checkpoint.locate(ROWS["minilm"]).folder


@pytest.fixture(scope="session")
def colbert(tmp_path_factory: pytest.TempPathFactory, wordpiece: PreTrainedTokenizerFast) -> Path:
    """A ColBERT in Stanford's format, as answerai-colbert-small is: 8 dimensions, queries of 16 tokens."""
    folder = tmp_path_factory.mktemp("colbert")
    torch.manual_seed(3)
    config = bert_config(len(wordpiece))
    weights = {f"bert.{name}": tensor.contiguous() for name, tensor in BertModel(config).state_dict().items()}
    save_file(weights | {"linear.weight": torch.randn(8, 32)}, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config.to_dict() | {"architectures": ["HF_ColBERT"]}))
    metadata = {"query_token_id": "[unused0]", "doc_token_id": "[unused1]", "query_maxlen": 16, "doc_maxlen": 40}
    (folder / "artifact.metadata").write_text(json.dumps(metadata | {"attend_to_mask_tokens": False}))
    wordpiece.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def byte_level() -> PreTrainedTokenizerFast:
    return byte_level_tokenizer(TEXTS + QUERIES)


@pytest.fixture(scope="session")
def qwen3(tmp_path_factory: pytest.TempPathFactory, byte_level: PreTrainedTokenizerFast) -> Path:
    return write_model(tmp_path_factory.mktemp("qwen3"), "qwen3", 512, byte_level)


@pytest.fixture(scope="session")
def qwen2(tmp_path_factory: pytest.TempPathFactory, byte_level: PreTrainedTokenizerFast) -> Path:
    return write_model(tmp_path_factory.mktemp("qwen2"), "qwen2", 512, byte_level)
