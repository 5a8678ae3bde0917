import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from bench.comparison.gate import (
    Report,
    Rules,
    Verdict,
    append_step_summary,
    decide,
    gate,
    page,
    write_junit,
)
from bench.errors import BenchError
from bench.render import render
from bench.render.text import show
from bench.results import Result, write_result
from bench.run import Run, write_run
from tests.bench.factories import figures_result, keep
from tests.conftest import Call


def markdown(report: Report) -> str:
    return render(page(report), "markdown")


HOSTILE = "\x1b[31m[red]<b>|`\u202e]]>&\n@all"


def even(value: float, queries: int = 40) -> dict[str, float]:
    return {f"q{number}": value for number in range(queries)}


def moved(by: Mapping[str, float], queries: int = 40) -> dict[str, float]:
    return {query_id: value + by.get(query_id, 0) for query_id, value in even(0.5, queries).items()}


Compare = Callable[..., Report]


@pytest.fixture
def of(tmp_path: Path) -> Compare:
    """Gate some new results against baseline ones."""

    def compare(baseline: list[Result], new: list[Result], **options: float) -> Report:
        for name, side in (("baseline", baseline), ("new", new)):
            for result in side:
                keep(tmp_path / name, result)
        return gate(tmp_path / "baseline", tmp_path / "new", **options)  # type: ignore[arg-type]

    return compare


def verdicts(report: Report) -> dict[str, Verdict]:
    return {line.task: line.verdict for line in report.lines}


def test_equal_results_hold(of: Compare) -> None:
    report = of([figures_result(even(0.5))], [figures_result(even(0.5))])
    assert (report.exit_status, verdicts(report)) == (0, {"beir/toy": Verdict.HELD})
    assert report.lines[0].p == 1.0


def test_a_clear_fall_is_a_regression(of: Compare) -> None:
    report = of([figures_result(even(0.5))], [figures_result(even(0.4))])
    assert (report.exit_status, verdicts(report)) == (1, {"beir/toy": Verdict.REGRESSED})
    (line,) = report.lines
    assert (line.baseline, line.candidate) == pytest.approx((0.5, 0.4))
    assert (line.low, line.high) == pytest.approx((-0.1 - 0.025606, -0.1 + 0.025606), abs=1e-6)  # 2.0227 (.25/39/40)^.5
    assert line.p == 1 / 10_001
    assert line.why == "fell by 10.00 points, at least 0.5; p < .001 after Holm, significant at 0.05"


def test_a_significant_fall_below_the_minimum_holds(of: Compare) -> None:
    report = of([figures_result(even(0.5))], [figures_result(even(0.4951))])
    assert (report.exit_status, report.lines[0].p) == (0, 1 / 10_001)


def test_a_fall_of_exactly_the_minimum_counts(of: Compare) -> None:
    assert of([figures_result(even(0.5))], [figures_result(even(0.495))]).exit_status == 1


@pytest.fixture
def fallen_by_chance() -> tuple[list[Result], list[Result]]:
    """Old and new: five queries of forty lost half a point each. 2 of 2^5 sign patterns are as extreme, p = .0625."""
    return [figures_result(even(0.5))], [figures_result(moved({f"q{number}": -0.5 for number in range(5)}))]


Fallen = tuple[list[Result], list[Result]]


def test_a_large_fall_that_may_be_chance_is_inconclusive(of: Compare, fallen_by_chance: Fallen, tmp_path: Path) -> None:
    report = of(*fallen_by_chance)
    (line,) = report.lines
    assert (report.exit_status, line.verdict, line.p) == (0, Verdict.INCONCLUSIVE, 2 / 32)
    # Squares 5 x .4375^2 + 35 x .0625^2 + .25 = 1.34375; (2.0227 + .85070) (1.34375 / 39 / 40)^.5 = .0843.
    assert line.why == (
        "fell by 6.25 points, at least 0.5; p = .0625 after Holm, not significant at 0.05; "
        "a drop of 8.4 points or more would be found 4 times in 5"
    )
    assert report.headline.startswith("Gate: inconclusive (0 regressed, 1 inconclusive, 0 held, 0 improved;")
    assert f"Inconclusive: beir/toy by model {line.why}." in markdown(report).replace("\\", "")
    write_junit(report, tmp_path / "junit.xml")
    (suite,) = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert (suite.get("failures"), suite.get("skipped"), len(list(suite.iter("skipped")))) == ("0", "1", 1)


