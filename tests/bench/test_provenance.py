"""The commit that a result names is this package's own, or none."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bench
from bench.provenance import provenance

SHOW = "from bench.provenance import git_commit; print(git_commit())"


def commit_of(checkout: Path, environment: dict[str, str], package: Path) -> str:
    """Make a repository of a folder, and ask the package that lies in it for its commit."""
    identity = {f"GIT_{who}_{what}": "x@y" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for command in (["init", "--quiet"], ["add", "file"], ["commit", "--quiet", "--message", "first"]):
        subprocess.run(["git", *command], cwd=checkout, env=environment | identity, check=True, timeout=30)
    command = [sys.executable, "-c", SHOW]
    changed = environment | {"PYTHONPATH": str(package)}
    answer = subprocess.run(command, cwd=checkout, env=changed, capture_output=True, text=True, check=True, timeout=30)
    return answer.stdout.strip()


def copied(place: Path) -> Path:
    source = Path(bench.__file__).parent
    (place / "bench").mkdir(parents=True)
    for name in ("__init__.py", "errors.py", "ours.py", "provenance.py"):
        shutil.copy(source / name, place / "bench" / name)
    return place


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_checkouts_commit_is_named(tmp_path: Path, environment: dict[str, str]):
    (tmp_path / "file").touch()
    commit = commit_of(tmp_path, environment, copied(tmp_path))
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert len(commit) == 12
    assert head.startswith(commit)


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_another_projects_commit_is_not_ours(tmp_path: Path, environment: dict[str, str]):
    # Installed into a virtual environment inside somebody's repository.
    (tmp_path / "file").touch()
    assert commit_of(tmp_path, environment, copied(tmp_path / ".venv" / "lib")) == ""


def test_a_result_names_what_made_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.argv", ["bench", "folder", "my data", "-r", "first-stage"])
    found = provenance("some place")
    assert found["command"] == "python -m bench folder 'my data' -r first-stage"
    assert found["source"] == "some place"
    assert {"torch", "ir_datasets", "pytrec_eval-terrier"} <= set(found["packages"])
    assert found["time"].endswith("+00:00")
