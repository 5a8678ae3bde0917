"""One side of a comparison, in a process of its own, so that its memory is its own.

`python -m tests.scripts.compare_speed.sides JOB` takes the job as JSON. For each line of standard input it does the
work once more, from the start, and prints a line of JSON. Seconds are those of the work alone: before it, libraries are
imported, models loaded and texts read, by all sides alike.
"""

import gc
import json
import os
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from bench.collections.beir_folder import load_folder
from bench.errors import BenchError
from bench.evaluation.evaluate import evaluate
from bench.evaluation.prepare import PreparedTask, prepare
from bench.first_stage.analysis import analyser
from bench.first_stage.bm25 import Bm25Index
from bench.first_stage.runs import first_stage
from bench.measures import STANDARD, Measure, mean, per_query
from bench.rerankers import load
from bench.rerankers.base import Options
from bench.rerankers.local import checkpoint
from bench.rerankers.rows import ROWS
from bench.suites import find
from tests.scripts.scale_bm25 import QUERY_LENGTH, Language

NDCG = Measure.parse("nDCG@10")
DEPTH = 100
_RANX = ("ndcg@10", "mrr@10", "map", "precision@10", "recall@10", "recall@100")

Texts = Mapping[str, str]
Work = Callable[[], tuple[float, list[float]]]
"""Gives the figure, and where they can be compared the scores of all pairs, in the candidates' order."""


@dataclass(frozen=True, slots=True)
class Job:
    """What one process does.

    Args:
        part: Which work.
        side: Who does it.
        threads: Threads, and processes that analyse.
        data: A folder in BEIR format of the task ``beir/<its name>``.
        queries: How many of its queries are reranked.
        passages: How many passages BM25 indexes.
        lists: How many made-up queries BM25 searches for, or measures are computed for.
        model: A name as bench takes it.
        whole: Whether mteb gets the whole corpus, as its own tasks have it, or the candidates alone.
    """

    part: str
    side: str
    threads: int
    data: str
    queries: int
    passages: int
    lists: int
    model: str
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Spent:
    """What one go took, and what it found.

    ``cpu`` are the seconds of all its processes, ``megabytes`` its own peak until now.
    """

    cpu: float
    wall: float
    megabytes: float
    figure: float
    scores: list[float] = field(default_factory=list)


@cache
def prepared(data: str, queries: int) -> PreparedTask:
    """A BEIR task with the candidates of its bundled run.

    Raises:
        BenchError: the folder is missing, or is not called as a task of BEIR.
    """
    folder = Path(data)
    task = find(f"beir/{folder.name}")
    if task is None:
        raise BenchError(f"{data}: there is no task beir/{folder.name}. Give the folder of one, such as nfcorpus.")
    collection = load_folder(task, folder)
    return prepare(collection, first_stage(collection, "", DEPTH), DEPTH, Options(device="cpu"), queries)


def texts_of(task: PreparedTask) -> Texts:
    """The candidates' texts by id."""
    ids = list(dict.fromkeys(each for ids in task.candidates.orders.values() for each in ids))
    return task.collection.documents.texts(ids)


def ours(job: Job) -> Work:
    """This project's whole path from candidates to figures."""
    task = prepared(job.data, job.queries)
    reranker = load(job.model, Options(device="cpu"))

    def work() -> tuple[float, list[float]]:
        result, run = evaluate(task, reranker)
        found = [(dict(run.rankings[query]), ids) for query, ids in task.candidates.orders.items()]
        return result.measures[str(NDCG)], [scores[each] for scores, ids in found for each in ids]

    return work


def library(job: Job) -> Work:
    """sentence-transformers alone, as its documentation has it: all distinct texts, or all pairs, in one call."""
    from torch import nn

    task = prepared(job.data, job.queries)
    texts, orders, queries = texts_of(task), task.candidates.orders, task.collection.queries
    model = loaded(job)

    def bi_encoder() -> Iterator[Any]:
        asked = model.encode([queries[each] for each in orders], normalize_embeddings=True)
        vectors = model.encode(list(texts.values()), normalize_embeddings=True)
        place = {document: number for number, document in enumerate(texts)}
        for query, ids in zip(asked, orders.values(), strict=True):
            yield vectors[[place[each] for each in ids]] @ query

    def cross_encoder() -> Iterator[Any]:
        pairs = [(queries[query], texts[each]) for query, ids in orders.items() for each in ids]
        found = iter(model.predict(pairs, activation_fn=nn.Identity()).tolist())
        for ids in orders.values():
            yield [next(found) for _ in ids]

    def work() -> tuple[float, list[float]]:
        lists = [
            [float(score) for score in each] for each in (bi_encoder, cross_encoder)[job.part == "cross-encoder"]()
        ]
        rankings = {
            query: [ids[at] for at in sorted(range(len(ids)), key=lambda at, scores=scores: -scores[at])]  # type: ignore[misc]
            for (query, ids), scores in zip(orders.items(), lists, strict=True)
        }
        return mean(per_query(task.judgements, rankings, [NDCG])[NDCG]), [score for each in lists for score in each]

    return work


def loaded(job: Job) -> Any:
    """The model as sentence-transformers loads it."""
    from sentence_transformers import CrossEncoder, SentenceTransformer

    if job.part == "cross-encoder":
        return CrossEncoder(job.model.partition(":")[2], device="cpu")
    return SentenceTransformer(str(checkpoint.find(ROWS[job.model]).folder), device="cpu")


