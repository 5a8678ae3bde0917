"""Commands that show stored results as pages: report, history."""

from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

import typer

from bench.cli.options import MOST, Places, Source, app
from bench.cli.results import DataPlaces
from bench.console import Bar, note, say_path


@app.command()
def report(
    places: Places = None,
    output: Annotated[Path, typer.Option(help="Folder of the pages; with --single also a file NAME.html.")] = Path(
        "report"
    ),
    single: Annotated[bool, typer.Option("--single", help="One file that holds all pages.")] = False,
    figures: Annotated[
        Literal["svg", "png", "pdf"] | None, typer.Option(help="Write the charts to figures/ too, as such files.")
    ] = None,
    queries: Annotated[int, typer.Option(min=0, max=MOST, help="How many queries of each task are shown in full.")] = 40,
    data: DataPlaces = None,
    source: Source = "",
) -> None:
    """Write stored results as pages with charts.

    An overview, a page for each task, and its hardest and most changed queries with both orders side by side. The
    pages open from disk and fetch nothing. Texts and grades are shown for embedded tasks, for your own folders, and
    where --data or --source says where a collection is; nothing is downloaded unasked.
    """
    from bench.comparison.stored import Reload, data_places, read_distinct
    from bench.report import stills
    from bench.report.write import Choices, at_hand, write_report

    if figures:
        stills.require()
    stored = read_distinct(places or [Path("out")])
    with closing(Reload(data_places(data or []), source)) as reload:
        load = at_hand(reload, bool(data or source))
        written = write_report(stored, load, Choices(output, single, queries, figures), [], Bar())
    if not stills.available():
        note(f"Charts are left out: altair and vl-convert are not installed. Install them: {stills.INSTALL}.")
    size = sum(path.stat().st_size for path in written) / 2**20
    note(f"{len(written):,} page{'' if len(written) == 1 else 's'}, {size:.1f} MiB. Open the first in a browser:")
    say_path(written[0])
