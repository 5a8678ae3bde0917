"""The READMEs: every command has options that exist, and the Python that needs no network runs."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from bench.cli import app

ROOT = Path(__file__).parents[2]
READMES = [
    ROOT / "README.md",
    *sorted((ROOT / "bench").rglob("README.md")),
    *sorted((ROOT / "reranker").rglob("README.md")),
]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands(path: Path) -> Iterator[str]:
    for line in path.read_text().splitlines():
        yield from re.findall(r"python -m bench [^`]*", line)


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_have_options_that_exist(path: Path) -> None:
    group = typer.main.get_command(app)
    for command in commands(path):
        words = shlex.split(command, comments=True)[3:]
        with group.make_context("bench", list(words)) as context:
            name, chosen, rest = group.resolve_command(context, words)
            while hasattr(chosen, "commands"):
                name, chosen, rest = chosen.resolve_command(context, rest)
            if rest:  # else the text names the command alone
                chosen.make_context(name, rest, parent=context)


@pytest.mark.parametrize("path", ["README.md", "bench/README.md", "reranker/README.md"])
def test_the_first_python_runs(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = next(code for language, code in BLOCK.findall((ROOT / path).read_text()) if language == "python")
    exec(compile(code, path, "exec"), {})
