"""Commands that rerank: the suites, a folder of the user's own, sensitivity."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import (
    MOST,
    Analysis,
    Data,
    DropIdenticalIds,
    Embedded,
    FirstStage,
    Format,
    Names,
    OtherSplit,
    Source,
    Split,
    app,
    emit,
)
from bench.cli.scoring import Measuring, Scoring
from bench.console import Bar, note, say
from bench.escape import shell_word

if TYPE_CHECKING:
    from bench.evaluation.plan import Plan

OFFLINE = ("first-stage", "random", "minilm", "oracle")
"""What is measured on a user's own folder where no reranker is named: nothing is downloaded, nothing takes long."""
SAMPLES = ("first-stage", "random", "minilm", "embedded", "oracle")
"""What is measured on the embedded samples: one row is the core model in the checkpoint that comes with it."""
DEFAULT = ("first-stage", "jina-reranker-v3")


def _suite_command(suite: str, about: str) -> None:
    @app.command(suite, help=about)
    def command(
        measuring: Measuring,
        names: Names = None,
        data: Data = None,
        source: Source = "",
        embedded: Embedded = False,
        split: OtherSplit = "",
    ) -> None:
        from bench.suites import choose, with_split

        tasks = [with_split(task, split) if split else task for task in choose(suite, names or [], embedded)]
        plans = measuring.plans(tasks, SAMPLES if embedded else DEFAULT, data=data, source=source)
        measure_all(plans, measuring.dry_run)


_suite_command("beir", "Measure BEIR: 13 tasks, msmarco, cqadupstack.")
_suite_command("miracl", "Measure MIRACL: 18 languages.")
_suite_command("mkqa", "Measure MKQA: 26 languages, English passages.")
_suite_command("coir", "Measure CoIR: ten code retrieval tasks.")


@app.command(help="Measure your own folders in BEIR format.")
def folder(
    measuring: Measuring,
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH", help="Folders with corpus.jsonl, queries.jsonl and qrels/, or zips of them."),
    ],
    split: Split = "test",
    analysis: Analysis = "english",
    drop_identical_ids: DropIdenticalIds = False,
) -> None:
    """Measure rerankers on the user's own folders."""
    from bench.suites.folder import folder_tasks

    tasks = folder_tasks(paths, split, analysis, drop_identical_ids)
    measure_all(measuring.plans(tasks, OFFLINE), measuring.dry_run)


@app.command(help="Test how stable a reranker is: shuffle, truncate or split its candidates, or add a distractor.")
def sensitivity(
    scoring: Scoring,
    task: Annotated[str, typer.Argument(help="As suite/name, irds/ID, mteb/TASK, or your own folder in BEIR format.")],
    reranker: Annotated[str, typer.Option("--reranker", "-r", help="As for the suites.")],
    orders: Annotated[int, typer.Option(min=0, max=MOST, help="How many random orders.")] = 10,
    split: Annotated[str, typer.Option(help="Of your own folder (test if not given), or of an mteb task.")] = "",
    analysis: Annotated[
        str, typer.Option(help="BM25's text analysis for your own folder (english if not given), ir_datasets or mteb.")
    ] = "",
    drop_identical_ids: DropIdenticalIds = False,
    first_stage: FirstStage = "",
    data: Data = None,
    source: Source = "",
    form: Format = "text",
) -> None:
    """Measure one task again and again with one thing varied."""
    from bench.evaluation.plan import Plan
    from bench.evaluation.sensitivity import measure, page
    from bench.evaluation.stages import named

    drop = "yes" if drop_identical_ids else ""
    of_task = {"--split": split, "--analysis": analysis, "--drop-identical-ids": drop}
    of_task |= {"--data": str(data or ""), "--source": source}
    staged = named(task, {option: value for option, value in of_task.items() if value})
    plan = Plan(
        tasks=staged.tasks,
        rerankers=[reranker],
        output=scoring.output,
        first_stage=first_stage or staged.first_stage,
        depth=scoring.depth or staged.depth,
        queries=scoring.queries,
        data=data,
        source=source,
        options=scoring.options(),
        cache_id=scoring.cache_id,
        workers=scoring.wanted(),
    )
    found, path = measure(plan, orders, Bar())
    emit(page(found), form, data=found)
    # Markup on standard output is for a file.
    (say if form == "text" else note)(f"Written to {path}")


def measure_all(plans: "list[Plan]", dry_run: bool) -> None:
    """Run plans that write to one folder, one after the other, and show what they measured, or would measure."""
    from bench.evaluation.cache import CACHE
    from bench.evaluation.plan import run_all

    if dry_run:
        from bench.evaluation import dry_run as dry

        emit(dry.page([each for plan in plans for each in dry.foresee(plan, Bar())]))
        return
    from bench.leaderboard.flat import row
    from bench.leaderboard.summary import page

    for results in run_all(plans, Bar()):
        if results:
            emit(page(results, plans[0].output / CACHE), data=[row(result) for result in results])
    output = plans[0].output
    if shard := plans[0].shard:
        say(f"Shard {shard} is scored: {shard.folder(output)}/. When all are, give the command without --shard.")
        return
    say(f"Written to {output}/")
    note(f"Next: python -m bench leaderboard {shell_word(str(output))}")
