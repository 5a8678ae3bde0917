"""The main table alone, as a paper needs it, and the marks of intervals in pages."""

import re

import pytest

from bench.leaderboard.board import build
from bench.leaderboard.layout import main_page, page
from bench.render import render
from bench.results import Result
from tests.bench.factories import figures_result, whole
from tests.conftest import ROOT, Call

FIGURES = [0.01 * n for n in range(40)]


def made(task: str, name: str, shift: float, family: str = "own") -> Result:
    return whole(figures_result({f"q{n}": figure + shift for n, figure in enumerate(FIGURES)}, task, name, family))


def test_latex_has_the_main_table_with_label_and_what_its_letters_mean():
    board = build([made("beir/nfcorpus", "a", 0.0), made("beir/nfcorpus", "b", 0.1)])
    text = render(main_page(board), "latex")
    assert re.findall(r"\\label\{(.*)\}", text) == ["tab:beir"]
    assert text.count(r"\begin{tabular}") == 1
    # A narrow table fits one of two columns.
    assert r"\begin{table}" in text and r"\begin{table*}" not in text
    assert "Letters name the rows from which a figure differs significantly" in text


def test_latex_gives_costs_and_protocols_tables_and_labels_of_their_own():
    board = build([made("beir/nfcorpus", "a", 0.0), made("beir/nfcorpus", "b", 0.1)])
    labels = re.findall(r"\\label\{tab:(.*)\}", render(page(board), "latex"))
    assert labels[0] == "beir"
    assert {re.sub(r"-\d+$", "", label) for label in labels[1:]} == {"beir-costs", "beir-protocols"}
    assert len(set(labels)) == len(labels)


def test_a_wide_main_table_is_cut_and_each_piece_has_its_label():
    names = ["arguana", "climate-fever", "dbpedia-entity", "fever", "fiqa", "hotpotqa", "nfcorpus", "nq", "quora"]
    board = build([made(f"beir/{task}", name, 0.1) for task in names for name in ("a", "b")])
    text = render(main_page(board), "latex")
    labels = re.findall(r"\\label\{tab:(.*)\}", text)
    assert labels == [f"beir-{number}" for number in range(1, len(labels) + 1)] and len(labels) > 1
    assert r"\begin{table*}" in text


def test_random_orders_do_not_stretch_the_marks_of_intervals():
    results = [
        made("beir/nfcorpus", "first-stage", 0.0, "order-only"),
        made("beir/nfcorpus", "random", 0.5, "order-only"),
        made("beir/nfcorpus", "model", 0.1),
    ]
    drawn = re.findall(r'<circle cx="([\d.]+)"', render(page(build(results)), "html"))
    # One mark, the model's; its interval ends at the edge of the scale, so that the mark is right of the middle, 60.
    assert len(drawn) == 1 and float(drawn[0]) > 100


def test_the_command_refuses_main_where_a_format_has_everything(refused: Call):
    assert "--main is for pages, and csv has all figures" in refused(
        "leaderboard", ROOT / "results" / "embedded" / "coir", "--main", "--format", "csv"
    )


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_other_formats_have_the_main_table_too(form: str):
    text = render(main_page(build([made("beir/nfcorpus", "a", 0.0)])), form)
    assert "nDCG@10" in text and "protocol of each column" not in text
