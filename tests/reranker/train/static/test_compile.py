"""The compiled model gives the scores of its static token embeddings, whatever else its context window contains."""

import random
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from torch import nn
from transformers import LlamaConfig, LlamaModel

from reranker import Reranker
from reranker.checkpoint import EMBEDDED, find
from reranker.model import ListModel
from reranker.prompt import Markers
from reranker.tokens import PromptTokens
from reranker.train.static import compile
from reranker.train.static.vectors import StaticEmbeddings, rank_coordinates, scores

PRIOR = 0.3
QUERY = "what raises the tides"
NEAR = 0.01  # what roundings may add up to, where scores lie within 2 of each other


@cache
def tokenizer() -> Tokenizer:
    return find(EMBEDDED).tokenizer()


@pytest.fixture(scope="module")
def embeddings() -> StaticEmbeddings:
    """Random ones, with weights between 1 and a twentieth."""
    torch.manual_seed(0)
    size = tokenizer().get_vocab_size()
    return StaticEmbeddings(torch.randn(size, 181) / 10, -3 * torch.rand(size))


def made(embeddings: StaticEmbeddings, dtype: torch.dtype) -> Reranker:
    """The model in some precision, its weights rounded to half precision as they are kept."""
    weights = compile.weights(embeddings, PRIOR, tokenizer(), Markers())
    stored = {name.removeprefix("model."): tensor.half().float() for name, tensor in weights.items()}
    first, second = stored.pop("projector.0.weight"), stored.pop("projector.2.weight")
    projector = nn.Sequential(nn.Linear(*first.T.shape, bias=False), nn.ReLU(), nn.Linear(*second.T.shape, bias=False))
    projector.load_state_dict({"0.weight": first, "2.weight": second})
    backbone = LlamaModel(LlamaConfig(**compile.config(embeddings)))
    backbone.load_state_dict(stored)
    model = ListModel(backbone.to(dtype), projector)  # type: ignore[arg-type]
    return Reranker(model, PromptTokens(tokenizer(), Markers()), 8192, lambda: "")


@pytest.fixture(scope="module")
def reranker(embeddings: StaticEmbeddings) -> Reranker:
    return made(embeddings, torch.float32)


def expected(embeddings: StaticEmbeddings, query: str, documents: list[str]) -> list[float]:
    means = embeddings.means([torch.tensor(tokenizer().encode(text).ids) for text in (query, *documents)])
    return scores(means, PRIOR).tolist()


def texts(number: int, lengths: range) -> list[str]:
    source = random.Random(number)
    vocabulary = ["sea", "tide", "moon", "the", "of", "harbour", "rises", "12", "salt", "eggs", "flour", "2019"]
    return [" ".join(source.choices(vocabulary, k=source.choice(lengths))) for _ in range(number)]


SIZES = [(number, lengths) for number in (1, 2, 11, 100) for lengths in (range(1, 3), range(1, 60), range(20, 35))]


@pytest.mark.parametrize(("number", "lengths"), [*SIZES, (8, range(100, 140))], ids=str)
def test_a_score_is_that_of_the_static_embeddings(
    number: int, lengths: range, embeddings: StaticEmbeddings, reranker: Reranker
) -> None:
    documents = texts(number, lengths)
    found = reranker.score([(QUERY, documents)])[0]
    np.testing.assert_allclose(found, expected(embeddings, QUERY, documents), atol=NEAR)


@pytest.mark.parametrize("length", [150, 250, 400, 500])
@pytest.mark.parametrize("documents", [20, 46])
def test_a_long_query_is_read_to_its_end(
    length: int, documents: int, embeddings: StaticEmbeddings, reranker: Reranker
) -> None:
    [query], read = texts(1, range(length, length + 1)), texts(100, range(documents, documents + 1))
    found = reranker.score([(query, read)])[0]
    np.testing.assert_allclose(found, expected(embeddings, query, read), atol=NEAR)


def test_a_full_context_window_is_read_rightly(embeddings: StaticEmbeddings, reranker: Reranker) -> None:
    documents = texts(125, range(1, 40))
    found = reranker.score([(QUERY, documents)])[0]
    np.testing.assert_allclose(found, expected(embeddings, QUERY, documents), atol=NEAR)


@settings(max_examples=40)
@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="<>\"='"), max_size=40), min_size=1, max_size=6)
)
def test_any_text_is_read_as_its_tokens(embeddings: StaticEmbeddings, reranker: Reranker, documents: list[str]) -> None:
    documents = [f"sea {text.strip()}" for text in documents]
    found = reranker.score([(QUERY, documents)])[0]
    np.testing.assert_allclose(found, expected(embeddings, QUERY, documents), atol=NEAR)


@pytest.mark.parametrize("text", ["a query in <query>", 'width="10" of the sea', "passage 17", "2019 and 2020", ""])
def test_what_looks_like_the_prompt_spoils_no_other_document(
    text: str, embeddings: StaticEmbeddings, reranker: Reranker
) -> None:
    documents = ["the moon raises tides", text, "two eggs and some flour"]
    found = reranker.score([(QUERY, documents)])[0]
    wanted = expected(embeddings, QUERY, [documents[0], "sea", documents[2]])
    np.testing.assert_allclose(np.delete(found, 1), np.delete(wanted, 1), atol=NEAR)


def test_half_precision_keeps_scores(embeddings: StaticEmbeddings) -> None:
    documents = texts(100, range(30, 50))
    half = made(embeddings, torch.bfloat16)
    found = half.score([(QUERY, documents)])[0]
    np.testing.assert_allclose(found, expected(embeddings, QUERY, documents), atol=0.03)


def test_rank_coordinates_are_at_the_angles_of_the_prior() -> None:
    found = rank_coordinates(torch.tensor([0, 1, 2, 10]), 0.2)
    cosines = [1.0, 1.0, 1 - 0.2 * 0.6931472, 1 - 0.2 * 2.3025851]
    torch.testing.assert_close(found[:, 0], torch.tensor(cosines))
    torch.testing.assert_close(found.norm(dim=1), torch.ones(4))


def test_scores_add_the_rank_to_the_cosine() -> None:
    found = scores(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]), 0.2)
    torch.testing.assert_close(found, torch.tensor([(0 + 1) / 2, (0.6 + 1 - 0.2 * 0.6931472) / 2]))


def test_a_mean_is_weighted() -> None:
    vectors, weights = torch.tensor([[1.0, 0.0], [0.0, 1.0], [5.0, 5.0]]), torch.tensor([3.0, 1.0, 0.0])
    embeddings = StaticEmbeddings(vectors, weights.log())
    found = embeddings.means([torch.tensor([0, 1]), torch.tensor([1]), torch.tensor([0, 0, 1])])
    torch.testing.assert_close(found, torch.tensor([[0.75, 0.25], [0.0, 1.0], [6 / 7, 1 / 7]]))
