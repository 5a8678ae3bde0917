"""Commands that show stored results as pages: report, history."""

from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

import typer

from bench.cli.help import RESULTS
from bench.cli.options import MOST, Format, Into, Places, Source, app, emit
from bench.cli.results import DataPlaces
from bench.cli.shared import record
from bench.console import Bar, note, say_path
from bench.errors import BenchError


@app.command(rich_help_panel=RESULTS)
def report(
    places: Places = None,
    output: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of the pages; with --single also a file NAME.html.")
    ] = Path("report"),
    single: Annotated[bool, typer.Option("--single", help="Write all pages into one file.")] = False,
    figures: Annotated[
        Literal["svg", "png", "pdf"] | None,
        typer.Option(metavar="FORMAT", help="Also write the charts to figures/, as svg, png or pdf."),
    ] = None,
    queries: Annotated[
        int, typer.Option(metavar="N", min=0, max=MOST, help="Show N queries of each task in full.")
    ] = 40,
    history: Annotated[
        bool, typer.Option("--history", help="Add a page of DIR's figures over git commits or dated folders.")
    ] = False,
    data: DataPlaces = None,
    source: Source = "",
) -> None:
    """Write stored results as pages with charts.

    An overview, a page for each task, and its hardest and most changed queries with both orders side by side. The
    pages open from disk and fetch nothing. Texts and grades are shown for embedded tasks, for your own folders, and
    where --data or --source says where a collection is; nothing is downloaded unasked.

    --json: an object with pages, the paths of the files.
    """
    from bench.comparison.stored import Reload, data_places, read_distinct
    from bench.report import stills
    from bench.report.history import draft, read_history
    from bench.report.write import Choices, at_hand, write_report

    if figures:
        stills.require()
    folders = places or [Path("out")]
    if history and len(folders) != 1:
        raise BenchError(f"--history follows one folder, and {len(folders)} are given. Give one DIR.")
    stored = read_distinct(folders)
    more = [draft(read_history(folders[0]))] if history else []
    with closing(Reload(data_places(data or []), source)) as reload:
        load = at_hand(reload, bool(data or source))
        written = write_report(stored, load, Choices(output, single, queries, figures), more, Bar())
    if not stills.available():
        note(f"Charts are left out: altair and vl-convert are not installed. Install them: {stills.INSTALL}.")
    size = sum(path.stat().st_size for path in written) / 2**20
    note(f"{len(written):,} page{'' if len(written) == 1 else 's'}, {size:.1f} MiB. Open the first in a browser:")
    record({"pages": written})
    say_path(written[0])


@app.command("history", rich_help_panel=RESULTS)
def history_command(
    place: Annotated[
        Path, typer.Argument(metavar="DIR", help="Results committed to git, or in folders named YYYY-MM-DD.")
    ],
    form: Format = "text",
    output: Into = None,
) -> None:
    """Follow stored figures over git commits or dated folders.

    Each change of a task's figure is judged by the gate's rule. With --format html and --output the page has charts.

    --json: a list of objects, one a figure in order of time: task, first_stage, reranker, when, score (0 to 1), etc.
    """
    from bench.report.history import draft, page, read_history
    from bench.report.write import write_draft

    found = read_history(place)
    if form == "html" and output:
        write_draft(draft(found), output)
    else:
        emit(page(found), form, output, found.rows())
