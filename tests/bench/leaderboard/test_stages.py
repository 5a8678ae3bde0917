"""Means over first stages, worked out by hand: what they are over, and which rows have none."""

import pytest

from bench.errors import BenchError
from bench.leaderboard.board import build
from bench.leaderboard.layout import mean_note, page
from bench.render import render
from tests.bench.leaderboard.test_board import only, result, scores

NFCORPUS, SCIFACT = "beir/nfcorpus", "beir/scifact"
MEAN = "mean over 2 first stages"


def over(stage, task, reranker, *figures, **protocol):
    """A result over a first stage; its run and its candidates' texts differ from those of every other."""
    own = {"first_stage": stage, "first_stage_sha256": f"{stage} {task}", "texts": f"{stage} {task}"}
    return result(task, reranker, *figures, **own | protocol)


def averaged(*results):
    return only(build(results, average=True))


def test_every_first_stage_counts_the_same_and_of_each_the_mean_of_the_tasks():
    section = averaged(
        over("bm25", NFCORPUS, "a", 0.2, 0.4),
        over("bm25", SCIFACT, "a", 0.5, 0.5),
        over("dense:m", NFCORPUS, "a", 0.6, 0.6),
        over("dense:m", SCIFACT, "a", 0.9, 1.0),
    )
    column = section.columns[0]
    assert (column.name, column.label, column.kind) == (MEAN, "bm25@100, dense:m@100", "stages")
    assert column.over == ("nfcorpus", "scifact")
    assert scores(section, "a")[MEAN] == pytest.approx((0.3 + 0.5 + 0.6 + 0.95) / 4)
    assert [each.name for each in section.columns[1:3]] == ["mean of 2", "mean of 2"]
    assert len({each.protocol.id for each in section.columns if each.protocol}) == 4


def test_a_row_that_lacks_a_first_stage_is_marked_and_not_averaged():
    two_rows = [
        *(over(stage, NFCORPUS, "a", figure, figure) for stage, figure in (("bm25", 0.2), ("dense:m", 0.4))),
        over("bm25", NFCORPUS, "b", 0.9, 0.9),
    ]
    section = averaged(*two_rows)
    assert (scores(section, "a")[MEAN], scores(section, "b")[MEAN]) == (pytest.approx(0.3), None)
    assert [row.name for row in section.rows] == ["a", "b"]
    note = mean_note(section.columns[0], section)
    assert note.endswith(" queries). Not averaged, for lack of a first stage: b (dense:m@100).")
    assert "Not averaged, for lack of a first stage" in render(page(build(two_rows, average=True)), "markdown")


def test_a_task_that_a_row_lacks_over_one_of_its_first_stages_is_left_out_and_named():
    section = averaged(
        *(over(stage, task, "a", 0.5) for stage in ("bm25", "dense:m") for task in (NFCORPUS, SCIFACT)),
        *(over(stage, NFCORPUS, "b", 0.25) for stage in ("bm25", "dense:m")),
        over("bm25", SCIFACT, "b", 1.0),
    )
    column = section.columns[0]
    assert (column.over, column.without) == (("nfcorpus",), ("scifact",))
    assert scores(section, "b")[MEAN] == 0.25


def test_a_query_of_two_first_stages_counts_once():
    """Two first stages with the same figures tell no more than one: the interval is the same."""
    one = [over("bm25", NFCORPUS, "a", 0.1, 0.5, 0.9, 0.3), over("bm25", NFCORPUS, "b", 0.2, 0.5, 0.8, 0.1)]
    two = [over("dense:m", NFCORPUS, each.reranker.name, *each.per_query.values()) for each in one]
    alone, both = only(build(one)), averaged(*one, *two)
    for row, of_both in zip(alone.rows, both.rows, strict=True):
        assert of_both.cells[0].interval == pytest.approx(row.cells[0].interval)
        assert of_both.cells[0].differs == row.cells[0].differs


@pytest.mark.parametrize("other", [{"data": "other data"}, {"depth": 50}, {"max_doc_length": 9}])
def test_what_else_differs_is_not_averaged(other):
    with pytest.raises(BenchError, match="Nothing to average"):
        averaged(over("bm25", NFCORPUS, "a", 0.5), over("dense:m", NFCORPUS, "a", 0.5, **other))


def test_one_first_stage_is_nothing_to_average():
    with pytest.raises(BenchError, match="Nothing to average"):
        averaged(over("bm25", NFCORPUS, "a", 0.5), over("bm25", SCIFACT, "a", 0.5))


def test_two_runs_of_one_name():
    runs = [over("mine", NFCORPUS, "a", 0.5, first_stage_sha256=each, texts=each) for each in ("x", "y")]
    with pytest.raises(BenchError, match="two different runs called mine@100"):
        averaged(*runs, over("bm25", NFCORPUS, "a", 0.5))


def test_published_figures_are_not_under_it():
    from bench import published
    from bench.suites import tasks

    usual = [task.id for task in tasks("beir") if task.default and not task.embedded]
    results = [over(stage, task, "a", 0.5) for stage in ("bm25", "dense:m") for task in usual]
    section = only(build(results, average=True, figures=published.read_all()))
    assert section.columns[0].kind == "stages"
    assert section.published is None or MEAN not in section.published.columns
