"""The leaderboard's figures, worked out by hand on results of a few queries."""

import csv
import io
from dataclasses import replace

import pytest

from bench import published
from bench.errors import BenchError
from bench.leaderboard.board import Leaderboard, Section, build
from bench.leaderboard.export import as_csv
from bench.leaderboard.flat import row
from bench.leaderboard.layout import page
from bench.render import render
from bench.results import Candidates, Latency, Parallel, Result, read_result, result_paths
from bench.suites import find, tasks
from tests.bench.factories import figures_result, whole
from tests.conftest import ROOT

MANY = 60


def result(
    task: str, reranker: str, *figures: float, candidates: tuple[float, float] = (0.25, 0.8), **protocol: str | int
) -> Result:
    """A result whose queries have these figures; ``candidates`` are the first stage's figure and the ceiling."""
    made = figures_result({f"q{n}": figure for n, figure in enumerate(figures)}, task, reranker, **protocol)
    return replace(made, candidates=Candidates(*candidates, recall=0.5))


def oracle(task: str, *figures: float) -> Result:
    made = result(task, "oracle", *figures)
    return replace(made, reranker=replace(made.reranker, family="order-only", needs=frozenset({"grades"})))


def only(board: Leaderboard) -> Section:
    (section,) = board.sections
    return section


def scores(section: Section, reranker: str) -> dict[str, float | None]:
    row = next(row for row in section.rows if row.name == reranker)
    return {
        column.name: round(cell.score, 6) if cell else None
        for column, cell in zip(section.columns, row.cells, strict=True)
    }


def test_mean_is_of_the_tasks_and_not_of_the_queries():
    section = only(build([result("beir/nfcorpus", "a", 1.0, 0.0), result("beir/scifact", "a", 0.2, 0.2, 0.2, 0.2)]))
    assert scores(section, "a") == {"mean of 2": 0.35, "nfcorpus": 0.5, "scifact": 0.2}
    assert section.columns[0].over == ("nfcorpus", "scifact")


def test_a_group_counts_once():
    section = only(
        build(
            [
                result("beir/nfcorpus", "a", 0.4),
                result("beir/cqadupstack-android", "a", 0.1),
                result("beir/cqadupstack-unix", "a", 0.3),
            ]
        )
    )
    assert scores(section, "a") == {
        "mean of 2": 0.3,
        "nfcorpus": 0.4,
        "cqadupstack (2 of 12)": 0.2,
        "cqadupstack-android": 0.1,
        "cqadupstack-unix": 0.3,
    }


def test_a_whole_group_has_its_own_name_and_one_forum_alone_is_a_task():
    forums = [task.id for task in tasks("beir") if task.group == "cqadupstack"]
    assert len(forums) == 12
    whole = only(build([result(task, "a", 0.5) for task in forums]))
    assert [column.name for column in whole.columns if column.kind == "group"] == ["cqadupstack"]
    one = only(build([result("beir/nfcorpus", "a", 0.4), result("beir/cqadupstack-unix", "a", 0.2)]))
    assert scores(one, "a") == {"mean of 2": 0.3, "nfcorpus": 0.4, "cqadupstack-unix": 0.2}


def test_a_hole_is_shown_and_left_out_of_every_rows_mean():
    section = only(
        build(
            [
                *(result(f"beir/{task}", "a", figure) for task, figure in (("nfcorpus", 0.2), ("scifact", 0.4))),
                *(result(f"beir/{task}", "b", figure) for task, figure in (("nfcorpus", 0.6), ("scifact", 0.6))),
                result("beir/arguana", "a", 0.9),
            ]
        )
    )
    assert scores(section, "a") == {"mean of 2": 0.3, "nfcorpus": 0.2, "arguana": 0.9, "scifact": 0.4}
    assert scores(section, "b") == {"mean of 2": 0.6, "nfcorpus": 0.6, "arguana": None, "scifact": 0.6}
    assert section.columns[0].without == ("arguana",)


