"""The fast path on a CPU: its products are right, all tiles are done, and torch's own operations run elsewhere."""

import logging
import re
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from reranker import Reranker, cpu
from reranker.cpu import STEP, by_rows, is_fast, linear, packed, parallel, product

SIZES = st.integers(1, 300)


@given(SIZES, SIZES, SIZES, st.booleans(), st.sampled_from(["plain", "transposed", "packed"]))
def test_products_are_those_of_torch(rows: int, inner: int, outer: int, with_bias: bool, layout: str) -> None:
    left, weight = torch.randn(rows, inner), torch.randn(outer, inner)
    bias = torch.randn(outer) if with_bias else None
    expected = left.double() @ weight.double().T + (0 if bias is None else bias.double())
    with torch.inference_mode():
        stored = {
            "plain": lambda: weight,
            "transposed": lambda: weight.T.contiguous().T,
            "packed": lambda: packed(weight),
        }
        found = product(left, stored[layout](), bias)
    torch.testing.assert_close(found, expected.float(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("rows", [0, 1, STEP - 1, STEP, STEP + 1])
def test_as_many_rows_come_out_as_went_in(rows: int) -> None:
    with torch.inference_mode():
        assert product(torch.randn(rows, 5), torch.randn(7, 5)).shape == (rows, 7)


class Doubled(nn.Linear):
    """Like an adapter or a quantised layer, it does more than its weight says."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(rows)


def test_a_layer_of_another_kind_is_called_itself() -> None:
    layer, rows = Doubled(5, 7), torch.randn(3, 5)
    with torch.inference_mode():
        torch.testing.assert_close(linear(layer, rows), layer(rows))


def test_gradients_pass_through_a_layer() -> None:
    layer, rows = nn.Linear(5, 7), torch.randn(3, 5)
    linear(layer, rows).sum().backward()
    assert layer.weight.grad is not None
    torch.testing.assert_close(layer.weight.grad, rows.sum(0).expand(7, 5))


def rejecting(*_: Any) -> torch.Tensor:
    raise RuntimeError("mkldnn::_linear_pointwise() is missing value for argument 'algorithm'\nDeclaration: ...")


def wrong(rows: torch.Tensor, weight: torch.Tensor, *_: Any) -> torch.Tensor:
    return rows @ weight.T  # without the bias


@pytest.mark.parametrize(
    ("operation", "reason"),
    [(None, "no attribute"), (rejecting, "is missing value for argument 'algorithm'$"), (wrong, "results are wrong")],
    ids=["missing", "of another signature", "wrong"],
)
def test_torchs_own_products_are_used_where_onednns_cannot_be(
    operation: Callable[..., torch.Tensor] | None,
    reason: str,
    tiny: Reranker,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    lists = [("which tide", ["The tide turns.", "A glacier moves slowly. " * 40]), ("copper", ["wire"])]
    expected = tiny.score(lists)
    operations = {"_linear_pointwise": operation, "_reorder_linear_weight": lambda weight, rows: weight}
    namespace = SimpleNamespace(**operations) if operation else SimpleNamespace()
    monkeypatch.setattr(torch.ops, "mkldnn", namespace)
    cpu._onednn_is_right.cache_clear()
    try:
        with torch.inference_mode(), caplog.at_level(logging.WARNING):
            assert not is_fast(torch.zeros(1))
            found = tiny.score(lists)
    finally:
        cpu._onednn_is_right.cache_clear()
    for scores, known in zip(found, expected, strict=True):
        assert scores == pytest.approx(known, abs=1e-5)
    [record] = caplog.records  # checked, and reported, once
    assert re.search(reason, record.getMessage())


def test_the_fast_path_is_for_float32_inference() -> None:
    assert not is_fast(torch.zeros(1))
    with torch.inference_mode():
        assert is_fast(torch.zeros(1)) == torch.backends.mkldnn.is_available()
        assert not is_fast(torch.zeros(1).bfloat16())


@pytest.mark.parametrize("rows", [1, STEP, 20 * STEP + 1])
def test_tiles_cover_every_row_once(rows: int, two_threads: None) -> None:
    for mode in (torch.inference_mode, torch.no_grad):
        counts = torch.zeros(rows, dtype=torch.int64)

        def count(tile: slice, counts: torch.Tensor = counts) -> None:
            counts[tile] += 1

        with mode():
            by_rows(count, torch.zeros(rows, 1))
        assert counts.tolist() == [1] * rows


def test_every_tile_is_done_on_a_thread_that_uses_one(two_threads: None) -> None:
    done: dict[int, tuple[int, bool, bool]] = {}

    def note(tile: int) -> None:
        done[tile] = (
            torch.get_num_threads(),
            torch.is_inference_mode_enabled(),
            threading.current_thread() is threading.main_thread(),
        )

    with torch.inference_mode():
        parallel(note, range(20))
    assert done == dict.fromkeys(range(20), (1, True, False))
    assert torch.get_num_threads() == 2
    seen: list[int] = []
    later = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert seen == [2]


def test_two_tiles_run_at_the_same_time(two_threads: None) -> None:
    together = threading.Barrier(2, timeout=30)
    with torch.inference_mode():
        by_rows(lambda _: together.wait() and None, torch.zeros(2 * STEP, 1))


def threads_of(states: torch.Tensor) -> set[threading.Thread]:
    threads: set[threading.Thread] = set()
    by_rows(lambda _: threads.add(threading.current_thread()), states)
    return threads


def test_gradients_are_recorded_by_the_callers_thread(two_threads: None) -> None:
    assert threads_of(torch.zeros(2 * STEP, 1)) == {threading.current_thread()}


def test_other_precisions_are_left_to_torchs_own_threads(two_threads: None) -> None:
    with torch.inference_mode():
        assert threads_of(torch.zeros(2 * STEP, 1).bfloat16()) == {threading.current_thread()}
        assert threading.current_thread() not in threads_of(torch.zeros(2 * STEP, 1))


def test_an_error_of_any_tile_is_raised(two_threads: None) -> None:
    def fail(tile: int) -> None:
        if tile == 3:
            raise MemoryError("tile 3")

    with torch.inference_mode(), pytest.raises(MemoryError, match="tile 3"):
        parallel(fail, range(9))
