"""BM25's analysis and search by several processes: the same run, and how it ends when they do not."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.collections.beir_folder import load_folder
from bench.errors import BenchError
from bench.first_stage import bm25, counting, shared, weights
from bench.first_stage.analysis import analyser
from bench.first_stage.bm25 import build_run
from bench.first_stage.runs import build
from bench.task import Task

BeirFolder = Callable[..., Path]


@pytest.fixture
def texts() -> list[tuple[str, str]]:
    """Enough that four processes' batches can come back in any order: some short, some long."""
    draw = random.Random(3)
    words = [f"{stem}{end}" for stem in ("run", "walk", "swim", "read") for end in ("", "s", "ing", "er", "ers")]
    return [
        (f"d{number}", " ".join(draw.choices([*words, "the", "of"], k=draw.randrange(60)))) for number in range(5000)
    ]


def children() -> set[int]:
    return {
        int(child)
        for thread in Path("/proc/self/task").iterdir()
        for child in (thread / "children").read_text().split()
        if "bench.first_stage.ordered" in Path(f"/proc/{child}/cmdline").read_text()
    }


@pytest.mark.parametrize("workers", [2, 3])
def test_a_run_is_the_same_from_any_number_of_processes(
    texts: list[tuple[str, str]], workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = {"q1": "running swimmers", "q2": "the reader walks", "q3": "nothing"}
    expected = build_run(texts, queries, analyser("english"))
    monkeypatch.setattr(bm25, "_BATCH", 130)
    monkeypatch.setattr(bm25, "_BATCH_CHARACTERS", 20_000)
    steps: list[int] = []
    assert build_run(texts, queries, analyser("english"), workers=workers, progress=steps.append) == expected
    assert sum(steps) == len(texts)
    assert all(expected[query] for query in ("q1", "q2"))
    assert not children()


@pytest.mark.skipif(not shared.CAN_SHARE, reason="this system has no memory that processes share as a file")
@pytest.mark.parametrize("identical_ids", [False, True])
def test_a_run_is_the_same_from_any_number_of_processes_that_search(
    texts: list[tuple[str, str]], identical_ids: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = {f"d{number}": text for number, (_, text) in enumerate(texts[:100])} | {"q": "nothing"}
    expected = build_run(texts, queries, analyser("english"), depth=30, identical_ids=identical_ids)
    monkeypatch.setattr(weights, "PAYS_FROM", len(texts) * len(queries))
    searching: list[object] = []
    in_order = weights.in_order
    monkeypatch.setattr(
        weights, "in_order", lambda work, *given, **more: searching.append(work) or in_order(work, *given, **more)
    )
    found = build_run(texts, queries, analyser("english"), depth=30, identical_ids=identical_ids, workers=3)
    assert list(found.items()) == list(expected.items())
    assert len(searching) == 1
    assert not children()


@pytest.mark.parametrize("documents", [0, 1, 5])
def test_fewer_batches_than_processes(documents: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bm25, "_BATCH", 2)
    texts = [(f"d{number}", "a b" * number) for number in range(documents)]
    assert build_run(texts, {"q": "a"}, str.split, workers=4) == build_run(texts, {"q": "a"}, str.split)


def test_only_a_large_collection_is_shared_out_and_only_over_the_cores_allowed(
    beir_folder: BeirFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = load_folder(Task("folder", "small"), beir_folder("d1 | | sea", "q1 | sea", "q1 d1 1"))
    asked: list[int] = []
    monkeypatch.setattr(bm25, "count_all", lambda *given: asked.append(given[2]) or counting.count_all(*given[:2]))
    monkeypatch.setattr(counting, "cores", lambda: 2)
    run = build(collection)
    monkeypatch.setattr(counting, "PAYS_FROM", 1)
    assert build(collection).sha256 == run.sha256
    monkeypatch.setattr(counting, "cores", lambda: 1)
    build(collection)
    collection.documents.close()
    assert asked == [1, 2, 1]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinities")
def test_taskset_decides_how_many_processes() -> None:
    program = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from bench.first_stage.counting import workers_for; print(workers_for(10**9))"
    )
    assert subprocess.check_output([sys.executable, "-c", program]) == b"1\n"


def test_an_error_of_the_corpus_ends_the_processes(texts: list[tuple[str, str]]) -> None:
    def broken() -> Iterator[tuple[str, str]]:
        yield from texts
        raise BenchError("line 9 is damaged")

    with pytest.raises(BenchError, match="line 9"):
        build_run(broken(), {"q": "run"}, analyser("english"), workers=2)
    assert not children()


COMMAND = """
import os, signal, sys
from pathlib import Path
from bench.first_stage import bm25, counting, weights

counting.PAYS_FROM, bm25._BATCH, counting.cores = 1, 1, lambda: 2
weights.PAYS_FROM = weights._BATCH = 1
add, ranking = bm25._Postings.add, bm25.Bm25Index._ranking

def analysed(self, counted):
    add(self, counted)
    if len(self.lengths) == 3:
        disturb()

def searched(self, *found):
    disturb()
    return ranking(self, *found)

def disturb():
    if not Path("started").exists():
        started = Path(f"/proc/{{os.getpid()}}/task/{{os.getpid()}}/children").read_text().split()
        Path("started").write_text(" ".join(started))
        os.kill({victim}, signal.{signal})

if {during!r} == "analysis":
    bm25._Postings.add = analysed
else:
    bm25.Bm25Index._ranking = searched
from bench.__main__ import run
sys.argv = ["bench", "folder", {folder!r}, "--reranker", "first-stage"]
run()
"""


@pytest.mark.parametrize(
    ("during", "victim", "how", "status", "said"),
    [
        ("analysis", "int(started[0])", "SIGKILL", 2, "a process that analysed documents ended, killed by SIGKILL"),
        ("analysis", "os.getpid()", "SIGINT", 130, "Interrupted."),
        ("analysis", "os.getpid()", "SIGKILL", -9, ""),
        ("search", "int(started[0])", "SIGKILL", 2, "a process that searched ended, killed by SIGKILL"),
        ("search", "os.getpid()", "SIGINT", 130, "Interrupted."),
    ],
)
def test_whoever_ends_takes_all_along(
    beir_folder: BeirFolder,
    environment: dict[str, str],
    tmp_path: Path,
    during: str,
    victim: str,
    how: str,
    status: int,
    said: str,
) -> None:
    corpus = "\n".join(f"d{number} | | the sea is salt" for number in range(3000 if during == "analysis" else 10))
    queries = [f"q{number}" for number in range(10)]
    folder = beir_folder(corpus, *("\n".join(each + end for each in queries) for end in (" | sea", " d1 1")))
    program = COMMAND.format(during=during, victim=victim, signal=how, folder=str(folder))
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == status, ended.stderr
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    started = (tmp_path / "started").read_text().split()
    assert len(started) == 2
    until = time.monotonic() + 10
    while any(map(is_alive, started)) and time.monotonic() < until:
        time.sleep(0.01)
    assert not any(map(is_alive, started))


def is_alive(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
