"""Commands that rerank: the suites, a folder of the user's own, sensitivity."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli import completing
from bench.cli.help import MEASURE
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
MEASURED = (
    "Prints a table and writes results to OUTPUT. If interrupted, run the same command again to resume. --json: a list "
    "of objects, one a task and reranker, with figures from 0 to 1; with --dry-run, what would be done for each."
)
"""What help says of every command that measures."""


def _suite_command(suite: str, about: str) -> None:
    @app.command(suite, help=f"{about}\n\n{MEASURED}", rich_help_panel=MEASURE)
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


_suite_command("beir", "Measure BEIR: 13 tasks; if named, msmarco and cqadupstack.")
_suite_command("miracl", "Measure MIRACL: 18 languages.")
_suite_command("mkqa", "Measure MKQA: questions in 26 languages, English passages.")
_suite_command("coir", "Measure CoIR: ten code retrieval tasks.")


@app.command(help=f"Measure your own folders in BEIR format.\n\n{MEASURED}", rich_help_panel=MEASURE)
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


@app.command(rich_help_panel=MEASURE)
def sensitivity(
    scoring: Scoring,
    task: Annotated[
        str,
        typer.Argument(
            metavar="TASK",
            help="suite/name, irds/ID, mteb/TASK, or your own folder in BEIR format.",
            autocompletion=completing.task_ids,
        ),
    ],
    reranker: Annotated[
        str,
        typer.Option(
            "--reranker",
            "-r",
            metavar="NAME",
            autocompletion=completing.rerankers,
            help="Reranker to test, named as for 'beir'.",
        ),
    ],
    orders: Annotated[int, typer.Option(metavar="N", min=0, max=MOST, help="Number of random orders.")] = 10,
    split: Annotated[
        str,
        typer.Option(
            metavar="SPLIT",
            help="The split of your own folder (test if not given) or of an mteb task.",
        ),
    ] = "",
    analysis: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="BM25's text analysis of your own folder (english if not given), ir_datasets or mteb."
        ),
    ] = "",
    drop_identical_ids: DropIdenticalIds = False,
    first_stage: FirstStage = "",
    data: Data = None,
    source: Source = "",
    form: Format = "text",
) -> None:
    """Test how stable a reranker is.

    Shuffles, truncates or splits its candidates, or adds a distractor, and measures the task after each change. --json:
    an object with base (the figure without change, from 0 to 1), variants and spreads.
    """
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
        overwrite=scoring.overwrite,
        workers=scoring.wanted(),
    )
    found, path = measure(plan, orders, Bar())
    emit(page(found), form, data=found)
    # Markup on standard output is for a file.
    (say if form == "text" else note)(f"Written to {path}")
    note(f"Next: python -m bench report {shell_word(str(scoring.output))}")


def measure_all(plans: "list[Plan]", dry_run: bool) -> None:
    """Run plans that write to one folder, one after the other, and show what they measured, or would measure."""
    from bench.evaluation.cache import CACHE
    from bench.evaluation.plan import run_all

    if dry_run:
        from bench.evaluation import dry_run as dry

        found = [each for plan in plans for each in dry.foresee(plan, Bar())]
        emit(dry.page(found), data=found)
        note("Next: the same command without --dry-run.")
        return
    from bench.leaderboard.flat import row
    from bench.leaderboard.summary import page

    for results in run_all(plans, Bar()):
        if results:
            emit(page(results, plans[0].output / CACHE), data=[row(result) for result in results])
    output = plans[0].output
    if shard := plans[0].shard:
        scored = f"Shard {shard.number}/{shard.of} is scored: {shard.folder(output)}/."
        say(f"{scored} When all are, give the command without --shard.")
        return
    say(f"Written to {output}/")
    note(f"Next: python -m bench leaderboard {shell_word(str(output))}")
