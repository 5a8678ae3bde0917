"""How this machine's devices are shared out to workers."""

import re
from typing import Any

import pytest

from bench.devices import one_each
from bench.errors import BenchError
from bench.evaluation.hiring import Wanted
from bench.rerankers.base import Card, Options


def test_each_worker_gets_a_gpu_that_the_command_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 5")
    first, second = {"CUDA_VISIBLE_DEVICES": "3"}, {"CUDA_VISIBLE_DEVICES": "5"}
    assert one_each("cuda:0", None) == [first, second]
    assert one_each("cuda", 1) == [first]
    with pytest.raises(BenchError, match=re.escape("--workers 3 needs as many GPUs, and this machine shows 2.")):
        one_each("cuda", 3)


@pytest.mark.parametrize(("workers", "share"), [(None, "7"), (2, "3"), (3, "2"), (9, "1")])
def test_workers_share_the_threads_of_a_cpu(workers: int | None, share: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.devices.threads", lambda: 7)
    assert one_each("cpu", workers) == [{"OMP_NUM_THREADS": share}] * (workers or 1)


@pytest.mark.parametrize(
    ("family", "dtype", "threads", "environment"),
    [
        ("cross-encoder", "bfloat16", 0, {"OMP_NUM_THREADS": "3"}),
        ("core", "float32", 0, {"OMP_NUM_THREADS": "3"}),
        ("core", "bfloat16", 7, {}),
        ("own", "", 7, {}),  # NumPy's products read the variable, too
    ],
)
def test_where_their_number_decides_bits_a_worker_uses_as_many_threads_as_the_command(
    family: str, dtype: str, threads: int, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.evaluation.hiring.threads", lambda: 7)
    monkeypatch.setattr("bench.devices.threads", lambda: 7)
    start: Any = Wanted(2).starter("m", Card("m", "f", family, dtype=dtype), Options())
    order, environments = start.args
    assert order.threads == threads
    assert environments == [environment] * 2


@pytest.mark.parametrize("family", ["late-interaction", "core"])
def test_a_worker_on_a_gpu_uses_as_many_threads_as_the_command_which_makes_nothing_there(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.evaluation.hiring.threads", lambda: 7)
    card = Card("m", "f", family, dtype="float32", device="cuda")
    start: Any = Wanted(2, ray="local").starter("m", card, Options())
    assert start.args[0].threads == 7
