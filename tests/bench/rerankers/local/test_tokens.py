"""Remembered tokens are what the library would give, and spare it the work."""

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

from bench.rerankers.local.tokens import Tokens

TEXTS = ["water " * count for count in (2, 9, 5, 1)]
SIDE: dict[str, str | None] = {"prompt": None, "task": "document"}


def padded_to(width: int) -> dict[str, Any]:
    return {"processing_kwargs": {"text": {"padding": "max_length", "max_length": width}}}


@pytest.fixture(params=["right", "left"])
def model(encoder: Path, request: pytest.FixtureRequest) -> SentenceTransformer:
    made = SentenceTransformer(modules=[Transformer(str(encoder)), Pooling(32)], device="cpu")
    made.tokenizer.padding_side = request.param
    return made


def same(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    tensors = {name for name, each in expected.items() if isinstance(each, torch.Tensor)}
    rest = {name: each for name, each in expected.items() if name not in tensors}
    return (
        {name: found[name] for name in found if name not in tensors} == rest
        and tensors <= set(found)
        and all(found[name].dtype == expected[name].dtype for name in tensors)
        and all(torch.equal(found[name], expected[name]) for name in tensors)
    )


def test_features_are_the_librarys(model: SentenceTransformer) -> None:
    library = Mock(wraps=model.preprocess)
    model.preprocess = library  # type: ignore[method-assign]
    tokens = Tokens(model)
    lengths = list(tokens.lengths(TEXTS, SIDE))
    assert lengths == [4, 11, 7, 3]  # with two special tokens
    for some, settings, calls in (
        ([0, 2], padded_to(8), 0),
        ([1], padded_to(11), 0),
        ([3], {}, 0),  # alone, as long as it is
        ([1, 3], padded_to(12), 1),  # wider than the longest of them was padded
    ):
        texts = [TEXTS[place] for place in some]
        library.reset_mock()
        found = model.preprocess(texts, **settings, **SIDE)
        assert library.call_count == calls
        assert same(found, library(texts, **settings, **SIDE))


def test_another_prompt_or_text_is_tokenised(model: SentenceTransformer) -> None:
    library = model.preprocess
    tokens = Tokens(model)
    list(tokens.lengths(TEXTS, SIDE))
    asked: dict[str, Any] = {"prompt": "search: ", "task": "document"}
    assert same(model.preprocess(TEXTS[:1], **asked), library(TEXTS[:1], **asked))
    assert same(model.preprocess([*TEXTS[:1], "moon"], **SIDE), library([*TEXTS[:1], "moon"], **SIDE))
