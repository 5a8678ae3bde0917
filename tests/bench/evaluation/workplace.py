"""A folder with a slow reranker, commands over it, and what they leave, for the tests of workers."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.evaluation.cache import CACHE
from bench.results import result_paths

QUERIES = 60
CHUNK = 5
"""Lists a chunk: twenty documents of 1,100 characters are 22,000, and a chunk is full at 100,000."""

SLOW = """
import hashlib, json, os, pathlib, signal, time
from bench.rerankers.base import Scored

HERE = pathlib.Path(__file__).parent  # an actor has another working folder and environment than the command

class Slow:
    '''A score depends on the list's company too, so that scoring it in other company would show.'''

    fingerprint = "1"

    def score(self, lists):
        settings = json.loads((HERE / "settings").read_text())
        company = ",".join(each.query_id for each in lists)
        for each in lists:
            with open(HERE / "asked", "a") as log:
                log.write(f"{each.query_id} {os.getpid()}" + chr(10))
            time.sleep(settings["seconds"])
            if each.query_id == settings["poison"]:
                os.kill(os.getpid(), signal.SIGKILL)
            scores = (hashlib.sha256((company + each.query + text).encode()).digest() for text in each.texts)
            yield Scored(each.query_id, tuple(int.from_bytes(score[:7], "big") / 3 for score in scores), tokens=9)
"""


class Place:
    """A folder with a collection, a first-stage run and a slow reranker, and commands over them."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
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

    def start(
        self, *arguments: str, output: str = "out", seconds: float = 0, poison: str = ""
    ) -> "subprocess.Popen[str]":
        (self.folder / "settings").write_text(json.dumps({"seconds": seconds, "poison": poison}))
        given = ["folder", "data", "--first-stage", "run.trec", "--depth", "20", "--output", output, *arguments]
        if "--reranker" not in arguments:
            given += ["--reranker", "slow:Slow"]
        return subprocess.Popen(
            [sys.executable, "-m", "bench", *given],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def call(self, *arguments: str, status: int = 0, **more: Any) -> str:
        """Run a command to its end; gives what it said on standard error."""
        return self.end(self.start(*arguments, **more), status)

    def end(self, command: "subprocess.Popen[str]", status: int = 0) -> str:
        printed, said = command.communicate(timeout=120)
        assert command.returncode == status, said
        assert "(raylet)" not in printed  # Ray's own words, among the results
        assert "Traceback" not in said
        return said

    def undisturbed(self) -> Any:
        """The outcome of a command without workers."""
        self.call(output="truth")
        (self.folder / "asked").unlink()
        return self.outcome("truth")

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
        assert command.poll() is None, command.communicate()[1]

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


def killed_at_random(place: Place, truth: Any, seconds: float, *ray: str, output: str = "out") -> None:
    """Kill two workers, each at a random moment of one command."""
    draw = random.Random(output)
    (place.folder / "asked").unlink(missing_ok=True)
    command = place.start("--workers", "2", *ray, seconds=seconds, output=output)
    shot: set[int] = set()
    for _ in range(2):
        place.wait_for(len(place.asked()) + draw.randrange(1, 4), command)
        time.sleep(draw.uniform(0, seconds))
        alive = [process for _, process in place.asked() if process not in shot and is_alive(process)]
        victim = draw.choice(sorted(set(alive)))
        os.kill(victim, signal.SIGKILL)
        shot.add(victim)
    place.end(command)
    assert place.outcome(output) == truth
    assert len(shot) == 2


def refusal(place: Place, *arguments: str, **more: Any) -> str:
    said = place.call(*arguments, status=2, **more)
    (error,) = [line for line in said.splitlines() if line.startswith("Error: ")]
    return error


UNLOADABLE_LATER = f"""
import pathlib
GONE = pathlib.Path(__file__).with_name("gone")
if GONE.exists():
    raise ImportError("no such thing on this node")
{SLOW}
GONE.touch()  # the command has loaded it; only workers load it after this
"""
