"""Batches worked on by processes: in order, and how it ends when a process does not go on."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest

from bench.errors import BenchError
from bench.first_stage.ordered import in_order
from bench.measures import Measure


def lost(how: str) -> BenchError:
    return BenchError(f"lost: {how}")


def start(work: Callable[[Any], object], batches: Iterable[object]) -> list[object]:
    return list(in_order(work, batches, environments=[{"PLACE": "1"}, {"PLACE": "2"}], lost=lost))


def test_answers_come_in_the_order_of_the_batches_from_processes_in_turn() -> None:
    assert start(partial(os.getenv, "PLACE"), range(5)) == ["1", "2", "1", "2", "1"]


def test_an_error_of_the_work_is_the_callers() -> None:
    with pytest.raises(BenchError, match="Unknown measure 'any'"):
        start(Measure.parse, ["MAP", "any"])


def test_a_process_that_is_killed_is_named_so() -> None:
    with pytest.raises(BenchError, match="lost: killed by SIGKILL"):
        start(signal.raise_signal, [signal.SIGKILL])


LATE = """
import os
from multiprocessing.connection import Pipe
from queue import SimpleQueue
from bench.first_stage import ordered
from bench.measures import Measure
inbox = SimpleQueue()
inbox.put(Measure.parse)
inbox.put("any")
ordered.receiving = lambda connection: inbox
ours, theirs = Pipe()
ours.close()
ordered.serve(os.dup(theirs.fileno()))
"""


def test_a_process_that_fails_when_the_command_has_ended_says_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
