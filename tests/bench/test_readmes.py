"""The READMEs: every command and every block of Python is run, or says why not where its reader sees it.

A mark is in a command's comment, in the comment at the head of its block, or in the paragraph of a command in the text.
Commands with a mark are parsed only.
"""

import ast
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from bench.cli import app
from bench.results import read_result, result_paths
from tests.conftest import BeirFolder, InProcess

ROOT = Path(__file__).parents[2]
READMES = [
    ROOT / "README.md",
    *sorted((ROOT / "bench").rglob("README.md")),
    *sorted((ROOT / "reranker").rglob("README.md")),
]
MARK = re.compile(r"needs the network|needs a GPU|takes minutes|takes half a minute")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
IN_TEXT = re.compile(r"`((?:python -m|make|pip install) [^`]+)`")
UNPRINTABLE = re.compile(r'["<>|*?\r]')
"""What upload-artifact refuses in the paths of files."""


@dataclass(frozen=True)
class Step:
    """One thing that a reader can do: a ``command``, a block of ``python``, a ``yaml`` workflow."""

    kind: str
    text: str
    marked: bool = False


def steps(text: str) -> Iterator[Step]:
    """The steps of a README, in its order."""
    end = 0
    for fence in FENCE.finditer(text):
        yield from in_text(text[end : fence.start()])
        end = fence.end()
        language, block = fence.groups()
        assert language in ("sh", "python", "yaml", "text"), f"a block needs a language: {block}"
        if language == "sh":
            yield from in_block(block)
        elif language != "text":
            yield Step(language, block)
    yield from in_text(text[end:])


def in_text(text: str) -> Iterator[Step]:
    for paragraph in re.split(r"\n\n|\n(?=- )", text):
        line = " ".join(paragraph.split())
        for command in IN_TEXT.findall(line):
            yield Step("command", command, bool(MARK.search(line)))


def in_block(block: str) -> Iterator[Step]:
    lines = block.splitlines()
    head = lines.pop(0) if lines[0].startswith("#") else ""
    for line in lines:
        command, _, comment = line.partition(" # ")
        yield Step("command", command, bool(MARK.search(head + comment)))


def check(command: str) -> None:
    """Without running it: whether a command names what exists."""
    words = shlex.split(command)
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), command
    elif words[:2] == ["pip", "install"]:
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        assert re.fullmatch(rf"(\./)?rerank-bench(\[({'|'.join(extras)})\])?", words[2]), command
    else:
        assert words[:2] == ["python", "-m"], f"unknown command: {command}"
        check_options(words[2], words[3:])


def check_options(module: str, words: list[str]) -> None:
    if module != "bench":
        with redirect_stdout(StringIO()) as told:
            run_module(module, ["--help"])
        assert all(word in told.getvalue() for word in words if word.startswith("-")), (module, words)
        return
    group = typer.main.get_command(app)
    with group.make_context("bench", list(words)) as context:
        name, chosen, rest = group.resolve_command(context, words)
        while hasattr(chosen, "commands"):
            name, chosen, rest = chosen.resolve_command(context, rest)
        chosen.make_context(name, rest, parent=context)


def run_module(module: str, words: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "argv", [module, *words])
        try:
            runpy.run_module(module, run_name="__main__")
        except SystemExit as ended:
            assert not ended.code, (module, words, ended.code)


@pytest.fixture
def place(
    beir_folder: BeirFolder, tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder with what the READMEs' commands read: results in git, a collection, a run, checkpoints."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    beir_folder(
        "d1 | Tides | The sea is deep.\nd2 | | Onions are sharp.", "q1 | deep sea", "q1 d1 1", name="my-collection"
    )
    (tmp_path / "my.trec").write_text("q1 Q0 d2 1 2 mine\nq1 Q0 d1 2 1 mine\n")
    for name in ("my-checkpoint", "one-checkpoint", "another-checkpoint"):
        shutil.copytree(ROOT / "tests/reranker/data/tiny-checkpoint", tmp_path / name)
    for name in ("out/beir", "results/embedded/beir"):
        shutil.copytree(ROOT / "results/embedded/beir/embedded-claims", tmp_path / name / "embedded-claims")
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org"]
    for words in (["init", "--quiet"], ["add", "results"], ["commit", "--quiet", "--message", "Results"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.filterwarnings("ignore:.* found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("path", READMES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_a_readme_says_can_be_done(path: Path, place: Path, in_process: InProcess) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}

    def run(command: str) -> None:
        check(command)
        module, *words = [each for word in shlex.split(command)[2:] for each in expanded(word)]
        if module == "bench":
            status, _, messages = in_process(*words)
            assert status == 0, f"{command}\n{messages}"
        else:
            run_module(module, words)

    for step in dict.fromkeys(steps(path.read_text())):
        if step.kind == "python":
            run_python(step.text, names)
        elif step.kind == "yaml":
            run_workflow(step.text, run)
        elif step.marked:
            check(step.text)
        else:
            run(step.text)


def expanded(word: str) -> list[str]:
    """What a shell gives a command for a word."""
    return sorted(map(str, Path().glob(word))) if "*" in word else [word]


def test_the_table_shows_the_committed_results() -> None:
    results = [read_result(path) for path in result_paths([ROOT / "results/embedded/beir"])]
    stored = {(each.reranker.name, each.task.removeprefix("beir/embedded-")): each.main * 100 for each in results}
    table = next(block for language, block in FENCE.findall((ROOT / "README.md").read_text()) if language == "text")
    rows = [line.split() for line in table.splitlines()]
    tasks = rows[1][4:-1]
    shown = {(row[0], task): float(row[2 + n]) for row in rows[4:9] for n, task in enumerate(tasks)}
    assert shown.keys() == stored.keys()
    assert shown == pytest.approx(stored, abs=0.005)


def run_python(code: str, names: dict[str, Any]) -> None:
    """Run a block, or write the module that its first line names; one for another library is compiled only."""
    if module := re.match(r"# (\w+\.py)\n", code):
        Path(module[1]).write_text(code)
        return
    compiled = compile(code, "README", "exec")
    imported = {each.module.partition(".")[0] for each in ast.walk(ast.parse(code)) if isinstance(each, ast.ImportFrom)}
    if imported <= {"bench", "reranker", *sys.stdlib_module_names}:
        exec(compiled, names)


def run_workflow(text: str, run: Any) -> None:
    """Run a GitHub workflow's commands of ours, and look for the files that it uploads."""
    workflow = yaml.safe_load(text)
    (job,) = workflow["jobs"].values()
    assert job["runs-on"] and workflow[True]  # YAML 1.1 reads `on` as a truth value
    uploaded = []
    for step in job["steps"]:
        assert ("uses" in step) != ("run" in step), step
        command = step.get("run", "")
        if command.startswith("python -m bench"):
            run(command)
        elif command:
            check(command)
        elif step["uses"].startswith("actions/upload-artifact@"):
            uploaded += step["with"]["path"].splitlines()
    assert len(uploaded) == 2
    for each in uploaded:
        assert not UNPRINTABLE.search(each) and Path(each).exists(), each
