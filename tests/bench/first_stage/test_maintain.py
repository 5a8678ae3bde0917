"""Bundled runs are made again byte for byte, and what differs from the manifest is said field by field."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.console import Advance
from bench.errors import BenchError
from bench.first_stage.maintain import build_bundled, build_missing, check_bundled
from bench.first_stage.manifest import bundled_path, read_manifests
from bench.suites import by_ids
from bench.task import Task


class Steps:
    """Progress that is written down."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self.units = 0

    @contextmanager
    def step(self, label: str, total: int | None) -> Iterator[Advance]:
        self.labels.append(label)

        def advance(units: int) -> None:
            self.units += units

        yield advance


SAMPLES = by_ids(["beir/embedded-claims", "beir/embedded-arguments"])


def test_runs_are_built_into_a_folder_and_every_time_the_same(tmp_path: Path):
    steps = Steps()
    lines = list(build_bundled(SAMPLES, None, "", tmp_path / "one", steps))
    assert [line.partition(":")[0] for line in lines] == [task.id for task in SAMPLES]
    rows = read_manifests(tmp_path / "one")
    for task, line in zip(SAMPLES, lines, strict=True):
        assert str(bundled_path(task, tmp_path / "one")) in line
        assert f"nDCG@10 {100 * rows[task.id].figures['nDCG@10']:.2f}" in line
        assert f"R@100 {100 * rows[task.id].figures['R@100']:.2f}" in line
        assert (rows[task.id].documents, rows[task.id].queries) == (task.counts.documents, task.counts.queries)
    assert steps.units == sum(row.documents for row in rows.values())

    # In another order, one by one: a row is put beside those that are there.
    for task in reversed(SAMPLES):
        list(build_bundled([task], None, "", tmp_path / "two", Steps()))
    for path in (tmp_path / "one").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()
    assert json.loads((tmp_path / "one" / "manifest.json").read_bytes()).keys() == {task.id for task in SAMPLES}


def test_a_folder_of_the_users_is_built_from_data(beir_folder: Callable[..., Path], tmp_path: Path):
    beir_folder("d1 | | sea\n d2 | | land", "q1 | sea", "q1 d1 1", name="data/small")
    (line,) = build_bundled([Task("beir", "small")], tmp_path / "data", "", tmp_path / "into", Steps())
    assert "nDCG@10 100.00" in line


@pytest.mark.parametrize(("name", "message"), [("file", "is not a folder"), ("x" * 300, "File name too long")])
def test_a_place_that_cannot_be_a_folder_is_refused_before_anything_is_built(tmp_path: Path, name: str, message: str):
    (tmp_path / "file").touch()
    steps = Steps()
    with pytest.raises(BenchError, match=message):
        list(build_bundled(SAMPLES, None, "", tmp_path / name, steps))
    assert steps.labels == []


def test_what_is_not_bundled_is_said():
    assert check_bundled(by_ids(["beir/scidocs"]), None, "") == ["beir/scidocs: no run is bundled."]


def test_a_collection_that_cannot_be_loaded_is_an_error(tmp_path: Path):
    with pytest.raises(BenchError, match=r"nfcorpus.*test\.tsv does not exist"):
        check_bundled(by_ids(["beir/nfcorpus"]), tmp_path, "")
    with pytest.raises(BenchError, match=r"nfcorpus.*test\.tsv does not exist"):
        list(build_bundled(by_ids(["beir/nfcorpus"]), tmp_path, "", tmp_path / "into", Steps()))
    assert not (tmp_path / "into").exists()


def test_a_place_that_is_no_folder_is_refused_by_its_option(tmp_path: Path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(BenchError, match=r"link is not a folder\. Choose another place with --into"):
        list(build_bundled([], None, "", tmp_path / "link", Steps()))


def test_a_manifest_that_is_a_pipe_is_refused_and_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "manifest.json")
    with pytest.raises(BenchError, match=r"manifest\.json is not a regular file"):
        read_manifests(tmp_path)


NAMED = ["scifact", "nfcorpus", "fiqa"]


@pytest.fixture
def three(beir_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Task]:
    """Three tasks on which BM25 scores 1, 1 and 0, while 100 is published for each."""
    from bench.published import Published

    for name in NAMED:
        hit = "d2" if name == "fiqa" else "d1"
        beir_folder("d1 | | sea\n d2 | | land", "q1 | sea", f"q1 {hit} 1", name=f"data/{name}")
    one = {"parameters_b": None, "measure": "nDCG@10", "value": 100.0, "first_stage": "none", "source": "", "note": ""}
    rows = [Published("beir", name, "BM25 bm25s Lucene (k1=0.9, b=0.4)", **one) for name in NAMED]
    monkeypatch.setattr("bench.first_stage.maintain.read_all", lambda: rows)
    return [Task("beir", name) for name in NAMED]


def test_missing_runs_are_built_and_held_against_what_is_published(three: list[Task], tmp_path: Path):
    steps, into = Steps(), tmp_path / "into"
    build = build_missing([*three, *SAMPLES], tmp_path / "data", "", into, steps)
    lines = [next(build) for _ in three]
    assert "nDCG@10 100.00 (+0.00 from the published 100.00)" in lines[0]
    assert "nDCG@10 0.00 (-100.00 from the published 100.00), R@100 0.00; not written." in lines[2]
    with pytest.raises(BenchError, match=r"1 runs are more than 1 point .* were not written: beir/fiqa\."):
        next(build)
    assert read_manifests(into).keys() == {"beir/scifact", "beir/nfcorpus"}


def test_a_stopped_build_goes_on_where_it_was(three: list[Task], tmp_path: Path):
    into = tmp_path / "into"
    first = build_missing(three[:2], tmp_path / "data", "", into, Steps())
    next(first)
    first.close()
    assert read_manifests(into).keys() == {"beir/scifact"}
    steps = Steps()
    lines = list(build_missing(three[:2], tmp_path / "data", "", into, steps))
    assert lines[0] == "beir/scifact: is there."
    assert steps.labels == ["beir/nfcorpus  reading", "beir/nfcorpus  BM25"]
    # A run that does not fit its row is not there.
    bundled_path(three[0], into).write_bytes(b"q1 Q0 d2 1 1 bm25\n")
    steps = Steps()
    list(build_missing(three[:2], tmp_path / "data", "", into, steps))
    assert steps.labels == ["beir/scifact  reading", "beir/scifact  BM25"]
    assert read_manifests(into).keys() == {"beir/scifact", "beir/nfcorpus"}
