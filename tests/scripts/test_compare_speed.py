from pathlib import Path

import pytest

from bench.errors import BenchError
from tests.scripts.compare_speed.__main__ import in_turn, main
from tests.scripts.compare_speed.sides import Job


def test_each_side_works_in_a_process_of_its_own_and_finds_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measures", "bm25", "--data", "none", "--passages", "200", "--lists", "30", "--repeat", "1"]) == 0
    printed = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed.splitlines() if line.startswith("| ")]
    measures = {row[3]: row[-1] for row in rows if row[0] == "measures"}
    assert len(set(measures.values())) == 1 and {"ours", r"pytrec\_eval"} <= set(measures)
    assert {row[3] for row in rows if row[0] == "bm25"} == {"ours", "bm25s"}
    assert "another figure" not in printed


def test_a_side_that_fails_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"ours ended in core: bench.errors.BenchError: .*there is no task beir/"):
        in_turn([Job("core", "ours", 1, str(tmp_path), 1, 0, 0, "embedded")], 1)
