import math
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from bench.comparison.power import Setting, _degraded, _share, alarm_rate, main
from bench.statistics import Array
from tests.bench.factories import figures_result, keep


def two_systems(queries: int = 300) -> tuple[Array, Array]:
    """Figures of the kind that nDCG@10 gives: many zeros, some ones; the two differ on about half of the queries."""
    rng = np.random.default_rng(0)
    levels = [0, 0, 0.2, 0.43, 0.63, 1]
    a, other = rng.choice(levels, queries), rng.choice(levels, queries)
    return a, np.where(rng.random(queries) < 0.5, a, other)


def test_share_by_hand() -> None:
    # Means below: none for 0, 0 for .5, .25 for 1: replacing every figure loses (0 + .5 + .75) / 3 on average.
    assert _share(np.array([1.0, 0.0, 0.5]), 1.25 / 6) == pytest.approx(0.5)
    assert _share(np.array([1.0, 0.0, 0.5]), 0.5) > 1
    assert _share(np.array([0.5, 0.5]), 0.01) == math.inf  # nothing lower occurs
    assert _share(np.array([0.5, 0.5]), 0.0) == 0


def test_degrading_loses_what_was_asked_and_never_raises() -> None:
    pool = two_systems()[0]
    figures = np.tile(pool, (500, 1))
    lower = _degraded(figures, pool, _share(pool, 0.05), np.random.default_rng(1))
    assert (lower <= figures).all()
    assert set(lower.ravel()) <= set(pool)
    assert (figures - lower).mean() == pytest.approx(0.05, abs=0.002)
    assert (_degraded(figures, pool, 0.0, np.random.default_rng(1)) == figures).all()


@pytest.mark.parametrize("tasks", [1, 5])
@pytest.mark.parametrize("queries", [50, 300])
def test_false_alarms_stay_below_alpha(queries: int, tasks: int) -> None:
    setting = Setting(tasks=tasks, trials=500)
    # The test is two-sided and alarms at falls only, which is half of alpha; four standard errors above that.
    assert alarm_rate(*two_systems(), queries, 0, setting) <= 0.025 + 4 * (0.025 * 0.975 / 500) ** 0.5


def test_alarms_rise_with_the_drop_and_the_queries() -> None:
    a, b = two_systems()
    setting = Setting(trials=200)
    by_drop = [alarm_rate(a, b, 300, drop, setting) for drop in (0.0, 3.0, 8.0)]
    by_queries = [alarm_rate(a, b, queries, 5.0, setting) for queries in (50, 300, 1400)]
    assert by_drop == sorted(by_drop) and by_drop[-1] > 0.8
    assert by_queries == sorted(by_queries) and by_queries[-1] > 0.95


def test_a_drop_deeper_than_the_figures_has_no_rate() -> None:
    a, b = two_systems()
    assert math.isnan(alarm_rate(a, b, 50, 60.0, Setting(trials=10)))


def test_command(tmp_path: Path) -> None:
    def run(*arguments: object) -> tuple[int, str]:
        console = Console(width=200, file=StringIO())
        status = main(list(map(str, arguments)), console)
        assert isinstance(console.file, StringIO)
        return status, console.file.getvalue()

    names = ("one", "two", "three")
    for name, figures in zip(names, (*two_systems(40), two_systems(41)[1][:40]), strict=True):
        result = figures_result({f"q{number}": float(value) for number, value in enumerate(figures)}, reranker=name)
        keep(tmp_path, result)
    status, shown = run(tmp_path, "--trials", 20)
    assert (status, shown.count("1,400")) == (0, 3)  # each two of the three
    assert "false alarms" in shown and "40 queries; the two differ on" in shown
    keep(tmp_path, figures_result({"q1": 0.5}, depth=50))
    status, shown = run(tmp_path)
    assert status == 2 and "depth: " in shown
    assert run(tmp_path / "nowhere")[0] == 2
