"""Attention by the online softmax, and by torch's kernels, against the textbook formula in float64."""

import math
from contextlib import AbstractContextManager

import pytest
import torch
from torch import Tensor

from reranker import attention
from reranker.attention import attention_at, causal_attention

HEADS, KEY_HEADS, WIDTH = 6, 2, 16
SCALE = WIDTH**-0.5
LENGTHS = [1, 2, 127, 128, 129, 400, 1000]
WINDOWS = [None, 1, 40, 128, 300]
# Torch's kernels are used where gradients may be needed, the online softmax in inference.
MODES = {"online softmax": torch.inference_mode, "by torch's kernels": torch.no_grad}


def states(length: int, seed: int = 0, size: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys, values of one list."""
    source = torch.Generator().manual_seed(seed)
    query = torch.randn(length, HEADS, WIDTH, generator=source) * size
    key, value = (torch.randn(KEY_HEADS, length, WIDTH, generator=source) for _ in range(2))
    return query, key, value


def formula(query: Tensor, key: Tensor, value: Tensor, window: int | None) -> Tensor:
    """The softmax of the scaled products with the visible keys, head by head."""
    length = len(query)
    positions = torch.arange(length)
    hidden = positions[None] > positions[:, None]
    if window is not None:
        hidden |= positions[None] <= positions[:, None] - window
    output = torch.empty(query.shape, dtype=torch.float64)
    for head in range(HEADS):
        shared = head // (HEADS // KEY_HEADS)
        logits = query[:, head].double() @ key[shared].double().T * SCALE
        output[:, head] = logits.masked_fill(hidden, -math.inf).softmax(1) @ value[shared].double()
    return output.float()


def attend(query: Tensor, key: Tensor, value: Tensor, window: int | None) -> Tensor:
    return causal_attention(query, key, value, [len(query)], SCALE, window)


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> AbstractContextManager[None]:
    return MODES[request.param]()


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("keys", [256, 2048], ids=["keys in blocks", "all keys in one"])
def test_attention_is_what_the_formula_says(
    length: int, window: int | None, keys: int, mode: AbstractContextManager[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "_BLOCK", keys)
    with mode:
        list_ = states(length)
        torch.testing.assert_close(attend(*list_, window), formula(*list_, window), atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("window", [None, 300])
def test_huge_products_neither_overflow_nor_vanish(
    window: int | None, mode: AbstractContextManager[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Logits in the thousands: powers of two of them would be infinite, and most weights beside the greatest are zero.
    monkeypatch.setattr(attention, "_BLOCK", 256)
    with mode:
        list_ = states(700, size=1000.0)
        torch.testing.assert_close(attend(*list_, window), formula(*list_, window), atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("window", WINDOWS)
def test_some_positions_get_what_all_together_do(window: int | None, mode: AbstractContextManager[None]) -> None:
    lengths, positions = [400, 1, 150], [torch.tensor([0, 3, 77, 399]), torch.tensor([0]), torch.tensor([60, 149])]
    rows = torch.cat([positions[0], positions[1] + 400, positions[2] + 401])
    with mode:
        query, key, value = states(sum(lengths))
        found = attention_at(query[rows], key, value, lengths, positions, SCALE, window)
        lists = zip(query.split(lengths), key.split(lengths, 1), value.split(lengths, 1), positions, strict=True)
        expected = torch.cat([formula(*list_, window)[places] for *list_, places in lists])
        torch.testing.assert_close(found, expected, atol=2e-6, rtol=1e-5)


def test_later_positions_change_nothing(mode: AbstractContextManager[None]) -> None:
    with mode:
        query, key, value = states(300)
        before = attend(query, key, value, None)[:200]
        key[:, 200:], value[:, 200:] = 1e6, 1e6
        torch.testing.assert_close(attend(query, key, value, None)[:200], before, atol=0, rtol=0)


@pytest.mark.parametrize("window", WINDOWS)
def test_packed_lists_do_not_attend_to_each_other(window: int | None, mode: AbstractContextManager[None]) -> None:
    lengths = [300, 1, 129, 400]
    with mode:
        packed = states(sum(lengths))
        found = causal_attention(*packed, lengths, SCALE, window)
        query, key, value = (torch.split(one, lengths, dim) for one, dim in zip(packed, (0, 1, 1), strict=True))
        alone = torch.cat([attend(*one, window) for one in zip(query, key, value, strict=True)])
        torch.testing.assert_close(found, alone, atol=0, rtol=0)
