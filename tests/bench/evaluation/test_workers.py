"""Commands whose lists are scored by processes: the same bytes as without, however these and the command end."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.errors import BenchError
from bench.evaluation.chunks import Answered, Chunk
from bench.evaluation.hiring import Wanted
from bench.evaluation.shards import Shard
from bench.evaluation.worker import Order, Request, Score, Worker, packages
from bench.evaluation.workers import Died, Done, Event, Ready, ScoringCrew
from bench.rerankers.base import CandidateList, Card, Options, Scored
from tests.bench.evaluation.workplace import (
    CHUNK,
    QUERIES,
    SLOW,
    UNLOADABLE_LATER,
    Place,
    all_end,
    cost,
    killed_at_random,
    refusal,
)
from tests.conftest import InProcess


def test_two_processes_give_the_same_bytes_and_say_what_they_cost(place: Place, truth: Any) -> None:
    command = place.start("--workers", "2", "--latency", seconds=0.02)
    shown, said = command.communicate(timeout=120)
    assert command.returncode == 0, said
    assert place.outcome() == truth
    # Two workers score all lists; then the command itself scores some, one at a time.
    asked = Counter(process for _, process in place.asked())
    assert asked.pop(command.pid) == 51
    assert len(asked) == 2
    assert sum(asked.values()) == QUERIES
    latency = cost(place.folder / "out")["latency"]
    assert latency["lists"] == 50
    assert 0.02 < latency["p50"] <= latency["p95"]
    assert "documents/s is per device, or on a CPU per worker. Scored by several workers: slow:Slow by 2." in shown
    assert "one at a time, in one process on one device" in shown
    assert "Lists timed: slow:Slow 50." in shown
    assert {"parallel", "latency"}.isdisjoint(cost(place.folder / "truth"))
    parallel = cost(place.folder / "out")["parallel"]
    assert parallel["workers"] == 2
    assert parallel["worker_seconds"] == pytest.approx(cost(place.folder / "out")["seconds"])
    assert parallel["worker_seconds"] >= QUERIES * 0.02
    assert parallel["wall_seconds"] > 0
    assert said.count("loading slow:Slow") == 1
    # Everything is cached: no worker starts, and without workers the result is the same.
    before = len(place.asked())
    for arguments in (["--workers", "2"], []):
        assert "loading" not in place.call(*arguments)
        assert place.outcome() == truth
    assert len(place.asked()) == before
    assert "parallel" not in cost(place.folder / "out")


def test_workers_killed_at_random_moments_cost_only_their_chunks(place: Place, truth: Any) -> None:
    killed_at_random(place, truth, 0.02)


@pytest.mark.fuzz
def test_twenty_workers_killed(place: Place, truth: Any) -> None:
    for number in range(10):
        killed_at_random(place, truth, 0.05, output=f"out-{number}")


def used_processor(process: int) -> float:
    """The processor's seconds that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.fuzz
def test_workers_of_an_embedding_model_killed(place: Place) -> None:
    place.call("--reranker", "minilm", output="truth")
    draw, said = random.Random(0), ""
    for number in range(3):
        command = place.start("--reranker", "minilm", "--workers", "2", output=f"out-{number}")
        for _ in range(2):
            moment = draw.uniform(2, 16)  # loading takes some 5 seconds
            used: dict[int, float] = {}
            while max(used.values(), default=0) < moment and command.poll() is None:
                time.sleep(0.05)
                children = [path.read_text() for path in Path(f"/proc/{command.pid}/task").glob("*/children")]
                used = {int(child): used_processor(int(child)) for child in " ".join(children).split()}
            if command.poll() is None:
                os.kill(max(used, key=lambda process: used[process]), signal.SIGKILL)
        said += place.end(command)
        assert place.outcome(f"out-{number}") == place.outcome("truth")
    assert re.search(r"A worker ended, killed by SIGKILL.*, while it worked on queries 'q", said)


def test_a_chunk_that_kills_three_workers_stops_the_command_and_the_rest_is_kept(place: Place, truth: Any) -> None:
    said = place.call("--workers", "2", status=2, poison=place.last())
    (error,) = [line for line in said.splitlines() if line.startswith("Error: ")]
    assert "slow:Slow: 3 workers ended, killed by SIGKILL" in error
    assert f"while they worked on queries '{place.last()}', " in error
    assert said.count("They are sent to another.") == 2
    before = len(place.asked())
    place.call("--workers", "2")
    # All chunks are longer, so they were sent before; one may have been in flight.
    assert len(place.asked()) - before <= 2 * CHUNK
    assert place.outcome() == truth


def test_a_command_killed_takes_its_workers_along_and_resumes(place: Place, truth: Any) -> None:
    command = place.start("--workers", "2", seconds=0.1)
    place.wait_for(24, command)
    command.kill()
    command.communicate(timeout=60)
    assert all_end({process for _, process in place.asked()})
    before = len(place.asked())
    place.call("--workers", "2")
    assert len(place.asked()) - before <= QUERIES - before + 2 * CHUNK
    assert place.outcome() == truth


