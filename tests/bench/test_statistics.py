from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import statistics
from bench.statistics import detectable_drop, differences, differs, holm, interval, letter, p_value, p_values

figures = st.floats(-1, 1, allow_nan=False).map(lambda value: round(value, 3))


def enumerated(values: list[float]) -> float:
    """The randomisation test by its definition."""
    observed = abs(sum(values))
    signs = product((1, -1), repeat=len(values))
    patterns = [abs(sum(sign * value for sign, value in zip(each, values, strict=True))) for each in signs]
    return sum(each >= observed - 1e-9 for each in patterns) / len(patterns)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 1.0, 1.0], 2 / 8),  # only the pattern itself and its mirror reach 3
        ([1.0, 2.0, -3.0], 1.0),  # the observed sum is 0, which every pattern reaches
        ([0.1, 0.2, 0.3, -0.1], 6 / 16),  # flipping nothing or one .1 leaves .5 or more; and the mirror images
        ([0.5], 1.0),
        ([0.0, 0.0], 1.0),
        ([0.0, 0.4, 0.4, 0.0, 0.4], 2 / 8),  # queries without a difference say nothing
        ([1e-17, -3e-17, 2e-16], 1.0),  # rounding noise is no difference
    ],
)
def test_p_value_by_hand(values: list[float], expected: float) -> None:
    assert p_value(values) == expected


def test_p_value_of_a_suite_weighs_tasks_equally() -> None:
    # Weighted: .4 / 2 = .2, and twice -.1 / 4 = -.025. |sum| = .15, the least that any pattern gives.
    assert p_value([0.4], [-0.1, -0.1]) == 1.0
    # .2 + .025 + .025 = .25 is reached only by itself and its mirror.
    assert p_value([0.4], [0.1, 0.1]) == 2 / 8


@given(st.lists(figures, min_size=1, max_size=9))
def test_exact_p_value_is_the_definition(values: list[float]) -> None:
    assert p_value(values) == enumerated(values)


def test_sampled_p_value_approaches_the_definition() -> None:
    values = np.random.default_rng(3).normal(0.2, 0.3, 16).tolist()
    exact = enumerated(values)
    assert 0.02 < exact < 0.5  # neither end, where any estimate would pass
    assert p_value(values) == pytest.approx(exact, abs=4 * (exact * (1 - exact) / statistics.RESAMPLES) ** 0.5)


def test_sampled_p_value_is_never_zero() -> None:
    assert p_value([1.0] * 100, resamples=999) == 1 / 1000


@given(st.lists(figures, min_size=1, max_size=40), st.integers(0, 9))
def test_p_value_is_a_symmetric_probability(values: list[float], seed: int) -> None:
    p = p_value(values, resamples=200, seed=seed)
    assert 0 < p <= 1
    assert p_value([-value for value in values], resamples=200, seed=seed) == p


def test_p_values_do_not_depend_on_company_or_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = np.random.default_rng(0).normal(0.05, 0.3, (70, 90))
    columns[12:, 5] = 0
    together = p_values(columns, 300)
    monkeypatch.setattr(statistics, "_BLOCK", 1000)
    assert [p_value(columns[:, column] * 70, resamples=300) for column in range(90)] == together.tolist()


@pytest.mark.parametrize("queries", [10, 60])
def test_p_values_are_uniform_when_nothing_differs(queries: int) -> None:
    # Two systems whose figures come from one skewed distribution: their differences are symmetric around 0.
    rng = np.random.default_rng(queries)
    columns = rng.beta(0.5, 2, (queries, 4000)) - rng.beta(0.5, 2, (queries, 4000))
    found = p_values(columns, 2000)
    for alpha in (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9):
        tolerance = 4 * (alpha * (1 - alpha) / 4000) ** 0.5 + 2 ** (1 - queries)
        assert (found <= alpha).mean() == pytest.approx(alpha, abs=tolerance)


def test_interval_by_hand() -> None:
    # Mean 1/2; squares 20 x 1/4 + 1/4; t of 19 degrees 2.09302: reach 2.09302 (5.25 / 19 / 20)^.5.
    assert interval([0.0, 1.0] * 10) == pytest.approx((0.5 - 0.246015, 0.5 + 0.246015), abs=1e-6)
    # Two such tasks: half the variance, and by Welch and Satterthwaite 38 degrees: t 2.02439.
    assert interval([0.0, 1.0] * 10, [0.0, 1.0] * 10) == pytest.approx((0.5 - 0.168255, 0.5 + 0.168255), abs=1e-6)
    # A weight of 1 is the task alone.
    assert interval([0.0, 1.0] * 10, [0.3] * 9, weights=[1, 0]) == pytest.approx(interval([0.0, 1.0] * 10))
    # All equal: 2.20099 (.25 / 11 / 12)^.5, for what twelve more queries might show.
    assert interval([0.0] * 12) == pytest.approx((-0.095786, 0.095786), abs=1e-6)
    assert interval([0.0] * 12, lowest=0.0) == pytest.approx((0, 0.095786), abs=1e-6)


