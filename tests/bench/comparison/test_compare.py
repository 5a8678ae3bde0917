from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from itertools import product
from pathlib import Path

import pytest
from rich.console import Console

from bench.collections.collection import Collection
from bench.comparison.agreement import Disagreement
from bench.comparison.compare import Comparison, Entry, compare, page
from bench.errors import BenchError
from bench.leaderboard.board import build
from bench.render.text import show
from bench.results import Result
from tests.bench.factories import figures_result, keep, measure, toy_collection
from tests.conftest import Call

HOSTILE = "\x1b]0;owned\x07[bold red]\u202etxt\nnext"


def printed(comparison: Comparison, width: int = 160) -> str:
    console = Console(width=width, file=StringIO())
    show(page(comparison), console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def collection_of(result: Result) -> Collection | None:
    assert result.task == "beir/toy"
    return toy_collection()


def test_figures_by_hand(tmp_path: Path) -> None:
    a = keep(tmp_path / "a", figures_result({"q1": 0.2, "q2": 0.5, "q3": 0.5, "q4": 0.5, "q5": 0.1}))
    b = keep(tmp_path / "b", figures_result({"q1": 0.3, "q2": 0.7, "q3": 0.8, "q4": 0.4, "q5": 0.1}))
    (task,) = compare(a, b, changes=0).tasks
    assert (task.a, task.b, task.difference) == pytest.approx((0.36, 0.46, 0.1))
    assert (task.wins, task.ties, task.losses) == (3, 1, 1)
    # .1, .2, .3, -.1 and a tie: 6 of the 16 sign patterns reach a sum of .5 (flip nothing or one .1, and mirrored).
    assert task.p == task.p_holm == 6 / 16
    assert task.low < 0.1 < task.high
    assert task.changed == ()
    assert task.disagreement is None  # no run was looked at


def test_swapping_sides_swaps_signs(tmp_path: Path) -> None:
    a = keep(tmp_path / "a", figures_result({"q1": 0.2, "q2": 0.5, "q3": 0.9}))
    b = keep(tmp_path / "b", figures_result({"q1": 0.3, "q2": 0.7, "q3": 0.8}))
    (there,), (back,) = compare(a, b, changes=0).tasks, compare(b, a, changes=0).tasks
    assert (there.wins, there.losses, there.p) == (back.losses, back.wins, back.p)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))


def test_both_top_tens_with_judgements_and_texts(tmp_path: Path) -> None:
    a = measure(tmp_path / "a", {"q1": ["d1", "d3"]})
    b = measure(tmp_path / "b", {"q1": ["d11", "d3", "d1"], "q2": ["d2"]})
    (task,) = compare(a, b, collection_of).tasks
    first, second = task.changed
    # q1 loses: d1 (2) and d3 (1) go from ranks 1, 2 to 3, 2: (1/log2(3) + 2/2) / (2 + 1/log2(3)) = .6199, with 1 for A.
    assert (first.query_id, first.text) == ("q1", "first question")
    assert (first.a, first.b) == pytest.approx((1.0, (0.63093 + 1) / 2.63093), abs=1e-5)
    # q2 wins: d2 goes from rank 2 to rank 1.
    assert second.query_id == "q2"
    assert (second.a, second.b) == pytest.approx((0.63093, 1.0), abs=1e-5)
    assert first.top_b[:3] == (
        Entry("d11", None, "text of document 11"),
        Entry("d3", 1, "text of document 3"),
        Entry("d1", 2, "text of document 1"),
    )
    assert len(first.top_a) == len(first.top_b) == 10
    assert [entry.document_id for entry in second.top_a[:4]] == ["d1", "d2", "d3", "d4"]
    assert second.top_a[3].grade == 0


def test_how_far_the_top_tens_agree(tmp_path: Path) -> None:
    # q1 as it was; in q2 d11 comes first instead of d1, and d10 falls out of the top ten.
    a, b = measure(tmp_path / "a", {}), measure(tmp_path / "b", {"q2": ["d11"]})
    found = compare(a, b)
    assert found.tasks[0].disagreement == Disagreement(replaced=0.1 / 2, reversed=0, first=0.5)
    assert "beir/toy: B replaces 5.0% of A's top ten, reverses 0.0% of the pairs in both, and puts" in printed(found)
    assert "replaces" not in printed(compare(a, b, changes=0))


