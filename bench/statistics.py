"""How sure a mean, or a difference of means, is: paired randomisation test, t-interval, Holm's correction.

Where a function takes ``*tasks``, each argument holds one task's per-query values and the figure is the mean of the
tasks' means: with one task its mean, with several a suite's. Two rerankers are compared through the differences of
their values on the same queries. Everything is seeded: the same values give the same answer. How well the interval
holds its level is in README.md.

Sources: Smucker, Allan and Carterette, "A Comparison of Statistical Significance Tests for Information Retrieval
Evaluation" (CIKM 2007), on the randomisation test; Phipson and Smyth, "Permutation P-values Should Never Be Zero"
(2010), on (b + 1) / (R + 1); Welch, "The Generalization of 'Student's' Problem" (1947), on the interval over several
tasks; Holm, "A Simple Sequentially Rejective Multiple Test Procedure" (1979).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

RESAMPLES = 10_000
EXACT_AT_MOST = 14  # up to so many non-zero differences all 2^n sign patterns are counted, not sampled
NOISE = 1e-9  # measures are 0 to 1; two orders of the same worth differ by rounding, far below this

PRIOR_SQUARES = 0.25
"""What the sum of squared deviations starts from, as if one query more had come out at 0 or 1 by the toss of a coin.

Most differences are 0, and most figures of a weak reranker too: a few queries may all be equal by chance, and an
interval from their deviations alone would have no width.
"""

FEW_QUERIES = 30
"""Below so many queries an interval is said to be of few: it is wide, and for lopsided figures holds less often."""

Array = npt.NDArray[np.float64]
Values = Sequence[float] | Array

_BLOCK = 1 << 22  # numbers held at once while resampling: 32 MB


def differences(baseline: Mapping[str, float], candidate: Mapping[str, float]) -> Array:
    """Candidate minus baseline for each query, in the baseline's order; rounding noise counts as no difference.

    Raises:
        KeyError: for a query that the candidate lacks.
    """
    raw = np.array([candidate[query_id] - value for query_id, value in baseline.items()], dtype=np.float64)
    return without_noise(raw)


def p_value(*tasks: Values, resamples: int = RESAMPLES, seed: int = 0) -> float:
    """Two-sided p-value of paired differences under "the two systems are exchangeable on every query".

    Under that hypothesis each difference could as well have had the other sign. The p-value is the share of sign
    patterns whose mean is at least as far from 0 as the one observed: over all patterns where at most
    ``EXACT_AT_MOST`` differences are not 0, otherwise (b + 1) / (R + 1) with b of R random patterns.

    Raises:
        ValueError: where a task holds no values, or one that is not finite.
    """
    return float(p_values(_weighted(tasks)[:, None], resamples, seed)[0])


def p_values(columns: Array, resamples: int = RESAMPLES, seed: int = 0) -> Array:
    """The same for many comparisons over the same queries: ``columns[query, comparison]`` are differences.

    All columns share their random sign patterns, which keeps each p-value valid and Holm's correction with it: that
    holds however the tests depend on one another.
    """
    observed = np.abs(columns.sum(axis=0))
    least = observed - 1e-10 * np.abs(columns).sum(axis=0)  # equal sums, added in another order, count as equal
    few = np.count_nonzero(columns, axis=0) <= EXACT_AT_MOST
    answer = np.empty(columns.shape[1])
    for column in np.flatnonzero(few):
        values = columns[columns[:, column] != 0, column]
        answer[column] = np.mean(np.abs(_all_signs(len(values)) @ values) >= least[column])
    if not few.all():
        extreme = _extreme(columns[:, ~few], least[~few], resamples, np.random.default_rng(seed))
        answer[~few] = (extreme + 1) / (resamples + 1)
    return answer


def interval(
    *tasks: Values,
    weights: Sequence[float] | None = None,
    lowest: float = -1.0,
    highest: float = 1.0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Confidence interval of a mean; of paired differences' mean where these are given.

    A t-interval whose sum of squared deviations starts from `PRIOR_SQUARES` instead of 0; over several tasks with the
    degrees of freedom of Welch and Satterthwaite. ``python -m bench.comparison.coverage`` simulates how often it holds.

    Args:
        tasks: Per-query values of each task.
        weights: What each task's mean counts in the figure, adding up to 1; equal where None.
        lowest: The least that the figure can be: 0 for a measure, -1 for a difference. It bounds the interval.
        highest: The most that it can be.
        level: The share of samples whose interval holds the true mean.

    Raises:
        ValueError: where a task holds no values, or one that is not finite.
    """
    arrays = [_checked(values) for values in tasks]
    shares = [1 / len(arrays)] * len(arrays) if weights is None else weights
    if any(len(array) < 2 for array in arrays):
        return lowest, highest  # one query says nothing about how far others are from it
    mean = sum(share * float(array.mean()) for share, array in zip(shares, arrays, strict=True))
    variances = [share**2 * _standard_error(array) ** 2 for share, array in zip(shares, arrays, strict=True)]
    within = sum(variance**2 / (len(array) - 1) for variance, array in zip(variances, arrays, strict=True))
    reach = float(stdtrit(sum(variances) ** 2 / within, (1 + level) / 2)) * sum(variances) ** 0.5
    return max(lowest, mean - reach), min(highest, mean + reach)