def test_a_hole_in_a_group_leaves_that_task_out_of_the_group():
    section = only(
        build(
            [
                result("beir/cqadupstack-android", "a", 0.1),
                result("beir/cqadupstack-unix", "a", 0.3),
                result("beir/cqadupstack-tex", "a", 0.8),
                result("beir/cqadupstack-android", "b", 0.2),
                result("beir/cqadupstack-unix", "b", 0.2),
            ]
        )
    )
    group = next(column for column in section.columns if column.kind == "group")
    assert (group.name, group.without) == ("cqadupstack (2 of 12)", ("cqadupstack-tex",))
    assert scores(section, "a")["cqadupstack (2 of 12)"] == 0.2


def test_no_mean_where_no_two_tasks_are_shared():
    section = only(build([result("beir/nfcorpus", "a", 0.2), result("beir/scifact", "b", 0.4)]))
    assert [column.name for column in section.columns] == ["nfcorpus", "scifact"]


def test_gain_share_and_judged():
    made = result("beir/nfcorpus", "a", 0.6, 0.2, candidates=(0.3, 0.8))
    made = replace(made, measures={**made.measures, "judged@10": 0.75})
    cell = only(build([made])).rows[0].cells[0]
    assert cell is not None
    assert cell.gain == pytest.approx(0.1)
    assert cell.share == pytest.approx(0.5)
    assert cell.judged == 0.75
    assert cell.gain_interval is None  # the first stage's figures of each query are not known


def test_no_share_of_a_ceiling_of_0_and_no_judged_where_it_was_not_measured():
    cell = only(build([result("beir/nfcorpus", "a", 0.0, candidates=(0.0, 0.0))])).rows[0].cells[0]
    assert cell is not None
    assert (cell.share, cell.judged) == (None, None)


def test_mean_of_gains_and_shares():
    section = only(
        build(
            [
                result("beir/nfcorpus", "a", 0.4, candidates=(0.2, 0.5)),
                result("beir/scifact", "a", 0.8, candidates=(0.7, 1.0)),
            ]
        )
    )
    cell = section.rows[0].cells[0]
    assert cell is not None
    assert (cell.score, cell.gain, cell.share) == pytest.approx((0.6, 0.15, 0.8))


def test_gain_interval_is_of_paired_differences():
    first = [0.01 * n for n in range(MANY)]
    better = [figure + 0.1 for figure in first]
    section = only(build([result("beir/nfcorpus", "first-stage", *first), result("beir/nfcorpus", "a", *better)]))
    row, stage = section.rows
    assert row.cells[0] is not None
    assert row.cells[0].gain_interval == pytest.approx((0.1 - 0.016816, 0.1 + 0.016816), abs=1e-6)
    low, high = row.cells[0].interval
    assert low < row.cells[0].score < high
    assert stage.cells[0] is not None
    assert stage.cells[0].gain_interval is None


def test_marks_best_and_second_by_what_is_printed():
    section = only(
        build(
            [
                result("beir/nfcorpus", "a", 0.5),
                result("beir/nfcorpus", "b", 0.500004),
                result("beir/nfcorpus", "c", 0.4),
                result("beir/nfcorpus", "d", 0.3),
                oracle("beir/nfcorpus", 0.9),
            ]
        )
    )
    marks = {row.name: cell.mark for row in section.rows if (cell := row.cells[0])}
    assert marks == {"b": "best", "a": "best", "c": "second", "d": "", "oracle": ""}
    assert [row.name for row in section.rows] == ["b", "a", "c", "d", "oracle"]
    assert [row.letter for row in section.rows] == ["a", "b", "c", "d", ""]


def test_a_single_competitor_is_not_the_best_of_anything():
    section = only(build([result("beir/nfcorpus", "a", 0.5), oracle("beir/nfcorpus", 0.9)]))
    assert [cell.mark for row in section.rows if (cell := row.cells[0])] == ["", ""]


def test_letters_name_the_rows_that_differ():
    low = [0.3 + 0.001 * (n % 7) for n in range(MANY)]
    near = [figure + (0.01 if n % 2 else -0.01) for n, figure in enumerate(low)]
    high = [figure + 0.3 for figure in low]
    section = only(
        build(
            [
                result("beir/nfcorpus", "low", *low),
                result("beir/nfcorpus", "near", *near),
                result("beir/nfcorpus", "high", *high),
                oracle("beir/nfcorpus", *[1.0] * MANY),
            ]
        )
    )
    differs = {row.name: (row.letter, cell.differs) for row in section.rows if (cell := row.cells[0])}
    assert differs["high"] == ("a", ("b", "c"))
    assert {differs["low"][1], differs["near"][1]} == {("a",)}
    assert differs["oracle"] == ("", ())