def test_an_interval_never_leaves_the_figures_range() -> None:
    assert interval([1.0] * 5, lowest=0.0)[1] == 1.0
    # One query says nothing of the others.
    assert interval([0.25]) == (-1.0, 1.0)
    assert interval([0.25], [0.5, 0.6], lowest=0.0) == (0.0, 1.0)


@given(st.lists(figures, min_size=2, max_size=40))
def test_an_interval_holds_its_figure_and_turns_with_it(values: list[float]) -> None:
    low, high = interval(values)
    assert low <= np.mean(values) <= high
    assert interval([-value for value in values]) == pytest.approx((-high, -low))


@pytest.mark.parametrize("queries", [8, 12, 30])
def test_intervals_hold_their_level_on_few_queries(queries: int) -> None:
    # Differences as two rerankers have them: most are 0. The percentile bootstrap holds .64, .78 and .89 here.
    rng = np.random.default_rng(0)
    pool = np.where(rng.random(1000) < 0.7, 0.0, rng.choice([-1, -0.37, 0.13, 0.37, 0.5], 1000))
    drawn = pool[rng.integers(0, 1000, (2000, queries))]
    intervals = [interval(sample) for sample in drawn]
    assert np.mean([low <= pool.mean() <= high for low, high in intervals]) >= 0.925


def test_detectable_drop_by_hand() -> None:
    # Twelve queries: t of 11 degrees is 2.20099 at .975 and .87553 at .8; squares 12 x .01 + .25.
    values = [0.1, -0.1] * 6
    assert detectable_drop(values, 0.05) == pytest.approx((2.20099 + 0.87553) * (0.37 / 11 / 12) ** 0.5, abs=1e-5)
    # Five queries: no pattern of signs is rarer than 2 in 32.
    assert detectable_drop([0.1] * 5, 0.05) == float("inf")
    assert detectable_drop([0.1] * 6, 0.05) < 1


def test_a_drop_that_is_called_detectable_is_found_four_times_in_five() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.4, (40, 1000))
    drop = float(np.mean([detectable_drop(noise[:, column], 0.05) for column in range(100)]))
    assert (p_values(noise - drop, 2000) <= 0.05).mean() == pytest.approx(0.8, abs=0.04)


def test_same_seed_same_answer() -> None:
    values = np.random.default_rng(2).normal(0, 1, 50)
    assert p_value(values, seed=1) == p_value(values, seed=1) != p_value(values, seed=2)


def test_holm_by_hand() -> None:
    # .005 x 4, .01 x 3, .03 x 2, and .04 x 1 raised to the one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1, allow_nan=False), min_size=1, max_size=20))
def test_holm_keeps_the_order_and_lies_between_the_raw_and_bonferroni(values: list[float]) -> None:
    adjusted = holm(values)
    for one, other in product(range(len(values)), repeat=2):
        assert values[one] > values[other] or adjusted[one] <= adjusted[other]
    for raw, corrected in zip(values, adjusted, strict=True):
        assert raw <= corrected <= min(1, len(values) * raw)


def test_differs_names_the_others() -> None:
    rng = np.random.default_rng(0)
    weak, strong = rng.random(40) * 0.2, rng.random(40) * 0.2 + 0.7
    rows = [[weak], [strong], [strong.copy()], [strong - 0.4]]
    assert differs(rows) == [["b", "c", "d"], ["a", "d"], ["a", "d"], ["a", "b", "c"]]
    assert differs([[weak]]) == [[]]
    assert differs([]) == []


def test_differs_corrects_over_all_pairs() -> None:
    # Six equal differences give p = 2/64 = .031: significant alone, not among three pairs (2/64 x 3).
    low, high = [0.1] * 6, [0.2] * 6
    assert differs([[low], [high]]) == [["b"], ["a"]]
    assert differs([[low], [high], [low]]) == [[], [], []]


def test_differs_refuses_rows_of_other_queries() -> None:
    with pytest.raises(ValueError, match="same tasks and queries"):
        differs([[[0.1, 0.2]], [[0.1]]])


def test_letters() -> None:
    assert [letter(position) for position in (0, 1, 25, 26, 27, 701, 702)] == ["a", "b", "z", "aa", "ab", "zz", "aaa"]


def test_differences_follow_the_baseline_and_drop_noise() -> None:
    found = differences({"q2": 0.5, "q1": 0.3}, {"q1": 0.1 + 0.2, "q2": 0.75})
    assert found.tolist() == [0.25, 0.0]
    with pytest.raises(KeyError):
        differences({"q1": 0.1}, {})


@pytest.mark.parametrize("values", [[], [float("nan")], [float("inf"), 1.0]])
def test_values_must_be_finite(values: list[float]) -> None:
    for function in (p_value, interval):
        with pytest.raises(ValueError, match="finite"):
            function(values)
