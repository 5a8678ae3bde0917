"""Results of several commands in one folder, with names from anywhere: none takes another's place."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.paths import as_text, component, with_hash
from bench.results import Result, read_result, result_paths

Call = Callable[..., "subprocess.CompletedProcess[str]"]
BeirFolder = Callable[..., Path]

CORPUS = "d1 | | The moon pulls the sea.\nd2 | | Cutting an onion.\nd3 | | The sea is salt."
QUERIES = "q1 | salt sea\nq2 | onion"
QRELS = "q1 d1 1\nq2 d2 2"
OWN = """
from bench.rerankers.base import Scored

class {name}:
    def score(self, lists):
        for each in lists:
            yield Scored(each.query_id, tuple(float(len(text)) for text in each.texts), {counts})
"""


@pytest.fixture
def folder(beir_folder: BeirFolder) -> Path:
    return beir_folder(CORPUS, QUERIES, QRELS)


def measured(bench: Call, *arguments: object) -> None:
    answer = bench(*arguments, "--output", "out")
    assert answer.returncode == 0, answer.stdout + answer.stderr


def results(tmp_path: Path) -> list[Result]:
    paths = result_paths([tmp_path / "here" / "out"])
    found = list(map(read_result, paths))
    assert [path.relative_to(tmp_path / "here" / "out").parent for path in paths] == [each.folder for each in found]
    return found


def test_another_seed_does_not_take_a_results_place(bench: Call, folder: Path, tmp_path: Path):
    for seed in (0, 1, 0):
        measured(bench, "folder", folder, "-r", "random", "--seed", seed)
    assert [result.reranker.settings["seed"] for result in sorted(results(tmp_path), key=_seed)] == [0, 1]


def _seed(result: Result) -> int:
    return int(result.reranker.settings["seed"])


def test_names_that_differ_by_a_slash_do_not_share_a_folder(bench: Call, folder: Path, tmp_path: Path):
    for tag in ("a/b", "a_b", "x" * 300):
        (tmp_path / "run.trec").write_text(f"q1 Q0 d3 1 2 {tag}\nq2 Q0 d2 1 1 {tag}\n")
        measured(bench, "folder", folder, "-r", "first-stage", "--first-stage", tmp_path / "run.trec")
    assert sorted(result.protocol.first_stage for result in results(tmp_path)) == ["a/b", "a_b", "x" * 300]


@pytest.mark.parametrize(
    "name", [b"caf\xe9", "日本".encode(), b"result.json", b"con", b"a:b", b" ", b"x" * 200], ids=str
)
def test_a_folder_of_any_name_is_measured(bench: Call, beir_folder: BeirFolder, tmp_path: Path, name: bytes):
    folder = beir_folder(CORPUS, QUERIES, QRELS, name=os.fsdecode(name))
    measured(bench, "folder", folder, "-r", "first-stage", "-r", "random")
    assert {result.task for result in results(tmp_path)} == {f"folder/{name.decode(errors='backslashreplace')}"}


@pytest.mark.parametrize(
    ("options", "key"),
    [
        (["--depth", 10**19], "depth"),
        (["--max-doc-length", 2**63], "--max-doc-length"),
        (["--seed", 2**70, "-r", "random"], "--seed"),
    ],
)
def test_numbers_beyond_64_bits_are_refused_before_anything_is_scored(
    refused: Callable[..., str], folder: Path, tmp_path: Path, options: list[object], key: str
):
    assert key in refused("folder", folder, *(options if "-r" in options else [*options, "-r", "first-stage"]))
    assert not list(tmp_path.rglob("result.json"))


@pytest.mark.parametrize("counts", ["tokens=-1", "documents_cut=-1"])
def test_counts_that_no_result_may_have_are_refused(
    refused: Callable[..., str], folder: Path, tmp_path: Path, counts: str
):
    (tmp_path / "here" / "mine.py").write_text(OWN.format(name="Mine", counts=counts))
    message = refused("folder", folder, "-r", "mine:Mine")
    assert "mine:Mine" in message
    assert not list(tmp_path.rglob("result.json"))


def test_what_component_makes():
    assert component("embedded-zh_cn") == "embedded-zh_cn"
    assert component("Base").startswith("Base-")
    assert component("core:my/model").startswith("core-my-model-")
    assert component("con.x").startswith("_con.x-")
    assert with_hash("bm25-100", "0123abcd") == "bm25-100-0123abcd"
    assert with_hash("...", "0123abcd") == "0123abcd"


def test_a_name_that_is_not_utf8_is_readable():
    assert as_text(os.fsdecode(b"caf\xe9 \xc3\xa9")) == "caf\\xe9 é"
