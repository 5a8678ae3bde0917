"""`python -m tests.scripts.compare_speed PART ... --data FOLDER`: our speed next to others', for results/speed.md.

All parts are compared if none is named. FOLDER is that of a BEIR task, such as nfcorpus. Every side of a part runs in a
process of its own, which stays; the sides work in turn (A B C A B C), so that a change of the machine's load meets all
of them. Shown are medians, and whether all found the same. A side whose package is not installed is left out, and said
so; packages in a folder of their own are found with PYTHONPATH.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from bench.errors import BenchError
from bench.render import render
from bench.render.page import Bullets, Heading, Page, Table, columns, rows
from bench.rerankers.local import checkpoint
from bench.rerankers.rows import ROWS
from bench.spawn import cores
from tests.scripts.compare_speed.sides import SIDES, Job, Spent

PACKAGES = {
    "sentence-transformers": "sentence_transformers",
    "mteb": "mteb",
    "bm25s": "bm25s",
    "pytrec_eval": "pytrec_eval",
    "ranx": "ranx",
}
"""The modules of the others."""
_VERSIONS = ("torch", "transformers", "sentence-transformers", "mteb", "bm25s", "pytrec_eval-terrier", "ranx")
_FIGURES_EQUAL = 2e-5  # mteb rounds to five decimals, and BM25 sums in float32
_LOADS = ("quiet", "busy")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the section; gives the exit status."""
    asked = _parsed(arguments)
    with tempfile.TemporaryDirectory() as folder:
        models = {"bi-encoder": "minilm", "core": "embedded", "cross-encoder": f"cross-encoder:{folder}"}
        try:
            if "cross-encoder" in asked.part:
                write_cross_encoder(Path(folder), asked.layers)
            lines, notes = [], []
            for part in asked.part:
                model = models.get(part, "")
                job = Job(
                    part, "", 1, str(asked.data), asked.queries, asked.passages, asked.lists, model, asked.whole_corpus
                )
                for found, said in _part(job, asked.repeat, _LOADS[: 1 + asked.busy]):
                    lines += found
                    notes += said
        except BenchError as error:
            sys.stderr.write(f"error: {error}\n")
            return 2
    titles = ("work", "threads", "load", "who", "CPU s", "wall s", "peak MB", "CPU, × ours", "wall, × ours", "figure")
    table = Table(columns(titles, left=(0, 2, 3)), (rows(lines),))
    about = Bullets((*_about(asked), *dict.fromkeys(notes)))
    print(render(Page((Heading("Beside other harnesses"), about, table)), "markdown"))
    return 0


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.scripts.compare_speed", description=__doc__.split("\n")[0])
    parser.add_argument("part", nargs="*", choices=[*SIDES, []], default=list(SIDES), help="what to compare")
    parser.add_argument("--data", type=Path, required=True, help="folder of a BEIR task")
    parser.add_argument("--repeat", type=int, default=5, help="how often each side works")
    parser.add_argument("--queries", type=int, default=5, help="queries that are reranked, 100 documents each")
    parser.add_argument("--layers", type=int, default=2, help="of the cross-encoder, which is as wide as MiniLM")
    parser.add_argument("--passages", type=int, default=100_000, help="passages for BM25")
    parser.add_argument("--lists", type=int, default=10_000, help="queries for BM25 and for measures")
    parser.add_argument("--whole-corpus", action="store_true", help="mteb encodes all of it, as in its own tasks")
    parser.add_argument("--busy", action="store_true", help="measure again, with a busy loop a core beside it")
    return parser.parse_args(arguments)


def _part(job: Job, repeat: int, loads: Sequence[str]) -> Iterator[tuple[list[tuple[str, ...]], list[str]]]:
    """A part's rows under each condition, and notes about them."""
    sides = [side for side in SIDES[job.part] if side not in PACKAGES or find_spec(PACKAGES[side])]
    missing = [side for side in SIDES[job.part] if side not in sides]
    absent = [f"Not installed: {', '.join(missing)}."] if missing else []
    for threads in sorted({1} if job.part == "measures" else {1, cores()}):
        for load in loads:
            with _loops(cores() if load == "busy" else 0):
                spent = in_turn([replace(job, side=side, threads=threads) for side in sides], repeat)
            lines = [(job.part, str(threads), load, *_cells(side, spent)) for side in sides]
            yield lines, [*absent, *_differences(job.part, spent)]


