"""Simulates the gate on real per-query figures: its false alarm rate and the drops it detects.

``python -m bench.comparison.power RESULT…`` takes results of one protocol and simulates, for each two of them, a gate
over tasks of 50, 300 and 1,400 queries. A trial draws queries with replacement from those the two rerankers were
measured on. A random choice for each query makes one of its two figures the baseline and the other new: the two
simulated systems then differ query by query as much as the real ones do, and are equally good. Any alarm is false.

For a drop of D points the new figures are then degraded as a worse reranker would, on some queries and to figures
that occur: a share of the queries, at random, each have their figure replaced by one drawn from the task's own
figures below it. The share is chosen so that the mean falls by D points; where even all queries would not bring the
mean down so far, no rate is given. The gate's own rule decides (`bench.comparison.gate.decide`), with `TASKS` tasks
corrected by Holm of which one has dropped, or none.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from rich.console import Console

from bench import statistics
from bench.comparison.gate import Rules, Verdict, decide
from bench.comparison.stored import read_stored
from bench.errors import BenchError
from bench.render.numbers import count, percent
from bench.render.page import Column, Notes, Page, Table, rows
from bench.render.text import show
from bench.statistics import Array

SIZES = (50, 300, 1400)
DROPS = (0.5, 1.0, 2.0, 3.0, 5.0, 8.0)


@dataclass(frozen=True, slots=True)
class Setting:
    """What every simulated gate has in common. ``resamples`` are of the test, fewer than the real gate's for speed."""

    tasks: int = 1
    trials: int = 1000
    min_drop: float = 0.5
    alpha: float = 0.05
    resamples: int = 2000
    seed: int = 0


def alarm_rate(a: Array, b: Array, queries: int, drop: float, setting: Setting) -> float:
    """The share of simulated gates that call the first task regressed; for no drop, that call any task so.

    Args:
        a: One reranker's per-query figures, 0 to 1.
        b: Another's, of the same queries.
        queries: How many queries a simulated task has.
        drop: What the first task's mean truly fell by, in points; 0 for the rate of false alarms.
        setting: The gate and the number of trials.

    Returns:
        The rate, or NaN where the figures cannot fall so far.
    """
    share = _share(np.concatenate([a, b]), drop / 100)
    if share > 1:
        return float("nan")
    differences = _simulated(a, b, queries, share, setting)
    shape = (setting.trials, setting.tasks)
    points = 100 * differences.mean(axis=0).reshape(shape)
    p_values = statistics.p_values(differences, setting.resamples, setting.seed).reshape(shape)
    looked_at = 1 if drop else setting.tasks
    alarms = sum(
        Verdict.REGRESSED in _verdicts(*trial, setting)[:looked_at] for trial in zip(points, p_values, strict=True)
    )
    return alarms / setting.trials


def _verdicts(points: Array, p_values: Array, setting: Setting) -> list[Verdict]:
    adjusted = statistics.holm(p_values.tolist())
    return [decide(*task, Rules(setting.min_drop, setting.alpha)) for task in zip(points, adjusted, strict=True)]


def _simulated(a: Array, b: Array, queries: int, share: float, setting: Setting) -> Array:
    """New less baseline in all trials' tasks: (queries, trials x tasks); each trial's first task is degraded."""
    rng = np.random.default_rng(setting.seed)
    shape = (queries, setting.trials * setting.tasks)
    drawn, swapped = rng.integers(0, len(a), size=shape), rng.random(shape) < 0.5
    baseline, new = np.where(swapped, b[drawn], a[drawn]), np.where(swapped, a[drawn], b[drawn])
    first = slice(None, None, setting.tasks)
    new[:, first] = _degraded(new[:, first], np.concatenate([a, b]), share, rng)
    return statistics.without_noise(new - baseline)


def _degraded(figures: Array, pool: Array, share: float, rng: np.random.Generator) -> Array:
    """``figures`` with a share of them replaced by lower ones from the pool; the lowest stay."""
    ordered = np.sort(pool)
    below = np.searchsorted(ordered, figures - statistics.NOISE)
    lower = ordered[(rng.random(figures.shape) * below).astype(np.int64)]
    return np.where((rng.random(figures.shape) < share) & (below > 0), lower, figures)


def _share(pool: Array, drop: float) -> float:
    """The share of figures that must be replaced for the mean to fall by ``drop``; above 1 where it cannot."""
    if drop == 0:
        return 0.0
    ordered = np.sort(pool)
    below = np.searchsorted(ordered, ordered - statistics.NOISE)
    mean_below = np.concatenate([[0.0], np.cumsum(ordered)])[below] / np.maximum(below, 1)
    loss = float(np.where(below > 0, ordered - mean_below, 0.0).mean())
    return drop / loss if loss > 0 else float("inf")


def _page(a: Path, b: Path, first: Array, second: Array, setting: Setting) -> Page:
    differing = np.mean(np.abs(first - second) > statistics.NOISE)
    found = []
    for queries in SIZES:
        rates = [alarm_rate(first, second, queries, drop, setting) for drop in (0.0, *DROPS)]
        found.append([count(queries), *("-" if np.isnan(rate) else percent(rate) for rate in rates)])
    table = Table(
        columns=(Column("queries"), Column("false alarms"), *(Column(f"drop\n{drop:g}") for drop in DROPS)),
        groups=(rows(found),),
        caption=f"{a} and {b}",
    )
    spread = (
        f"{count(len(first))} queries; the two differ on {differing:.0%} of them, "
        f"by {100 * np.std(first - second):.1f} points (standard deviation)"
    )
    return Page((table, Notes((spread,))))


def per_query_figures(places: Sequence[Path]) -> dict[Path, Array]:
    """Each result's per-query figures, over the same queries in the same order.

    Raises:
        BenchError: for damaged results, fewer than two, or results of different protocols.
    """
    read = [read_stored(place) for place in places]
    problems = [problem for _, of_place in read for problem in of_place]
    results = [one for of_place, _ in read for one in of_place]
    if problems or len(results) < 2:
        raise BenchError("\n".join(problems) or "Give two or more results of one protocol.")
    for one in results:
        different = results[0].result.protocol.differences(one.result.protocol)
        if different:
            raise BenchError(f"{results[0].path} and {one.path} were measured differently: {'; '.join(different)}.")
    queries = sorted(results[0].result.per_query)
    return {one.path: np.array([one.result.per_query[query_id] for query_id in queries]) for one in results}


def main(arguments: Sequence[str] | None = None, console: Console | None = None) -> int:
    """Parse, simulate, print; gives the exit status."""
    default = Setting()
    parser = argparse.ArgumentParser(
        prog="python -m bench.comparison.power", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("results", nargs="+", type=Path, metavar="RESULT")
    parser.add_argument("--tasks", type=int, default=default.tasks)
    parser.add_argument("--trials", type=int, default=default.trials)
    parser.add_argument("--min-drop", type=float, default=default.min_drop)
    parser.add_argument("--alpha", type=float, default=default.alpha)
    given = parser.parse_args(arguments)
    console = console or Console()
    try:
        figures = per_query_figures(given.results)
    except BenchError as error:
        show(Page((Notes((f"Error: {error}",), whole=True),)), console)
        return 2
    setting = Setting(tasks=given.tasks, trials=given.trials, min_drop=given.min_drop, alpha=given.alpha)
    for (a, first), (b, second) in combinations(figures.items(), 2):
        show(_page(a, b, first, second, setting), console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
