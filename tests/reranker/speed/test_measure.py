"""The speed command, as a process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def speed(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "reranker.speed", "--device", "cpu", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_json_report_of_random_weights() -> None:
    done = speed("--size", "tiny", "--lists", "3", "--documents", "6", "--tokens", "12", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["lists"], report["documents"], report["dtype"]) == (3, 18, "float32")
    assert len(report["ratios"]) == 3
    assert min(report["ratios"]) <= report["ratio"] <= max(report["ratios"])
    assert 0 <= report["largest_score_difference"] <= 1e-5
    for way in ("baseline", "ours"):
        figures = report["ways"][way]
        assert figures["documents_per_second"] * report["tokens_per_list"] / 6 == pytest.approx(
            figures["tokens_per_second"]
        )
        assert 0 < figures["seconds_per_query_p50"] <= figures["seconds_per_query_p95"]
        assert 0 <= figures["share_outside_forward"] < 1


def test_text_report_of_a_checkpoint(tiny_folder: Path) -> None:
    done = speed("--checkpoint", str(tiny_folder), "--lists", "1", "--documents", "2", "--tokens", "5")
    assert done.returncode == 0, done.stderr
    assert "documents/s" in done.stdout
    assert "ratio baseline / ours:" in done.stdout


def test_a_checkpoint_that_is_not_there_ends_with_a_message() -> None:
    done = speed("--checkpoint", "./nowhere")
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no folder")
    assert "Traceback" not in done.stderr
