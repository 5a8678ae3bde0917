"""A user's files that are named like our packages or like libraries, in real commands."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MINE = """
from bench.rerankers.base import Scored
class Mine:
    def score(self, lists):
        for each in lists:
            yield Scored(each.query_id, [len(text) for text in each.texts])
"""
SCRIPT = "import sys; from bench.__main__ import run; sys.argv[0] = 'rerank-bench'; run()"
"""What the installed command ``rerank-bench`` runs; a script's folder, not the working one, is on its path."""
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def place(tmp_path: Path, beir_folder: Callable[..., Path]) -> Path:
    """A working folder with a collection ``data``: by length, the relevant document is first (nDCG 1)."""
    beir_folder("a | | sea\nb | | sea and more", "q | sea", "q b 1", name="data")
    return tmp_path


@pytest.fixture
def command(place: Path, environment: dict[str, str]) -> Command:
    """Run the command line as ``python -m bench`` or as ``rerank-bench``."""

    def call(way: str, *arguments: str, **changes: str) -> "subprocess.CompletedProcess[str]":
        start = ["-m", "bench"] if way == "module" else ["-P", "-c", SCRIPT]
        return subprocess.run(
            [sys.executable, *start, *arguments],
            cwd=place, env=environment | changes, capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    return call


def measured(command: Command, way: str, reranker: str, **changes: str) -> None:
    done = command(way, "folder", "data", "-r", reranker, "--output", "out", **changes)
    assert done.returncode == 0, done.stderr
    assert "100.00" in done.stdout


@pytest.mark.parametrize("way", ["module", "script"])
def test_a_file_named_like_our_package_is_the_users_reranker_and_nothing_else(
    place: Path, command: Command, way: str
) -> None:
    (place / "reranker.py").write_text(MINE)
    assert command(way, "--help").returncode == 0
    measured(command, way, "reranker:Mine")
    measured(command, way, "reranker:Mine", PYTHONPATH=os.pathsep.join([str(place), str(ROOT)]))


def test_a_file_named_bench_is_a_users_reranker_too(place: Path, command: Command) -> None:
    # `python -m bench` runs that very file: Python looks there first.
    (place / "bench.py").write_text(MINE)
    measured(command, "script", "bench:Mine")


def test_a_package_named_like_ours_imports_itself_relatively(place: Path, command: Command) -> None:
    (place / "reranker").mkdir()
    (place / "reranker" / "__init__.py").write_text("from .inner import Mine")
    (place / "reranker" / "inner.py").write_text(MINE)
    for name in ("reranker:Mine", "reranker.inner:Mine"):
        measured(command, "module", name)
    (place / "reranker" / "__init__.py").write_text("from reranker.inner import Mine")
    done = command("module", "folder", "data", "-r", "reranker:Mine")
    assert done.returncode == 2
    assert "Another module is called 'reranker' too" in done.stderr
    assert "rename it" in done.stderr


def test_files_named_like_libraries_are_in_nobodys_way(place: Path, command: Command) -> None:
    for name in ("torch", "typer", "rich", "numpy", "httpx", "transformers", "sqlite3", "statistics", "json"):
        (place / f"{name}.py").write_text("raise SystemExit('the wrong module')")
    (place / "tokenizers.py").write_text(MINE)
    assert command("module", "--help").returncode == 0
    measured(command, "module", "tokenizers:Mine")
    (place / "tokenizers.py").write_text("raise SystemExit('the wrong module')")
    # transformers imports any `kernels` and the like that it finds, to see its version.
    for name in ("kernels", "hqq", "flash_attn", "optimum"):
        (place / f"{name}.py").write_text("open('it-ran', 'a').write(__name__)")
    (place / "mine.py").write_text(MINE)
    done = command("module", "folder", "data", "-r", "mine:Mine", "-r", "fusion:minilm")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("100.00") >= 2
    assert not (place / "it-ran").exists(), (place / "it-ran").read_text()


def test_our_packages_are_those_of_one_checkout(place: Path, environment: dict[str, str]) -> None:
    # As for a developer who works in one checkout while another is installed.
    other = place / "other"
    other.mkdir()
    (other / "bench").symlink_to(ROOT / "bench")
    (other / "reranker").symlink_to(ROOT / "reranker")
    code = "import sys, runpy; sys.argv = ['bench', '--help']\ntry:\n runpy.run_module('bench', run_name='__main__')\n"
    code += "except SystemExit: pass\nimport reranker; print(reranker.__file__)"
    wrong = place / "installed" / "reranker"
    wrong.mkdir(parents=True)
    (wrong / "__init__.py").write_text("raise SystemExit('the wrong checkout')")
    for path in (str(other), os.pathsep.join([str(wrong.parent), str(other)])):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=place, env=environment | {"PYTHONPATH": path},
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == str(ROOT / "reranker" / "__init__.py")


@pytest.mark.parametrize(
    ("way", "first", "ours"),
    [("module", "", ["minilm"]), ("script", "", ["minilm"]), ("module", "/proc/self/cwd", ["minilm", "embedded"])],
)
def test_no_file_of_the_working_folder_is_run_for_a_library(
    place: Path, command: Command, way: str, first: str, ours: list[str]
) -> None:
    """With an empty entry in PYTHONPATH, or the folder itself, Python looks there before anywhere else, twice.

    ``embedded`` is of our own package ``reranker``, which is found behind a file of that name.
    """
    shadows = ("signal", "enum", "re", "html", "shlex", "threading", "pathlib", "typing", "typer", "torch", "pydantic")
    for name in (*shadows, "transformers", "sentence_transformers", "kernels", "reranker"):
        (place / f"{name}.py").write_text("open('it-ran', 'a').write(__name__)")
    path = os.pathsep.join([first, *([str(place)] if first else []), str(ROOT)])
    named = [word for name in ours for word in ("-r", name)]
    done = command(way, "folder", "data", *named, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    assert not (place / "it-ran").exists(), (place / "it-ran").read_text()