def test_ctrl_c_ends_the_workers(place: Place) -> None:
    command = place.start("--workers", "2", seconds=0.1)
    place.wait_for(24, command)
    pressed = time.monotonic()
    command.send_signal(signal.SIGINT)
    said = place.end(command, status=130)
    assert time.monotonic() - pressed < 5
    assert re.search(
        r"Interrupted\. \d+ queries are already scored\. Rerun this .*: python -m bench folder data .*--workers 2", said
    )
    assert all_end({process for _, process in place.asked()})


@pytest.mark.parametrize("number", ["0", "²"])
def test_no_number_of_workers(place: Place, number: str) -> None:
    assert f"--workers {number} is no number of workers. Give auto, or a number from 1." in refusal(
        place, "--workers", number
    )


def test_a_class_that_a_worker_cannot_load_stops_the_command(place: Place) -> None:
    (place.folder / "slow.py").write_text(UNLOADABLE_LATER)
    assert "Cannot load the reranker 'slow:Slow': ImportError: no such thing on this node" in refusal(
        place, "--workers", "2"
    )


LATE = """
import os
from multiprocessing.connection import Pipe
from queue import SimpleQueue
from bench.evaluation import processes
from bench.evaluation.worker import Order
from bench.rerankers.base import Card, Options
inbox = SimpleQueue()
inbox.put(Order("oracle", Options(), Card("oracle", "1", "own"), {"python": "0"}))
processes.receiving = lambda connection: inbox
ours, theirs = Pipe()
ours.close()
processes.serve(os.dup(theirs.fileno()))
"""


