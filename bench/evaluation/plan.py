"""Every task by every reranker: what the suite commands do.

Names and options are checked before any data is read, and all tasks' data and candidates are settled before the first
reranker loads, so that a mistake stops the command in its first second or minute and not in its tenth hour. Rerankers
are loaded one after the other, since two may not fit in memory.
"""

import gc
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.collections.collection import Collection
from bench.collections.load import load
from bench.console import Advance, Numbered, Progress, note
from bench.errors import BenchError
from bench.evaluation.cache import ScoreCache, scorer
from bench.evaluation.evaluate import evaluate
from bench.evaluation.hiring import Wanted, hired
from bench.evaluation.latency import latency, timed
from bench.evaluation.overwrite import scores_of
from bench.evaluation.prepare import PreparedTask, prepare, without_candidates
from bench.evaluation.prices import Price, price_of, priced
from bench.evaluation.shards import Shard, assemble
from bench.first_stage.dense import one_encoder
from bench.first_stage.runs import BM25, first_stage, opened
from bench.rerankers import calls_server, row_of
from bench.rerankers import check as check_reranker
from bench.rerankers import load as load_reranker
from bench.rerankers.base import Options, Reranker
from bench.rerankers.generative.answers import answers_of
from bench.rerankers.options import check_options
from bench.results import Result, note_replaced, write_result
from bench.run import Run
from bench.task import Task


@dataclass(frozen=True, slots=True)
class Plan:
    """What a suite command was asked for.

    ``queries`` None measures what the task says, all judged ones as a rule; ``first_stage`` empty is the task's own.
    ``cache_id`` vouches for the rerankers that have no fingerprint (`bench.evaluation.cache.scorer`).
    ``workers`` None scores all lists in this process. ``shard`` scores one share of the chunks, and gives no results.
    ``allow_failures`` goes on where a call of a generative reranker failed for good: its query gets no order and
    counts as 0. ``latency`` also scores some lists one at a time, when all lists have their scores.
    ``overwrite`` scores again what is cached (`bench.evaluation.overwrite`).
    """

    tasks: Sequence[Task]
    rerankers: Sequence[str]
    output: Path
    first_stage: str | Run = ""
    depth: int = 100
    queries: int | None = None
    data: Path | None = None
    source: str = ""
    options: Options = field(default_factory=Options)
    cache_id: str = ""
    workers: Wanted | None = None
    shard: Shard | None = None
    allow_failures: bool = False
    prices: Sequence[Price] = ()
    latency: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        sample = next((task.id for task in self.tasks if task.embedded), "")
        if sample and (self.data or self.source):
            raise BenchError(
                f"{sample} comes with the package, so that --data and --source do not fit it. Leave them out, or leave "
                "out --embedded."
            )


def run_all(plans: Sequence[Plan], progress: Progress) -> Iterator[list[Result]]:
    """Run plans of one output folder one after the other; each result is on disk as soon as it is there.

    All are checked, and their first stages opened, before the first is run.

    Raises:
        BenchError: for anything the user can fix; results written until then stay.
    """
    names = [check(plan) for plan in plans]
    # A run file may be a pipe, which gives its content once.
    choices = [opened(plan.first_stage) for plan in plans]
    first = plans[0]
    with scores_of(first.shard.folder(first.output) if first.shard else first.output, first.overwrite) as scores:
        if not (first.shard or first.overwrite):
            assemble(scores, first.output)
        for plan, of_plan, choice in zip(plans, names, choices, strict=True):
            yield _run(plan, of_plan, choice, scores, progress)


def run(plan: Plan, progress: Progress) -> list[Result]:
    """Measure every reranker of one plan on every task, as `run_all` does.

    Raises:
        BenchError: for anything the user can mend; results written until then stay.
    """
    (results,) = run_all([plan], progress)
    return results


def _run(
    plan: Plan, names: Mapping[str, str], candidates: str | Run, scores: ScoreCache, progress: Progress
) -> list[Result]:
    results: list[Result] = []
    with ExitStack() as collections:
        numbered = [Numbered(progress, number, len(plan.tasks)) for number in range(1, len(plan.tasks) + 1)]
        collections.callback(gc.unfreeze)
        with one_encoder():
            prepared_tasks = [
                collections.enter_context(settled(plan, task, each, candidates))
                for task, each in zip(plan.tasks, numbered, strict=True)
            ]
        for name in names:
            taken = {other for given, other in names.items() if given != name}
            results += _measured(plan, name, taken, list(zip(prepared_tasks, numbered, strict=True)), scores, progress)
            # The next reranker loads when this one's memory is free, the cycles' too: both may not fit.
            gc.collect()
            gc.freeze()  # what is left lives on (the libraries, the tasks): the next collection need not visit it
    return results


