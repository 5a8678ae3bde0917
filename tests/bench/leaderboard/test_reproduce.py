"""The paper's figures and ours."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.leaderboard.columns import Table, arrange
from bench.leaderboard.reproduce import Reproduction, paper
from bench.leaderboard.reproduce_page import commands_page, page
from bench.render import render
from bench.results import Candidates, Result
from bench.suites import tasks
from tests.bench.factories import figures_result, keep, whole
from tests.conftest import Call

STAGE = "jina-embeddings-v3"


PUBLISHED = {"beir/nfcorpus": 36.65, "beir/scifact": 72.40, "miracl/sw": 54.07}
"""What the paper says that jina-embeddings-v3 itself scores."""


def result(
    task: str,
    reranker: str,
    figure: float,
    first_stage: str = STAGE,
    scores: float | None = None,
    **protocol: str | int,
) -> Result:
    """A result over all queries of its task; ``scores`` is its first stage's own figure, the paper's if not given."""
    made = figures_result({"q1": figure}, task, reranker, first_stage=first_stage, **protocol)
    made = made if "queries" in protocol else whole(made)
    own = PUBLISHED.get(task, 0.0) if scores is None else scores
    return replace(made, candidates=Candidates(first_stage=own / 100, ceiling=1.0, recall=1.0))


def one(results: list[Result], suite: str, task: str, reranker: str, table: str = "") -> Reproduction:
    (row,) = [
        row
        for row in paper(results)
        if (row.figure.suite, row.figure.task, row.figure.reranker) == (suite, task, reranker) and table in row.table
    ]
    return row


def test_the_papers_tables_are_all_there():
    rows = paper([])
    assert {(row.table, row.figure.suite) for row in rows} == {
        ("Table 2", "beir"),
        ("Table 2", "miracl"),
        ("Table 2", "mkqa"),
        ("Table 2", "coir"),
        ("Table 3", "beir"),
        ("Table 4", "miracl"),
    }
    assert len(rows) == 12 * 14 + 9 * 19 + 9 * 4
    assert all(row.measured is None for row in rows)
    assert all(row.commands or row.obstacle for row in rows)


def test_a_figure_under_the_papers_protocol():
    row = one([result("beir/nfcorpus", "jina-reranker-v3", 0.38)], "beir", "nfcorpus", "jina-reranker-v3 (D)")
    assert (row.figure.value, row.measured) == (37.66, pytest.approx(38.0))
    assert (row.disagreements, row.missing, row.obstacle) == ((), (), "")


@pytest.mark.parametrize("stage", ["dense:jinaai_jina-embeddings-v3", "dense:jinaai/jina-embeddings-v3", STAGE.upper()])
def test_the_first_stage_is_known_by_the_last_part_of_its_name(stage: str):
    row = one([result("miracl/sw", "jina-reranker-v3", 0.6, stage)], "miracl", "sw", "jina-reranker-v3")
    assert row.disagreements == ()


def test_what_differs_from_the_papers_protocol_is_named():
    made = result("beir/nfcorpus", "jina-reranker-v3", 0.38, "bm25", depth=50, query_subset="by hash", queries=10)
    row = one([made], "beir", "nfcorpus", "jina-reranker-v3 (D)")
    assert row.disagreements == ("first stage bm25", "depth 50", "10 of 323 queries")
    other = one([result("beir/nfcorpus", "jina-reranker-v3", 0.3, "jina-embeddings-v3.5")], "beir", "nfcorpus",
                "jina-reranker-v3 (D)")  # fmt: skip
    assert other.disagreements == ("first stage jina-embeddings-v3.5",)


@pytest.mark.parametrize("scores", [36.6451, 36.65, 36.6549])
def test_a_first_stage_that_scores_what_the_papers_scores_is_the_papers(scores: float):
    made = result("beir/nfcorpus", "jina-reranker-v3", 0.38, scores=scores)
    assert one([made], "beir", "nfcorpus", "jina-reranker-v3 (D)").disagreements == ()


@pytest.mark.parametrize(("scores", "shown"), [(31.81, "31.81"), (36.64, "36.64"), (36.66, "36.66")])
def test_a_run_that_only_bears_the_name_of_the_papers_first_stage_is_another(scores: float, shown: str):
    made = result("beir/nfcorpus", "jina-reranker-v3", 0.38, scores=scores)
    row = one([made], "beir", "nfcorpus", "jina-reranker-v3 (D)")
    assert row.disagreements == (f"first stage scores {shown} on nfcorpus, the paper's 36.65",)
    assert row.missing == ("beir/nfcorpus",)


def test_a_mean_over_a_first_stage_that_only_bears_the_name_is_another():
    codes = [task.id for task in tasks("coir") if task.default and not task.embedded]
    results = [result(task, "jina-reranker-v3", 0.5, "jina-code-embeddings-0.5b", scores=33.7) for task in codes]
    row = one(results, "coir", "mean of 10", "jina-reranker-v3")
    assert row.disagreements == ("first stage scores 33.70 on mean of 10, the paper's 73.94",)
    assert len(row.missing) == len(codes)


def test_a_mean_agrees_where_the_first_stage_agrees_on_every_task():
    published_ones = {
        f"beir/{row.figure.task}": row.figure.value
        for row in paper([])
        if row.figure.reranker == STAGE and row.figure.suite == "beir"
    }
    results = [
        result(task.id, "jina-reranker-v3", 0.5, scores=published_ones[task.id] - 0.0049)
        for task in tasks("beir")
        if task.default and not task.embedded
    ]
    assert one(results, "beir", "mean of 13", "jina-reranker-v3 (D)").disagreements == ()
    renamed = replace(results[1], candidates=replace(results[1].candidates, first_stage=0.3181))
    row = one([results[0], renamed, *results[2:]], "beir", "mean of 13", "jina-reranker-v3 (D)")
    assert row.disagreements == ("first stage scores 31.81 on nfcorpus, the paper's 36.65",)


def test_the_nearest_protocol_is_taken():
    results = [
        result("beir/nfcorpus", "jina-reranker-v3", 0.1, "bm25"),
        result("beir/nfcorpus", "jina-reranker-v3", 0.2),
        result("beir/nfcorpus", "jina-reranker-v3", 0.3, depth=50),
    ]
    assert one(results, "beir", "nfcorpus", "jina-reranker-v3 (D)").measured == pytest.approx(20.0)


def test_the_first_stage_itself_is_measured_by_keeping_its_order_and_by_no_other_stages():
    own = one([result("beir/nfcorpus", "first-stage", 0.36)], "beir", "nfcorpus", STAGE)
    assert own.measured == pytest.approx(36.0)
    other = one([result("beir/nfcorpus", "first-stage", 0.32, "bm25")], "beir", "nfcorpus", STAGE)
    assert other.measured is None
    assert other.commands == (
        "python -m bench beir nfcorpus -r first-stage --first-stage jina-embeddings-v3/beir/nfcorpus.trec --depth 100",
    )


def test_a_model_is_known_by_the_last_part_of_its_name_but_not_in_a_fusion():
    hub = result("beir/nfcorpus", "cross-encoder:BAAI/bge-reranker-v2-m3", 0.4)
    assert one([hub], "beir", "nfcorpus", "bge-reranker-v2-m3").measured == pytest.approx(40.0)
    fused = replace(hub, reranker=replace(hub.reranker, family="fusion"))
    assert one([fused], "beir", "nfcorpus", "bge-reranker-v2-m3").measured is None


def test_a_mean_needs_all_its_tasks():
    languages = [task.id for task in tasks("mkqa") if task.default and not task.embedded]
    results = [result(task, "jina-reranker-v3", 0.5, scores=65.63, measure="Success@10") for task in languages]
    results = [replace(each, measures={"Success@10": 0.5}) for each in results]
    whole = one(results, "mkqa", "mean of 26", "jina-reranker-v3")
    assert (whole.measured, whole.disagreements) == (pytest.approx(50.0), ())
    part = one(results[1:], "mkqa", "mean of 26", "jina-reranker-v3")
    assert (part.measured, part.missing) == (None, ("mkqa/ar",))
    assert part.commands == (
        "python -m bench mkqa ar -r jina-reranker-v3 --first-stage jina-embeddings-v3/mkqa/ar.trec --depth 100",
    )


def test_coirs_mean_counts_each_language_group_once():
    codes = [task for task in tasks("coir") if task.default and not task.embedded]
    results = [
        result(task.id, "jina-reranker-v3", 1.0 if task.group else 0.5, "jina-code-embeddings-0.5b", scores=73.94)
        for task in codes
    ]
    row = one(results, "coir", "mean of 10", "jina-reranker-v3")
    assert row.measured == pytest.approx(100 * (2 * 1.0 + 8 * 0.5) / 10)
    assert row.disagreements == ()
    # The leaderboard and the table after a run have the same mean, by the same columns.
    table = Table(results)
    mean = next(column for column in arrange("coir", table) if column.kind == "mean")
    assert 100 * (table.figure(mean, table.keys[0]) or 0) == pytest.approx(row.measured)


def test_what_cannot_be_measured_says_why():
    for reranker, reason in (
        ("jina-reranker-v3 (A)", "another order"),
        ("jina-reranker-m0", "no such row"),
    ):
        row = one([], "beir", "nfcorpus", reranker)
        assert reason in row.obstacle
        assert (row.measured, row.commands) == (None, ())


def test_text_shows_figures_commands_and_obstacles():
    results = [
        result("beir/nfcorpus", "jina-reranker-v3", 0.38),
        result("beir/scifact", "jina-reranker-v3", 0.7, "bm25"),
    ]
    text = render(page(paper(results)), "text")
    assert "Of 375 figures 2 are measured, 1 of them under the paper's protocol." in text
    lines = [line.split() for line in text.splitlines()]
    assert ["nfcorpus", "jina-reranker-v3", "(D)", "37.66", "38.00", "+0.34", "the", "same"] in lines
    assert ["scifact", "jina-reranker-v3", "(D)", "76.51", "70.00", "-6.51", "first", "stage", "bm25"] in lines
    assert "Table 3, beir: nDCG@10 over jina-embeddings-v3@100" in text
    assert "    python -m bench reproduce paper --run\n" in text
    rest = [line.split() for line in text[text.index("Not yet measured") :].splitlines()]
    assert ["beir", "jina-embeddings-v3@100", "13", "9", "yes"] in rest
    assert ["coir", "jina-code-embeddings-0.5b@100", "20", "8", "no"] in rest
    assert len(text.splitlines()) < 60
    commands = render(commands_page(paper(results)), "text")
    assert "    python -m bench beir nfcorpus -r first-stage -r jina-colbert-v2" in commands
    assert commands.count("python -m bench ") == 13 + 18 + 26 + 20
    assert "- jina-reranker-m0: there is no such row among the rerankers" in text


def test_text_without_results_has_no_table():
    text = render(page(paper([])), "text")
    assert "Of 375 figures 0 are measured" in text
    assert "Published and measured" not in text


def test_nothing_is_left_to_print_a_command_for():
    row = one([result("beir/nfcorpus", "jina-reranker-v3", 0.38)], "beir", "nfcorpus", "jina-reranker-v3 (D)")
    assert "Nothing to measure" in render(commands_page([row]), "text")
    assert "--run" not in render(page([row]), "text")


def test_out_is_read_where_no_folder_is_given(bench: Call, tmp_path: Path):
    nothing = bench("reproduce", "paper")
    assert nothing.returncode == 0
    assert "Of 375 figures 0 are measured" in nothing.stdout
    assert "out does not exist" in nothing.stderr
    keep(tmp_path / "here" / "out", result("beir/nfcorpus", "jina-reranker-v3", 0.38, "bm25", queries=1))
    found = bench("reproduce", "paper")
    assert (found.returncode, found.stderr) == (0, "")
    assert "python -m bench mkqa" not in found.stdout
    assert "Of 375 figures 1 are measured, 0 of them under the paper's protocol." in found.stdout
    commands = bench("reproduce", "paper", "--suite", "mkqa", "--commands")
    assert (commands.returncode, commands.stdout.count("python -m bench mkqa")) == (0, 26)
