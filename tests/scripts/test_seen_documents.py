import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("arguments", [[], ["nowhere"], ["nowhere", "result.json"]])
def test_missing_arguments_are_one_message(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "tests.scripts.seen_documents", *arguments]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr and "python -m tests.scripts.seen_documents: error: " in answer.stderr
