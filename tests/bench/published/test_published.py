"""The published figures: that every row can be traced, and that the files hold together."""

from pathlib import Path

import pytest

from bench import published
from bench.errors import BenchError
from bench.measures import Measure
from bench.published import FIELDS, Published
from bench.suites import SUITES, tasks

FIGURES = published.read_all()
PAPER = "https://arxiv.org/html/2509.25085v4"

# Means that do not fit their cells as printed; the rows' notes say so.
PRINTED_SO = {
    ("beir", "jina-embeddings-v5-text-small", "https://arxiv.org/abs/2607.18152 Table 6"),
    ("miracl", "mxbai-rerank-base-v2", "https://arxiv.org/abs/2607.18152 Table 7"),
    ("miracl", "jina-reranker-m0", f"{PAPER} Table 4"),
}


def units(suite: str) -> set[str]:
    """What counts once in the suite's mean."""
    return {task.group or task.name for task in tasks(suite) if task.default and not task.embedded}


def test_every_suite_has_its_file():
    """A folder of the user's own has one too, for TREC Deep Learning's topics, which are measured as one."""
    assert published.suites() == tuple(sorted((*SUITES, "folder")))
    assert {figure.suite for figure in FIGURES} == {*SUITES, "folder"}


def test_every_row_can_be_traced():
    for figure in FIGURES:
        assert figure.source.startswith("https://"), figure
        assert figure.first_stage, figure
        assert str(Measure.parse(figure.measure)) == figure.measure
        assert 0 <= figure.value <= 100
        assert figure.parameters_b is None or 0 < figure.parameters_b < 1000


def test_every_task_is_the_suites_own():
    assert {figure.task for figure in FIGURES if figure.suite == "folder"} == {f"dl{year}" for year in range(19, 24)}
    for figure in (each for each in FIGURES if each.suite != "folder"):
        known = {name for task in tasks(figure.suite) if not task.embedded for name in (task.name, task.group)}
        assert figure.task in known or figure.task.split(" of ")[0] == "mean", figure


def test_measures_are_those_of_the_tasks():
    """MKQA's papers say recall where a single passage with an answer is enough, which is `Success`."""
    assert {figure.measure for figure in FIGURES if figure.suite == "mkqa"} == {
        "Success@10",
        "Success@20",
        "Success@100",
    }
    for suite in SUITES:
        main = {task.measure for task in tasks(suite)}
        assert main & {figure.measure for figure in FIGURES if figure.suite == suite}


def test_means_are_those_of_their_cells():
    rows: dict[tuple[str, ...], dict[str, Published]] = {}
    for figure in (each for each in FIGURES if each.suite in SUITES):
        key = (figure.suite, figure.reranker, figure.source, figure.measure, figure.first_stage)
        rows.setdefault(key, {})[figure.task] = figure
    checked = 0
    for (suite, reranker, source, *_), row in rows.items():
        mean = row.get(f"mean of {len(units(suite))}")
        cells = [row[task].value for task in units(suite) if task in row]
        if mean is None or len(cells) < len(units(suite)):
            continue
        checked += 1
        off = abs(sum(cells) / len(cells) - mean.value)
        if (suite, reranker, source) in PRINTED_SO:
            assert off > 0.02
            assert "as printed" in mean.note
        else:
            assert off <= 0.02, (suite, reranker, source, off)
    assert checked == 62


@pytest.mark.parametrize(
    ("suite", "task", "reranker", "value"),
    [
        ("beir", "mean of 13", "jina-reranker-v3 (D)", 61.85),
        ("beir", "climate-fever", "jina-embeddings-v3", 42.33),
        ("miracl", "mean of 18", "jina-reranker-v3", 66.83),
        ("mkqa", "mean of 26", "jina-reranker-v3", 67.92),
        ("coir", "mean of 10", "jina-reranker-v3", 70.64),
    ],
)
def test_figures_of_the_paper(suite: str, task: str, reranker: str, value: float):
    found = {
        figure.value
        for figure in FIGURES
        if (figure.suite, figure.task, figure.reranker) == (suite, task, reranker) and figure.source.startswith(PAPER)
    }
    assert found == {value}


@pytest.mark.parametrize(
    ("suite", "task", "reranker", "first_stage", "value"),
    [
        ("folder", "dl19", "RankZephyr-7B", "BM25@100", 73.65),
        ("folder", "dl19", "RankZephyr-7B", "SPLADE++ED@100", 77.81),
        ("folder", "dl20", "FirstMistral-7B", "BM25@100", 70.43),
        ("beir", "nfcorpus", "RankQwen3-0.6B", "BM25@100", 36.41),
    ],
)
def test_figures_of_generative_rerankers(suite: str, task: str, reranker: str, first_stage: str, value: float):
    found = {figure.value for figure in FIGURES if (figure.suite, figure.task, figure.reranker, figure.first_stage)
             == (suite, task, reranker, first_stage)}  # fmt: skip
    assert value in found


