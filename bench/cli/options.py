"""The command line's root, and the options that several commands share."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.shared import Commands, record
from bench.errors import BenchError
from bench.render import Form

if TYPE_CHECKING:
    from bench.evaluation.hiring import Wanted
    from bench.evaluation.shards import Shard
    from bench.render.page import Page
    from bench.rerankers.base import Options

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
Rerankers = Annotated[
    list[str] | None,
    typer.Option(
        "--reranker",
        "-r",
        help="Reranker to run: a name from 'rerankers', FAMILY:MODEL, a checkpoint folder, MODULE:CLASS. Repeatable.",
    ),
]
FirstStage = Annotated[str, typer.Option(help="bm25 (the usual default), bm25-english, dense:MODEL, or a run file.")]
FirstStages = Annotated[
    list[str] | None,
    typer.Option("--first-stage", help="bm25 (the usual default), bm25-english, dense:MODEL, a run file. Repeatable."),
]
MOST = 2**31 - 1
"""The largest number of anything counted that is asked for; results hold 64 bits."""
CacheId = Annotated[
    str,
    typer.Option(
        help="Reuse scores of servers and of classes without a fingerprint between commands that pass the same text."
    ),
]
Depth = Annotated[int, typer.Option(min=1, max=MOST, help="Candidates for each query.")]
Queries = Annotated[
    int | None,
    typer.Option(
        min=1, max=MOST, help="Measure N queries, chosen by a hash of their ids. Default: all; of a sample, a few."
    ),
]
Data = Annotated[Path | None, typer.Option(help="A folder that holds TASK/ in BEIR format.")]
Source = Annotated[str, typer.Option(help="ir_datasets or mteb.")]
Split = Annotated[str, typer.Option(help="Your own folder: which qrels/SPLIT.tsv is measured.")]
OtherSplit = Annotated[str, typer.Option("--split", help="Another split than the declared one, as a task of its own.")]
Measures = Annotated[
    list[str] | None,
    typer.Option(
        "--measure",
        metavar="NAME",
        help="The main measure, as ir_measures writes it: nDCG@10, 'RR(rel=2)@10'. Repeatable.",
    ),
]
Analysis = Annotated[str, typer.Option(help="Your own folder: BM25's text analysis, a language, code or whitespace.")]
DropIdenticalIds = Annotated[
    bool, typer.Option("--drop-identical-ids", help="Your own folder: a query's own document is no candidate.")
]
Embedded = Annotated[bool, typer.Option("--embedded", help="The samples inside the package: no network, no download.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")]
Dtype = Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")]
QueryLength = Annotated[int, typer.Option(min=1, max=MOST, help="Cap on a query, in the reranker's tokens.")]
DocLength = Annotated[int, typer.Option(min=1, max=MOST, help="Cap on a document, in the reranker's tokens.")]
HttpOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--http-option",
        metavar="KEY=VALUE",
        help="A field for each request of an HTTP reranker, as JSON or text; written into results. Repeatable.",
    ),
]
AllowFailures = Annotated[
    bool,
    typer.Option(
        "--allow-failures",
        help="Go on where a call of a generative reranker failed for good: its query gets no order and counts as 0.",
    ),
]
Prices = Annotated[
    list[str] | None,
    typer.Option(
        "--price",
        metavar="[RERANKER=]IN:OUT",
        help="What a million tokens cost, read and written, of generative rerankers. Repeat for more.",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Say what would be done, and what is cached: lists, documents, calls, tokens, money. Scores nothing.",
    ),
]
Seed = Annotated[int, typer.Option(min=-MOST, max=MOST, help="For the random reranker.")]
Workers = Annotated[
    str,
    typer.Option(
        metavar="N|auto",
        help="Score lists by N processes, a GPU each or all on the CPU; auto: one for each GPU, else one.",
    ),
]
Ray = Annotated[
    str,
    typer.Option(metavar="ADDRESS", help="Score lists on a Ray cluster: HOST:PORT, auto, or local for this machine."),
]
ShardOption = Annotated[
    str,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Score the I-th of N shares of the lists, as one of N jobs; then give the command without --shard.",
    ),
]
Output = Annotated[Path, typer.Option(help="Where result.json and run.trec.gz go.")]
TaskIds = Annotated[
    list[str], typer.Argument(metavar="TASK", help="suite/name, or a suite and then names; a suite alone for all.")
]
Places = Annotated[list[Path] | None, typer.Argument(metavar="DIR", help="Results: files or folders; out if none.")]
Format = Annotated[Form, typer.Option("--format", help="How it is written.")]
Into = Annotated[Path | None, typer.Option("--output", help="Write to this file, not to the screen.")]


def wanted(workers: str, ray: str) -> "Wanted | None":
    """The workers that ``--workers`` and ``--ray`` ask for; None for neither.

    Raises:
        BenchError: the number of workers is none.
    """
    from bench.evaluation.hiring import Wanted

    if not workers and not ray:
        return None
    number = int(workers) if workers.isascii() and workers.isdigit() and len(workers) < 10 else 0
    if not number and workers not in ("", "auto"):
        raise BenchError(f"--workers {workers} is no number of workers. Give auto, or a number from 1.")
    return Wanted(number or None, ray)


def share(shard: str) -> "Shard | None":
    """The share of the chunks that ``--shard`` asks for; None for all.

    Raises:
        BenchError: it is no share.
    """
    from bench.evaluation.shards import Shard

    return Shard.parse(shard) if shard else None


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


def scoring_options(
    device: str, dtype: str, query_length: int, document_length: int, seed: int, http_option: Sequence[str] | None
) -> "Options":
    """The options of every reranker, as the command line gives them.

    Raises:
        BenchError: an ``--http-option`` is not KEY=VALUE.
    """
    from bench.rerankers.base import Options
    from bench.rerankers.http_options import read_options

    return Options(device, dtype, query_length, document_length, seed, read_options(http_option or []))
