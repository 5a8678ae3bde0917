"""Commands that are killed, starved and disturbed for real, as processes of their own, and what is left of their work.

They run as `python -m bench folder`, with a reranker that sleeps a little over each list.
"""

import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.evaluation.cache import CACHE
from bench.lock import PATIENCE
from bench.results import result_paths

QUERIES = 160
CHUNK = 5
"""Lists a chunk: twenty documents of 1,100 characters are 22,000, and a chunk is full at 100,000."""

SLOW = """
import hashlib, os, time
from bench.rerankers.base import Scored

class Slow:
    '''A score depends on the list's company too, so that scoring it in other company would show.'''

    fingerprint = "1"

    def score(self, lists):
        company = ",".join(each.query_id for each in lists)
        assert len(lists) <= 5
        for each in lists:
            with open("asked", "a") as log:
                log.write(each.query_id + chr(10))
            time.sleep(float(os.environ["SECONDS_A_LIST"]))
            scores = (hashlib.sha256((company + each.query + text).encode()).digest() for text in each.texts)
            yield Scored(each.query_id, tuple(int.from_bytes(score[:7], "big") / 3 for score in scores), tokens=9)
"""

LONG_CALL = """
class Slow(Slow):
    def score(self, lists):
        yield from super().score(lists[:1])
        if lists[0].query_id == "q15":
            hashlib.pbkdf2_hmac("sha256", b"", b"", 100_000_000)
        yield from super().score(lists[1:])
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a collection, a first-stage run and the slow reranker."""
    _write_place(tmp_path)
    return tmp_path


def _write_place(place: Path) -> None:
    draw = random.Random(0)
    data = place / "data"
    (data / "qrels").mkdir(parents=True)
    documents = [f"d{number}" for number in range(200)]
    queries = [f"q{number}" for number in range(QUERIES)]
    _write_objects(data / "corpus.jsonl", {name: " ".join(str(draw.random()) for _ in range(58)) for name in documents})
    _write_objects(data / "queries.jsonl", {name: f"what is {name}" for name in queries})
    (data / "qrels" / "test.tsv").write_text("".join(f"{name}\t{draw.choice(documents)}\t1\n" for name in queries))
    lines = [
        f"{name} Q0 {document} {rank} {-rank} made\n"
        for name in queries
        for rank, document in enumerate(draw.sample(documents, 20))
    ]
    (place / "run.trec").write_text("".join(lines))
    (place / "slow.py").write_text(SLOW)


def _write_objects(path: Path, texts: dict[str, str]) -> None:
    path.write_text("".join(json.dumps({"_id": name, "text": text}) + "\n" for name, text in texts.items()))


class Command:
    """`python -m bench folder` over the fixture's collection, as a process."""

    def __init__(
        self, place: Path, output: str = "out", seconds: float = 0.004, before: Callable[[], None] | None = None
    ) -> None:
        self.asked = place / "asked"
        arguments = ["folder", "data", "--reranker", "slow:Slow", "--first-stage", "run.trec", "--depth", "20"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench", *arguments, "--output", output],
            cwd=place,
            env={**os.environ, "PYTHONPATH": str(Path(bench.__file__).parents[1]), "SECONDS_A_LIST": str(seconds)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=before,
        )

    def lists_asked(self) -> int:
        return self.asked.read_text().count("\n") if self.asked.exists() else 0

    def wait_for(self, lists: int) -> None:
        """Wait until so many lists have been asked for, or the command has ended."""
        until = time.monotonic() + 60
        while self.lists_asked() < lists and self.process.poll() is None and time.monotonic() < until:
            time.sleep(0.002)

    def end(self) -> tuple[int, str]:
        """Wait for the end; gives the exit status and what was said on standard error."""
        _, said = self.process.communicate(timeout=60)
        assert "Traceback" not in said
        return self.process.returncode, said

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=60)


def outcome(place: Path, output: str = "out") -> tuple[bytes, dict[str, Any]]:
    """All that must be the same in two results of one measurement: the run's bytes, and the result less its clock."""
    (path,) = result_paths([place / output])
    content: dict[str, Any] = json.loads(path.read_bytes())
    for varying in ("seconds", "harness_seconds", "peak_memory_bytes"):
        del content["cost"][varying]
    del content["provenance"]
    return path.with_name("run.trec.gz").read_bytes(), content


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, dict[str, Any]]:
    """The outcome of an undisturbed command, in a folder of its own with the same files."""
    place = tmp_path_factory.mktemp("undisturbed")
    _write_place(place)
    command = Command(place, seconds=0)
    assert command.end()[0] == 0
    assert command.lists_asked() == QUERIES
    return outcome(place)