def check(plan: Plan) -> dict[str, str]:
    """Check a plan's rerankers, options and text analyses; loads no model and reads no data.

    Returns:
        The rerankers as they were named, each once, with the names that their cards will have.

    Raises:
        BenchError: for what the user can fix, two rerankers of one name among it.
    """
    check_options(plan.options)
    if plan.overwrite and plan.shard:
        raise BenchError(
            "--overwrite does not fit --shard: what shards score is added to the scores that are there. Leave it out, "
            "or give another folder with --output."
        )
    if plan.workers:
        plan.workers.check()
    _check_latency(plan)
    if plan.options.http_options and not any(map(calls_server, plan.rerankers)):
        raise BenchError("--http-option has no effect: none of the rerankers is an HTTP server. Leave it out.")
    if (plan.allow_failures or plan.prices) and not any(map(_generates, plan.rerankers)):
        what = "--allow-failures" if plan.allow_failures else "--price"
        raise BenchError(f"{what} has no effect: none of the rerankers is generative. Leave it out.")
    for price in plan.prices:
        if price.name and price.name not in plan.rerankers:
            raise BenchError(f"--price names {price.name!r}, which is no --reranker here. Write it as there.")
    names: dict[str, str] = {}
    for name in dict.fromkeys(plan.rerankers):
        called = check_reranker(name, plan.options)
        other = next((given for given, taken in names.items() if taken == called), None)
        if other is not None:
            raise _one_name(name, other, called)
        names[name] = called
    if plan.first_stage in ("", BM25):
        from bench.first_stage.analysis import analyser

        for analysis in dict.fromkeys(task.analysis for task in plan.tasks if task.suite == "folder"):
            analyser(analysis)
    return names


def _check_latency(plan: Plan) -> None:
    if plan.latency and plan.shard:
        raise BenchError("--latency has no effect on a shard, which writes no result. Give it without --shard.")
    if plan.latency and all((row := row_of(name)) and row.family == "order-only" for name in plan.rerankers):
        raise BenchError("--latency has no effect: none of the rerankers scores texts. Leave it out.")


def _generates(name: str) -> bool:
    row = row_of(name)
    return row is not None and row.family in ("generative", "chat")


def _one_name(name: str, other: str, called: str) -> BenchError:
    return BenchError(
        f"{name} and {other} are both called {called!r}: no table could distinguish them. Rename a folder, or measure "
        "each with an --output of its own."
    )


def _measured(
    plan: Plan,
    name: str,
    taken: Container[str],
    prepared_tasks: Sequence[tuple[PreparedTask, Progress]],
    scores: ScoreCache,
    progress: Progress,
) -> list[Result]:
    """Measure one reranker on every task. Its model is loaded only if a list is not in the score cache."""
    shown: list[Advance] = []

    @contextmanager
    def loading() -> Iterator[None]:
        with progress.step(f"loading {name}", None):
            yield
        for advance in shown:
            advance(0, restored=True)  # the time left counts scoring alone

    with progress.step(f"preparing {name}", None):
        reranker = load_reranker(name, plan.options, loading)
    if reranker.card.name in taken:  # a class of the user's own may name its objects when it makes them
        raise _one_name(name, "another --reranker", reranker.card.name)
    if (answers := answers_of(reranker)) is not None:
        answers.allow_failures = plan.allow_failures
    if plan.shard:
        plan.shard.check(reranker, plan.cache_id)
    measured: list[tuple[Result, Run]] = []
    with hired(plan.workers, name, reranker, plan.options, loading) as workers:
        score = scorer(scores, reranker, plan.options, plan.cache_id, workers)
        for each, numbered in prepared_tasks:
            with numbered.step(f"{each.protocol.task}  {name}", len(each.candidates.rankings)) as advance:
                shown[:] = [advance]
                if plan.shard:
                    plan.shard.score(each, reranker, score, advance)
                    continue
                result, reranked = evaluate(each, reranker, score, advance)
            result = priced(result, price_of(name, plan.prices))
            note_replaced(result, plan.output)
            write_result(result, reranked, plan.output)
            measured.append((result, reranked))
    if plan.latency and "texts" in reranker.card.needs:
        # The workers have ended, so that this process has a device to itself.
        return [_timed(plan, reranker, *each, *about) for each, about in zip(measured, prepared_tasks, strict=True)]
    return [result for result, _ in measured]


def _timed(
    plan: Plan, reranker: Reranker, result: Result, reranked: Run, prepared: PreparedTask, progress: Progress
) -> Result:
    """Write a result once more, with its latency."""
    with progress.step(f"{result.task}  {reranker.card.name}  latency", len(timed(prepared))) as advance:
        result = replace(result, cost=replace(result.cost, latency=latency(prepared, reranker, advance)))
    write_result(result, reranked, plan.output)
    return result


@contextmanager
def settled(plan: Plan, task: Task, progress: Progress, candidates: str | Run | None = None) -> Iterator[PreparedTask]:
    """The task, prepared; its documents can be read for as long as the context is open.

    ``candidates`` is the plan's first stage, opened; None opens it here.
    """
    choice = opened(plan.first_stage) if candidates is None else candidates
    with progress.step(f"{task.id}  reading", None):
        collection = load(task, plan.data, plan.source)
    with closing(collection.documents):
        yield with_candidates(plan, collection, choice, progress)


def with_candidates(plan: Plan, collection: Collection, choice: str | Run, progress: Progress) -> PreparedTask:
    """Find a loaded task's candidates, and settle its protocol."""
    task = collection.task
    with progress.step(f"{task.id}  first stage", len(collection.documents)) as advance:
        spread = plan.workers.corpus_embedders if plan.workers else None
        run = first_stage(collection, choice, plan.depth, advance, plan.options, spread)
    made = prepare(collection, run, plan.depth, plan.options, plan.queries or task.sample_queries)
    if line := without_candidates(made):
        note(f"Note: {line}")
    return made
