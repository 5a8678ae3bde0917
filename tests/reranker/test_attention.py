"""Attention by oneDNN's products, and by torch's kernels, against the plain formula in float64."""

import math
from contextlib import AbstractContextManager

import pytest
import torch
from torch import Tensor

from reranker import attention
from reranker.attention import causal, masked, pieces

HEADS, KEY_HEADS, WIDTH = 6, 2, 16
SCALE = WIDTH**-0.5
LENGTHS = [1, 2, 127, 128, 129, 400, 1000]
WINDOWS = [None, 1, 40, 128, 300]
# With gradients possible torch's kernels are used, in inference our products.
MODES = {"by products": torch.inference_mode, "by torch's kernels": torch.no_grad}


def states(length: int, seed: int = 0, size: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys, values of one list."""
    source = torch.Generator().manual_seed(seed)
    query = torch.randn(length, HEADS, WIDTH, generator=source) * size
    key, value = (torch.randn(KEY_HEADS, length, WIDTH, generator=source) for _ in range(2))
    return query, key, value


def formula(query: Tensor, key: Tensor, value: Tensor, window: int | None) -> Tensor:
    """The softmax of the scaled products of what is seen, head by head."""
    length = len(query)
    place = torch.arange(length)
    unseen = place[None] > place[:, None]
    if window is not None:
        unseen |= place[None] <= place[:, None] - window
    heard = torch.empty(query.shape, dtype=torch.float64)
    for head in range(HEADS):
        shared = head // (HEADS // KEY_HEADS)
        logits = query[:, head].double() @ key[shared].double().T * SCALE
        heard[:, head] = logits.masked_fill(unseen, -math.inf).softmax(1) @ value[shared].double()
    return heard.float()


def whole(query: Tensor, key: Tensor, value: Tensor, window: int | None) -> Tensor:
    """All pieces of a list, each where it belongs."""
    heard = torch.full_like(query, math.nan)
    for own in pieces(len(query), query, window):
        heard[own] = causal(query[own], key, value, own, SCALE, window)
    return heard


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> AbstractContextManager[None]:
    return MODES[request.param]()


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("keys", [256, 2048], ids=["keys in blocks", "keys at once"])
def test_every_position_hears_what_the_formula_says(
    length: int, window: int | None, keys: int, mode: AbstractContextManager[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "_KEYS", keys)
    with mode:
        list_ = states(length)
        torch.testing.assert_close(whole(*list_, window), formula(*list_, window), atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("window", [None, 300])
def test_huge_products_neither_overflow_nor_vanish(
    window: int | None, mode: AbstractContextManager[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Logits in the thousands: powers of two of them would be infinite, and most weights beside the greatest are zero.
    monkeypatch.setattr(attention, "_KEYS", 256)
    with mode:
        list_ = states(700, size=1000.0)
        torch.testing.assert_close(whole(*list_, window), formula(*list_, window), atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("window", WINDOWS)
def test_some_places_hear_what_all_together_do(window: int | None, mode: AbstractContextManager[None]) -> None:
    places = torch.tensor([0, 3, 77, 399])
    with mode:
        query, key, value = states(400)
        found = masked(query[places], key, value, places, SCALE, window)
        torch.testing.assert_close(found, formula(query, key, value, window)[places], atol=2e-6, rtol=1e-5)


def test_what_comes_after_changes_nothing(mode: AbstractContextManager[None]) -> None:
    with mode:
        query, key, value = states(300)
        before = whole(query, key, value, None)[:200]
        key[:, 200:], value[:, 200:] = 1e6, 1e6
        torch.testing.assert_close(whole(query, key, value, None)[:200], before, atol=0, rtol=0)