def test_a_worker_that_fails_when_the_command_has_ended_says_nothing(environment: dict[str, str]) -> None:
    done = subprocess.run([sys.executable, "-c", LATE], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_worker_with_another_model_is_refused(place: Place) -> None:
    # Who makes it later has other weights.
    varying = "\nimport pathlib\nclass Varying(Slow):\n    fingerprint = str(len(list(pathlib.Path().glob('made*'))))\n"
    made = "    def __init__(self):\n        pathlib.Path(f'made{os.getpid()}').touch()\n"
    (place.folder / "slow.py").write_text(SLOW + varying + made)
    error = refusal(place, "--workers", "1", "--reranker", "slow:Varying")
    assert re.search(r"A worker is refused, slow:Varying of another version: fingerprint is \w{64} on the", error)


def test_a_worker_that_cannot_start_is_given_up(place: Place) -> None:
    (place.folder / "slow.py").write_text(SLOW + "\nif os.path.exists('gone'):\n    os._exit(7)\nopen('gone', 'w')\n")
    error = refusal(place, "--workers", "1")
    assert "No worker can load slow:Slow: 3 ended before they were ready, the last with exit status 7." in error


def test_what_a_worker_refuses_is_the_commands_message(place: Place) -> None:
    (place.folder / "slow.py").write_text(SLOW.replace("tokens=9", "tokens=-1"))
    assert "slow:Slow gave -1 (int) as 'tokens' of query 'q" in refusal(place, "--workers", "2")


def test_files_of_the_working_folder_that_are_called_like_modules_do_no_harm(place: Place, truth: Any) -> None:
    for name in ("random", "queue", "multiprocessing"):
        (place.folder / f"{name}.py").write_text("raise SystemExit('not me')")
    place.call("--workers", "2")
    assert place.outcome() == truth


def test_without_ray_the_option_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.evaluation.hiring.find_spec", lambda name: None)
    with pytest.raises(BenchError, match=re.escape("Run: pip install 'rerank-bench[ray]'")):
        Wanted(None, "local").check()


def test_another_version_of_the_package_is_refused() -> None:
    order = Order("first-stage", Options(), Card("first-stage", "f", "order-only"), packages() | {"rerank-bench": "9"})
    expected = f"rerank-bench is {bench.__version__} on the worker and 9 here. Install the same versions everywhere."
    with pytest.raises(BenchError, match=re.escape(expected)):
        Worker(order).load()


class Backwards:
    """A team whose one worker answers, when it is waited for, the chunk that it was sent last."""

    def __init__(self) -> None:
        self._events: list[Ready | Done] = [Ready(0)]

    def send(self, worker: int, ticket: int, request: Request[object]) -> None:
        assert isinstance(request, Score)
        scored = [Scored(each.query_id, (float(len(each.query)),)) for each in request.lists]
        self._events.append(Done(worker, ticket, Answered(scored, 0.0)))

    def next(self, wait: bool) -> Event | None:
        return self._events.pop() if wait or isinstance(self._events[-1], Ready) else None

    def close(self) -> None:
        pass


class Prompt(Backwards):
    """A team that has always answered by now."""

    def next(self, wait: bool) -> Event | None:
        return super().next(wait=True) if self._events else None


def chunk_of(query: str) -> Chunk:
    lists = [CandidateList(query, query, ("d",), (1.0,), ("text",))]
    return Chunk(lists, lambda: lists)


def test_answers_that_overtake_each_other_go_to_their_own_chunks() -> None:
    asked = [chunk_of("q" * number) for number in range(1, 6)]
    crew = ScoringCrew("any", Backwards)
    answers = [*chain.from_iterable(map(crew.take, asked)), *crew.rest()]
    assert [chunk.queries[0] for chunk, _ in answers] == ["qq", "qqqqq", "qqqq", "qqq", "q"]
    assert all(chunk.queries[0] == answered.answers[0].query_id for chunk, answered in answers)


def test_a_chunk_is_scored_while_the_next_ones_are_still_read() -> None:
    crew = ScoringCrew("any", Prompt)
    assert [chunk.queries for chunk, _ in crew.take(chunk_of("first"))] == [("first",)]


class Fragile:
    """A team whose workers die of a chunk before their answers to the one before it have arrived."""

    def __init__(self, poison: str) -> None:
        self.sent: dict[int, list[tuple[int, str]]] = {0: [], 1: []}
        self._poison = poison
        self._ready: list[Event] = [Ready(0), Ready(1)]

    def send(self, worker: int, ticket: int, request: Request[object]) -> None:
        assert isinstance(request, Score)
        self.sent[worker].append((ticket, request.lists[0].query_id))

    def next(self, wait: bool) -> Event | None:
        if self._ready:
            return self._ready.pop()
        if not wait:
            return None
        worker = max(self.sent, key=lambda worker: len(self.sent[worker]))
        if self._poison in (query for _, query in self.sent[worker]):
            self.sent[worker] = []
            self._ready.append(Ready(worker))
            return Died(worker, "of it")
        ticket, query = self.sent[worker].pop(0)
        return Done(worker, ticket, Answered([Scored(query, (1.0,))], 0.0))

    def close(self) -> None:
        pass


@pytest.mark.parametrize("poison", ["q", "qqq", "qqqqqq"])
def test_the_chunk_that_kills_workers_is_named_though_the_answer_before_it_is_lost(poison: str) -> None:
    crew = ScoringCrew("any", lambda: Fragile(poison))
    with pytest.raises(BenchError, match=f"3 workers ended, of it, while they worked on queries '{poison}'"):
        list(chain(*map(crew.take, [chunk_of("q" * number) for number in range(1, 7)]), crew.rest()))


def test_shards_are_assembled_by_the_command_without_or_by_merge(place: Place, truth: Any) -> None:
    for number in (1, 2, 3):
        place.call("--shard", f"{number}/3")
    assert sorted(query for query, _ in place.asked()) == sorted(f"q{number}" for number in range(QUERIES))
    shards, other = place.folder / "out" / "shards", place.folder / "other" / "shards"
    other.mkdir(parents=True)
    (shards / "2-of-3").rename(place.folder / "second")
    (shards / "3-of-3").rename(other / "3-of-3")
    merge = [sys.executable, "-m", "bench", "merge", "second", "other"]
    merged = subprocess.run(merge, cwd=place.folder, env=place.environment, check=True, capture_output=True, timeout=60)
    assert merged.stdout.startswith(b"Merged 2 caches into out/scores.cache; new records: ")
    said = place.call()
    assert "records of shards in out/shards merged into out/scores.cache." in said
    assert len(place.asked()) == QUERIES
    assert place.outcome() == truth


@pytest.mark.parametrize("share", ["0/2", "3/2", "1", "a/b"])
def test_no_share(share: str) -> None:
    with pytest.raises(BenchError, match=f"--shard {share} is no share"):
        Shard.parse(share)


def test_a_shard_of_a_class_without_a_fingerprint_is_refused(place: Place) -> None:
    (place.folder / "slow.py").write_text(SLOW.replace("fingerprint =", "version ="))
    assert "slow:Slow has no fingerprint, so that a shard's scores could not be" in refusal(place, "--shard", "1/2")


def test_the_core_model_scores_alike_in_processes(in_process: InProcess, tmp_path: Path) -> None:
    # With one thread instead of two, one score of this sample has another last bit.
    runs = []
    for output, arguments in (("one", []), ("two", ["--workers", "2"])):
        given = ["miracl", "--embedded", "embedded-hi", "-r", "embedded", "--output", tmp_path / output]
        assert in_process(*given, *arguments)[0] == 0
        runs += [path.read_bytes() for path in (tmp_path / output).rglob("run.trec.gz")]
    assert len(runs) == 2
    assert runs[0] == runs[1]