def _cells(side: str, spent: Mapping[str, Sequence[Spent]]) -> Iterator[str]:
    took, ours = spent[side], spent["ours"]
    yield side
    for name in ("cpu", "wall"):
        yield f"{_median(took, name):.2f}"
    yield f"{took[-1].megabytes:,.0f}"
    for name in ("cpu", "wall"):
        yield f"{_median(took, name) / _median(ours, name):.2f}"
    yield f"{took[-1].figure:.5f}"


def _median(took: Sequence[Spent], name: str) -> float:
    return statistics.median(getattr(each, name) for each in took)


def _differences(part: str, spent: Mapping[str, Sequence[Spent]]) -> Iterator[str]:
    """What each other side found differently from ours."""
    ours = spent["ours"][-1]
    for side, took in spent.items():
        gap = abs(took[-1].figure - ours.figure)
        if gap > _FIGURES_EQUAL * max(1.0, abs(ours.figure)):
            yield f"{part}: {side} has another figure than ours, by {gap:.1e}."
        pairs = list(zip(took[-1].scores, ours.scores, strict=True)) if took[-1].scores and side != "ours" else []
        if pairs:
            largest = max(abs(one - other) for one, other in pairs)
            yield f"{part}: scores of {side} differ from ours by {largest:.0e} at most."


def in_turn(jobs: Sequence[Job], repeat: int) -> dict[str, list[Spent]]:
    """What each job took, by side, each in a process that does it once in each round.

    Raises:
        BenchError: a process ended.
    """
    with ExitStack() as stack:
        processes = {job.side: stack.enter_context(_side(job)) for job in jobs}
        spent: dict[str, list[Spent]] = {side: [] for side in processes}
        for _ in range(repeat):
            for side, go in processes.items():
                spent[side].append(go())
                sys.stderr.write(f"{jobs[0].part} {jobs[0].threads} {side}: {spent[side][-1].cpu:.2f} CPU s\n")
    return spent


@contextmanager
def _side(job: Job) -> Iterator[Callable[[], Spent]]:
    """A process that does a job; gives what makes it do it once."""
    command = [sys.executable, "-m", "tests.scripts.compare_speed.sides", json.dumps(asdict(job))]
    limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), str(job.threads))
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command, env=os.environ | limits, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        assert process.stdin is not None and process.stdout is not None

        def answer() -> dict[str, object]:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                errors.seek(0)
                raise BenchError(f"{job.side} ended in {job.part}: {errors.read().strip().rpartition(chr(10))[2]}")
            return dict(json.loads(line))

        def go() -> Spent:
            if process.stdin:
                process.stdin.write("\n")
                process.stdin.flush()
            return Spent(**answer())  # type: ignore[arg-type]

        try:
            answer()
            yield go
        finally:
            process.kill()


@contextmanager
def _loops(count: int) -> Iterator[None]:
    """So many processes that do nothing but use a core."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def write_cross_encoder(folder: Path, layers: int) -> None:
    """Write a BERT classifier as wide as MiniLM, with random weights and its tokenizer."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(str(checkpoint.find(ROWS["minilm"]).folder), model_max_length=512)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=384,
        num_hidden_layers=layers,
        num_attention_heads=12,
        intermediate_size=1536,
        num_labels=1,
        initializer_range=0.05,  # more than BERT's, so that scores lie apart
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _about(asked: argparse.Namespace) -> Iterator[str]:
    name = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        values = dict(line.split("\t: ") for line in lines if "\t: " in line)
        told = {key.strip(): value for key, value in values.items()}
        name = f"{told.get('model name', name)} (family {told.get('cpu family')}, model {told.get('model')})"
    yield f"{cores()} cores of {name}; load average {os.getloadavg()[1]:.1f} at the end."
    yield f"Medians of {asked.repeat}, all sides in turn."
    corpus = "the whole corpus" if asked.whole_corpus else "the candidates alone"
    yield f"{asked.queries} queries of {asked.data.name} by 100 documents; mteb gets {corpus}."
    yield f"The cross-encoder has {asked.layers} layers of random weights; BM25 reads {asked.passages:,} passages."
    yield ", ".join(f"{package} {found}" for package in _VERSIONS if (found := _version(package))) + "."


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
