"""The options that every command has: one JSON document, no progress, the version."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import bench
from bench import __version__

ROOT = Path(__file__).parents[3]
RESULTS = str(ROOT / "results/embedded/beir")


def called(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "bench", *words], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> "subprocess.CompletedProcess[str]":
    output = str(tmp_path_factory.mktemp("json"))
    return called(
        "beir", "claims", "--embedded", "-r", "first-stage", "-r", "oracle", "--json", "-q", "--output", output
    )


def test_a_measurement_as_json_has_raw_figures(measured: "subprocess.CompletedProcess[str]") -> None:
    first, oracle = json.loads(measured.stdout)
    assert (first["reranker"], oracle["reranker"], oracle["score"]) == ("first-stage", "oracle", 1.0)
    assert first["score"] == first["nDCG@10"] == oracle["first_stage_score"]
    assert first["interval_low"] < first["score"] < first["interval_high"]


def test_quiet_shows_no_progress_but_where_results_are(measured: "subprocess.CompletedProcess[str]") -> None:
    assert "reading" not in measured.stderr
    assert "Written to" in measured.stderr
    assert "Next: python -m bench leaderboard" in measured.stderr


@pytest.mark.parametrize(
    ("words", "holds"),
    [
        (("tasks", "coir"), lambda found: {"coir/apps"} <= {f"{task['suite']}/{task['name']}" for task in found}),
        (("leaderboard", RESULTS), lambda found: {"measured"} == {row["block"] for row in found}),
        (("leaderboard", RESULTS, "--format", "csv"), lambda found: "score" in found[0]),
        (
            ("compare", RESULTS, RESULTS, "--changes", "0"),
            lambda found: found["tasks"][0]["wins"] == 0,
        ),
        (("gate", "--baseline", RESULTS, "--candidate", RESULTS), lambda found: found["lines"][0]["verdict"] == "held"),
    ],
)
def test_every_command_prints_one_json_document(words: tuple[str, ...], holds: Callable[[object], bool]) -> None:
    answer = called(*words, "--json")
    assert answer.returncode == 0, answer.stderr
    assert holds(json.loads(answer.stdout))


def test_a_mistake_prints_no_document_and_verbose_says_where(tmp_path: Path) -> None:
    answer = called("leaderboard", str(tmp_path / "none"), "--json")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "Traceback" not in answer.stderr
    assert "Traceback" in called("leaderboard", str(tmp_path / "none"), "-v").stderr


def test_the_version_and_the_short_help() -> None:
    assert called("--version").stdout == f"rerank-bench {__version__}\n"
    assert "--json" in called("compare", "-h").stdout


def test_a_system_without_file_locks_is_refused_in_one_line() -> None:
    code = "import sys; sys.modules['fcntl'] = None; from bench.__main__ import run; run()"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == (
        "Error: rerank-bench needs Linux or macOS: this Python has no fcntl. On Windows, use WSL.\n"
    )


def test_the_python_api_refuses_such_a_system_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(bench.BenchError, match="On Windows, use WSL"):
        bench.measure  # noqa: B018
