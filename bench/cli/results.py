"""Commands on stored results: leaderboard, reproduce, compare, gate, verify."""

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bench.cli.help import RESULTS
from bench.cli.options import Data, Device, Dtype, Format, Into, Places, Source, app, emit
from bench.cli.shared import record
from bench.console import Bar, note, say_page, say_path
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.collections.collection import Collection
    from bench.leaderboard.reproduce import Reproduction
    from bench.results import Result


DataPlaces = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        metavar="[SUITE=|TASK=]DIR",
        help="Read the tasks from DIR/TASK/ in BEIR format; SUITE=DIR for one suite, TASK=DIR for the folder of one "
        "task. Repeatable.",
    ),
]
RunFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--first-stage",
        metavar="FILE",
        help="The TREC run file that results were measured over. Repeatable.",
    ),
]


@app.command(rich_help_panel=RESULTS)
def leaderboard(
    places: Places = None,
    form: Annotated[
        Literal["text", "markdown", "latex", "html", "csv", "mteb"],
        typer.Option("--format", metavar="FORMAT", help="text, markdown, latex, html, csv or mteb."),
    ] = "text",
    first_stage: Annotated[str, typer.Option(metavar="NAME", help="Only results over this first stage.")] = "",
    mixed: Annotated[bool, typer.Option("--mixed", help="Show several protocols of a task side by side.")] = False,
    average: Annotated[
        bool, typer.Option("--average", help="Show each reranker's mean over first stages, and each of them.")
    ] = False,
    main: Annotated[bool, typer.Option("--main", help="The main table alone, for a paper.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write to this file (for mteb: folder) instead of standard output."),
    ] = None,
) -> None:
    """Tabulate rerankers by task, with published figures.

    --json: a list of objects, one a figure, with the columns of --format csv; figures are from 0 to 1.
    """
    from bench import published
    from bench.comparison.stored import read_results
    from bench.files import write_whole
    from bench.leaderboard.board import build
    from bench.leaderboard.export import as_csv, flat_rows, write_mteb
    from bench.leaderboard.layout import main_page, page

    if main and form in ("csv", "mteb"):
        raise BenchError(f"--main is for pages, and {form} has all figures. Leave one of the two out.")
    results = read_results(places or [Path("out")])
    if form == "mteb":
        for path in write_mteb(results, output or Path("mteb")):
            say_path(path)
        return
    board = build(results, first_stage, mixed, published.read_all(), average)
    data = list(flat_rows(board))
    if main:
        emit(main_page(board), form, output, data)
    elif form != "csv":
        emit(page(board, " ".join(["python -m bench", *sys.argv[1:]]) if output else ""), form, output, data)
    elif output:
        write_whole(output, as_csv(board).encode())
        record(data)
    elif not record(data):
        say_page(as_csv(board))


@app.command(rich_help_panel=RESULTS)
def reproduce(
    what: Annotated[str, typer.Argument(metavar="paper", help="The paper of jina-reranker-v3, arXiv 2509.25085.")],
    places: Places = None,
    run: Annotated[
        bool, typer.Option("--run", help="First measure what DIR has no result of, and write the results there.")
    ] = False,
    commands: Annotated[
        bool,
        typer.Option("--commands", help="Print the commands that measure the rest with first-stage runs of your own."),
    ] = False,
    suite: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only figures of this suite. Repeatable.")
    ] = None,
    data: Data = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    form: Format = "text",
    output: Into = None,
) -> None:
    """Compare your figures with the paper's.

    --json: a list of objects, one a published figure: figure, reranker, measured (null without results), and what
    differs or is missing.
    """
    from bench.comparison.stored import read_results
    from bench.leaderboard.reproduce import paper
    from bench.leaderboard.reproduce_page import commands_page, page
    from bench.suites import declared

    if what != "paper":
        raise BenchError(f"Unknown {what!r}. Known: paper.")
    for each in suite or ():
        declared(each)
    if not run and (data or (device, dtype) != ("auto", "auto")):
        raise BenchError("--data, --device and --dtype have no effect without --run. Leave them out, or give --run.")

    def rows() -> "list[Reproduction]":
        is_new = run and not any(places[0].rglob("result.json")) if places else not Path("out").exists()
        found = [] if is_new else read_results(places or [Path("out")])
        return [row for row in paper(found) if not suite or row.figure.suite in suite]

    if run:
        if len(places or []) > 1:
            raise BenchError("With --run give a single DIR: results are written there.")
        places = places or [Path("out")]
        places[0].mkdir(parents=True, exist_ok=True)
        _measure_missing(rows(), places[0], data, device, dtype)
    elif not places and not Path("out").exists():
        note("out does not exist: no figure is measured yet. Give a folder of results, or measure some with --run.")
    reproduced = rows()
    emit((commands_page if commands else page)(reproduced), form, output, reproduced)