def test_letters_are_the_tables_where_a_row_has_a_hole():
    low, high = [0.2] * MANY, [0.7] * MANY
    section = only(
        build(
            [
                result("beir/nfcorpus", "best", *[0.9] * MANY),
                result("beir/nfcorpus", "low", *low),
                result("beir/nfcorpus", "high", *high),
                result("beir/scifact", "low", *low),
                result("beir/scifact", "high", *high),
            ]
        )
    )
    scifact = [column.name for column in section.columns].index("scifact")
    differs = {row.name: (row.letter, cell.differs) for row in section.rows if (cell := row.cells[scifact])}
    assert differs == {"high": ("b", ("c",)), "low": ("c", ("b",))}


def test_two_protocols_of_a_task_are_refused_naming_what_differs():
    results = [
        result("beir/nfcorpus", "a", 0.5),
        result("beir/nfcorpus", "a", 0.6, first_stage="splade", first_stage_sha256="22"),
    ]
    with pytest.raises(BenchError) as caught:
        build(results)
    message = str(caught.value)
    assert "beir/nfcorpus was measured under 2 protocols" in message
    assert "first_stage: 'bm25' and 'splade'" in message
    assert "first_stage_sha256: '11' and '22'" in message
    assert "--first-stage (bm25@100, splade@100)" in message
    assert "--mixed" in message


@pytest.mark.parametrize("choice", ["splade", "splade@100"])
def test_a_first_stage_chooses_its_results(choice: str):
    section = only(
        build([result("beir/nfcorpus", "a", 0.5), result("beir/nfcorpus", "a", 0.6, first_stage="splade")], choice)
    )
    assert scores(section, "a") == {"nfcorpus": 0.6}


def test_a_first_stage_that_nobody_used_is_refused_naming_those_there_are():
    with pytest.raises(BenchError, match=r"'colbert'\. There are: bm25@100"):
        build([result("beir/nfcorpus", "a", 0.5)], "colbert")
    with pytest.raises(BenchError, match="none at all"):
        build([])


@pytest.mark.parametrize(
    ("more", "said"),
    [((), "more task"), (("scifact",), "So was 1 more task."), (("scifact", "fiqa"), "So were 2 more tasks.")],
)
def test_further_tasks_of_several_protocols_are_counted(more: tuple[str, ...], said: str):
    results = [result(f"beir/{task}", "a", 0.5, depth=n) for task in ("nfcorpus", *more) for n in (10, 20)]
    with pytest.raises(BenchError) as caught:
        build(results)
    assert (said in str(caught.value)) is bool(more)


def test_mixed_protocols_stand_side_by_side_each_marked():
    section = only(
        build(
            [
                result(f"beir/{task}", "a", figure, first_stage=stage)
                for task, stage, figure in (
                    ("nfcorpus", "bm25", 0.2), ("nfcorpus", "splade", 0.4),
                    ("scifact", "bm25", 0.6), ("scifact", "splade", 0.8),
                )
            ],
            mixed=True,
        )
    )  # fmt: skip
    found = {
        (column.name, column.label): cell.score
        for column, cell in zip(section.columns, section.rows[0].cells, strict=True)
        if cell
    }
    assert found == pytest.approx(
        {
            ("mean of 2", "bm25@100"): 0.4,
            ("mean of 2", "splade@100"): 0.6,
            ("nfcorpus", "bm25@100"): 0.2,
            ("nfcorpus", "splade@100"): 0.4,
            ("scifact", "bm25@100"): 0.6,
            ("scifact", "splade@100"): 0.8,
        }
    )


def test_mixed_protocols_stand_in_one_order_under_every_task():
    depths = (100, 50, 20, 10)
    names = ("nfcorpus", "scifact", "arguana", "fiqa")
    section = only(build([result(f"beir/{task}", "a", 0.5, depth=n) for n in depths for task in names], mixed=True))
    labels = [column.label for column in section.columns]
    assert labels == ["bm25@10", "bm25@20", "bm25@50", "bm25@100"] * 5


