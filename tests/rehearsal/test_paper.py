"""The paper's tables from an empty machine: first stages, every reranker, published next to measured."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Call
from tests.hub import Hub

DESCRIPTION = re.compile(r"Of (\d+) figures (\d+) are measured")
COMMAND = ("reproduce", "paper", "--run")


def described(text: str) -> tuple[int, int]:
    """How many figures there are, and how many of them are measured."""
    found = DESCRIPTION.search(" ".join(text.split()))
    assert found, text
    return int(found[1]), int(found[2])


def results(folder: Path) -> dict[Path, int]:
    """The results that a command has written, and when."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("result.json")}


@pytest.mark.fuzz
@pytest.mark.timeout(1800)
def test_every_figure_that_has_no_refusal_is_measured(bench: Call, hub: Hub, tmp_path: Path):
    answer = bench(*COMMAND, timeout=1700)
    assert answer.returncode == 0, answer.stderr[-3000:]
    # Refused: jina-reranker-m0, which has no row, the two other orders of jina-reranker-v3, and CoIR's first stage.
    assert described(answer.stdout) == (375, 375 - 15 - 20 - 2 - 28 - 8)
    assert "What cannot be measured here" in answer.stdout
    written, asked = results(tmp_path / "here" / "out"), len(hub.asked)
    again = bench(*COMMAND, timeout=600, env={"HF_HUB_OFFLINE": "1"})
    assert (again.returncode, again.stdout) == (0, answer.stdout)
    assert results(tmp_path / "here" / "out") == written
    assert hub.asked[asked:] == []
    missing = next(iter(written))
    missing.unlink()
    resumed = bench(*COMMAND, timeout=600, env={"HF_HUB_OFFLINE": "1"})
    assert (resumed.returncode, resumed.stdout) == (0, answer.stdout), resumed.stderr[-3000:]
    assert missing.exists()
    assert hub.asked[asked:] == []


def test_a_killed_run_resumes(environment: dict[str, str], bench: Call, tmp_path: Path):
    """One suite of the paper in three languages, killed when the first of its results is there."""
    folder, told = tmp_path / "here" / "out", tmp_path / "told.json"
    few = {"only": {"mkqa": ["ar", "ja", "zh_cn"]}}
    told.write_text(json.dumps(json.loads(Path(environment["REHEARSAL_TOLD"]).read_text()) | few))
    environment["REHEARSAL_TOLD"] = str(told)
    command = [sys.executable, "-m", "bench", *COMMAND, "--suite", "mkqa"]
    started = subprocess.Popen(
        command, cwd=tmp_path / "here", env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 240
        while not results(folder) and started.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
    finally:
        os.kill(started.pid, signal.SIGKILL)
    assert started.wait() == -signal.SIGKILL
    early = results(folder)
    assert early
    answer = bench(*COMMAND, "--suite", "mkqa", timeout=240)
    assert answer.returncode == 0, answer.stderr[-3000:]
    assert described(answer.stdout) == (9, 8)
    later = results(folder)
    assert len(later) == 3 * 8
    assert {path: later[path] for path in early} == early
