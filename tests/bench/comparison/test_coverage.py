"""The simulation of how often intervals hold: its own figures, on populations whose answer is known."""

from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from bench.comparison.coverage import METHODS, coverage, main
from tests.bench.factories import figures_result, keep


def test_shares_by_hand() -> None:
    # Of two queries drawn from 0 and 1 half are equal; the plain interval then has no width and misses 1/2. Of 0 and 1
    # it is 12.7 x .5 wide to each side, which holds it.
    found = dict(zip(METHODS, coverage([np.array([0.0, 1.0])], 2, 0.0, trials=4000), strict=True))
    assert found["plain t"].mean == pytest.approx(0.5, abs=0.03)
    assert found["ours"].mean == 1.0
    assert found["ours"].width == 1.0  # all that a figure can be


def test_the_worst_population_is_told() -> None:
    populations = [np.array([0.5, 0.5]), np.array([0.0, 1.0])]
    found = dict(zip(METHODS, coverage(populations, 2, 0.0, trials=1000), strict=True))
    assert found["plain t"].worst < 0.6 < 0.7 < found["plain t"].mean


def test_command(tmp_path: Path) -> None:
    def run(*arguments: object) -> tuple[int, str]:
        console = Console(width=120, file=StringIO())
        status = main(list(map(str, arguments)), console)
        assert isinstance(console.file, StringIO)
        return status, console.file.getvalue()

    for name, step in (("one", 7), ("two", 11)):
        keep(tmp_path, figures_result({f"q{n}": (n * step % 10) / 10 for n in range(40)}, reranker=name))
    status, shown = run(tmp_path, "--trials", 20)
    assert status == 0
    assert "Means of 2 rerankers, drawn from 40 queries" in shown and "Differences of 1 pairs" in shown
    assert run(tmp_path / "nowhere")[0] == 2