def test_strict_lets_the_inconclusive_fail(of: Compare, fallen_by_chance: Fallen, tmp_path: Path) -> None:
    report = of(*fallen_by_chance, strict=True)
    assert (report.exit_status, verdicts(report)) == (1, {"beir/toy": Verdict.INCONCLUSIVE})
    write_junit(report, tmp_path / "junit.xml")
    (suite,) = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert (suite.get("failures"), suite.get("skipped"), len(list(suite.iter("failure")))) == ("1", "0", 1)


def test_a_largest_drop_fails_whatever_its_p_value(of: Compare, fallen_by_chance: Fallen) -> None:
    assert of(*fallen_by_chance, max_drop=6.3).exit_status == 0
    report = of(*fallen_by_chance, max_drop=6.25)
    assert (report.exit_status, verdicts(report)) == (1, {"beir/toy": Verdict.REGRESSED})
    assert report.lines[0].why == (
        "fell by 6.25 points, at least the largest drop, 6.25; p = .0625 after Holm, not significant at 0.05"
    )


def test_five_queries_find_nothing(of: Compare) -> None:
    # No pattern of signs is rarer than 2 in 32, so that even the loss of everything is inconclusive.
    report = of([figures_result(even(0.5, 5))], [figures_result(even(0.0, 5))])
    assert report.lines[0].verdict is Verdict.INCONCLUSIVE
    assert report.lines[0].why.endswith("; no drop is found with so few queries")
    assert "Few queries (fewer than 30): beir/toy." in markdown(report).replace("\\", "")


def test_equal_figures_have_no_interval(of: Compare) -> None:
    (line,) = of([figures_result(even(0.5))], [figures_result(even(0.5))]).lines
    assert (line.low, line.high, line.cells()[5]) == (None, None, "no change")


def test_runs_are_checked_against_their_results(of: Compare, tmp_path: Path) -> None:
    of([figures_result(even(0.5))], [figures_result(even(0.5))])
    for side in ("baseline", "new"):
        (run,) = (tmp_path / side).rglob("run.trec.gz")
        whole = run.read_bytes()
        write_run(Run("other", {"q1": [("d2", 1.0)]}), run)
        report = gate(tmp_path / "baseline", tmp_path / "new")
        assert (report.exit_status, report.lines) == (2, ())
        assert f"{run} is not the run that" in report.problems[0]
        run.unlink()
        assert gate(tmp_path / "baseline", tmp_path / "new").exit_status == 2
        run.write_bytes(whole)
    assert gate(tmp_path / "baseline", tmp_path / "new").exit_status == 0


def test_a_linked_baseline_is_compared_and_an_unreadable_one_is_refused(
    of: Compare, tmp_path: Path, bench: Call, without_override: list[str]
) -> None:
    of([figures_result(even(0.5)), figures_result(even(0.5), "beir/other")], [figures_result(even(0.1))])
    keep(tmp_path / "new", figures_result(even(0.5), "beir/other"))
    sides = ("gate", "--baseline", tmp_path / "baseline", "--candidate", tmp_path / "new")
    assert bench(*sides).returncode == 1
    task = tmp_path / "baseline" / "beir" / "toy"
    task.rename(tmp_path / "elsewhere")
    task.symlink_to(tmp_path / "elsewhere")
    assert bench(*sides).returncode == 1
    task.unlink()
    (tmp_path / "elsewhere").rename(task)
    task.chmod(0)
    answer = bench(*sides, prefix=without_override)
    task.chmod(0o700)
    assert answer.returncode == 2
    assert f"Could not compare: Cannot read {task}: Permission denied." in answer.stdout


