"""Every task by every reranker: what is on disk afterwards, and what is left when something is wrong."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from weakref import ref

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.console import Advance
from bench.errors import BenchError
from bench.evaluation.plan import Plan, run, run_all
from bench.evaluation.sensitivity import measure
from bench.first_stage import dense
from bench.rerankers.base import Options
from bench.results import read_result, result_paths
from bench.run import read_run
from bench.suites.folder import folder_tasks

CORPUS = """
    d1 | | the sea is deep
    d2 | | the sea is salt
    d3 | | onions are sharp
"""
QUERIES = """
    q1 | deep sea
    q2 | sharp onions
"""
QRELS = """
    q1 d2 1
    q2 d3 2
"""


class Steps:
    """Progress that is written down."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int | None, int]] = []

    @contextmanager
    def step(self, label: str, total: int | None) -> Iterator[Advance]:
        done = 0

        def advance(units: int, /, *, restored: bool = False, workers: int = 0) -> None:
            nonlocal done
            done += units

        yield advance
        self.steps.append((label, total, done))


@pytest.fixture
def plan(beir_folder: Callable[..., Path], tmp_path: Path) -> Callable[..., Plan]:
    folders = [beir_folder(CORPUS, QUERIES, QRELS, name=name) for name in ("one", "two")]

    def make(*rerankers: str, **changes: object) -> Plan:
        settings = {"tasks": folder_tasks(folders, "test"), "output": tmp_path / "out"} | changes
        return Plan(rerankers=rerankers, **settings)

    return make


def test_every_result_is_on_disk_with_its_run(plan: Callable[..., Plan], tmp_path: Path):
    steps = Steps()
    results = run(plan("first-stage", "oracle"), steps)
    assert [(result.reranker.name, result.task) for result in results] == [
        ("first-stage", "folder/one"),
        ("first-stage", "folder/two"),
        ("oracle", "folder/one"),
        ("oracle", "folder/two"),
    ]
    paths = result_paths([tmp_path / "out"])
    assert sorted(map(str, paths)) == sorted(str(tmp_path / "out" / each.folder / "result.json") for each in results)
    for path in paths:
        kept = read_result(path)
        assert kept in results
        assert read_run(path.with_name("run.trec.gz")).sha256 == kept.run_sha256
    # q1 has its document second (1/log2(3) = .63093), q2 first: their mean is .81546.
    assert results[0].main == pytest.approx((0.6309297536 + 1) / 2)
    assert results[2].main == 1
    assert {each.protocol.id for each in results[0::2]} == {results[0].protocol.id}


def test_progress_reaches_its_end(plan: Callable[..., Plan]):
    steps = Steps()
    run(plan("first-stage"), steps)
    assert steps.steps == [
        ("folder/one  reading  task 1 of 2", None, 0),
        ("folder/one  first stage  task 1 of 2", 3, 3),
        ("folder/two  reading  task 2 of 2", None, 0),
        ("folder/two  first stage  task 2 of 2", 3, 3),
        ("preparing first-stage", None, 0),
        ("folder/one  first-stage  task 1 of 2", 2, 2),
        ("folder/two  first-stage  task 2 of 2", 2, 2),
    ]


def test_the_same_command_gives_the_same_runs(plan: Callable[..., Plan], tmp_path: Path):
    for output in ("a", "b"):
        run(plan("random", "first-stage", output=tmp_path / output, options=Options(seed=7)), Steps())
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("run.trec.gz"))
    assert len(files) == 4
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_subset_and_a_depth_are_other_protocols_and_lie_apart(plan: Callable[..., Plan], tmp_path: Path):
    for changes in ({}, {"queries": 1}, {"depth": 1}):
        run(plan("oracle", **changes), Steps())
    results = [read_result(path) for path in result_paths([tmp_path / "out"])]
    assert len(results) == 6
    assert {(each.protocol.queries, each.protocol.depth) for each in results} == {(2, 100), (1, 100), (2, 1)}


def test_a_missing_task_stops_the_command_before_anything_is_measured(plan: Callable[..., Plan], tmp_path: Path):
    (tmp_path / "two" / "corpus.jsonl").unlink()
    with pytest.raises(BenchError, match=r"corpus\.jsonl"):
        run(plan("first-stage"), Steps())
    assert not list((tmp_path / "out").rglob("result.json"))


