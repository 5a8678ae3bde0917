"""How commands end: 0 and 1 are verdicts, 2 is everything else, 130 is Ctrl-C."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.errors import BenchError

Call = Callable[..., "subprocess.CompletedProcess[str]"]
BeirFolder = Callable[..., Path]

STORED = Path(__file__).parents[3] / "results" / "embedded"


@pytest.fixture
def shell(environment: dict[str, str], tmp_path: Path) -> Call:
    """Run a line of bash, in which ``bench`` is the program."""

    def call(line: str, **env: str) -> "subprocess.CompletedProcess[str]":
        script = f'set -o pipefail; bench() {{ "{sys.executable}" -m bench "$@"; }}; {line}'
        command = ["bash", "-c", script]
        return subprocess.run(
            command, cwd=tmp_path, env=environment | env, capture_output=True, encoding="utf-8", timeout=60
        )

    return call


GATE = f"bench gate --baseline {STORED} --candidate {STORED}"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"{GATE} > /dev/full", "Error: Cannot write the output: No space left on device"),
        (f"{GATE} > /dev/full 2>&1", ""),
        (f"{GATE} | true; exit ${{PIPESTATUS[0]}}", ""),
        (f"{GATE} 2>&1 | true; exit ${{PIPESTATUS[0]}}", ""),
        (f"bench leaderboard {STORED} > /dev/full", "Error: Cannot write the output: No space left on device"),
        (f"bench leaderboard {STORED} | true; exit ${{PIPESTATUS[0]}}", ""),
        ("bench tasks | true; exit ${PIPESTATUS[0]}", ""),
        ("bench runs list > /dev/full", "Error: Cannot write the output"),
    ],
)
def test_output_that_cannot_be_written_is_no_verdict(shell: Call, line: str, said: str) -> None:
    answer = shell(line)
    assert answer.returncode == 2, answer.stderr
    assert said in answer.stderr
    assert answer.stderr.count("\n") == (1 if said else 0)


@pytest.mark.parametrize("option", ["--baseline", "--candidate", "--junit"])
def test_a_name_too_long_is_no_verdict(bench: Call, option: str) -> None:
    paths = {"--baseline": str(STORED), "--candidate": str(STORED), option: "n" * 300}
    answer = bench("gate", *[part for pair in paths.items() for part in pair])
    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr
    assert "n" * 300 in answer.stdout + answer.stderr


FAULT = """
import bench.comparison.gate

def gate(*arguments, **options):
    raise RuntimeError("a fault \\x1b[2J of ours")

bench.comparison.gate.gate = gate
"""


def test_a_fault_of_the_program_is_no_verdict(shell: Call, tmp_path: Path) -> None:
    (tmp_path / "fault.py").write_text(f"{FAULT}\nfrom bench.cli import main\nmain()\n")
    answer = shell(f'"{sys.executable}" fault.py gate --baseline {STORED} --candidate {STORED}')
    assert answer.returncode == 2
    assert "Traceback (most recent call last):" in answer.stderr
    assert "RuntimeError: a fault \\x1b[2J of ours" in answer.stderr


def test_closed_streams_change_no_verdict(shell: Call) -> None:
    assert shell(f"{GATE} >&-").returncode == 0


def test_a_run_from_a_closed_standard_input_is_refused(shell: Call, tmp_path: Path) -> None:
    """The first file that the command opens would get the input's number, and the run would be waited for for ever."""
    (tmp_path / "data").mkdir()
    answer = shell(f"bench folder {tmp_path / 'data'} -r first-stage --first-stage /dev/stdin <&-")
    assert answer.returncode == 2
    assert "/dev/stdin: the run is empty" in answer.stderr


INTERRUPT = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(10)\n"


@pytest.mark.parametrize("module", ["typer", "rich.py", "httpx.py"])
def test_ctrl_c_while_modules_load(shell: Call, tmp_path: Path, environment: dict[str, str], module: str) -> None:
    """Also of a module that a command loads later, as it does the libraries for models."""
    place = tmp_path / "first"
    (place / "typer").mkdir(parents=True) if module == "typer" else place.mkdir()
    (place / (f"{module}/__init__.py" if module == "typer" else module)).write_text(INTERRUPT)
    path = f"{place}:{environment['PYTHONPATH']}"
    answer = shell("bench beir claims --embedded -r http://127.0.0.1:9/rerank", PYTHONPATH=path)
    assert answer.returncode == 130, answer.stderr
    lines = [line for line in answer.stderr.splitlines() if "reading" not in line and "first stage" not in line]
    assert len(lines) == 1, answer.stderr
    assert lines[0].startswith("Interrupted.")


def test_errors_of_the_user_are_one_line(bench: Call) -> None:
    answer = bench("leaderboard", "nowhere")
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
    assert BenchError.__name__ not in answer.stderr
