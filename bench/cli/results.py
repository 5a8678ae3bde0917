"""Commands over kept results: leaderboard, reproduce, compare, gate, verify."""

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.app import Data, Format, Places, RunFile, Source, app
from bench.console import note
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.collections.collection import Collection
    from bench.results import Result


@app.command(help="Tabulate rerankers by tasks, beside published ones.")
def leaderboard(
    places: Places = None,
    form: Format = "text",
    first_stage: Annotated[str, typer.Option(help="Only results over this first stage.")] = "",
    mixed: Annotated[bool, typer.Option("--mixed", help="Show several protocols of a task side by side.")] = False,
    output: Annotated[
        Path | None, typer.Option(help="Write to this file (for mteb: folder), not to the screen.")
    ] = None,
) -> None:
    """Put kept results side by side."""
    from bench import mteb_format, published
    from bench.files import write_whole
    from bench.kept import read_sound
    from bench.leaderboard import build
    from bench.render import render
    from bench.report import terminal_width
    from bench.results import result_paths

    results = [read_sound(path) for path in result_paths(places or [Path("out")])]
    if form == "mteb":
        for path in mteb_format.write(results, output or Path("mteb")):
            typer.echo(path)
        return
    command = " ".join(["python -m bench", *sys.argv[1:]])
    board = build(results, first_stage, mixed, published.read_all())
    page = render(board, form, command if output else "", None if output else terminal_width())
    if output:
        write_whole(output, page.encode())
    else:
        typer.echo(page)


@app.command(help="Put the paper's figures beside your own.")
def reproduce(
    what: Annotated[str, typer.Argument(help="paper: jina-reranker-v3's, arXiv 2509.25085.")],
    places: Places = None,
) -> None:
    """Show published and measured figures of the same cells."""
    from bench.kept import read_sound
    from bench.report import terminal_width
    from bench.reproduce import paper, text
    from bench.results import result_paths

    if what != "paper":
        raise BenchError(f"Unknown {what!r}. Known: paper.")
    if not places and not Path("out").exists():
        note("out does not exist: no figure is measured yet. Give a folder of results, or measure some.")
        paths = []
    else:
        paths = result_paths(places or [Path("out")])
    typer.echo(text(paper([read_sound(path) for path in paths]), terminal_width()))


@app.command(help="Compare two results: difference, p-value, queries.")
def compare(
    a: Annotated[Path, typer.Argument(help="A result.json or a folder of results.")],
    b: Annotated[Path, typer.Argument(help="What is compared with it.")],
    query: Annotated[str | None, typer.Option(help="Show this query in full.")] = None,
    changes: Annotated[int, typer.Option(min=0, help="How many changed queries are shown for each task.")] = 3,
    data: Data = None,
    source: Source = "",
) -> None:
    """Compare paired results."""
    from bench.compare import compare, render
    from bench.reload import Reload
    from bench.report import stdout

    with closing(Reload(data, source)) as reload:

        def collection(result: "Result") -> "Collection | None":
            try:
                return reload.collection(result)
            except BenchError as error:
                if data or source:
                    raise
                typer.echo(f"Queries and documents of {result.task} are shown by their ids alone. {error}", err=True)
                return None

        render(stdout(), compare(a, b, collection, query=query, changes=changes))


@app.command()
def gate(
    baseline: Annotated[Path, typer.Option(help="The results to hold.")],
    candidate: Annotated[Path, typer.Option(help="The new results.")],
    min_drop: Annotated[float, typer.Option(help="Points (of 100) below which no drop counts.")] = 0.5,
    alpha: Annotated[float, typer.Option(help="Significance level, Holm-corrected over the comparisons.")] = 0.05,
    junit: Annotated[Path | None, typer.Option(help="Write a JUnit XML report here.")] = None,
) -> None:
    """Hold new results against kept ones.

    A task has regressed when it fell by at least --min-drop points and the paired randomisation test is significant
    after Holm's correction; an order-only reranker when any figure differs. Exit status 0: held, 1: regressed, 2: could
    not compare. A Markdown summary goes to $GITHUB_STEP_SUMMARY where that is set.
    """
    from bench import gate as gates
    from bench.report import stdout

    report = gates.gate(baseline, candidate, min_drop=min_drop, alpha=alpha)
    gates.render(stdout(), report)
    gates.append_step_summary(report)
    if junit:
        gates.write_junit(report, junit)
    raise typer.Exit(report.exit_status)


@app.command()
def verify(places: Places = None, data: Data = None, source: Source = "", first_stage: RunFile = None) -> None:
    """Recompute stored figures.

    From the stored runs and the judgements; hashes of run, first stage and data are checked too. Exit status 0: all are
    right, 1: some differ, 2: some could not be checked.
    """
    from bench.reload import Reload
    from bench.report import stdout
    from bench.verify import render, verify

    with closing(Reload(data, source, first_stage)) as reload:
        found = verify(places or [Path("out")], reload.collection, reload.first_stage)
    render(stdout(), found)
    raise typer.Exit(found.exit_status)