def test_mixed_protocols_over_one_first_stage_are_told_apart():
    section = only(build([result("beir/nfcorpus", "a", 0.5, max_doc_length=cap) for cap in (512, 2048)], mixed=True))
    assert sorted(column.label for column in section.columns) == ["bm25@100 #1", "bm25@100 #2"]


def test_one_task_over_two_versions_of_its_data_has_no_part_in_a_mean():
    section = only(
        build(
            [
                result("beir/nfcorpus", "a", 0.5),
                result("beir/nfcorpus", "a", 0.5, data="changed"),
                result("beir/scifact", "a", 0.5),
            ],
            mixed=True,
        )
    )
    assert {column.kind for column in section.columns} == {"task"}
    assert len({(column.name, column.label) for column in section.columns}) == 3


def test_tasks_over_different_first_stages_share_no_mean():
    section = only(build([result("beir/nfcorpus", "a", 0.5), result("beir/scifact", "a", 0.5, first_stage="splade")]))
    assert [(column.name, column.label) for column in section.columns] == [
        ("nfcorpus", "bm25@100"),
        ("scifact", "splade@100"),
    ]


def test_a_reranker_that_stands_twice_with_different_figures_is_refused():
    message = (
        r"a has two results on beir/nfcorpus under the protocol bm25@100-\w+, with different figures: 50.00 and 60.00"
    )
    with pytest.raises(BenchError, match=message):
        build([result("beir/nfcorpus", "a", 0.5), result("beir/nfcorpus", "a", 0.6)])


def test_a_result_that_two_folders_hold_counts_once():
    one = result("beir/nfcorpus", "a", 0.5)
    again = replace(one, cost=replace(one.cost, seconds=9.0), provenance={"time": "later"})
    others = [result("beir/scifact", "a", 0.1), result("beir/nfcorpus", "b", 0.2), result("beir/scifact", "b", 0.2)]
    section = only(build([one, again, *others]))
    assert scores(section, "a") == {"mean of 2": 0.3, "nfcorpus": 0.5, "scifact": 0.1}
    assert section.rows[0].cost.seconds == 2.0  # the same measurement is not paid twice


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ([{"dtype": "float32"}, {"dtype": "bfloat16"}], ["a (precision bfloat16)", "a (precision float32)"]),
        ([{"settings": {"seed": 1}}, {"settings": {"seed": 2}}], ["a (seed 2)", "a (seed 1)"]),
        ([{"device": "cpu"}, {"device": "cuda"}], ["a (device cuda)", "a (device cpu)"]),
        ([{"dtype": "float32"}, {"dtype": ""}], ["a (1dead0)", "a (precision float32, 0dead0)"]),
        (
            [
                {"device": "cpu", "dtype": "half"},
                {"device": "cuda", "dtype": "half"},
                {"device": "cpu", "dtype": "full"},
            ],
            ["a (precision full, device cpu)", "a (precision half, device cuda)", "a (precision half, device cpu)"],
        ),
    ],
)
def test_rerankers_of_one_name_are_told_apart_by_the_setting_that_differs(
    changes: list[dict[str, object]], names: list[str]
):
    results = [result("beir/nfcorpus", "a", 0.1 * n) for n in range(len(changes))]
    cards = [replace(each.reranker, fingerprint=f"{n}dead0") for n, each in enumerate(results)]
    made = [
        replace(each, reranker=replace(card, **change))
        for each, card, change in zip(results, cards, changes, strict=True)
    ]
    assert [row.name for row in only(build(made)).rows] == names


def test_one_checkpoint_on_two_devices_has_a_row_each():
    made = [result("beir/nfcorpus", "a", figure) for figure in (0.5, 0.6)]
    made = [
        replace(each, reranker=replace(each.reranker, device=device))
        for each, device in zip(made, ("cpu", "cuda"), strict=True)
    ]
    assert [row.name for row in only(build(made)).rows] == ["a (device cuda)", "a (device cpu)"]