def detectable_drop(values: Values, alpha: float, power: float = 0.8) -> float:
    """The smallest true drop that a two-sided test at ``alpha`` finds with this power, for differences that vary so.

    Infinite where the randomisation test cannot reach ``alpha`` with so few queries, whatever they give.
    """
    array = _checked(values)
    degrees = len(array) - 1
    if 2.0**-degrees > alpha:
        return float("inf")
    return float(stdtrit(degrees, 1 - alpha / 2) + stdtrit(degrees, power)) * _standard_error(array)


def _standard_error(values: Array) -> float:
    """Of the mean of two values or more."""
    squares = float(((values - values.mean()) ** 2).sum()) + PRIOR_SQUARES
    return math.sqrt(squares / (len(values) - 1) / len(values))


def holm(values: Sequence[float]) -> list[float]:
    """P-values adjusted for being looked at together: reject where the adjusted one is at most alpha.

    The k-th smallest of m becomes max over j <= k of (m - j + 1) p_j, at most 1. The chance of any false rejection is
    then at most alpha, however the tests depend on one another.
    """
    adjusted = [0.0] * len(values)
    largest = 0.0
    for rank, position in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        largest = max(largest, min(1.0, (len(values) - rank) * values[position]))
        adjusted[position] = largest
    return adjusted


def differs(
    rows: Sequence[Sequence[Values]], alpha: float = 0.05, resamples: int = RESAMPLES, seed: int = 0
) -> list[list[str]]:
    """For each row of a table the letters of the rows that it differs from significantly.

    ``rows[i]`` holds row i's per-query values, one sequence a task, with tasks and queries in the same order in every
    row; row i's own letter is ``letter(i)``. All pairs of rows are tested, and corrected together.

    Raises:
        ValueError: where rows differ in their numbers of tasks or queries.
    """
    if len({tuple(map(len, row)) for row in rows}) > 1:
        raise ValueError("Rows must hold the same tasks and queries.")
    pairs = list(combinations(range(len(rows)), 2))
    if not pairs:
        return [[] for _ in rows]
    columns = [_weighted([np.subtract(x, y) for x, y in zip(rows[i], rows[j], strict=True)]) for i, j in pairs]
    adjusted = holm(p_values(np.stack(columns, axis=1), resamples, seed).tolist())
    answer: list[list[str]] = [[] for _ in rows]
    for (i, j), p in zip(pairs, adjusted, strict=True):
        if p <= alpha:
            answer[i].append(letter(j))
            answer[j].append(letter(i))
    # A row's partners come up in the order of the pairs, which is the rows' order.
    return answer


def letter(position: int) -> str:
    """The letter of a row counted from 0: a to z, then aa, ab and so on."""
    name = ""
    position += 1
    while position:
        position, digit = divmod(position - 1, 26)
        name = chr(ord("a") + digit) + name
    return name


def _weighted(tasks: Sequence[Values]) -> Array:
    """Differences of all tasks, scaled so that their sum is the mean of the tasks' means."""
    return np.concatenate([without_noise(_checked(values)) / (len(values) * len(tasks)) for values in tasks])


def _checked(values: Values) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0 or not np.isfinite(array).all():
        raise ValueError("A task's values must be finite numbers, one or more.")
    return array


def without_noise(values: Array) -> Array:
    """Differences with rounding noise set to 0."""
    return np.where(np.abs(values) < NOISE, 0.0, values)


@cache
def _all_signs(count: int) -> Array:
    """Every pattern of ``count`` signs: (2^count, count)."""
    bits = np.arange(2**count)[:, None] >> np.arange(count) & 1
    return np.where(bits == 1, -1.0, 1.0)


def _extreme(columns: Array, least: Array, resamples: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """How many random sign patterns give a sum of at least ``least`` in size, for each column."""
    queries, comparisons = columns.shape
    total = columns.sum(axis=0)
    count = np.zeros(comparisons, dtype=np.int64)
    for rows in _blocks(resamples, max(queries, comparisons)):
        # Whole words a row: the patterns do not depend on how the rows were cut into blocks.
        packed = rng.integers(0, 2**64, size=(rows, (queries + 63) // 64), dtype=np.uint64)
        flipped = np.unpackbits(packed.view(np.uint8), axis=1, count=queries).astype(np.float64)
        # sum of s d with s = 1 - 2 f is the total less twice what was flipped
        count += np.count_nonzero(np.abs(total - 2 * (flipped @ columns)) >= least, axis=0)
    return count


def _blocks(resamples: int, width: int) -> Iterator[int]:
    """Cut ``resamples`` rows of ``width`` numbers into pieces that fit in memory."""
    rows = max(1, _BLOCK // width)
    for start in range(0, resamples, rows):
        yield min(rows, resamples - start)