def row(**changes: str) -> str:
    fields = dict.fromkeys(FIELDS, "") | {
        "suite": "toy", "task": "t", "reranker": "r", "parameters_b": "0.5", "measure": "nDCG@10", "value": "12.50",
        "first_stage": "bm25@100", "source": "https://example.org",
    }  # fmt: skip
    return ",".join((fields | changes).values())


def write(folder: Path, *rows: str) -> Path:
    path = folder / "toy.csv"
    path.write_text("\n".join([",".join(FIELDS), *rows]) + "\n", encoding="utf-8")
    return path


def test_reading_a_file(tmp_path: Path):
    path = write(tmp_path, row(), row(task="u", parameters_b="", note="odd"))
    assert published.read(path) == (
        Published("toy", "t", "r", 0.5, "nDCG@10", 12.5, "bm25@100", "https://example.org", ""),
        Published("toy", "u", "r", None, "nDCG@10", 12.5, "bm25@100", "https://example.org", "odd"),
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"value": "high"}, "line 2: 'high' is not a number from 0 to 100"),
        ({"value": "101"}, "line 2: '101' is not a number"),
        ({"value": "nan"}, "line 2: 'nan' is not a number"),
        ({"source": ""}, "line 2: source is missing"),
        ({"first_stage": ""}, "line 2: first_stage is missing"),
        ({"first_stage": "bm25"}, "line 2: first stage 'bm25' must read name@depth"),
        ({"suite": "beir"}, "line 2: suite 'beir' does not belong in toy.csv"),
        ({"measure": "accuracy"}, "Unknown measure 'accuracy'"),
        ({"note": "one,too many"}, "one too many"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, changes: dict[str, str], message: str):
    with pytest.raises(BenchError, match=message):
        published.read(write(tmp_path, row(**changes)))


def test_a_figure_that_stands_twice_and_foreign_columns_are_refused(tmp_path: Path):
    with pytest.raises(BenchError, match=r"line 3: r on t is given twice"):
        published.read(write(tmp_path, row(), row(value="13.00")))
    (tmp_path / "other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(BenchError, match="line 1: the columns must be"):
        published.read(tmp_path / "other.csv")


def figure(
    reranker: str, task: str, value: float, first_stage: str = "bm25@100", source: str = "https://a"
) -> Published:
    return Published("beir", task, reranker, None, "nDCG@10", value, first_stage, source, "")


def test_a_block_groups_by_first_stage_and_retrievers_alone_come_last():
    block = published.block(
        "beir",
        {"nq": "nDCG@10", "fiqa": "nDCG@10", "quora": "nDCG@10"},
        [
            figure("retriever", "nq", 1.0, published.ALONE),
            figure("one", "fiqa", 2.0),
            figure("two", "nq", 3.0, "dense@100"),
            figure("one", "nq", 4.0),
        ],
    )
    assert block is not None
    assert block.columns == ("nq", "fiqa")  # quora has no figures
    assert list(block.groups) == ["bm25@100", "dense@100", published.ALONE]
    assert [(each.reranker, each.values) for each in block.groups["bm25@100"]] == [("one", (4.0, 2.0))]
    assert block.groups["dense@100"][0].values == (3.0, None)


def test_a_block_leaves_out_what_only_repeats():
    block = published.block(
        "beir",
        {"nq": "nDCG@10", "fiqa": "nDCG@10"},
        [
            figure("one", "nq", 1.0, source="https://part"),
            figure("one", "nq", 1.0, source="https://whole"),
            figure("one", "fiqa", 2.0, source="https://whole"),
            figure("one", "nq", 9.0, source="https://other"),
            figure("one", "nq", 1.0, first_stage="dense@100", source="https://part"),
            figure("two", "nq", 5.0, source="https://a"),
            figure("two", "nq", 5.0, source="https://b"),
        ],
    )
    assert block is not None
    assert [(each.reranker, each.source) for each in block.groups["bm25@100"]] == [
        ("one", "https://whole"),
        ("one", "https://other"),
        ("two", "https://a"),
    ]
    assert len(block.groups["dense@100"]) == 1


def test_no_block_where_nothing_concerns_the_columns():
    assert published.block("beir", {"nq": "R@100"}, [figure("one", "nq", 1.0)]) is None
