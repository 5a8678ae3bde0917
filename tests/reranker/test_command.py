"""Commands that are stopped, or that cannot be done: one line, and a status that says which."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reranker import RerankerError, command

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "train": ["recipe.json", "--output", "out"],
    "train.merge": ["nowhere", "--weights", "1", "--output", "out"],
    "speed": ["--lists", "100000"],
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("seconds", [0.3, 0.8])
def test_a_command_that_is_stopped_while_it_imports_says_so_in_one_line(
    name: str, seconds: float, tmp_path: Path
) -> None:
    arguments = [sys.executable, "-X", "importtime", "-m", f"reranker.{name}", *COMMANDS[name]]
    process = subprocess.Popen(
        arguments, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    lines = []
    for line in process.stderr:  # so that the first moment is after the command's own first import
        lines.append(line)
        if "reranker.command" in line:
            break
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    lines += process.communicate(timeout=60)[1].splitlines()
    said = [line for line in lines if not line.startswith("import time:")]
    assert process.returncode == 130, said
    assert said == ["Interrupted."]


def test_a_command_that_is_stopped_while_it_works_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
        return 0

    # A shell's background jobs ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert command.run(work, "The same command goes on.") == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == "Interrupted. The same command goes on.\n"


@pytest.mark.parametrize("error", [RerankerError("no"), PermissionError(13, "no", "file")])
def test_what_the_user_can_mend_is_one_line(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        raise error

    assert command.run(work) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("first", [[], [""]])
@pytest.mark.parametrize("name", COMMANDS)
def test_no_file_of_the_working_folder_is_run_for_a_library(name: str, first: list[str], tmp_path: Path) -> None:
    """`python -m` looks in the working folder first, and an empty entry of PYTHONPATH has it look there once more."""
    for shadow in ("typing", "argparse", "signal", "json", "torch", "transformers", "sentence_transformers", "peft"):
        (tmp_path / f"{shadow}.py").write_text("open('it-ran', 'a').write(__name__)")
    answer = subprocess.run(
        [sys.executable, "-m", f"reranker.{name}", "--help"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": os.pathsep.join([*first, str(ROOT)])}, capture_output=True,
        text=True,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert not (tmp_path / "it-ran").exists(), (tmp_path / "it-ran").read_text()