def test_two_states_of_a_reranker_have_a_row_each():
    one, other = result("beir/nfcorpus", "a", 0.5), result("beir/nfcorpus", "a", 0.6)
    one = replace(one, reranker=replace(one.reranker, fingerprint="0011223344"))
    other = replace(other, reranker=replace(other.reranker, fingerprint="5566778899"))
    assert [row.name for row in only(build([one, other])).rows] == ["a (55667788)", "a (00112233)"]


def test_other_queries_under_the_same_protocol_are_refused():
    changed = replace(result("beir/nfcorpus", "b", 0.5, 0.5), per_query={"q0": 0.5, "other": 0.5})
    with pytest.raises(BenchError, match="b on beir/nfcorpus was measured on other queries"):
        build([result("beir/nfcorpus", "a", 0.5, 0.5), changed])


SUBSET = "by hash of the id"


def test_tasks_over_a_part_of_their_queries_have_a_mean_with_those_that_have_no_more():
    section = only(
        build(
            [
                result("beir/trec-covid", "a", 0.2, queries=50),
                result("beir/nfcorpus", "a", 0.6, queries=50, query_subset=SUBSET),
            ]
        )
    )
    assert scores(section, "a") == {"mean of 2": 0.4, "trec-covid": 0.2, "nfcorpus": 0.6}
    assert [(column.queries, column.partial) for column in section.columns] == [
        ("", True), ("50 queries", False), ("50 of 323 queries", True)
    ]  # fmt: skip


def test_a_task_over_two_parts_of_its_queries_has_a_part_in_two_means():
    results = [
        result(f"beir/{task}", "a", figure, queries=queries, query_subset=subset)
        for task, figure, queries, subset in (
            ("nfcorpus", 0.2, 323, "all"), ("nfcorpus", 0.4, 50, SUBSET),
            ("scifact", 0.6, 300, "all"), ("scifact", 0.8, 50, SUBSET),
        )
    ]  # fmt: skip
    section = only(build(results, mixed=True, figures=[figure("nfcorpus", 37.0), figure("mean", 50.0)]))
    means = {
        column.partial: cell.score
        for column, cell in zip(section.columns, section.rows[0].cells, strict=True)
        if column.kind == "mean" and cell
    }
    assert means == pytest.approx({False: 0.4, True: 0.6})


def test_no_published_figure_stands_under_a_part_of_the_queries():
    figures = [figure("nfcorpus", 37.0), figure("scifact", 76.0)]
    part = result("beir/scifact", "a", 0.5, queries=50, query_subset=SUBSET)
    section = only(build([whole(result("beir/nfcorpus", "a", 0.5)), part], figures=figures))
    assert section.published is not None
    assert section.published.columns == ("nfcorpus",)
    assert only(build([part], figures=figures)).published is None
    fewer = result("beir/scifact", "a", 0.5, queries=299)  # whatever the file says of its subset
    assert only(build([fewer], figures=figures)).published is None


def test_kept_results_have_a_mean_wherever_their_tasks_share_the_conditions():
    results = [read_result(path) for path in result_paths([ROOT / "results"])]
    found: dict[tuple[str, bool], set[str]] = {}
    for each in results:
        task = find(each.task)
        found.setdefault((each.task.partition("/")[0], task is not None and task.embedded), set()).add(each.task)
    means = {
        (section.suite, section.embedded): sum(len(column.over) for column in columns)
        for section in build(results, mixed=True).sections
        if (columns := [column for column in section.columns if column.kind == "mean"])
    }
    assert means == {key: len(of_section) for key, of_section in found.items() if len(of_section) > 1}
    assert len(means) >= 3


def test_suites_and_their_embedded_samples_have_sections_of_their_own():
    results = [
        result("folder/mine", "a", 0.5),
        result("coir/cosqa", "a", 0.5),
        result("beir/nfcorpus", "a", 0.5),
        result("beir/embedded-claims", "a", 0.5),
    ]
    assert [(section.suite, section.embedded) for section in build(results).sections] == [
        ("beir", False),
        ("beir", True),
        ("coir", False),
        ("folder", False),
    ]