def test_killed_twenty_times_and_the_same_to_the_last_bit(place: Path, truth: object) -> None:
    draw = random.Random(2025)
    in_scoring = 0
    for _ in range(20):
        command = Command(place)
        before = command.lists_asked()
        if draw.random() < 0.2:
            time.sleep(draw.uniform(0, 0.5))
        else:
            command.wait_for(before + draw.randrange(1, 14))
            time.sleep(draw.uniform(0, 0.02))
        command.kill()
        in_scoring += command.lists_asked() > before
    last = Command(place)
    status, said = last.end()
    assert (status, outcome(place)) == (0, truth)
    assert "damaged" not in said
    asked = Counter(last.asked.read_text().split())
    again = asked.total() - QUERIES
    print(f"20 kills, {in_scoring} of them while lists were scored: {again} of {QUERIES} lists scored twice")
    assert in_scoring >= 10
    assert len(asked) == QUERIES
    # Only the chunk in flight is lost, and the reranker may have been asked for all of it.
    assert again <= CHUNK * in_scoring


def test_a_full_file_system(place: Path, truth: object) -> None:
    output = place / "out"
    output.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=56k", "tmpfs", str(output)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small tmpfs is not permitted here")
    try:
        _starved_and_fed(place, truth, lambda: subprocess.run(["mount", "-o", "remount,size=9m", output], check=True))
    finally:
        subprocess.run(["umount", output], check=True)


def test_files_that_may_not_grow(place: Path, truth: object) -> None:
    def few_bytes() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    _starved_and_fed(place, truth, lambda: None, few_bytes)


def _starved_and_fed(
    place: Path, truth: object, feed: Callable[[], object], starve: Callable[[], None] | None = None
) -> None:
    kept = asked = 0
    for _ in range(2):
        starved = Command(place, seconds=0, before=starve)
        status, said = starved.end()
        assert status == 2
        told = re.search(
            r"Cannot use the score cache out/scores\.cache: .*\. (\d+) lists of this command are cached", said
        )
        assert told, said
        print(f"starved after {told[1]} lists: {said.strip().splitlines()[-1]}")
        assert max(kept, 1) <= int(told[1]) < QUERIES
        assert starved.lists_asked() - asked <= int(told[1]) - kept + CHUNK
        kept, asked = int(told[1]), starved.lists_asked()
    feed()
    fed = Command(place, seconds=0)
    assert fed.end()[0] == 0
    assert fed.lists_asked() - asked == QUERIES - kept
    assert outcome(place) == truth


def test_ctrl_c_ends_at_once_with_how_to_go_on(place: Path, truth: object) -> None:
    command = Command(place, "my out", seconds=0.05)
    command.wait_for(23)
    pressed = time.monotonic()
    command.process.send_signal(signal.SIGINT)
    status, said = command.end()
    took = time.monotonic() - pressed
    print(f"ended {took:.2f} s after Ctrl-C: {said.strip().splitlines()[-1]}")
    assert (status, took < 2) == (130, True)
    kept = re.search(r"Interrupted\. (\d+) queries are already scored\. Rerun this command to resume: (.*)", said)
    assert kept, said
    assert int(kept[1]) >= 20
    assert kept[2] == (
        "python -m bench folder data --reranker slow:Slow --first-stage run.trec --depth 20 --output 'my out'"
    )
    before = command.lists_asked()
    resumed = Command(place, "my out", seconds=0)
    assert resumed.end()[0] == 0
    assert resumed.lists_asked() - before == QUERIES - int(kept[1])
    assert outcome(place, "my out") == truth


def test_ctrl_c_ends_one_long_call(place: Path) -> None:
    # Nothing in Python can interrupt the call; an attention layer over a long list on a CPU is one like it.
    (place / "slow.py").write_text(SLOW + LONG_CALL)
    command = Command(place, seconds=0)
    command.wait_for(3 * CHUNK + 1)
    time.sleep(0.2)
    pressed = time.monotonic()
    command.process.send_signal(signal.SIGINT)
    status, said = command.end()
    took = time.monotonic() - pressed
    print(f"ended {took:.2f} s after Ctrl-C inside a call that takes a minute")
    assert (status, took < 3) == (130, True)
    assert f"Interrupted. {3 * CHUNK} queries are already scored." in said


