"""The rows that tables and charts share, worked out by hand."""

from dataclasses import replace

import pytest

from bench.leaderboard.board import build
from bench.report.rows import difference_rows, drawn, gain_cells, results_of, score_rows
from bench.results import Result
from tests.bench.factories import figures_result


def made(name: str, *figures: float, task: str = "beir/nfcorpus", seconds: float = 1.0, family: str = "own") -> Result:
    result = figures_result({f"q{n}": value for n, value in enumerate(figures)}, task, name, family)
    needs = frozenset({"texts"}) if family == "own" else frozenset()
    candidates = replace(result.candidates, first_stage=0.5)
    return replace(
        result,
        reranker=replace(result.reranker, needs=needs),
        cost=replace(result.cost, seconds=seconds),
        candidates=candidates,
    )


def test_the_edge_has_the_rerankers_that_none_beats_in_speed_and_score():
    results = [
        made("first-stage", 0.5, 0.5, family="order-only"),
        made("slow and best", 0.9, 0.9, seconds=4),
        made("middle", 0.7, 0.7, seconds=2),
        made("slower and worse than middle", 0.6, 0.6, seconds=3),
        made("fast", 0.6, 0.6, seconds=1),
    ]
    (section,) = build(results).sections
    rows = score_rows(section, 0)
    assert {row.reranker for row in rows if row.is_edge} == {"slow and best", "middle", "fast"}
    assert {row.reranker: row.speed for row in drawn(rows)} == pytest.approx(
        {"slow and best": 0.5, "middle": 1, "slower and worse than middle": 2 / 3, "fast": 2}
    )


def test_a_gain_is_in_points_and_its_shade_is_a_quarter_of_the_scale():
    results = [
        made(name, *figures, task=task)
        for task, by in {
            "beir/nfcorpus": {"a": [0.6, 0.6], "b": [0.5, 0.5]},
            "beir/scifact": {"a": [0.4, 0.4], "b": [0.52, 0.52]},
        }.items()
        for name, figures in by.items()
    ]
    (section,) = build(results).sections
    cells = {(cell.reranker, cell.column): cell for cell in gain_cells(section)}
    # Nine in ten gains are at most 10 points, so that a shade is 2.5 points wide.
    assert cells["a", "nfcorpus"].gain == pytest.approx(10)
    assert (cells["a", "nfcorpus"].step, cells["a", "nfcorpus"].shade) == (4, "+7.5 or more")
    assert (cells["a", "scifact"].step, cells["a", "scifact"].shade) == (-4, "−7.5 or more")
    assert (cells["b", "nfcorpus"].step, cells["b", "nfcorpus"].shade) == (0, "within 0.25")
    assert (cells["b", "scifact"].step, cells["b", "scifact"].shade) == (1, "+0.25 to +2.5")


def test_what_would_stretch_the_scales_is_not_drawn():
    results = [
        made("first-stage", 0.5, 0.5, family="order-only"),
        made("random", 0.1, 0.1, family="order-only"),
        made("model", 0.6, 0.6),
    ]
    (section,) = build(results).sections
    assert [row.reranker for row in drawn(score_rows(section, 0))] == ["model"]


def test_wins_ties_and_losses_are_counted_against_the_first_stage():
    results = [
        made("first-stage", 0.5, 0.5, 0.5, 0.5, family="order-only"),
        made("model", 0.9, 0.5, 0.3, 0.6),
    ]
    (section,) = build(results).sections
    (row,) = difference_rows(results_of(section, section.columns[0], results))
    assert (row.wins, row.ties, row.losses) == (2, 1, 1)
    assert row.values == pytest.approx((40, 10, 0, -20))
    assert row.mean == pytest.approx(7.5)


def test_without_the_first_stage_there_are_no_differences_to_it():
    results = [made("model", 0.9, 0.5)]
    (section,) = build(results).sections
    assert difference_rows(results_of(section, section.columns[0], results)) == []
