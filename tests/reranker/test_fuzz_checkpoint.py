"""Checkpoints damaged at random are used or refused: none ends in a traceback, an abort or a hang."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reranker import checkpoint

ROOT = Path(__file__).parents[2]


def fuzz(folder: Path, first: int, count: int, seconds: float) -> None:
    command = [sys.executable, str(Path(__file__).with_name("fuzz_checkpoint.py")), str(folder)]
    done = subprocess.run(
        [*command, str(first), str(first + count)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "'scored'" in done.stdout
    assert "'refused'" in done.stdout


def test_some_mutants_of_a_byte_level_checkpoint(tiny_folder: Path) -> None:
    fuzz(tiny_folder, 0, 120, 120)


def test_some_mutants_of_the_embedded_checkpoint() -> None:
    fuzz(checkpoint.find("embedded").folder, 0, 20, 120)


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("first", range(1000, 5000, 500))
def test_many_mutants_of_a_byte_level_checkpoint(first: int, tiny_folder: Path) -> None:
    fuzz(tiny_folder, first, 500, 600)


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("first", range(1000, 2000, 250))
def test_many_mutants_of_the_embedded_checkpoint(first: int) -> None:
    fuzz(checkpoint.find("embedded").folder, first, 250, 600)