PRESSED_AT_IMPORT = """
import os, runpy, signal, sys
module, sys.argv = sys.argv[1], ["bench", *sys.argv[2:]]
def press(event, arguments):
    if event == "import" and arguments[0] == module:
        os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(press)
runpy.run_module("bench", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    "module",
    ["typer", "rich.console", "bench.cli.options", "bench.evaluation.plan", "numpy", "numpy.linalg",
     "bench.evaluation.cache", "torch", "sentence_transformers", "pytrec_eval"],
)  # fmt: skip
def test_ctrl_c_while_something_is_imported(place: Path, module: str) -> None:
    (place / "slow.py").write_text("import sentence_transformers\n" + SLOW)
    environment = {**os.environ, "PYTHONPATH": str(Path(bench.__file__).parents[1]), "SECONDS_A_LIST": "0"}
    arguments = ["folder", "data", "-r", "slow:Slow", "--first-stage", "run.trec", "--output", "out"]
    done = subprocess.run(
        [sys.executable, "-P", "-c", PRESSED_AT_IMPORT, module, *arguments],
        cwd=place, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Interrupted.")
    assert not list((place / "out").rglob("result.json"))


def test_ctrl_c_that_a_library_swallows_ends_the_command(place: Path) -> None:
    swallow = "try:\n    os.kill(os.getpid(), signal.SIGINT); time.sleep(9)\nexcept BaseException:\n    pass\n"
    (place / "slow.py").write_text(f"import os, signal, time\n{swallow}time.sleep(60)")
    status, said = Command(place).end()
    assert (status, said) == (130, "Interrupted.\n")


def test_ctrl_c_says_that_lists_without_a_fingerprint_are_lost(place: Path) -> None:
    (place / "slow.py").write_text(SLOW.replace("fingerprint =", "version ="))
    command = Command(place, seconds=0.05)
    command.wait_for(13)
    command.process.send_signal(signal.SIGINT)
    status, said = command.end()
    assert status == 130
    assert re.search(
        r"Interrupted\. 0 queries are already scored\. 1\d more cannot be resumed: .* Give --cache-id TEXT", said
    )


def test_the_second_of_two_writers_waits_and_finds_all_done(place: Path, truth: object) -> None:
    # Long enough for the second to start on a busy machine, and less than it waits.
    first = Command(place, seconds=(PATIENCE - 1) / QUERIES)
    first.wait_for(1)
    second = Command(place)
    assert first.end()[0] == 0
    status, said = second.end()
    assert status == 0
    assert f"is being written by another command (process {first.process.pid}); waiting" in said
    assert first.lists_asked() == QUERIES
    assert outcome(place) == truth


def test_a_writer_that_does_not_let_go_is_named(place: Path, truth: object) -> None:
    first = Command(place, seconds=(PATIENCE + 5) / QUERIES)
    first.wait_for(1)
    status, said = Command(place).end()
    assert status == 2
    assert f"out is being written by another command (process {first.process.pid}). Wait" in said
    assert first.process.poll() is None
    assert first.end()[0] == 0
    assert first.lists_asked() == QUERIES
    assert outcome(place) == truth


def test_a_cache_damaged_between_two_commands_is_reported_and_what_is_lost_scored_again(
    place: Path, truth: object
) -> None:
    stopped = Command(place)
    stopped.wait_for(60)
    stopped.kill()
    path = place / "out" / CACHE
    with path.open("r+b") as stream:
        stream.write(bytes(200))
    before = stopped.lists_asked()
    resumed = Command(place, seconds=0)
    status, said = resumed.end()
    assert status == 0
    assert "scores.cache is damaged. Records ignored: 1." in said
    assert resumed.lists_asked() - before <= QUERIES - 60 + 2 * CHUNK
    assert outcome(place) == truth


BIG = """
import random, resource, time
from pathlib import Path
from bench.collections.collection import Collection
from bench.evaluation.prepare import prepare
from bench.evaluation.evaluate import evaluate
from bench.rerankers import load
from bench.rerankers.base import Options
from bench.results import write_result
from bench.run import read_run
from bench.task import Task

class Texts:
    settled = False
    def __len__(self):
        return 100_000
    def texts(self, ids):
        assert not self.settled, "order-only rerankers read no texts"
        return {document: f"text of {document}" for document in ids}

def lap(name):
    usage = resource.getrusage(resource.RUSAGE_SELF)
    now = usage.ru_utime + usage.ru_stime
    print(f"{name} {now - lap.before:.2f} {usage.ru_maxrss // 1024}")
    lap.before = now

lap.before = 0.0
draw = random.Random(0)
numbers = range(100_000)
with open("run.trec", "w") as stream:
    for query in range(10_000):
        for rank, document in enumerate(draw.sample(numbers, 100), 1):
            stream.write(f"q{query} Q0 d{document} {rank} {30 - rank / 10} made\\n")
lap("setting-up")
run = read_run(Path("run.trec"))
lap("reading-the-run")
judgements = {query: {name: 1 for name, _ in draw.sample(ranking, 3)} for query, ranking in run.rankings.items()}
collection = Collection(Task("folder", "big"), {query: query for query in judgements}, judgements, Texts(), "made")
settled = prepare(collection, run, 100, Options())
collection.documents.settled = True
lap("settling")
for name in ("first-stage", "reverse", "random", "oracle"):
    result, reranked = evaluate(settled, load(name, Options()))
    lap(f"evaluating-{name}")
    assert result.cost.documents == 1_000_000
write_result(result, reranked, Path("out"))
lap("writing-one-result")
"""


@pytest.mark.slow
def test_ten_thousand_queries_by_a_hundred_candidates(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(bench.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", BIG], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    parts = [line.split() for line in done.stdout.splitlines()]
    for part, seconds, megabytes in parts:
        print(f"{part.replace('-', ' ')}: {seconds} s of processor time, peak {megabytes} MB")
    assert sum(float(seconds) for part, seconds, _ in parts if part != "setting-up") < 60
    assert max(int(megabytes) for *_, megabytes in parts) < 2000