def test_an_unknown_reranker_stops_the_command_before_anything_is_measured(plan: Callable[..., Plan], tmp_path: Path):
    with pytest.raises(BenchError, match=r"no reranker 'orcale'.*'oracle'"):
        run(plan("first-stage", "orcale"), Steps())
    assert not list((tmp_path / "out").rglob("result.json"))


def test_an_output_folder_that_is_a_file_is_named_before_anything_is_read(plan: Callable[..., Plan], tmp_path: Path):
    (tmp_path / "out").write_text("a file")
    steps = Steps()
    with pytest.raises(BenchError, match="Cannot write results to"):
        run(plan("first-stage"), steps)
    assert steps.steps == []


def test_a_reranker_named_twice_is_measured_once(plan: Callable[..., Plan]):
    # Twice in the results, it would count twice in the table's averages.
    assert [result.reranker.name for result in run(plan("random", "oracle", "random"), Steps())] == [
        "random", "random", "oracle", "oracle",
    ]  # fmt: skip


def test_two_rerankers_of_one_name_are_refused_before_anything_is_read(plan: Callable[..., Plan], tmp_path: Path):
    # As two checkpoints of different parents are: no table could tell them apart.
    for parent in ("a", "b"):
        (tmp_path / parent / "mine").mkdir(parents=True)
    names = [f"core:{tmp_path}/{parent}/mine" for parent in ("a", "b")]
    steps = Steps()
    with pytest.raises(BenchError, match=f"{names[1]} and {names[0]} are both called 'core:mine'"):
        run(plan("random", *names), steps)
    assert steps.steps == []


