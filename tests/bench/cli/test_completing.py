"""Shell completion, as bash and zsh ask for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli import main


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("rep", ["reproduce", "report"]),
        ("beir sci", ["scidocs", "scifact"]),
        ("beir scifact sci", ["scidocs"]),
        ("beir cqadupstack/wi", []),
        ("mkqa --embedded n", ["nl", "no"]),
        ("miracl -r jina-reranker-v3", ["jina-reranker-v3", "jina-reranker-v3.5"]),
        ("folder here --reranker ora", ["oracle"]),
        ("irds --dtype b", ["bfloat16"]),
        ("sensitivity coir/embedded", ["coir/embedded-functions"]),
        ("tasks m", ["miracl", "mkqa"]),
        ("runs check beir/nf", ["beir/nfcorpus"]),
        ("leaderboard resu", []),  # a file's name: the shell's own
    ],
)
def test_bash_completes_names(
    line: str, expected: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_RERANK_BENCH_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"rerank-bench {line}")
    monkeypatch.setenv("COMP_CWORD", str(len(line.split())))
    monkeypatch.setattr(sys, "argv", ["rerank-bench"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert capsys.readouterr().out.split() == expected


def test_the_script_is_for_the_installed_command_and_bash_reads_it(environment: dict[str, str]) -> None:
    shown = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -m bench --show-completion; exit $?'],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    bash = 'eval "$1"; complete -p rerank-bench'
    read = subprocess.run(["bash", "-c", bash, "bash", shown.stdout], capture_output=True, text=True, check=True)
    assert read.stdout == "complete -o default -F _rerank_bench_completion rerank-bench\n"


def test_completing_loads_no_model_library(environment: dict[str, str], tmp_path: Path) -> None:
    asked = {
        "_RERANK_BENCH_COMPLETE": "complete_zsh",
        "_TYPER_COMPLETE_ARGS": "rerank-bench beir -r jina-reranker-v2",
        "PATH": os.environ["PATH"],
    }
    command = [sys.executable, "-X", "importtime", "-m", "bench"]
    answer = subprocess.run(command, env=environment | asked, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "jina-reranker-v2-base-multilingual" in answer.stdout
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in answer.stderr.splitlines()}
    assert "bench" in loaded
    assert not loaded & {"torch", "transformers", "sentence_transformers", "mteb", "datasets", "pandas", "ir_datasets"}