def test_pairs_without_a_change_share_one_line(tmp_path: Path) -> None:
    a = measure(tmp_path / "same", {})
    assert "A and B have the same top tens in the same order." in printed(compare(a, a))
    for name in ("one", "two", "three"):
        for side in ("a", "b"):
            tops = {"q2": ["d2"]} if (name, side) == ("two", "b") else {}
            measure(tmp_path / side, tops, name)
    shown = printed(compare(tmp_path / "a", tmp_path / "b"))
    assert [line for line in shown.splitlines() if "top ten" in line] == [
        # In one of two queries 1 of 45 pairs is reversed.
        "beir/toy by two: B replaces 0.0% of A's top ten, reverses 1.1% of the pairs in both, and puts another "
        "document first for 50.0% of the queries.",
        "2 of 3 pairs have the same top tens in the same order.",
    ]


def test_names_are_whole_on_a_narrow_terminal(tmp_path: Path) -> None:
    names = ("cross-encoder:cross-encoder/ms-marco-MiniLM-L-6-v2", "first-stage")
    for side, name in product(("a", "b"), names):
        for task in ("beir/embedded-arguments", "mkqa/embedded-zh_cn"):
            keep(tmp_path / side, figures_result({"q1": 0.5, "q2": 0.5}, task, name))
    shown = printed(compare(tmp_path / "a", tmp_path / "b", changes=0), 80)
    assert all(len(line) <= 80 for line in shown.splitlines())
    table = shown[shown.index("─\n") : shown.index("not shown at 80 columns")]
    assert table.count("beir/embedded-arguments ") == table.count("mkqa/embedded-zh_cn ") == 2
    assert "…" not in table
    cells = [line[25:].split("  ")[0].strip() for line in table.splitlines()[1:]]
    assert "".join(cells).count(names[0]) == 2


def test_without_a_collection_only_ids_are_known(tmp_path: Path) -> None:
    a, b = measure(tmp_path / "a", {}), measure(tmp_path / "b", {"q2": ["d2"]})
    for load in (None, lambda result: None):
        (query,) = compare(a, b, load).tasks[0].changed
        assert (query.text, query.top_b[0]) == ("", Entry("d2"))


def test_figures_need_no_collection_but_one_that_is_named_must_be_there(
    bench: Call, refused: Callable[..., str], tmp_path: Path
) -> None:
    a = measure(tmp_path / "a", {})
    b = measure(tmp_path / "b", {"q2": ["d2"]})
    answer = bench("compare", a, b)
    assert answer.returncode == 0
    assert "query q2  63.09 -> 100.00 (+36.91)" in answer.stdout
    assert "Queries and documents of beir/toy are shown by their ids alone." in answer.stderr
    assert "beir/toy" in refused("compare", a, b, "--data", tmp_path)


def test_computed_judgements_are_asked_for_what_is_shown(tmp_path: Path) -> None:
    def collection() -> Collection:
        made = toy_collection()
        made.judge = lambda run, documents: {
            key: {each: int("3" in documents.texts([each])[each]) for each, _ in ranking}
            for key, ranking in run.rankings.items()
        }
        return made

    a = measure(tmp_path / "a", {}, collection=collection())
    b = measure(tmp_path / "b", {"q1": ["d3"]}, collection=collection())
    (query,) = compare(a, b, lambda result: collection()).tasks[0].changed
    assert [(entry.document_id, entry.grade) for entry in query.top_b[:2]] == [("d3", 1), ("d1", 0)]


def test_another_version_of_the_data_is_refused(tmp_path: Path) -> None:
    a, b = measure(tmp_path / "a", {}), measure(tmp_path / "b", {"q2": ["d2"]})
    changed = toy_collection()
    changed.judgements = {**changed.judgements, "q2": {"d3": 1}}
    with pytest.raises(BenchError, match="is not the data that"):
        compare(a, b, lambda result: changed)


def test_a_choice_of_queries_is_compared_with_the_whole_collection(tmp_path: Path) -> None:
    a, b = measure(tmp_path / "a", {}, queries=1), measure(tmp_path / "b", {"q1": ["d3"], "q2": ["d2"]}, queries=1)
    (task,) = compare(a, b, collection_of).tasks
    assert (task.wins + task.ties + task.losses, len(task.changed)) == (1, 1)


