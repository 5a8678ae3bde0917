"""The command line's root, and the options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.shared import Commands, record
from bench.render import Form

if TYPE_CHECKING:
    from bench.render.page import Page

app = Commands(
    help="Rerank first-stage candidates of BEIR, MIRACL, MKQA and CoIR, measure the new order, compare rerankers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from bench import __version__
        from bench.console import say

        say(f"rerank-bench {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Options of the program itself."""


Names = Annotated[list[str] | None, typer.Argument(metavar="TASK", help="Tasks; the suite's default ones if none.")]
FirstStage = Annotated[str, typer.Option(help="bm25 (the usual default), bm25-english, dense:MODEL, or a run file.")]
MOST = 2**31 - 1
"""The largest number of anything counted that is asked for; results hold 64 bits."""
Data = Annotated[Path | None, typer.Option(help="A folder that holds TASK/ in BEIR format.")]
Source = Annotated[str, typer.Option(help="ir_datasets or mteb.")]
Split = Annotated[str, typer.Option(help="Your own folder: which qrels/SPLIT.tsv is measured.")]
OtherSplit = Annotated[str, typer.Option("--split", help="Another split than the declared one, as a task of its own.")]
Analysis = Annotated[str, typer.Option(help="Your own folder: BM25's text analysis, a language, code or whitespace.")]
DropIdenticalIds = Annotated[
    bool, typer.Option("--drop-identical-ids", help="Your own folder: a query's own document is no candidate.")
]
Embedded = Annotated[bool, typer.Option("--embedded", help="The samples inside the package: no network, no download.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")]
Dtype = Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")]
Output = Annotated[Path, typer.Option(help="Where result.json and run.trec.gz go.")]
TaskIds = Annotated[
    list[str], typer.Argument(metavar="TASK", help="suite/name, or a suite and then names; a suite alone for all.")
]
Places = Annotated[list[Path] | None, typer.Argument(metavar="DIR", help="Results: files or folders; out if none.")]
Format = Annotated[Form, typer.Option("--format", help="How it is written.")]
Into = Annotated[Path | None, typer.Option("--output", help="Write to this file, not to the screen.")]


def emit(page: "Page", form: str = "text", output: Path | None = None, data: object = None) -> None:
    """Show a page on standard output, or write it to a file; with --json, record ``data``, or else the page."""
    from bench.console import Terminal, say_page
    from bench.files import write_whole
    from bench.render import render
    from bench.render.text import show

    if output:
        write_whole(output, render(page, form).encode())
    if record(page if data is None else data) or output:
        return
    if form == "text" and (console := Terminal()).is_terminal:
        show(page, console)
    else:
        say_page(render(page, form))
