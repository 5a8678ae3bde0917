"""Commands that say what there is: tasks and their sources, rerankers, bundled runs."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.cli.options import Data, Source, TaskIds, app
from bench.console import say

runs = typer.Typer(help="List, build, check the bundled BM25 runs.", no_args_is_help=True)
app.add_typer(runs, name="runs")


@app.command(help="List the tasks.")
def tasks(suite: Annotated[str | None, typer.Argument(help="beir, miracl, mkqa or coir; all if none.")] = None) -> None:
    """List the declared tasks."""
    from bench.cli.listing import tasks_table
    from bench.leaderboard.summary import stdout
    from bench.suites import declared

    stdout().print(tasks_table(declared(suite)))


@app.command(help="List the rerankers.")
def rerankers() -> None:
    """List the known rerankers and families."""
    from bench.cli.listing import rerankers_table
    from bench.leaderboard.summary import stdout

    stdout().print(rerankers_table())


@runs.command("list", help="The bundled runs and what they score.")
def list_runs() -> None:
    """List the bundled runs."""
    from bench.cli.listing import runs_table
    from bench.first_stage.runs import read_manifests
    from bench.leaderboard.summary import stdout

    stdout().print(runs_table(read_manifests()))


@runs.command("build", help="Make bundled runs and their manifest rows (again), byte for byte.")
def build_runs(
    ids: TaskIds,
    data: Data = None,
    source: Source = "",
    into: Annotated[Path | None, typer.Option(help="Where they go; the package's own folder if not given.")] = None,
) -> None:
    """Build runs by BM25."""
    from bench.first_stage.maintain import build_bundled
    from bench.leaderboard.summary import Bar
    from bench.suites import by_ids

    for line in build_bundled(by_ids(ids), data, source, into, Bar(Console(stderr=True))):
        say(line)


@runs.command("check", help="Recompute the manifest's hashes and figures from runs and collections.")
def check_runs(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="TASK", help="As for 'build'; all that are bundled if none.")
    ] = None,
    data: Data = None,
    source: Source = "",
) -> None:
    """Check the bundled runs."""
    from bench.first_stage.maintain import check_bundled
    from bench.first_stage.runs import read_manifests
    from bench.suites import by_ids

    chosen = by_ids(ids or list(read_manifests()))
    wrong = check_bundled(chosen, data, source)
    for line in wrong:
        say(line)
    if wrong:
        raise typer.Exit(1)
    say(f"{len(chosen)} bundled runs fit their manifest rows.")


@app.command()
def sources(ids: TaskIds) -> None:
    """Compare a task's two sources.

    Loads it from ir_datasets and from mteb and prints what differs in ids, texts and judgements. Exit status 0: they
    are the same, 1: they differ.
    """
    from bench.collections.load import load
    from bench.collections.mteb import check_sources, differences
    from bench.suites import by_ids

    unlike = 0
    tasks = by_ids(ids)
    for task in tasks:
        check_sources(task)
    for task in tasks:
        one, other = load(task, source="ir_datasets"), load(task, source="mteb")
        with closing(one.documents), closing(other.documents):
            lines = differences(one, other)
        unlike += bool(lines)
        say(f"{task.id}: {'; '.join(lines) or 'the same'}")
    raise typer.Exit(int(unlike > 0))