def test_the_order_of_the_results_does_not_matter():
    results = [
        result(f"beir/{task}", name, figure, 0.3)
        for task in ("scifact", "nfcorpus")
        for name, figure in (("a", 0.4), ("b", 0.2))
    ]
    assert build(results) == build(results[::-1])


def test_cost_adds_up_over_tasks():
    first, second = result("beir/nfcorpus", "a", 0.5), result("beir/scifact", "a", 0.5)
    first = replace(first, cost=replace(first.cost, documents=300, seconds=2.0, tokens=900, peak_memory_bytes=7))
    second = replace(second, cost=replace(second.cost, documents=100, seconds=2.0, tokens=100, peak_memory_bytes=9))
    cost = only(build([first, second])).rows[0].cost
    assert cost.documents_per_second == 100
    assert cost.tokens_per_second == 250
    assert cost.peak_memory_bytes == 0  # on a CPU, the process's high-water mark is not the reranker's
    on_gpu = [replace(each, cost=replace(each.cost, device="cuda:0")) for each in (first, second)]
    assert only(build(on_gpu)).rows[0].cost.peak_memory_bytes == 9
    free = replace(first, cost=replace(first.cost, seconds=0.0))
    assert only(build([free])).rows[0].cost.documents_per_second is None


def test_latency_and_workers_are_told_with_the_costs():
    first, second = result("beir/nfcorpus", "a", 0.5), result("beir/scifact", "a", 0.5)
    plain = render(page(build([first])), "markdown")
    assert "s/list" not in plain
    assert "documents/s is" not in plain
    first = replace(first, cost=replace(first.cost, latency=Latency(50, 1.0, 3.0), parallel=Parallel(3, 1.0, 2.0)))
    second = replace(second, cost=replace(second.cost, latency=Latency(10, 2.0, 4.0)))
    board = build([first, second])
    assert only(board).rows[0].cost.latency == Latency(60, 1.5, 3.5)
    shown = render(page(board), "markdown")
    assert "tokens/s | s/list<br>p50 | s/list<br>p95 | peak memory" in shown
    assert " | 1.50 | 3.50 | " in shown
    assert "Scored by several workers: a by 3." in shown
    assert "Lists timed: a 60." in shown
    line = next(csv.DictReader(io.StringIO(as_csv(board))))
    assert (line["latency_p50_seconds"], line["latency_p95_seconds"]) == ("1.5", "3.5")
    assert (row(second)["latency_p50_seconds"], row(second)["latency_p95_seconds"]) == (2.0, 4.0)


def figure(task: str, value: float, suite: str = "beir", measure: str = "nDCG@10") -> published.Published:
    return published.Published(suite, task, "theirs", 0.5, measure, value, "dense@100", "https://example.org", "")


def test_published_figures_stand_apart_and_concern_the_tasks_shown():
    board = build(
        [whole(result("beir/nfcorpus", "a", 0.2)), whole(result("beir/scifact", "a", 0.2))],
        figures=[
            figure("nfcorpus", 99.0),
            figure("nq", 98.0),
            figure("scifact", 97.0, measure="R@100"),
            figure("mean of 2", 96.0),
            figure("mean of 13", 95.0),
            figure("cosqa", 94.0, suite="coir"),
        ],
    )
    section = only(board)
    assert section.published is not None
    assert section.published.columns == ("nfcorpus",)
    assert [row.values for row in section.published.groups["dense@100"]] == [(99.0,)]
    assert [row.name for row in section.rows] == ["a"]  # nothing published among the measured
    assert scores(section, "a")["mean of 2"] == 0.2


def test_a_published_mean_stands_under_ours_where_both_are_over_the_suites_own_tasks():
    thirteen = [task.id for task in tasks("beir") if task.default and not task.embedded]
    board = build([whole(result(task, "a", 0.2)) for task in thirteen], figures=[figure("mean of 13", 61.85)])
    section = only(board)
    assert section.published is not None
    assert section.published.columns == ("mean of 13",)
    twelve = build([whole(result(task, "a", 0.2)) for task in thirteen[1:]], figures=[figure("mean of 13", 61.85)])
    assert only(twelve).published is None


def test_an_embedded_sample_has_no_published_figures():
    assert only(build([result("beir/embedded-claims", "a", 0.5)], figures=published.read_all())).published is None
