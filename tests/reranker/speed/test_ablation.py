"""The ablations: each takes something away, and changes no score."""

from collections.abc import Callable

import pytest
import torch

from reranker import Reranker
from reranker.prompt import Markers
from reranker.speed import synthetic
from reranker.speed.ablation import ABLATIONS
from reranker.tokens import PromptTokens


@pytest.fixture(scope="module")
def make_reranker() -> Callable[[], Reranker]:
    tokenizer = synthetic.tokenizer()
    weights = synthetic.model("tiny", torch.device("cpu"), torch.float32)
    return lambda: Reranker(weights, PromptTokens(tokenizer, Markers()), synthetic.CAPACITY, lambda: "")


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_changes_no_score(name: str, make_reranker: Callable[[], Reranker]) -> None:
    lists = [("badi kome", ["lo fisu " * 30, "gara", "mipo " * 9]), ("dede", ["zu", "vopi lara " * 20])]
    expected = make_reranker().score(lists)
    ablated = make_reranker()
    with ABLATIONS[name](ablated):
        found = ablated.score(lists)
    for scores, known in zip(found, expected, strict=True):
        assert scores == pytest.approx(known, abs=1e-5)
