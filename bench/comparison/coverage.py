"""How often the 95% interval of `bench.statistics` holds the true figure: by simulation on real per-query figures.

``python -m bench.comparison.coverage RESULT…`` takes results of one protocol. The queries they were measured on
are taken as all queries there are, so that the true figure is known. A trial draws some of them with replacement and
asks whether its interval holds the true mean: of each reranker's figures, and of each two rerankers' differences. The
percentile bootstrap, which most tools print, and the plain t-interval are simulated on the same draws.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from rich.console import Console
from scipy.special import stdtrit

from bench import statistics
from bench.comparison.power import per_query_figures
from bench.errors import BenchError
from bench.render.numbers import count
from bench.render.page import Column, Notes, Page, Table, rows
from bench.render.text import show
from bench.statistics import Array

SIZES = (8, 12, 30, 50, 300)
BOOTSTRAP_RESAMPLES = 1000

Bounds = tuple[Array, Array]
Method = Callable[[Array, float, np.random.Generator], Bounds]
"""From samples (trials, queries) and the least a figure can be to each trial's lower and upper bound."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """A method's shares of intervals that hold the true figure: the mean over populations, and the worst of them."""

    mean: float
    worst: float
    width: float


def ours(samples: Array, lowest: float, rng: np.random.Generator) -> Bounds:
    """`bench.statistics.interval`."""
    low, high = zip(*(statistics.interval(sample, lowest=lowest) for sample in samples), strict=True)
    return np.array(low), np.array(high)


def plain_t(samples: Array, lowest: float, rng: np.random.Generator) -> Bounds:
    """Student's interval."""
    queries = samples.shape[1]
    reach = stdtrit(queries - 1, 0.975) * samples.std(axis=1, ddof=1) / queries**0.5
    return samples.mean(axis=1) - reach, samples.mean(axis=1) + reach


def percentile_bootstrap(samples: Array, lowest: float, rng: np.random.Generator) -> Bounds:
    """The middle 95% of the means of resamples."""
    queries = samples.shape[1]
    # How often each resample holds each query, the same for all trials: (resamples, queries).
    times = rng.multinomial(queries, np.full(queries, 1 / queries), size=BOOTSTRAP_RESAMPLES)
    low, high = np.quantile(times @ samples.T / queries, [0.025, 0.975], axis=0)
    return low, high


METHODS: Mapping[str, Method] = {"ours": ours, "plain t": plain_t, "bootstrap": percentile_bootstrap}


def coverage(populations: Sequence[Array], queries: int, lowest: float, trials: int, seed: int = 0) -> list[Coverage]:
    """Simulate each method of `METHODS`.

    Args:
        populations: Per-query values, each a population whose mean is the true figure.
        queries: How many a trial draws of them.
        lowest: The least that a mean can be: 0 for figures, -1 for differences.
        trials: How many samples are drawn of each population.
        seed: Of the draws.
    """
    held: list[list[float]] = [[] for _ in METHODS]
    widths: list[list[float]] = [[] for _ in METHODS]
    rng = np.random.default_rng(seed)
    for population in populations:
        samples = population[rng.integers(0, len(population), size=(trials, queries))]
        true = population.mean()
        for position, method in enumerate(METHODS.values()):
            low, high = method(samples, lowest, rng)
            held[position].append(float(np.mean((low <= true + statistics.NOISE) & (true <= high + statistics.NOISE))))
            widths[position].append(float(np.mean(high - low)))
    return [
        Coverage(float(np.mean(of_method)), min(of_method), float(np.mean(width)))
        for of_method, width in zip(held, widths, strict=True)
    ]


def _page(caption: str, populations: Sequence[Array], lowest: float, trials: int) -> Page:
    found = []
    for queries in SIZES:
        cells = [str(queries)]
        for each in coverage(populations, queries, lowest, trials):
            cells += [f"{100 * each.mean:.1f} ({100 * each.worst:.1f})", f"{100 * each.width:.1f}"]
        found.append(cells)
    methods = (Column(title) for name in METHODS for title in (f"{name}\nheld (worst)", "width"))
    return Page((Table((Column("queries"), *methods), (rows(found),), caption=caption),))


def main(arguments: Sequence[str] | None = None, console: Console | None = None) -> int:
    """Parse, simulate, print; gives the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.comparison.coverage", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("results", nargs="+", type=Path, metavar="RESULT")
    parser.add_argument("--trials", type=int, default=2000)
    given = parser.parse_args(arguments)
    console = console or Console()
    try:
        figures = list(per_query_figures(given.results).values())
    except BenchError as error:
        show(Page((Notes((f"Error: {error}",), whole=True),)), console)
        return 2
    pairs = [statistics.without_noise(a - b) for a, b in combinations(figures, 2)]
    over = f"drawn from {count(len(figures[0]))} queries; shares in %, widths in points"
    show(_page(f"Means of {len(figures)} rerankers, {over}", figures, 0.0, given.trials), console)
    show(_page(f"Differences of {len(pairs)} pairs, {over}", pairs, -1.0, given.trials), console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
