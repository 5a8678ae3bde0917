"""Many lists at once: packing, order, windows, and memory that runs out."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from reranker import ListTooLongError, Reranker, checkpoint, engine
from reranker.tokens import PromptTokens

WORDS = ["tide", "moon", "copper", "glacier", "orbit", "lamp", "engine", "velvet", "cedar", "quartz"]
LISTS = [
    (f"{WORDS[number]} query", [" ".join(WORDS[: number + 1]) * (1 + number % 3)] * (1 + number * 7 % 5) + ["river"])
    for number in range(10)
]


class Hooked:
    """The tiny checkpoint, telling how many tokens each forward pass took, with a memory for `room` tokens a pass."""

    def __init__(self, folder: Path, room: int = 10**9, error: type[RuntimeError] = torch.OutOfMemoryError) -> None:
        files = checkpoint.find(folder)
        model = files.model(torch.device("cpu"), torch.float32)
        self.passes: list[int] = []
        self.room = room
        self.error = error
        model.register_forward_pre_hook(self._count)
        tokens = PromptTokens(files.tokenizer(), files.markers)
        self.reranker = Reranker(model, tokens, files.capacity, lambda: "")

    def _count(self, _: nn.Module, arguments: tuple[Any, ...]) -> None:
        tokens = len(arguments[0])
        if tokens > self.room:
            raise self.error("DefaultCPUAllocator: can't allocate memory")
        self.passes.append(tokens)


@pytest.fixture
def hooked(tiny_folder: Path) -> Hooked:
    return Hooked(tiny_folder)


def alone(reranker: Reranker) -> list[list[float]]:
    return [reranker.score([one])[0] for one in LISTS]


def test_packed_lists_score_as_each_alone_and_keep_their_order(hooked: Hooked, two_threads: None) -> None:
    each = alone(hooked.reranker)
    assert len(hooked.passes) == len(LISTS)
    hooked.passes.clear()
    together = hooked.reranker.score(LISTS)
    assert len(hooked.passes) < len(LISTS)
    assert max(hooked.passes) <= engine._CPU_BUDGET
    assert [len(scores) for scores in together] == [len(documents) for _, documents in LISTS]
    for scores, expected in zip(together, each, strict=True):
        assert scores == pytest.approx(expected, abs=1e-5)


def test_the_longest_work_goes_first(hooked: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooked.reranker._engine, "_budget", 1)  # every prompt goes alone
    monkeypatch.setattr(engine, "_CHARACTERS_AHEAD", 10**6)
    hooked.reranker.score(LISTS)
    assert len(hooked.passes) == len(LISTS)
    assert hooked.passes == sorted(hooked.passes, reverse=True)


def test_lists_are_taken_from_the_iterable_only_as_they_are_needed(
    hooked: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_CHARACTERS_AHEAD", 0)  # one list a batch
    taken = []

    def source() -> Iterator[tuple[str, list[str]]]:
        for number, one in enumerate(LISTS):
            taken.append(number)
            yield one

    results = hooked.reranker.score_iter(source())
    assert next(results).index == 0
    assert len(taken) <= 2
    assert [done.index for done in results] == list(range(1, len(LISTS)))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError], ids=["device", "CPU allocator"])
def test_memory_that_runs_out_halves_the_budget(
    error: type[RuntimeError], tiny_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hooked = Hooked(tiny_folder)
    expected = alone(hooked.reranker)
    room = max(hooked.passes) + 50
    tight = Hooked(tiny_folder, room, error)
    with caplog.at_level(logging.WARNING):
        together = tight.reranker.score(LISTS)
    assert "ran out of memory" in caplog.text
    assert max(tight.passes) <= room
    for scores, known in zip(together, expected, strict=True):
        assert scores == pytest.approx(known, abs=1e-5)
    warnings = len(caplog.records)
    tight.reranker.score(LISTS)
    assert len(caplog.records) == warnings  # the smaller budget is kept


def test_a_single_list_that_does_not_fit_is_named(tiny_folder: Path) -> None:
    hooked = Hooked(tiny_folder, room=100)
    with pytest.raises(ListTooLongError, match=r"'tides'.* takes 2\d\d tokens"):
        hooked.reranker.rerank("tides", ["one"])


def test_other_errors_of_the_model_are_not_taken_for_memory(tiny_folder: Path) -> None:
    hooked = Hooked(tiny_folder)
    hooked.reranker._engine._model.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("other")))
    with pytest.raises(RuntimeError, match="other"):
        hooked.reranker.rerank("tides", ["one"])


@settings(max_examples=12)
@given(st.lists(st.lists(st.sampled_from([*WORDS, "", "\n", "<|embed_token|>"]), max_size=6), max_size=8))
def test_any_mixture_of_lists_comes_back_in_order(tiny: Reranker, lists: list[list[str]]) -> None:
    queries = [("tide", documents) for documents in lists]
    together = tiny.score(queries)
    assert len(together) == len(lists)
    for scores, one in zip(together, queries, strict=True):
        assert scores == pytest.approx(tiny.score([one])[0], abs=1e-5)
