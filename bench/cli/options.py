"""The command line's root, and the options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli import completing
from bench.cli.help import SCORING
from bench.cli.shared import Commands, record
from bench.render import Form

if TYPE_CHECKING:
    from bench.render.page import Page

app = Commands(
    help="Rerank first-stage candidates of BEIR, MIRACL, MKQA and CoIR, measure the new order, compare rerankers.",
    no_args_is_help=True,
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


Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TASK", help="Tasks of the suite; its default tasks if none.", autocompletion=completing.task_names
    ),
]
STAGES = "bm25 (the usual default), bm25-english, dense:MODEL, or a TREC run file."
"""What a first stage may be."""
FirstStage = Annotated[str, typer.Option(metavar="RUN", help=STAGES)]
MOST = 2**31 - 1
"""The largest number of anything counted that is asked for; results hold 64 bits."""
Data = Annotated[Path | None, typer.Option(metavar="DIR", help="Read the tasks from DIR/TASK/ in BEIR format.")]
Source = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Read the tasks from ir_datasets or from mteb.",
        autocompletion=completing.one_of("ir_datasets", "mteb"),
    ),
]
Split = Annotated[str, typer.Option(metavar="SPLIT", help="Of your own folder: measure by qrels/SPLIT.tsv.")]
OtherSplit = Annotated[
    str, typer.Option("--split", metavar="SPLIT", help="Measure another split, as a task of its own.")
]
Analysis = Annotated[
    str, typer.Option(metavar="NAME", help="Of your own folder: BM25's text analysis, a language, code or whitespace.")
]
DropIdenticalIds = Annotated[
    bool, typer.Option("--drop-identical-ids", help="Of your own folder: drop candidates whose id is the query's.")
]
Embedded = Annotated[bool, typer.Option("--embedded", help="Measure the samples inside the package: no download.")]
Device = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="auto, cpu, cuda, cuda:1, mps.",
        rich_help_panel=SCORING,
        autocompletion=completing.one_of("auto", "cpu", "cuda", "mps"),
    ),
]
Dtype = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="auto, float32, bfloat16, float16.",
        rich_help_panel=SCORING,
        autocompletion=completing.one_of("auto", "float32", "bfloat16", "float16"),
    ),
]
Output = Annotated[Path, typer.Option(metavar="DIR", help="Write results and the score cache here.")]
TaskIds = Annotated[
    list[str],
    typer.Argument(
        metavar="TASK",
        help="suite/name, or a suite and names in it; all of a suite without names.",
        autocompletion=completing.task_ids,
    ),
]
Places = Annotated[list[Path] | None, typer.Argument(metavar="DIR", help="Results: files or folders; 'out' if none.")]
Format = Annotated[Form, typer.Option("--format", metavar="FORMAT", help="text, markdown, latex or html.")]
Into = Annotated[
    Path | None, typer.Option("--output", metavar="FILE", help="Write to this file instead of standard output.")
]


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