@pytest.mark.parametrize(
    ("option", "value"), [("--junit", "."), ("--junit", "n" * 300), ("--baseline", "n" * 300), ("--max-drop", "0")]
)
def test_what_is_no_verdict_is_exit_status_2(of: Compare, tmp_path: Path, bench: Call, option: str, value: str) -> None:
    of([figures_result(even(0.5))], [figures_result(even(0.1))])
    given = {"--baseline": tmp_path / "baseline", "--candidate": tmp_path / "new", option: value}
    answer = bench("gate", *(each for pair in given.items() for each in pair))
    assert (answer.returncode, "Traceback" in answer.stderr) == (2, False), answer.stderr


@pytest.mark.parametrize("output", [">/dev/full", "| (exec <&-; sleep 1)"])
def test_a_verdict_that_cannot_be_printed_is_exit_status_2(
    of: Compare, tmp_path: Path, environment: dict[str, str], output: str
) -> None:
    of([figures_result(even(0.5))], [figures_result(even(0.1))])
    command = f"{sys.executable} -m bench gate --baseline baseline --candidate new --junit junit.xml"
    answer = subprocess.run(
        ["bash", "-c", f"({command}; echo $? >status) {output}"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (tmp_path / "status").read_text() == "2\n", answer.stderr
    assert "Traceback" not in answer.stderr
    assert (tmp_path / "junit.xml").exists()


def test_holm_over_the_tasks(of: Compare) -> None:
    # Six queries fell: p = 2/64 = .031 is significant for one task, not when a second is looked at with it.
    fallen = moved({f"q{number}": -0.5 for number in range(6)})
    report = of([figures_result(even(0.5))], [figures_result(fallen)])
    assert (report.exit_status, report.lines[0].p) == (1, 2 / 64)
    report = of([figures_result(even(0.5), "beir/second")], [figures_result(even(0.5), "beir/second")])
    assert (report.exit_status, [line.p for line in report.lines]) == (0, [1.0, 2 * 2 / 64])


def test_exact_rerankers_are_no_part_of_the_correction(of: Compare) -> None:
    fallen = moved({f"q{number}": -0.5 for number in range(6)})
    exact = figures_result(even(0.5), reranker="reverse", family="order-only")
    report = of([figures_result(even(0.5)), exact], [figures_result(fallen), exact])
    assert [(line.reranker, line.p, line.verdict) for line in report.lines] == [
        ("model", 2 / 64, Verdict.REGRESSED),
        ("reverse", None, Verdict.HELD),
    ]


def test_an_improvement_is_reported(of: Compare) -> None:
    report = of([figures_result(even(0.5))], [figures_result(even(0.6))])
    assert (report.exit_status, verdicts(report)) == (0, {"beir/toy": Verdict.IMPROVED})
    assert "Improved: beir/toy by model rose by 10.00 points" in markdown(report)


@pytest.mark.parametrize("by", [1e-15, -1e-15, 0.3])
def test_any_difference_of_an_order_only_reranker_is_a_regression(of: Compare, by: float) -> None:
    def result(values: dict[str, float]) -> Result:
        return figures_result(values, reranker="reverse", family="order-only")

    report = of([result(even(0.5))], [result(moved({"q7": by}))])
    assert report.exit_status == 1
    assert "per_query of 1 queries, the first 'q7'" in report.lines[0].why


def test_another_run_of_an_order_only_reranker_is_a_regression(of: Compare, tmp_path: Path) -> None:
    baseline = figures_result(even(0.5), reranker="reverse", family="order-only")
    of([baseline], [])
    other = Run("figures", {query_id: [("d2", 1.0)] for query_id in baseline.per_query})
    write_result(replace(baseline, run_sha256=other.sha256), other, tmp_path / "new")
    report = gate(tmp_path / "baseline", tmp_path / "new")
    assert (report.exit_status, report.lines[0].why) == (1, "must be exactly equal and differs in run_sha256")


def test_new_results_are_listed_and_judged_by_nobody(of: Compare) -> None:
    report = of([figures_result(even(0.5))], [figures_result(even(0.5)), figures_result(even(0.1), "beir/new")])
    assert (report.exit_status, report.new) == (0, ("beir/new by model",))


def test_everything_that_cannot_be_compared_is_named(of: Compare, tmp_path: Path) -> None:
    baseline = [figures_result(even(0.5), f"beir/{name}") for name in ("fine", "gone", "deeper", "damaged", "short")]
    new = [
        figures_result(even(0.5), "beir/fine"),
        figures_result(even(0.5), "beir/deeper", depth=50, text_rule="joined"),
    ]
    new += [figures_result(even(0.5), "beir/damaged"), figures_result(even(0.5, 39) | {"else": 0.5}, "beir/short")]
    of(baseline, new)
    (damaged,) = (tmp_path / "new" / "beir" / "damaged").rglob("result.json")
    damaged.write_bytes(damaged.read_bytes()[:300])
    report = gate(tmp_path / "baseline", tmp_path / "new")
    assert report.exit_status == 2
    assert verdicts(report) == {"beir/fine": Verdict.HELD}
    wanted = ["damaged", "depth: 100 and 50; text_rule: 'text' and 'joined'", "beir/gone by model", "'q39'", "'else'"]
    # A damaged file is named for itself, and its task as missing.
    assert len(report.problems) == len(wanted) + 1
    for text in wanted:
        assert any(text in problem for problem in report.problems), (text, report.problems)


def test_a_regression_does_not_hide_what_could_not_be_compared(of: Compare) -> None:
    report = of([figures_result(even(0.5)), figures_result(even(0.5), "beir/gone")], [figures_result(even(0.1))])
    assert (report.exit_status, verdicts(report)) == (2, {"beir/toy": Verdict.REGRESSED})
    assert report.headline.startswith(
        "Gate: could not compare (1 regressed, 0 inconclusive, 0 held, 0 improved, 1 could not"
    )


def test_another_reranker_is_no_counterpart(of: Compare) -> None:
    report = of([figures_result(even(0.5))], [figures_result(even(0.5), reranker="other")])
    assert (report.exit_status, len(report.problems)) == (2, 1)


def test_missing_folders_are_named(tmp_path: Path) -> None:
    report = gate(tmp_path / "baseline", tmp_path / "new")
    assert report.exit_status == 2
    assert [str(tmp_path / name) in problem for name, problem in zip(("baseline", "new"), report.problems, strict=True)]


@pytest.mark.parametrize(
    ("option", "value"),
    [("min_drop", -1), ("min_drop", math.nan), ("alpha", 0), ("alpha", 1), ("alpha", math.nan), ("max_drop", 0)],
)
def test_senseless_options_are_refused(tmp_path: Path, option: str, value: float) -> None:
    with pytest.raises(BenchError, match=f"^--{option.replace('_', '-')} is {value:g}\\. Give a number") as caught:
        gate(tmp_path, tmp_path, **{option: value})  # type: ignore[arg-type]
    assert str(caught.value).count("--") == 1


def test_decide() -> None:
    rules = Rules(min_drop=0.5, alpha=0.05)
    assert decide(-0.5, 0.05, rules) is Verdict.REGRESSED
    assert decide(-0.49, 0.01, rules) is Verdict.HELD
    assert decide(-9, 0.051, rules) is Verdict.INCONCLUSIVE
    assert decide(9, 0.051, rules) is Verdict.HELD
    assert decide(0.5, 0.05, rules) is Verdict.IMPROVED
    assert decide(0.0, 1.0, Rules(min_drop=0)) is Verdict.HELD
    assert decide(-9, 0.051, Rules(max_drop=9)) is Verdict.REGRESSED
    assert decide(9, 0.051, Rules(max_drop=9)) is Verdict.HELD
    assert decide(-0.4, 0.01, Rules(max_drop=0.4)) is Verdict.REGRESSED


@pytest.fixture
def hostile(of: Compare) -> Report:
    """One regression, one line held, one new result and one missing, all with names that try to act."""
    name = f"beir/{HOSTILE}".replace("/", "_")
    baseline = [
        figures_result(even(0.5), name, HOSTILE),
        figures_result(even(0.5), "beir/a"),
        figures_result(even(0.5), "b", "gone"),
    ]
    return of(
        baseline,
        [
            figures_result(even(0.1), name, HOSTILE),
            figures_result(even(0.5), "beir/a"),
            figures_result(even(0.5), "c", HOSTILE),
        ],
    )


def test_markdown_is_a_table_that_texts_cannot_leave(hostile: Report) -> None:
    lines = markdown(hostile).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(hostile.lines)
    assert {line.replace(r"\|", "").count("|") for line in table} == {len(hostile.lines[0].cells()) + 1}
    assert not any(character in markdown(hostile) for character in ("\x1b", "\u202e", "<b>"))
    assert lines[0].startswith("### Gate: could not compare")


def test_render_shows_texts_as_they_are(hostile: Report) -> None:
    console = Console(width=250, file=StringIO())
    show(page(hostile), console)
    assert isinstance(console.file, StringIO)
    shown = console.file.getvalue()
    assert r"\x1b[31m[red]<b>|`\u202e]]>& @all" in shown
    assert "\u202e" not in shown and "\x1b" not in shown
    assert "Could not compare: " in shown and "New, nothing to compare with: c by" in shown


def test_render_fits_a_narrow_terminal(of: Compare) -> None:
    console = Console(width=80, file=StringIO())
    report = of(
        [figures_result(even(0.5), "beir/long-name-of-a-task")],
        [figures_result(even(0.4), "beir/long-name-of-a-task")],
    )
    show(page(report), console)
    assert isinstance(console.file, StringIO)
    assert all(text in console.file.getvalue() for text in ("-12.56 to -7.44", "<.001", "regressed "))


def test_junit_has_a_case_for_each_line_and_problem(hostile: Report, tmp_path: Path) -> None:
    write_junit(hostile, tmp_path / "deep" / "junit.xml")
    root = ElementTree.parse(tmp_path / "deep" / "junit.xml").getroot()
    suite = root.find("testsuite")
    assert root.tag == "testsuites" and suite is not None
    assert {key: suite.get(key) for key in ("tests", "failures", "errors")} == {
        "tests": "3",
        "failures": "1",
        "errors": "1",
    }
    cases = {case.get("classname"): case for case in suite.iter("testcase")}
    assert len(cases) == 3
    (failure,) = suite.iter("failure")
    (error,) = suite.iter("error")
    assert (failure.get("message") or "").startswith("regressed: fell by 40.00 points")
    assert "b by gone" in (error.get("message") or "")
    assert cases["beir/a"].find("system-out") is not None


def test_step_summary_is_appended_where_github_says(
    of: Compare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = of([figures_result(even(0.5))], [figures_result(even(0.5))])
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    append_step_summary(report)
    place = tmp_path / "summary.md"
    place.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(place))
    append_step_summary(report)
    assert place.read_text() == "before\n" + markdown(report) + "\n"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "no" / "folder"))
    with pytest.raises(BenchError, match="GITHUB_STEP_SUMMARY"):
        append_step_summary(report)


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A baseline result that would regress by any change, and its equal."""
    folder = tmp_path_factory.mktemp("gate")
    for name in ("baseline", "new"):
        keep(folder / name, figures_result(moved({"q1": 0.25}, 6), family="order-only"))
    return folder


@settings(max_examples=300)
@given(position=st.integers(0, 10_000), flip=st.integers(1, 255), cut=st.booleans())
def test_a_damaged_file_is_never_a_traceback_and_never_more_than_equal(
    intact: Path, position: int, flip: int, cut: bool
) -> None:
    shutil.rmtree(intact / "damaged", ignore_errors=True)
    shutil.copytree(intact / "new", intact / "damaged")
    (path,) = (intact / "damaged").rglob("result.json")
    content = bytearray(path.read_bytes())
    position %= len(content) - 2  # what follows the closing brace is a line end
    content[position] ^= flip
    path.write_bytes(content[:position] if cut else content)
    report = gate(intact / "baseline", intact / "damaged")
    assert report.exit_status in ((2,) if cut else (0, 1, 2))
    if report.exit_status == 0:
        (baseline,) = (intact / "baseline").rglob("result.json")
        assert not _figures_differ(baseline, path)


def _figures_differ(one: Path, other: Path) -> bool:
    a, b = (json.loads(path.read_bytes()) for path in (one, other))
    return any(a[key] != b[key] for key in ("task", "protocol", "measures", "per_query", "candidates", "run_sha256"))
