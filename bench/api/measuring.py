"""Measuring from scripts and notebooks: the suite commands' plan, filled from Python values."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bench.api.data import named
from bench.api.results import Results
from bench.comparison.stored import read_results as read_stored
from bench.console import Bar, Silent
from bench.errors import BenchError
from bench.evaluation.plan import Plan, run
from bench.provenance import called
from bench.rerankers.base import Options
from bench.rerankers.given import given
from bench.run import Run
from bench.task import Task

TaskName = str | Path | Task
FirstStage = str | Path | Mapping[str, Mapping[str, float]]


def measure(
    tasks: TaskName | Iterable[TaskName],
    rerankers: object,
    *,
    first_stage: FirstStage = "",
    depth: int = 100,
    queries: int | None = None,
    data: str | Path | None = None,
    source: str = "",
    device: str = "auto",
    dtype: str = "auto",
    max_query_length: int = 512,
    max_doc_length: int = 2048,
    seed: int = 0,
    output: str | Path = "out",
    cache_id: str = "",
    latency: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> Results:
    """Measure every reranker on every task, with the command line's protocol, score cache and result files.

    Args:
        tasks: ``beir/scifact``, a suite for its default tasks, a folder in BEIR format, what `tasks` and `folder`
            return, or several of these.
        rerankers: One or several (a dict gives objects names of their own): a name of ``python -m bench rerankers``, a
            `reranker.Reranker`, an object with ``score(lists)`` (see CONTRIBUTING.md), or a function of a query and a
            list of texts that returns a score for each text. Scores of a function or of an object without a
            ``fingerprint`` are not reused by later calls, unless you pass a ``cache_id``.
        first_stage: ``bm25``, ``bm25-english``, ``dense:MODEL``, the path of a run file, or scores by query and
            document; the task's own by default, which is bm25 as a rule.
        depth: Candidates for each query.
        queries: How many queries are measured, chosen by a hash of their ids; all by default.
        data: A folder that holds ``TASK/`` in BEIR format, in place of the tasks' usual sources.
        source: ``ir_datasets`` or ``mteb``; the usual one by default.
        device: For rerankers given by name: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        dtype: For rerankers given by name: ``auto``, ``float32``, ``bfloat16``, ``float16``.
        max_query_length: Cap on a query, in the reranker's tokens.
        max_doc_length: Cap on a document, in the reranker's tokens.
        seed: For the random reranker.
        output: The folder of result files and of the score cache. To resume an interrupted call, make it again.
        cache_id: Reuse scores of objects without a fingerprint between calls that pass the same text.
        latency: Then score 50 lists of each task one at a time: ``latency_p50_seconds`` and ``latency_p95_seconds`` of
            the results are the seconds of a list.
        overwrite: Score again what is cached. The old scores and results stay until the new ones are complete; if
            interrupted, the same call resumes.
        progress: Whether progress is shown on standard error.

    Raises:
        BenchError: for anything the user can fix; results written until then stay.
    """
    given_tasks = [tasks] if isinstance(tasks, str | Path | Task) else list(tasks)
    chosen = list(dict.fromkeys(task for each in given_tasks for task in named(each)))
    names = _names(rerankers)
    if not chosen or not names:
        raise BenchError(f"There are no {'rerankers' if chosen else 'tasks'} to measure. Give at least one.")
    numbers = {"depth": depth, "max_query_length": max_query_length, "max_doc_length": max_doc_length}
    numbers |= {} if queries is None else {"queries": queries}
    for name, number in numbers.items():
        if number < 1:
            raise BenchError(f"{name} is {number}. Give at least 1.")
    plan = Plan(
        tasks=chosen,
        rerankers=names,
        output=Path(output),
        first_stage=_run(first_stage) if isinstance(first_stage, Mapping) else str(first_stage),
        depth=depth,
        queries=queries,
        data=None if data is None else Path(data),
        source=source,
        options=Options(device, dtype, max_query_length, max_doc_length, seed),
        cache_id=cache_id,
        latency=latency,
        overwrite=overwrite,
    )
    with called(_call(plan)):
        return Results(run(plan, Bar() if progress else Silent()))


def read_results(*places: str | Path) -> Results:
    """Every result in some files and folders, ``out`` by default.

    Raises:
        BenchError: for a place or result that is missing or damaged.
    """
    return Results(read_stored([Path(place) for place in places or ("out",)]))


def _names(rerankers: object) -> list[str]:
    """What was given, as names; objects carry themselves.

    Raises:
        BenchError: for what is no reranker, and for two of one name.
    """
    if isinstance(rerankers, Mapping):
        pairs = [(str(name), each) for name, each in rerankers.items()]
    else:
        pairs = [("", each) for each in (rerankers if isinstance(rerankers, list | tuple) else [rerankers])]
    names = [given(each, name) for name, each in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise BenchError(
            f"Two rerankers are called {twice!r}: no table could distinguish them. Give them names: "
            "rerankers={'one': ..., 'two': ...}."
        )
    return names


def _run(scores: Mapping[str, Mapping[str, float]]) -> Run:
    """A first stage given as scores by query and document; of equal scores the document given first comes first."""
    rankings = {
        query_id: sorted(((key, float(score)) for key, score in of_query.items()), key=lambda pair: -pair[1])
        for query_id, of_query in scores.items()
    }
    return Run("given", rankings)


def _call(plan: Plan) -> str:
    """The call as results record it: what differs from the defaults."""
    usual = Plan((), (), Path("out"))
    stage = plan.first_stage if isinstance(plan.first_stage, str) else "..."
    settings = {"first_stage": stage}
    settings |= {key: getattr(plan, key) for key in ("depth", "queries", "source", "latency", "overwrite")}
    known = {key: getattr(usual, key) for key in settings}
    for key in ("device", "dtype", "max_query_length", "max_doc_length", "seed"):
        settings[key], known[key] = getattr(plan.options, key), getattr(usual.options, key)
    words: Sequence[str] = [f", {key}={value!r}" for key, value in settings.items() if value != known[key]]
    return f"bench.measure({[task.id for task in plan.tasks]}, {[*map(str, plan.rerankers)]}{''.join(words)})"
