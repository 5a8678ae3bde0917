"""`python -m tests.scripts.scale_workers [LISTS]`: what workers cost the harness, as `results/scale.md`.

A reranker that sleeps 20 ms a list, so that cores do not matter, is asked by 1 to 8 workers for LISTS lists a worker
(1,250 if not given: 10,000 for eight). Seconds of sleep over seconds of all workers, from the moment that the first is
ready, are the efficiency. The command's whole path is measured: reading texts, keys, the score cache on the disk,
ranking, measures.
"""

import os
import pickle
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bench.collections.collection import Collection
from bench.collections.load import load as load_collection
from bench.evaluation.cache import CACHE, score_cache, scorer
from bench.evaluation.chunks import chunks
from bench.evaluation.evaluate import evaluate
from bench.evaluation.hiring import Wanted, hired
from bench.evaluation.prepare import PreparedTask, prepare
from bench.rerankers import load
from bench.rerankers.base import CandidateList, Options, Scored
from bench.run import Run
from bench.suites import find
from bench.task import Task

NAP = 0.02
DEPTH = 100
WORKERS = (1, 2, 4, 8)
MIRACL_PASSAGES = 32_893_221
"""https://huggingface.co/datasets/miracl/miracl-corpus, English."""
MIRACL_LISTS, GPUS = 50_000, 64


class Sleeper:
    """Sleeps over each list."""

    fingerprint = "1"

    def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
        for each in lists:
            time.sleep(NAP)
            yield Scored(each.query_id, tuple(map(float, range(len(each.ids)))))


@dataclass(frozen=True, slots=True)
class Row:
    kind: str
    workers: int
    lists: int
    start: float
    seconds: float
    cpu: float
    moved: float
    """Bytes a list, both ways."""
    cached: float
    """Bytes a list in the score cache."""

    @property
    def efficiency(self) -> float:
        return self.lists * NAP / (self.workers * self.seconds)