def test_folders_match_by_task_and_reranker(tmp_path: Path) -> None:
    for name, by in (("a", 0.0), ("b", 0.2)):
        keep(tmp_path / name, figures_result({"q1": 0.5, "q2": 0.5 + by}))
        keep(tmp_path / name, figures_result({"q1": 0.5, "q2": 0.5 - by}, reranker="other"))
    keep(tmp_path / "a", figures_result({"q1": 0.5}, "beir/left"))
    keep(tmp_path / "b", figures_result({"q1": 0.5}, "beir/right"))
    found = compare(tmp_path / "a", tmp_path / "b", changes=0)
    assert [(task.reranker_b, task.wins, task.losses) for task in found.tasks] == [("model", 1, 0), ("other", 0, 1)]
    assert (found.only_a, found.only_b) == (("beir/left by model",), ("beir/right by model",))
    shown = printed(found)
    assert "Only in A: beir/left by model." in shown and "beir/toy by other" in shown


def test_single_rerankers_match_by_task_whatever_their_names(tmp_path: Path) -> None:
    for task in ("beir/one", "beir/two"):
        keep(tmp_path / "a", figures_result({"q1": 0.5}, task, "old"))
        keep(tmp_path / "b", figures_result({"q1": 0.6}, task, "new"))
    found = compare(tmp_path / "a", tmp_path / "b", changes=0)
    assert [(task.task, task.reranker_a, task.reranker_b) for task in found.tasks] == [
        ("beir/one", "old", "new"),
        ("beir/two", "old", "new"),
    ]
    one = next((tmp_path / "a").rglob("one/**/result.json"))
    assert [task.task for task in compare(one, tmp_path / "b", changes=0).tasks] == ["beir/one"]


def test_holm_over_the_tasks(tmp_path: Path) -> None:
    for name, by in (("a", 0.0), ("b", 0.1)):
        keep(tmp_path / name, figures_result({f"q{number}": 0.5 + by for number in range(6)}, "beir/one"))
        keep(tmp_path / name, figures_result({f"q{number}": 0.5 for number in range(6)}, "beir/two"))
    found = compare(tmp_path / "a", tmp_path / "b", changes=0)
    assert [(task.p, task.p_holm) for task in found.tasks] == [(2 / 64, 4 / 64), (1.0, 1.0)]


def test_different_protocols_are_refused_naming_every_field(tmp_path: Path) -> None:
    keep(tmp_path / "a", figures_result({"q1": 0.5}))
    keep(tmp_path / "b", figures_result({"q1": 0.5}, depth=50, text_rule="joined"))
    keep(tmp_path / "a", figures_result({"q1": 0.5}, "beir/more"))
    keep(tmp_path / "b", figures_result({"q1": 0.5}, "beir/more", first_stage="dense"))
    with pytest.raises(BenchError) as caught:
        compare(tmp_path / "a", tmp_path / "b")
    assert "depth: 100 and 50; text_rule: 'text' and 'joined'" in str(caught.value)
    assert "first_stage: 'bm25' and 'dense'" in str(caught.value)


def test_two_files_of_different_tasks_are_refused(tmp_path: Path) -> None:
    a = keep(tmp_path, figures_result({"q1": 0.5}, "beir/one"))
    b = keep(tmp_path, figures_result({"q1": 0.5}, "beir/two"))
    with pytest.raises(BenchError, match="task: 'beir/one' and 'beir/two'"):
        compare(a, b)


def test_nothing_in_common_is_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        keep(tmp_path / "a", figures_result({"q1": 0.5}, f"beir/{name}"))
    keep(tmp_path / "b", figures_result({"q1": 0.5}, "beir/three"))
    with pytest.raises(BenchError, match=r"nothing in common\. A holds beir/one by model, beir/two by model; B holds"):
        compare(tmp_path / "a", tmp_path / "b")


def test_damage_and_missing_queries_are_named_together(tmp_path: Path) -> None:
    a = keep(tmp_path / "a", figures_result({"q1": 0.5}))
    b = keep(tmp_path / "b", figures_result({"q2": 0.5}))
    with pytest.raises(BenchError, match=r"'q1'\.\n.*'q2'"):
        compare(a, b)
    for path in (a, b):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BenchError, match=r"is not valid JSON[\s\S]*is not valid JSON"):
        compare(a, b)