def harness(job: Job) -> Work:
    """mteb.evaluate on a reranking task of the same candidates."""
    import mteb

    from bench.adapters.mteb import MtebReranker
    from reranker import Reranker
    from tests.scripts.compare_speed.mteb_task import Reranking

    chosen = prepared(job.data, job.queries)
    task = Reranking.of(chosen, dict(chosen.collection.documents) if job.whole else texts_of(chosen))
    model: Any
    if job.part == "core":
        model = MtebReranker(Reranker.from_pretrained(job.model, device="cpu"), "bench/core")
    else:
        model = loaded(job)

    def work() -> tuple[float, list[float]]:
        found = mteb.evaluate(model, task, cache=None, co2_tracker=False, show_progress_bar=False)
        return float(found.task_results[0].scores["test"][0]["ndcg_at_10"]), []

    return work


@cache
def passages(job: Job) -> tuple[list[tuple[str, str]], list[str]]:
    """A made-up corpus and its queries, `scale_bm25`'s."""
    language = Language()
    queries = [" ".join(language.draw(QUERY_LENGTH)) for _ in range(job.lists)]
    return list(language.passages(job.passages)), queries


def bm25_ours(job: Job) -> Work:
    """Our index of the queries' words, and the queries' best 100."""
    documents, queries = passages(job)
    analyse = analyser("english")

    def work() -> tuple[float, list[float]]:
        asked = [analyse(query) for query in queries]
        index = Bm25Index(documents, (token for each in asked for token in each), analyse, workers=job.threads)
        found = index.search_all({str(number): each for number, each in enumerate(asked)}, DEPTH, workers=job.threads)
        return sum(ranking[0][1] for ranking in found.values()) / len(found), []

    return work


def bm25_library(job: Job) -> Work:
    """bm25s with the same stop words, stemmer and variant."""
    import bm25s
    import Stemmer

    documents, queries = passages(job)
    settings = {"stopwords": "en", "stemmer": Stemmer.Stemmer("english"), "show_progress": False}

    def work() -> tuple[float, list[float]]:
        index = bm25s.BM25(method="lucene", k1=0.9, b=0.4)
        index.index(bm25s.tokenize([text for _, text in documents], **settings), show_progress=False)
        _, scores = index.retrieve(
            bm25s.tokenize(queries, **settings), k=DEPTH, n_threads=job.threads, show_progress=False
        )
        return float(scores[:, 0].mean()), []

    return work


@cache
def judged(job: Job) -> tuple[dict[str, dict[str, int]], dict[str, list[str]]]:
    """Made-up judgements and rankings of 100: each ranking has half of its query's 20 judged documents."""
    draw = random.Random(5)
    judgements, rankings = {}, {}
    for number in range(job.lists):
        ids = [f"document{each}" for each in draw.sample(range(1_000_000), 110)]
        judgements[f"q{number}"] = {each: draw.randrange(4) for each in ids[90:]}
        rankings[f"q{number}"] = draw.sample(ids[:100], DEPTH)
    return judgements, rankings


def measures_ours(job: Job) -> Work:
    """`bench.measures`, for what every result reports."""
    judgements, rankings = judged(job)
    return lambda: (mean(per_query(judgements, rankings, STANDARD)[NDCG]), [])


def measures_library(job: Job) -> Work:
    """pytrec_eval alone, for the same measures without judged@10, given runs in its own form."""
    import pytrec_eval

    judgements, rankings = judged(job)
    runs = {query: {each: float(DEPTH - at) for at, each in enumerate(ids)} for query, ids in rankings.items()}

    def work() -> tuple[float, list[float]]:
        asked = {"ndcg_cut.10", "recip_rank", "map", "P.10", "recall.10,100"}
        found = pytrec_eval.RelevanceEvaluator(judgements, asked).evaluate(runs)
        return sum(each["ndcg_cut_10"] for each in found.values()) / len(found), []

    return work


def measures_ranx(job: Job) -> Work:
    """ranx, compiled before, for the same measures without judged@10."""
    import ranx

    judgements, rankings = judged(job)
    runs = {query: {each: float(DEPTH - at) for at, each in enumerate(ids)} for query, ids in rankings.items()}

    def work() -> tuple[float, list[float]]:
        found = ranx.evaluate(ranx.Qrels(judgements), ranx.Run(runs), list(_RANX))
        return float(found["ndcg@10"]), []

    work()  # compiles
    return work


_PAIRS = {"ours": ours, "sentence-transformers": library, "mteb": harness}
SIDES: Mapping[str, Mapping[str, Callable[[Job], Work]]] = {
    "bi-encoder": _PAIRS,
    "cross-encoder": _PAIRS,
    "core": {"ours": ours, "mteb": harness},
    "bm25": {"ours": bm25_ours, "bm25s": bm25_library},
    "measures": {"ours": measures_ours, "pytrec_eval": measures_library, "ranx": measures_ranx},
}


def do(job: Job) -> Spent:
    """Do the work and measure it."""
    gc.collect()  # the model of the go before, whose parts refer to each other
    work = SIDES[job.part][job.side](job)
    before, started = _processor_seconds(), time.perf_counter()
    figure, scores = work()
    wall, cpu = time.perf_counter() - started, _processor_seconds() - before
    return Spent(cpu, wall, _peak_megabytes(), figure, scores)


def _peak_megabytes() -> float:
    # Linux lets a new program begin with the peak of the process that started it, except in this file.
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


def _processor_seconds() -> float:
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def serve(job: Job) -> None:
    """Do the work for each line of standard input; the first answer is empty, and says that all is ready."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    print("{}", file=answers)
    for _ in sys.stdin:
        print(json.dumps(asdict(do(job))), file=answers)


if __name__ == "__main__":
    serve(Job(**json.loads(sys.argv[1])))