class Passages:
    """Documents as long as the embedded English passages of MIRACL."""

    def __init__(self, lengths: Sequence[int], count: int) -> None:
        draw = random.Random(0)
        words = ["".join(draw.choices("abcdefghij", k=draw.randrange(2, 9))) for _ in range(2_000)]
        self._texts = {}
        for number in range(count):
            text = " ".join(draw.choices(words, k=200 + max(lengths) // 5))
            self._texts[f"d{number}"] = text[: draw.choice(lengths)]

    def __len__(self) -> int:
        return len(self._texts)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._texts.items())

    def texts(self, ids: Sequence[str]) -> dict[str, str]:
        return {each: self._texts[each] for each in ids}

    def close(self) -> None:
        pass


def lengths_of_miracl() -> list[int]:
    task = find("miracl/embedded-en")
    assert task
    return [len(text) for _, text in load_collection(task).documents]


def made(lists: int) -> PreparedTask:
    draw = random.Random(1)
    documents = Passages(lengths_of_miracl(), 5_000)
    queries = {f"q{number}": f"what is the question of query {number}" for number in range(lists)}
    judgements = {query: {f"d{draw.randrange(5_000)}": 1} for query in queries}
    run = Run(
        "made",
        {query: [(f"d{d}", 200.0 - at) for at, d in enumerate(draw.sample(range(5_000), DEPTH))] for query in queries},
    )
    return prepare(Collection(Task("folder", "made"), queries, judgements, documents, "made"), run, DEPTH, Options())


def measured(kind: str, ray: str, workers: int, lists: int) -> Row:
    prepared = made(lists)
    name = "tests.scripts.scale_workers:Sleeper"
    reranker = load(name, Options())
    ready = 0.0

    def answered(lists: int, /, *, restored: bool = False, workers: int = 0) -> None:
        nonlocal ready
        ready = ready or time.perf_counter() - NAP * lists

    with tempfile.TemporaryDirectory() as folder, score_cache(Path(folder)) as scores:
        with hired(Wanted(workers, ray), name, reranker, Options(), nullcontext) as crew:
            asked, cpu = time.perf_counter(), time.process_time()
            evaluate(prepared, reranker, scorer(scores, reranker, Options(), "", crew), answered)
            ended, cpu = time.perf_counter(), time.process_time() - cpu
        cached = (Path(folder) / CACHE).stat().st_size / lists
    some = [chunk.lists() for chunk in islice(chunks(prepared, reranker), 20)]
    sent = sum(len(pickle.dumps(each)) for each in some) / sum(map(len, some))
    answers = [Scored(each.query_id, tuple(map(float, range(DEPTH)))) for each in some[0]]
    return Row(
        kind,
        workers,
        lists,
        ready - asked,
        ended - ready,
        cpu,
        sent + len(pickle.dumps(answers)) / len(answers),
        cached,
    )


def table(rows: Sequence[Row]) -> Iterator[str]:
    yield "| workers | made of | lists | start, s | seconds | lists/s | efficiency | command's CPU s | MB moved |"
    yield "|---:|---|---:|---:|---:|---:|---:|---:|---:|"
    for row in rows:
        figures = (
            row.workers,
            row.kind,
            f"{row.lists:,}",
            f"{row.start:.1f}",
            f"{row.seconds:.1f}",
            f"{row.lists / row.seconds:.0f}",
            f"{row.efficiency:.1%}",
            f"{row.cpu:.1f}",
            f"{row.moved * row.lists / 1e6:.0f}",
        )
        yield f"| {' | '.join(map(str, figures))} |"


def on_paper(rows: Sequence[Row]) -> Iterator[str]:
    """MIRACL's English passages by 64 GPUs, from what was measured."""
    row = max((row for row in rows if row.kind == "processes"), key=lambda row: row.workers)
    length = sum(lengths_of_miracl()) / len(lengths_of_miracl())
    gigabytes, most = MIRACL_PASSAGES * length / 1e9, row.lists / row.cpu
    yield f"- Corpus: {MIRACL_PASSAGES:,} passages of {length:.0f} characters are {gigabytes:.0f} GB of text. They stay"
    yield f"  with the command: a worker gets the {DEPTH} candidates of a list, {row.moved / 1e3:.0f} kB."
    yield f"- Moved: {row.moved * MIRACL_LISTS / 1e9:.1f} GB for {MIRACL_LISTS:,} lists."
    yield f"- Stored: a score cache of {row.cached * MIRACL_LISTS / 1e6:.0f} MB."
    yield f"- Breaks first: the command's own processor time, {1e3 / most:.2f} ms a list, feeds {most:.0f} lists/s."
    yield f"  {GPUS} GPUs are busy as long as each takes more than {1e3 * GPUS / most:.0f} ms a list; a faster model"
    yield "  needs --shard, which divides that time too."
    yield f"- At one list a second and GPU it takes {MIRACL_LISTS / GPUS / 60:.0f} minutes."


def main() -> None:
    share = int(sys.argv[1]) if len(sys.argv) > 1 else 1_250
    # Ray is started once, with as many cores as its first team has workers.
    rows = [measured("processes", "", workers, share * workers) for workers in WORKERS]
    rows += [measured("Ray actors", "local", workers, share * workers) for workers in reversed(WORKERS)]
    print("# Workers: what they cost the harness\n")
    print(
        f"Made by `python -m tests.scripts.scale_workers {share}` on {os.cpu_count()} cores; the load average at its "
        f"end was {os.getloadavg()[0]:.1f}. The reranker sleeps {NAP * 1e3:.0f} ms a list of {DEPTH} documents. "
        "Efficiency counts from the first worker's start; the first start of Ray actors contains Ray's own.\n"
    )
    print("\n".join(table(rows)))
    print("\n## MIRACL on 64 GPUs, on paper\n")
    print("\n".join(on_paper(rows)))


if __name__ == "__main__":
    main()
