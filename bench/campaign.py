"""Every task by every reranker: what the suite commands do.

All tasks' data and candidates are settled before the first reranker loads, so that a missing file stops the command
in its first minute and not in its tenth hour; rerankers are loaded one after the other, since two may not fit.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.collections.load import load
from bench.contest import Contest, contest
from bench.errors import BenchError
from bench.evaluate import evaluate
from bench.first_stage.runs import check as check_first_stage
from bench.first_stage.runs import first_stage
from bench.progress import Progress
from bench.rerankers import check as check_reranker
from bench.rerankers import load as load_reranker
from bench.rerankers.base import Options
from bench.results import Result, write_result
from bench.resume import keeping, scorer
from bench.task import Task


@dataclass(frozen=True, slots=True)
class Plan:
    """What a suite command was asked for. ``queries`` None measures what the task says, all judged ones as a rule."""

    tasks: Sequence[Task]
    rerankers: Sequence[str]
    output: Path
    first_stage: str = "bm25"
    depth: int = 100
    queries: int | None = None
    data: Path | None = None
    source: str = ""
    options: Options = field(default_factory=Options)


def run(plan: Plan, progress: Progress) -> list[Result]:
    """Measure every reranker on every task; each result is on disk as soon as it is there.

    Raises:
        BenchError: for anything the user can mend; results written until then stay.
    """
    results: list[Result] = []
    names = list(dict.fromkeys(plan.rerankers))
    for name in names:
        check_reranker(name)
    check_first_stage(plan.first_stage)
    with keeping(plan.output) as store, ExitStack() as collections:
        contests = [collections.enter_context(settled(plan, task, progress)) for task in plan.tasks]
        for name in names:
            with progress.step(f"loading {name}", None):
                reranker = load_reranker(name, plan.options)
            if reranker.card.name in {result.reranker.name for result in results}:
                raise BenchError(
                    f"{name} and another --reranker are both called {reranker.card.name!r}: one's results would take "
                    "the other's place. Rename a folder, or measure each with an --output of its own."
                )
            for each in contests:
                label = f"{each.protocol.task}  {name}"
                with progress.step(label, len(each.candidates.rankings)) as advance:
                    result, reranked = evaluate(each, reranker, scorer(store, reranker, plan.options), advance)
                write_result(result, reranked, plan.output)
                results.append(result)
    return results


@contextmanager
def settled(plan: Plan, task: Task, progress: Progress) -> Iterator[Contest]:
    """A task's contest; its documents can be read for as long as the context is open."""
    with progress.step(f"{task.id}  reading", None):
        collection = load(task, plan.data, plan.source)
    with closing(collection.documents):
        with progress.step(f"{task.id}  first stage", len(collection.documents)) as advance:
            candidates = first_stage(collection, plan.first_stage, plan.depth, advance, plan.options)
        yield contest(collection, candidates, plan.depth, plan.options, plan.queries or task.sample_queries)
