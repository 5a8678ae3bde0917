"""Commands whose lists are scored by workers: the same bytes as without, however workers and the command end."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench.evaluation.cache import CACHE
from bench.results import result_paths

QUERIES = 60
CHUNK = 5
"""Lists a chunk: twenty documents of 1,100 characters are 22,000, and a chunk is full at 100,000."""

SLOW = """
import hashlib, os, signal, time
from bench.rerankers.base import Scored

class Slow:
    '''A score depends on the list's company too, so that scoring it in other company would show.'''

    fingerprint = "1"

    def score(self, lists):
        company = ",".join(each.query_id for each in lists)
        for each in lists:
            with open("asked", "a") as log:
                log.write(f"{each.query_id} {os.getpid()}" + chr(10))
            time.sleep(float(os.environ["SECONDS_A_LIST"]))
            if each.query_id == os.environ.get("POISON"):
                os.kill(os.getpid(), signal.SIGKILL)
            scores = (hashlib.sha256((company + each.query + text).encode()).digest() for text in each.texts)
            yield Scored(each.query_id, tuple(int.from_bytes(score[:7], "big") / 3 for score in scores), tokens=9)
"""


class Place:
    """A folder with a collection, a first-stage run and a slow reranker, and commands over them."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self._environment = environment
        draw = random.Random(0)
        documents = {f"d{number}": " ".join(str(draw.random()) for _ in range(58)) for number in range(200)}
        queries = {f"q{number}": f"what is q{number}" for number in range(QUERIES)}
        (folder / "data" / "qrels").mkdir(parents=True)
        for name, texts in (("corpus", documents), ("queries", queries)):
            rows = (json.dumps({"_id": key, "text": text}) + "\n" for key, text in texts.items())
            (folder / "data" / f"{name}.jsonl").write_text("".join(rows))
        judged = (f"{query}\t{draw.choice(list(documents))}\t1\n" for query in queries)
        (folder / "data" / "qrels" / "test.tsv").write_text("".join(judged))
        lines = [
            f"{query} Q0 {document} {rank} {-rank} made\n"
            for query in queries
            for rank, document in enumerate(draw.sample(list(documents), 20))
        ]
        (folder / "run.trec").write_text("".join(lines))
        (folder / "slow.py").write_text(SLOW)

    def start(self, *arguments: str, output: str = "out", seconds: float = 0, **more: str) -> "subprocess.Popen[str]":
        given = ["folder", "data", "--first-stage", "run.trec", "--depth", "20", "--output", output, *arguments]
        if "--reranker" not in arguments:
            given += ["--reranker", "slow:Slow"]
        return subprocess.Popen(
            [sys.executable, "-m", "bench", *given],
            cwd=self.folder,
            env={**self._environment, "SECONDS_A_LIST": str(seconds), **more},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def call(self, *arguments: str, status: int = 0, **more: Any) -> str:
        """Run a command to its end; gives what it said on standard error."""
        return self.end(self.start(*arguments, **more), status)

    def end(self, command: "subprocess.Popen[str]", status: int = 0) -> str:
        _, said = command.communicate(timeout=120)
        assert command.returncode == status, said
        assert "Traceback" not in said
        return said

    def last(self) -> str:
        """The first query of the chunk with the shortest texts, which is sent last."""
        lengths = {row["_id"]: len(row["text"]) for row in map(json.loads, open(self.folder / "data" / "corpus.jsonl"))}
        characters = [0] * (QUERIES // CHUNK)
        for line in (self.folder / "run.trec").read_text().splitlines():
            query, _, document, *_ = line.split()
            characters[int(query[1:]) // CHUNK] += lengths[document]
        return f"q{CHUNK * characters.index(min(characters))}"

    def asked(self) -> list[tuple[str, int]]:
        """Query and process of each list that the reranker was asked for."""
        log = self.folder / "asked"
        lines = log.read_text().splitlines() if log.exists() else []
        return [(line.split()[0], int(line.split()[1])) for line in lines]

    def wait_for(self, lists: int, command: "subprocess.Popen[str]") -> None:
        until = time.monotonic() + 60
        while len(self.asked()) < lists and command.poll() is None and time.monotonic() < until:
            time.sleep(0.002)
        assert command.poll() is None

    def outcome(self, output: str = "out") -> tuple[bytes, dict[str, Any], bytes]:
        """What must be the same: the run's bytes, the result less its clock, the cached scores."""
        (path,) = result_paths([self.folder / output])
        content = json.loads(path.read_bytes())
        content = {key: value for key, value in content.items() if key not in ("cost", "provenance")}
        return path.with_name("run.trec.gz").read_bytes(), content, cached(self.folder / output)


def cached(output: Path) -> bytes:
    """A score cache's chunks and scores without their seconds, sorted."""
    records = (line.split(b" ", 2)[1:] for line in (output / CACHE).read_bytes().splitlines() if line)
    return b"\n".join(sorted(key + b" " + json.dumps(json.loads(content)[1]).encode() for key, content in records))


def cost(output: Path) -> dict[str, Any]:
    (path,) = result_paths([output])
    found: dict[str, Any] = json.loads(path.read_bytes())["cost"]
    return found


@pytest.fixture
def place(tmp_path: Path, environment: dict[str, str]) -> Place:
    return Place(tmp_path, environment)


@pytest.fixture
def truth(place: Place) -> Any:
    """The outcome in one process."""
    place.call(output="truth")
    (place.folder / "asked").unlink()
    return place.outcome("truth")


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def all_end(processes: set[int], seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while any(map(is_alive, processes)) and time.monotonic() < until:
        time.sleep(0.01)
    return not any(map(is_alive, processes))


def test_two_processes_give_the_same_bytes_and_say_what_they_cost(place: Place, truth: Any) -> None:
    said = place.call("--workers", "2", seconds=0.02)
    assert place.outcome() == truth
    assert len({process for _, process in place.asked()}) == 2
    assert len(place.asked()) == QUERIES
    assert "parallel" not in cost(place.folder / "truth")
    parallel = cost(place.folder / "out")["parallel"]
    assert parallel["workers"] == 2
    assert parallel["worker_seconds"] == pytest.approx(cost(place.folder / "out")["seconds"])
    assert parallel["worker_seconds"] >= QUERIES * 0.02
    assert parallel["wall_seconds"] > 0
    assert said.count("loading slow:Slow") == 1
    # Everything is cached: no worker starts, and without workers the result is the same.
    for arguments in (["--workers", "2"], []):
        assert "loading" not in place.call(*arguments)
        assert place.outcome() == truth
    assert len(place.asked()) == QUERIES
    assert "parallel" not in cost(place.folder / "out")


def test_workers_killed_at_random_moments_cost_only_their_chunks(place: Place, truth: Any) -> None:
    killed_at_random(place, truth, kills=2, seconds=0.02)


@pytest.mark.fuzz
def test_twenty_workers_killed(place: Place, truth: Any) -> None:
    killed_at_random(place, truth, kills=20, seconds=0.4)


def killed_at_random(place: Place, truth: Any, kills: int, seconds: float, *workers: str) -> None:
    draw = random.Random(19)
    command = place.start(*(workers or ("--workers", "2")), seconds=seconds)
    shot: set[int] = set()
    for _ in range(kills):
        place.wait_for(len(place.asked()) + draw.randrange(1, 4), command)
        time.sleep(draw.uniform(0, seconds))
        alive = [process for _, process in place.asked() if process not in shot and is_alive(process)]
        victim = draw.choice(sorted(set(alive)))
        os.kill(victim, signal.SIGKILL)
        shot.add(victim)
    place.end(command)
    assert place.outcome() == truth
    assert len(shot) == kills


def test_a_chunk_that_kills_three_workers_stops_the_command_and_the_rest_is_kept(place: Place, truth: Any) -> None:
    said = place.call("--workers", "2", status=2, POISON=place.last())
    (error,) = [line for line in said.splitlines() if line.startswith("Error: ")]
    assert "slow:Slow: 3 workers ended, killed by SIGKILL" in error
    assert f"while they scored queries '{place.last()}', " in error
    assert said.count("They are scored again.") == 2
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
    assert re.search(r"Interrupted\. \d+ lists cached\. Resume with: python -m bench folder data .*--workers 2", said)
    assert all_end({process for _, process in place.asked()})


def refusal(place: Place, *arguments: str, **more: Any) -> str:
    said = place.call(*arguments, status=2, **more)
    (error,) = [line for line in said.splitlines() if line.startswith("Error: ")]
    return error


@pytest.mark.parametrize("number", ["0", "²"])
def test_no_number_of_workers(place: Place, number: str) -> None:
    assert f"--workers {number} is no number of workers. Give auto, or a number from 1." in refusal(
        place, "--workers", number
    )


def test_a_class_that_a_worker_cannot_load_stops_the_command(place: Place) -> None:
    text = "import os\nif os.path.exists('gone'):\n    raise ImportError('no such thing on this node')\n"
    late = "open('gone', 'w').close()\n"  # only workers are started after this
    (place.folder / "slow.py").write_text(text + SLOW + late)
    assert "Cannot load the reranker 'slow:Slow': ImportError: no such thing on this node" in refusal(
        place, "--workers", "2"
    )


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
