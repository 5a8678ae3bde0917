"""Pieces side by side: all are done, errors come out, and the caller's own settings stay."""

import threading
from collections.abc import Iterator

import pytest
import torch

from reranker.workers import each

STATES = torch.zeros(1)


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_every_piece_is_done_on_a_thread_that_uses_one() -> None:
    done: dict[int, tuple[int, bool, bool]] = {}

    def note(piece: int) -> None:
        done[piece] = (
            torch.get_num_threads(),
            torch.is_inference_mode_enabled(),
            threading.current_thread() is threading.main_thread(),
        )

    with torch.inference_mode():
        each(note, range(20), STATES)
    assert done == dict.fromkeys(range(20), (1, True, False))
    assert torch.get_num_threads() == 2
    seen: list[int] = []
    later = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert seen == [2]


def test_two_pieces_run_at_the_same_time() -> None:
    together = threading.Barrier(2, timeout=30)
    with torch.inference_mode():
        each(lambda _: together.wait() and None, range(2), STATES)


def test_gradients_are_recorded_by_the_callers_thread() -> None:
    threads: list[threading.Thread] = []
    each(lambda _: threads.append(threading.current_thread()), range(3), STATES)
    assert threads == [threading.current_thread()] * 3


def test_other_precisions_are_left_to_torchs_own_threads() -> None:
    threads: list[threading.Thread] = []
    with torch.inference_mode():
        each(lambda _: threads.append(threading.current_thread()), range(3), STATES.bfloat16())
    assert threads == [threading.current_thread()] * 3


def test_an_error_of_any_piece_is_raised() -> None:
    def fail(piece: int) -> None:
        if piece == 3:
            raise MemoryError("piece 3")

    with torch.inference_mode(), pytest.raises(MemoryError, match="piece 3"):
        each(fail, range(9), STATES)