def _measure_missing(rows: "list[Reproduction]", output: Path, data: Path | None, device: str, dtype: str) -> None:
    from bench.evaluation.plan import Plan, check, run
    from bench.leaderboard.reproduce import not_built
    from bench.leaderboard.steps import steps
    from bench.rerankers.base import Options
    from bench.suites import by_ids

    options = Options(device=device, dtype=dtype)
    plans = [
        Plan(
            tasks=by_ids(list(step.tasks)),
            rerankers=step.rerankers,
            output=output,
            first_stage=step.first_stage,
            depth=step.depth,
            data=data,
            options=options,
        )
        for step in steps(rows)
    ]
    for plan in plans:
        check(plan)
    for stage, reason in not_built(rows).items():
        note(f"Note: no figure over {stage} is measured: {reason}")
    for number, plan in enumerate(plans, start=1):
        what = f"{len(plan.tasks)} tasks, {len(plan.rerankers)} rerankers over {plan.first_stage}"
        note(f"Step {number} of {len(plans)}: {plan.tasks[0].suite}, {what}.")
        run(plan, Bar())


@app.command(rich_help_panel=RESULTS)
def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="A result.json or a folder of results.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="The result or folder to compare with it.")],
    query: Annotated[str | None, typer.Option(metavar="ID", help="Show this query in full.")] = None,
    changes: Annotated[int, typer.Option(metavar="N", min=0, help="Show N changed queries of each task.")] = 3,
    data: DataPlaces = None,
    source: Source = "",
    form: Format = "text",
    output: Into = None,
) -> None:
    """Compare two results: difference, p-value, queries.

    --json: an object with tasks, a list of objects with the figures a and b (0 to 1), the difference's interval (low,
    high), p, p_holm, wins, ties, losses and the changed queries.
    """
    from bench.comparison.compare import compare, page
    from bench.comparison.stored import Reload, data_places

    with closing(Reload(data_places(data or []), source)) as reload:

        def collection(result: "Result") -> "Collection | None":
            try:
                return reload.collection(result)
            except BenchError as error:
                if data or source:
                    raise
                note(f"Queries and documents of {result.task} are shown by their ids alone. {error}")
                return None

        compared = compare(a, b, collection, query=query, changes=changes)
        emit(page(compared), form, output, compared)


@app.command(rich_help_panel=RESULTS)
def gate(
    baseline: Annotated[Path, typer.Option(metavar="DIR", help="Results to compare with.")],
    candidate: Annotated[Path, typer.Option(metavar="DIR", help="New results.")],
    min_drop: Annotated[float, typer.Option(metavar="POINTS", help="Ignore drops below this, in points of 100.")] = 0.5,
    alpha: Annotated[
        float, typer.Option(metavar="P", help="Significance level, after Holm's correction over the comparisons.")
    ] = 0.05,
    max_drop: Annotated[
        float | None, typer.Option(metavar="POINTS", help="Fail on drops from this on, significant or not.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on inconclusive comparisons too.")] = False,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a JUnit XML report to this file.")] = None,
    form: Format = "text",
    output: Into = None,
) -> None:
    """Fail if new results regressed from a baseline.

    A task has regressed when it fell by at least --min-drop points and the paired randomisation test is significant
    after Holm's correction, or when it fell by --max-drop; an order-only reranker when any figure differs. A fall of
    --min-drop that is not significant is inconclusive: it can be chance or a regression, and the smallest drop that
    would have been found is named. Exit status 0: held or inconclusive, 1: regressed (with --strict: or inconclusive),
    2: could not compare. A Markdown summary goes to $GITHUB_STEP_SUMMARY where that is set.

    --json: an object; lines has a verdict and figures (0 to 1) for each comparison.
    """
    from bench.comparison import gate as gates

    report = gates.gate(baseline, candidate, min_drop=min_drop, alpha=alpha, max_drop=max_drop, strict=strict)
    # Files first: whoever reads the screen may be gone, as `head` is after ten lines.
    gates.append_step_summary(report)
    if junit is not None:
        gates.write_junit(report, junit)
    emit(gates.page(report), form, output, report)
    raise typer.Exit(report.exit_status)


@app.command(rich_help_panel=RESULTS)
def verify(
    places: Places = None,
    data: DataPlaces = None,
    source: Source = "",
    first_stage: RunFiles = None,
    form: Format = "text",
    output: Into = None,
) -> None:
    """Recompute stored figures.

    Measures are recomputed from the stored runs and the judgements, candidates from BM25 or a given --first-stage file,
    order-only rerankers from both. Hashes of run, first stage and data, the result's place, caps, command and the
    reranker's card are checked too. Not covered: whether a model's scores are its own (none is loaded), its
    fingerprint and settings, times, tokens, and the rest of the provenance. Exit status 0: all is checked and right,
    1: some differ, 2: some could not be checked, such as candidates of a dense first stage.

    --json: an object with paths, differences and unchecked.
    """
    from bench.comparison.stored import Reload, data_places
    from bench.comparison.verify import page, verify

    with closing(Reload(data_places(data or []), source, first_stage or [])) as reload:
        found = verify(places or [Path("out")], reload.collection, reload.first_stage)
    emit(page(found), form, output, found)
    raise typer.Exit(found.exit_status)
