"""Which result files a folder holds: links are followed, and nothing is left out in silence."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.comparison.stored import orphan_runs
from bench.errors import BenchError
from bench.results import result_paths
from tests.bench.factories import figures_result, keep


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    path = keep(tmp_path / "store", figures_result({"q1": 0.5}))
    (tmp_path / "out" / "beir").mkdir(parents=True)
    (tmp_path / "out" / "beir" / "toy").symlink_to(tmp_path / "store" / "beir" / "toy")
    (found,) = result_paths([tmp_path / "out"])
    assert found.is_relative_to(tmp_path / "out" / "beir" / "toy")
    assert found.samefile(path)
    # Circles end, and a folder within the place keeps its own name whatever links lead to it.
    (tmp_path / "store" / "a-link").symlink_to(tmp_path / "store")
    (tmp_path / "store" / "beir" / "another").symlink_to("toy")
    assert result_paths([tmp_path / "store"]) == [path]


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    keep(tmp_path, figures_result({"q1": 0.5}))
    (tmp_path / "beir" / "gone").symlink_to(tmp_path / "nowhere")
    with pytest.raises(BenchError, match="gone: the link leads nowhere"):
        result_paths([tmp_path])
    (tmp_path / "beir" / "gone").unlink()
    (tmp_path / "beir" / "round").symlink_to("round")
    with pytest.raises(BenchError, match="round: Too many levels"):
        result_paths([tmp_path])
    with pytest.raises(BenchError, match="File name too long"):
        result_paths([tmp_path / ("n" * 300)])


def test_a_folder_may_be_called_result_json(tmp_path: Path) -> None:
    path = keep(tmp_path / "result.json", figures_result({"q1": 0.5}))
    assert result_paths([tmp_path]) == [path]


def test_a_run_without_its_result_is_found(tmp_path: Path) -> None:
    path = keep(tmp_path, figures_result({"q1": 0.5}))
    assert orphan_runs(tmp_path) == []
    path.unlink()
    assert orphan_runs(tmp_path) == [path.with_name("run.trec.gz")]


@pytest.mark.parametrize("name", ["result.json", "run.trec.gz"])
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "device"])
def test_what_would_be_read_for_ever_is_told(tmp_path: Path, name: str, make: Callable[[Path], object]) -> None:
    place = keep(tmp_path, figures_result({"q1": 0.5})).with_name(name)
    place.unlink()
    make(place)
    with pytest.raises(BenchError, match=f"{name}: it is a pipe, a socket or a device"):
        result_paths([tmp_path])
