"""Commands whose lists are scored by actors on a Ray cluster of real raylets: the same bytes, whatever dies."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bench.evaluation.two_nodes import ENVIRONMENT, TwoNodes
from tests.bench.evaluation.workplace import (
    CHUNK,
    QUERIES,
    UNLOADABLE_LATER,
    Place,
    all_end,
    killed_at_random,
    refusal,
)
from tests.scripts import compare_workers


@pytest.fixture(scope="module")
def cluster() -> Iterator[TwoNodes]:
    with pytest.MonkeyPatch.context() as patched:
        for name, value in ENVIRONMENT.items():
            patched.setenv(name, value)
        made = TwoNodes()
        yield made
        made.end()


@pytest.fixture
def two_nodes(cluster: TwoNodes, place: Place) -> TwoNodes:
    place.environment.update(ENVIRONMENT)
    return cluster.complete()


def test_two_actors_on_two_nodes_give_the_same_bytes_though_two_are_killed(
    place: Place, truth: Any, two_nodes: TwoNodes
) -> None:
    killed_at_random(place, truth, 0.1, "--ray", two_nodes.address)


@pytest.mark.fuzz
@pytest.mark.realdata
@pytest.mark.parametrize("reranker", ["minilm", "embedded"])
@pytest.mark.parametrize("task", ["embedded", "scifact"])
def test_models_give_the_same_bytes_alone_in_processes_and_on_two_nodes(
    shared_data: Path, task: str, reranker: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    of_task = {"embedded": ["--embedded"], "scifact": ["scifact", "--data", str(shared_data / "beir")]}[task]
    assert compare_workers.main(["beir", *of_task, "--queries", "12", "--reranker", reranker]) == 0
    assert len({line.partition(": ")[2].rpartition(", ")[0] for line in capsys.readouterr().out.splitlines()}) == 1


@pytest.mark.fuzz
def test_twenty_actors_killed(place: Place, truth: Any, two_nodes: TwoNodes) -> None:
    for number in range(10):
        killed_at_random(place, truth, 0.1, "--ray", two_nodes.address, output=f"out-{number}")


@pytest.mark.fuzz
def test_a_nodes_raylet_killed(place: Place, truth: Any, two_nodes: TwoNodes) -> None:
    command = place.start("--ray", two_nodes.address, seconds=0.3)
    place.wait_for(12, command)
    two_nodes.kill_raylet()
    place.end(command)
    assert place.outcome() == truth


@pytest.mark.fuzz
def test_a_cluster_that_shrinks_to_nothing_stops_the_command_and_what_was_scored_is_kept(
    place: Place, truth: Any, two_nodes: TwoNodes
) -> None:
    command = place.start("--ray", two_nodes.address, seconds=0.2)
    place.wait_for(24, command)
    two_nodes.kill_raylet()
    two_nodes.kill_raylet()
    said = place.end(command, status=2)
    assert "Error: The Ray cluster has no node left with a core for a worker. Everything scored until now is" in said, (
        said
    )
    assert all_end({process for _, process in place.asked()})
    before = len(place.asked())
    place.call()
    assert len(place.asked()) - before <= QUERIES - before + 4 * CHUNK
    assert place.outcome() == truth


@pytest.mark.fuzz
def test_a_chunk_that_kills_three_actors(place: Place, truth: Any, two_nodes: TwoNodes) -> None:
    said = place.call("--ray", two_nodes.address, status=2, poison=place.last())
    assert "3 workers ended" in said
    assert f"while they worked on queries '{place.last()}', " in said
    # An actor that is killed at once may have the answer to the chunk before, which then seems to be the killer: once.
    assert [query for query, _ in place.asked()].count(place.last()) in (3, 4)


@pytest.mark.fuzz
def test_a_command_on_ray_killed_or_interrupted(place: Place, truth: Any, two_nodes: TwoNodes) -> None:
    for how, status in ((signal.SIGKILL, -9), (signal.SIGINT, 130)):
        command = place.start("--ray", two_nodes.address, seconds=0.2)
        place.wait_for(len(place.asked()) + 12, command)
        command.send_signal(how)
        place.end(command, status)
        assert all_end({process for _, process in place.asked()}, 30)
    place.call("--ray", two_nodes.address)
    assert place.outcome() == truth


@pytest.mark.fuzz
def test_what_an_actor_refuses_is_the_commands_message(place: Place, two_nodes: TwoNodes) -> None:
    (place.folder / "slow.py").write_text(UNLOADABLE_LATER)
    error = refusal(place, "--ray", two_nodes.address)
    assert "Cannot load the reranker 'slow:Slow': ImportError: no such thing on this node" in error


def ran(code: str, address: str, **more: Any) -> "subprocess.CompletedProcess[str]":
    """Code in a process of its own: it joins the cluster, and a process can join one only."""
    command = [sys.executable, "-c", code, address]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, **more)


def test_a_cluster_without_gpus_is_refused_for_a_model_on_one(two_nodes: TwoNodes) -> None:
    code = (
        "import sys, bench.evaluation.ray_workers as workers\n"
        "from bench.evaluation.worker import Order\nfrom bench.rerankers.base import Card, Options\n"
        "workers.RayActors(Order('m', Options(), Card('m', 'f', 'core', device='cuda:0'), {}), sys.argv[1], None)"
    )
    said = ran(code, two_nodes.address).stderr
    assert "The Ray cluster has 0 GPUs, too few for any workers. Add nodes, or lower --workers, or give" in said


EMBED = """
import os, sys
from dataclasses import replace
from bench.evaluation.hiring import Wanted
from bench.first_stage import dense
from bench.rerankers.bi_encoder import BiEncoder
from tests.bench.factories import HeldDocuments, toy_collection

dense._STORED, dense._BLOCK = 0, 5  # the twelve documents are a large corpus, of three blocks
toy = replace(toy_collection(), documents=HeldDocuments(dict(toy_collection().documents)))
embed = BiEncoder.embed

def not_here(self, texts, is_query, task=""):
    assert is_query, "a document embedded by the command"
    return embed(self, texts, is_query, task)

for cache, spread in (("alone", None), ("actors", Wanted(2, sys.argv[1]).corpus_embedders)):
    os.environ["RERANK_BENCH_CACHE"] = cache
    print(dense.dense_run(toy, "minilm", 5, spread=spread).sha256)
    BiEncoder.embed = not_here
"""


def test_actors_embed_a_corpus_to_the_same_bytes(place: Place, two_nodes: TwoNodes) -> None:
    done = ran(EMBED, two_nodes.address, cwd=place.folder, env=place.environment)
    assert done.returncode == 0, done.stderr
    assert len(set(done.stdout.split())) == 1
    stored = [list((place.folder / cache).rglob("documents.f16")) for cache in ("alone", "actors")]
    assert [path.read_bytes() for path in stored[0]] == [path.read_bytes() for path in stored[1]]
    assert len(stored[0]) == 1


def test_ray_is_missing_or_does_not_answer(place: Place) -> None:
    for address in ("127.0.0.1:9", "[::1]:9"):
        started = time.monotonic()
        assert f"No Ray cluster answers at {address} within 5 seconds" in refusal(place, "--ray", address)
        assert time.monotonic() - started < 30
    assert "--ray nonsense is no address of a cluster. Give HOST:PORT" in refusal(place, "--ray", "nonsense")