def test_an_object_that_turns_out_to_have_anothers_name_is_refused(
    plan: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "named_later.py").write_text(
        "from bench.rerankers.base import Card\n"
        "class Mine:\n"
        "    def __init__(self):\n"
        "        self.card = Card('oracle', 'f', 'own')\n"
        "    def score(self, lists):\n"
        "        return iter(())\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BenchError, match="named_later:Mine and another --reranker are both called 'oracle'"):
        run(plan("named_later:Mine", "oracle"), Steps())
    assert not list((tmp_path / "out").rglob("result.json"))


@pytest.mark.parametrize(
    ("reranker", "changes", "message"),
    [
        ("random", {"options": Options(device="quantum")}, "device 'quantum' cannot be used"),
        ("random", {"options": Options(dtype="float12")}, "Unknown precision 'float12'"),
        ("nowhere_at_all:Mine", {}, "has a module 'nowhere_at_all'"),
        ("fusion:bench.errors:Missing", {}, "no attribute 'Missing'"),
        ("bench.errors:BenchError", {}, "must be a class with a method 'score"),
        ("cross-encoder:./missing/folder", {}, "neither a folder nor a hub id"),
        ("bi-encoder:/missing/folder", {}, "neither a folder nor a hub id"),
        ("bi-encoder:owner/absent", {}, "'owner/absent' not found locally"),
        ("bi-encoder:package:no-such-package/model", {}, "no-such-package"),
        ("http://user:password@localhost/rerank", {}, "neither a password"),
        ("fusion:https://api.jina.ai/v1/rerank", {}, "JINA_API_KEY"),
        ("random", {"analysis": "klingon"}, "klingon"),
        ("fusion:random", {"options": Options(http_options=(("top_n", "3"),))}, "none of the rerankers is an HTTP"),
    ],
)
def test_mistakes_are_told_before_anything_is_read(
    plan: Callable[..., Plan],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    reranker: str,
    changes: dict[str, object],
    message: str,
):
    monkeypatch.delenv("JINA_API_KEY", raising=False)
    if "analysis" in changes:
        changes = {"tasks": folder_tasks([tmp_path / "one"], "test", str(changes["analysis"]))}
    steps = Steps()
    with pytest.raises(BenchError, match=message):
        run(plan("first-stage", reranker, **changes), steps)
    assert steps.steps == []


@pytest.mark.parametrize("name", ["cross-encoder:nobody/has-this", "jina-reranker-v3", "fusion:core:nobody/has-this"])
def test_a_model_that_is_not_cached_is_told_at_once_where_the_hub_may_not_be_asked(
    plan: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    steps = Steps()
    with pytest.raises(BenchError, match=r"nobody/has-this|jina-reranker-v3"):
        run(plan("first-stage", name), steps)
    assert steps.steps == []


def test_sensitivity_tells_mistakes_before_anything_is_read(plan: Callable[..., Plan], tmp_path: Path):
    steps = Steps()
    one = folder_tasks([tmp_path / "one"], "test")
    with pytest.raises(BenchError, match="no attribute 'Missing'"):
        measure(plan("bench.errors:Missing", tasks=one), 1, steps)
    assert steps.steps == []


def test_a_rerankers_memory_is_free_before_the_next_one_loads(
    plan: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "heavy.py").write_text(
        "from bench.rerankers.base import Scored\n"
        "alive = 0\n"
        "class One:\n"
        "    def __init__(self):\n"
        "        global alive\n"
        "        alive += 1\n"
        "        self.me = self\n"
        "        assert alive == 1, 'two are in memory'\n"
        "    def __del__(self):\n"
        "        global alive\n"
        "        alive -= 1\n"
        "    def score(self, lists):\n"
        "        for each in lists:\n"
        "            yield Scored(each.query_id, [0] * len(each.ids))\n"
        "class Two(One):\n"
        "    pass\n"
        "class Three(One):\n"
        "    pass\n"
    )
    monkeypatch.chdir(tmp_path)
    assert len(run(plan("heavy:One", "heavy:Two", "heavy:Three"), Steps())) == 6


def test_a_dense_first_stages_model_is_loaded_once_and_free_before_a_reranker_loads(
    plan: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
):
    loaded: list[ref[object]] = []
    alive: list[bool] = []

    class Encoder:
        card = SimpleNamespace(name="north")

        def __init__(self) -> None:
            self.me = self
            loaded.append(ref(self))

        def embed(self, texts: list[str], is_query: bool, task: str) -> NDArray[np.float32]:
            return np.ones((len(texts), 2), np.float32)

    class Watching(Steps):
        def step(self, label: str, total: int | None) -> AbstractContextManager[Advance]:
            if "  first-stage" in label:
                alive.append(loaded[0]() is not None)
            return super().step(label, total)

    monkeypatch.setattr(dense, "load", lambda name, options: Encoder())
    assert len(run(plan("first-stage", first_stage="dense:minilm"), Watching())) == 2
    assert (len(loaded), alive) == (1, [False, False])


def test_a_first_stage_that_is_no_file_is_named_before_anything_is_read(plan: Callable[..., Plan]):
    steps = Steps()
    with pytest.raises(BenchError, match=r"Cannot read bm52: no such file\..* bm25, bm25-english, dense:MODEL"):
        run(plan("first-stage", first_stage="bm52"), steps)
    assert steps.steps == []


def test_several_first_stages(plan: Callable[..., Plan], tmp_path: Path):
    """By hand: BM25 finds d1 and d2 for q1, and d2 is relevant; the file has it first."""
    file = tmp_path / "mine.trec"
    file.write_text("q1 Q0 d2 1 2 mine\nq1 Q0 d1 2 1 mine\nq2 Q0 d3 1 1 mine\n")
    one = plan("first-stage", "reverse")
    both = run_all([one, replace(one, first_stage=str(file))], Steps())
    results = [result for of_stage in both for result in of_stage]
    found = [(each.protocol.first_stage, each.reranker.name, each.task) for each in results]
    tasks, names = ("folder/one", "folder/two"), ("first-stage", "reverse")
    assert found == [(stage, name, task) for stage in ("bm25", "mine") for name in names for task in tasks]
    assert [round(each.main, 4) for each in results] == [0.8155, 0.8155, 1.0, 1.0, 1.0, 1.0, 0.8155, 0.8155]
    assert len(list((tmp_path / "out").rglob("result.json"))) == 8


def test_every_first_stage_is_opened_before_the_first_is_run(plan: Callable[..., Plan]):
    steps = Steps()
    with pytest.raises(BenchError, match="Cannot read bm52"):
        list(run_all([plan("first-stage"), replace(plan("first-stage"), first_stage="bm52")], steps))
    assert steps.steps == []


def test_a_result_that_replaces_another_ranking_says_so(
    plan: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """A class without a fingerprint, as a server, may be another model in the next command."""
    (tmp_path / "campaign_own.py").write_text(
        "import os\n"
        "from bench.rerankers.base import Scored\n"
        "class Own:\n"
        "    def score(self, lists):\n"
        "        for each in lists:\n"
        "            yield Scored(each.query_id, tuple(float(os.environ['SIGN']) * len(t) for t in each.texts))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    said = []
    for sign in ("1", "1", "-1"):
        monkeypatch.setenv("SIGN", sign)
        run(plan("campaign_own:Own"), Steps())
        said.append("and another ranking; it is replaced" in capsys.readouterr().err)
    assert said == [False, False, True]