def test_a_missing_run_is_named_and_figures_can_do_without(tmp_path: Path) -> None:
    a, b = measure(tmp_path / "a", {}), measure(tmp_path / "b", {"q2": ["d2"]})
    b.with_name("run.trec.gz").unlink()
    with pytest.raises(BenchError, match=r"Cannot read .*run\.trec\.gz"):
        compare(a, b)
    assert compare(a, b, changes=0).tasks[0].wins == 1


def test_one_query_in_full(tmp_path: Path) -> None:
    a, b = measure(tmp_path / "a", {}), measure(tmp_path / "b", {"q2": ["d2"]})
    made = toy_collection()
    made.documents["d2"] = "word " * 60 + "end"  # type: ignore[index]
    found = compare(a, b, lambda result: made, query="q2")
    assert [query.query_id for query in found.tasks[0].changed] == ["q2"]
    assert printed(found, 100).count("end") == 2
    assert "end" not in printed(replace(found, query=None), 100)
    # A query that did not change can be looked at as well.
    (query,) = compare(a, b, collection_of, query="q1").tasks[0].changed
    assert query.a == query.b
    with pytest.raises(BenchError, match="has a query 'q9'"):
        compare(a, b, collection_of, query="q9")


def test_render(tmp_path: Path) -> None:
    a, b = measure(tmp_path / "a", {}, "old"), measure(tmp_path / "b", {"q2": ["d2"]}, "new")
    shown = printed(compare(a, b, collection_of))
    assert "nDCG@10 x 100, B - A" in shown
    assert shown.startswith("A: old\nB: new\n")
    assert "1/1/0" in printed(compare(a, b), 80)  # nothing is cut off on a narrow terminal
    row = next(line for line in shown.splitlines() if "beir/toy" in line and "1/1/0" in line)
    assert all(text in row for text in ("+18.45", "1.0000"))
    assert "beir/toy  query q2  63.09 -> 100.00 (+36.91)" in shown
    first = next(line for line in shown.splitlines() if "d1 text" in line and "d2 [1]" in line)
    assert first.split()[0] == "1"


def test_hostile_texts_do_nothing(tmp_path: Path) -> None:
    def collection() -> Collection:
        made = toy_collection()
        made.queries["q2"] = HOSTILE
        made.documents["d2"] = HOSTILE  # type: ignore[index]
        return made

    name = f"new{HOSTILE}"
    a = measure(tmp_path / "a", {}, collection=collection())
    b = measure(tmp_path / "b", {"q2": ["d2"]}, name, collection=collection())
    for query in (None, "q2"):
        shown = printed(compare(a, b, lambda result: collection(), query=query), 300)
        assert not any(character in shown for character in ("\x1b", "\x07", "\u202e"))
        # As the query, in both top tens, as a reranker's name at the beginning and over its top ten.
        assert shown.count(r"\x1b]0;owned\x07[bold red]\u202etxt next") == 5


def test_compare_and_the_leaderboard_print_one_interval(tmp_path: Path) -> None:
    figures = {f"q{number}": (number * 7 % 10) / 10 for number in range(40)}
    base = figures_result(dict.fromkeys(figures, 0.4), reranker="first-stage")
    other = figures_result(figures, reranker="other")
    keep(tmp_path / "a", base)
    keep(tmp_path / "b", other)
    (task,) = compare(tmp_path / "a", tmp_path / "b", changes=0).tasks
    (section,) = build([base, other]).sections
    (cell,) = next(row.cells for row in section.rows if row.name == "other")
    assert cell is not None and cell.gain_interval == (task.low, task.high)


def test_few_queries_are_said_to_be_few(tmp_path: Path) -> None:
    for queries in (29, 30):
        figures = {f"q{number}": 0.5 for number in range(queries)}
        for side in ("a", "b"):
            keep(tmp_path / side, figures_result(figures, f"beir/of-{queries}"))
    shown = printed(compare(tmp_path / "a", tmp_path / "b", changes=0))
    assert "Few queries (fewer than 30), so that intervals are wide: beir/of-29." in shown
