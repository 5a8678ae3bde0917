"""The documents that --json prints, by command."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.first_stage.manifest import read_manifests
from bench.rerankers import FAMILIES, ROWS
from tests.conftest import InProcess

ROOT = Path(__file__).parents[3]
RESULTS = ROOT / "results/embedded/beir"
Json = Callable[..., Any]


@pytest.fixture
def told(in_process: InProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Json:
    """What a command prints with --json, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def call(*words: object, status: int = 0) -> Any:
        ended, printed, said = in_process(*words, "--json", "--quiet")
        assert ended == status, said
        return json.loads(printed)

    return call


def test_rerankers_are_rows_and_families(told: Json) -> None:
    found = told("rerankers")
    assert found["families"] == FAMILIES
    assert [row["name"] for row in found["rerankers"]][: len(ROWS)] == list(ROWS)
    assert {"name", "family", "model", "revision", "licence", "note", "refusal"} == found["rerankers"][0].keys()


def test_bundled_runs_are_their_manifest_rows(told: Json) -> None:
    found = told("runs", "list")
    assert {task: row["figures"] for task, row in found.items()} == {
        task: row.figures for task, row in read_manifests().items()
    }


def test_checked_runs_are_named_with_what_is_wrong(told: Json) -> None:
    checked = ["beir/embedded-claims"]
    assert told("runs", "check", *checked) == {"checked": checked, "wrong": []}
    missing = "irds/trec-dl-2019"
    assert missing not in read_manifests()
    assert told("runs", "check", missing, status=1) == {
        "checked": [missing],
        "wrong": [f"{missing}: no run is bundled."],
    }


def test_figures_over_two_first_stages_are_one_list(told: Json) -> None:
    (run,) = RESULTS.glob("embedded-claims/*/first-stage-*/run.trec.gz")
    words = ("beir", "claims", "--embedded", "-r", "first-stage", "--first-stage", "bm25", "--first-stage", run)
    foreseen = told(*words, "--dry-run")
    assert [(row["task"], row["reranker"]) for row in foreseen] == [("beir/embedded-claims", "first-stage")] * 2
    assert foreseen[0]["documents"] > foreseen[0]["lists"] > 0
    one, other = told(*words)
    assert (one["first_stage"], one["score"]) == ("bm25", other["score"])
    assert other["first_stage"] != "bm25"


def test_history_is_a_list_of_figures(told: Json, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "2026-01-02").symlink_to(RESULTS)
    found = told("history", "kept")
    row = next(row for row in found if row["reranker"] == "oracle")
    assert (row["when"], row["first_stage"], row["before"], row["verdict"]) == ("2026-01-02", "bm25@100", None, "")
    assert row["task"].startswith("beir/embedded-")
    assert 0.9 < row["score"] <= 1
