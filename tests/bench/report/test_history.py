"""Figures over git commits and dated folders."""

import os
import subprocess
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.render import render
from bench.report.history import OTHER_PROTOCOL, page, read_history
from tests.bench.factories import figures_result, keep
from tests.conftest import Call

HIGH = {f"q{n}": 0.5 + 0.01 * (n % 40) for n in range(60)}
LOW = {key: figure - 0.3 for key, figure in HIGH.items()}


def git(folder: Path, *arguments: str, when: str = "2026-01-01T00:00:00+00:00") -> None:
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    dates = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when, "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *arguments], cwd=folder, env={**os.environ, **who, **dates}, check=True, capture_output=True)


def commit(folder: Path, day: int) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-m", f"day {day}", when=f"2026-01-{day:02}T12:00:00+00:00")


def test_commits_give_each_change_the_gates_verdict(tmp_path: Path):
    git(tmp_path, "init", "-q")
    results = tmp_path / "some results"
    for day, figures in enumerate((HIGH, HIGH, LOW, HIGH), start=1):
        keep(results, figures_result(figures))
        (tmp_path / "other.txt").write_text(str(day))
        commit(tmp_path, day)
    history = read_history(results)
    assert [(point.when[:10], point.verdict) for point in history.points] == [
        ("2026-01-01", ""),
        ("2026-01-03", "regressed"),
        ("2026-01-04", "improved"),
    ]
    assert history.points[1].score == pytest.approx(history.points[0].score - 0.3)
    text = render(page(history), "text")
    assert "2026-01-03" in text and "-30.00" in text and "regressed" in text


def test_another_protocol_and_an_unreadable_result_are_said(tmp_path: Path):
    git(tmp_path, "init", "-q")
    path = keep(tmp_path, figures_result(HIGH))
    commit(tmp_path, 1)
    path.unlink()
    path.with_name("run.trec.gz").unlink()
    keep(tmp_path, figures_result(HIGH, data="other data"))
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "result.json").write_text('{"schema": 0}')
    commit(tmp_path, 2)
    history = read_history(tmp_path)
    assert [point.verdict for point in history.points] == ["", OTHER_PROTOCOL]
    assert history.points[1].why == "differs in data"
    assert "left out" in render(page(history), "text") and history.snapshots[1].unreadable == 1


def test_dated_folders_are_read_in_their_order(tmp_path: Path):
    for name, figures in (("2026-02-01-nightly", LOW), ("2026-01-01", HIGH)):
        keep(tmp_path / name, figures_result(figures))
    keep(tmp_path / "not dated", figures_result(HIGH))
    history = read_history(tmp_path)
    assert [(point.label, point.verdict) for point in history.points] == [
        ("2026-01-01", ""),
        ("2026-02-01-nightly", "regressed"),
    ]


def test_a_folder_without_history_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(BenchError, match=r"Cannot read the history of .* from git.*YYYY-MM-DD"):
        read_history(tmp_path)
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("x")
    commit(tmp_path, 1)
    (tmp_path / "new").mkdir()
    with pytest.raises(BenchError, match="has no history: no commit has it"):
        read_history(tmp_path / "new")


def test_the_commands_follow_figures_as_text_and_as_pages_with_charts(bench: Call, tmp_path: Path):
    git(tmp_path, "init", "-q")
    results = tmp_path / "results"
    for day, figures in enumerate((HIGH, LOW), start=1):
        keep(results, figures_result(figures))
        commit(tmp_path, day)
    answer = bench("history", results)
    assert answer.returncode == 0, answer.stderr
    assert "regressed" in answer.stdout
    assert bench("history", results, "--format", "html", "--output", tmp_path / "history.html").returncode == 0
    assert "<svg" in (tmp_path / "history.html").read_text()
    answer = bench("report", results, "--history", "--output", tmp_path / "report")
    assert answer.returncode == 0, answer.stderr
    assert 'href="history.html"' in (tmp_path / "report" / "index.html").read_text()
    assert "regressed" in (tmp_path / "report" / "history.html").read_text()
