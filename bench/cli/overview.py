"""Commands that say what there is: tasks and their sources, rerankers, bundled runs."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli import completing
from bench.cli.help import LISTS, MAINTENANCE
from bench.cli.options import Data, Source, TaskIds, app, emit
from bench.cli.shared import Commands, record
from bench.console import Bar, say
from bench.render.numbers import count, score
from bench.render.page import Column, Notes, Page, Table, rows

if TYPE_CHECKING:
    from bench.first_stage.manifest import Manifest
    from bench.task import Task

_HINT = "use a wider terminal, or pipe the output into a file"

runs = Commands(help="List, build or check the bundled BM25 runs.", no_args_is_help=True)
app.add_typer(runs, name="runs", rich_help_panel=MAINTENANCE)


@app.command(rich_help_panel=LISTS)
def tasks(
    suite: Annotated[
        str | None,
        typer.Argument(
            metavar="SUITE", autocompletion=completing.suites, help="beir, miracl, mkqa, coir or irds; all if none."
        ),
    ] = None,
) -> None:
    """List the tasks.

    --json: a list of objects, one a task: suite, name, split, counts (documents, queries, judgements), measure, etc.
    """
    from bench.suites import declared

    found = declared(suite)
    emit(tasks_page(found), data=found)


@app.command(rich_help_panel=LISTS)
def rerankers() -> None:
    """List the rerankers.

    --json: an object. rerankers: a list of objects with name, family, model, revision, licence, note and refusal (why
    it cannot be run; usually empty). families: what MODEL is in FAMILY:MODEL.
    """
    from bench.rerankers import FAMILIES, ROWS, Row, plug_ins

    installed = [Row(name, "own", entry.value) for name, entry in plug_ins().items()]
    emit(rerankers_page(), data={"rerankers": [*ROWS.values(), *installed], "families": FAMILIES})


@runs.command("list")
def list_runs() -> None:
    """List the bundled runs and their figures.

    --json: an object with the manifest row of each task; figures are from 0 to 1.
    """
    from bench.first_stage.manifest import read_manifests

    manifests = read_manifests()
    emit(runs_page(manifests), data=manifests)


@runs.command("build", help="Build bundled runs and their manifest rows, byte for byte.", rich_help_panel=MAINTENANCE)
def build_runs(
    ids: TaskIds,
    data: Data = None,
    source: Source = "",
    into: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write them here; by default into the package itself.")
    ] = None,
    missing: Annotated[
        bool, typer.Option("--all", help="Build those that are missing, and check each against its published figure.")
    ] = False,
) -> None:
    """Build runs by BM25."""
    from bench.first_stage.maintain import build_bundled, build_missing
    from bench.suites import by_ids

    builder = build_missing if missing else build_bundled
    for line in builder(by_ids(ids), data, source, into, Bar()):
        say(line)


@runs.command("check", rich_help_panel=MAINTENANCE)
def check_runs(
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TASK", help="suite/name, or a suite; all bundled runs if none.", autocompletion=completing.task_ids
        ),
    ] = None,
    data: Data = None,
    source: Source = "",
) -> None:
    """Recompute hashes and figures of bundled runs.

    They are compared with the manifest. Exit status 0: all are equal, 1: some differ. --json: an object with checked,
    the ids of the tasks, and wrong, a list of lines.
    """
    from bench.first_stage.maintain import check_bundled
    from bench.first_stage.manifest import read_manifests
    from bench.suites import by_ids

    chosen = by_ids(ids or list(read_manifests()))
    wrong = check_bundled(chosen, data, source)
    record({"checked": [task.id for task in chosen], "wrong": wrong})
    for line in wrong or [f"{len(chosen)} bundled runs fit their manifest rows."]:
        say(line)
    raise typer.Exit(int(bool(wrong)))


@app.command(rich_help_panel=MAINTENANCE)
def sources(ids: TaskIds) -> None:
    """Compare a task's two sources.

    Loads it from ir_datasets and from mteb and prints what differs in ids, texts and judgements. Exit status 0: they
    are the same, 1: they differ. --json: a list of objects with task and differences.
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
        record([{"task": task.id, "differences": lines}])
        say(f"{task.id}: {'; '.join(lines) or 'the same'}")
    raise typer.Exit(int(unlike > 0))


def tasks_page(tasks: "Sequence[Task]") -> Page:
    """Declared tasks with their sizes and whether a BM25 run is bundled; a star marks those run by default."""
    from bench.first_stage.manifest import read_manifests

    bundled = read_manifests()
    found = []
    for task in tasks:
        counts = task.counts
        sizes = (counts.documents, counts.queries, counts.judgements) if counts else (0, 0, 0)
        source = "embedded" if task.embedded else task.source_id or f"mteb {task.mteb}"
        star = "*" if task.default and not task.embedded else ""
        figures = map(count, sizes)
        bm25 = "yes" if task.id in bundled else ""
        found.append((task.id + star, task.split, *figures, task.measure, source, bm25))
    table = Table(
        columns=(
            Column("task", "key"),
            Column("split", "key", drop=2),
            Column("documents"),
            Column("queries"),
            Column("judgements", drop=1),
            Column("measure", "key"),
            Column("source", "key", drop=3),
            Column("bundled\nBM25", "key", drop=1),
        ),
        groups=(rows(found),),
        hint=_HINT,
    )
    return Page((table, Notes(("* run where no task is named; a group's name selects all its tasks",))))


def rerankers_page() -> Page:
    """Known rerankers by family, then the families that take any model."""
    from bench.rerankers import FAMILIES, ROWS, plug_ins

    known = []
    for row in ROWS.values():
        note = f"cannot be run here: {row.refusal}" if row.refusal else row.note
        known.append((row.name, row.family, row.model, row.licence, note))
    known += [(name, "own", entry.value, "", "announced by an installed package") for name, entry in plug_ins().items()]
    families = [(f"{family}:…", family, "", "", about) for family, about in FAMILIES.items()]
    families.append(("module:Class", "own", "", "", "a class of your own with a method score(lists)"))
    columns = (
        Column("reranker", "key"),
        Column("family", "key", drop=1),
        Column("model", "key", drop=3),
        Column("licence", "key", drop=2),
        Column("note", "prose"),
    )
    return Page((Table(columns, (rows(known), rows(families)), hint=_HINT),))


def runs_page(manifests: "Mapping[str, Manifest]") -> Page:
    """The bundled runs and what they score."""
    found = []
    for task, row in manifests.items():
        measure = next((name for name in row.figures if name != "R@100"), "R@100")
        figures = (score(row.figures[name]) for name in (measure, "R@100"))
        maker = row.origin.by if row.origin else "ours"
        found.append((task, measure, *figures, count(row.queries), count(row.documents), maker, row.sha256[:12]))
    columns = (
        Column("task", "key"),
        Column("measure", "key"),
        Column("figure"),
        Column("R@100"),
        Column("queries", drop=1),
        Column("documents", drop=2),
        Column("made by", "key", drop=4),
        Column("sha256", "key", drop=3),
    )
    return Page((Table(columns, (rows(found),), hint=_HINT), Notes(("figures x 100",))))
