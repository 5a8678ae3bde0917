"""The command line's root, and the options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Rerank first-stage candidates of BEIR, MIRACL, MKQA and CoIR, measure the new order, compare rerankers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Names = Annotated[
    list[str] | None, typer.Argument(metavar="[TASK]...", help="Tasks; the suite's default ones if none.")
]
Rerankers = Annotated[
    list[str] | None,
    typer.Option("--reranker", "-r", help="A row of 'rerankers', family:MODEL, a folder, module:Class. Repeatable."),
]
FirstStage = Annotated[str, typer.Option(help="bm25, dense:MODEL, or a TREC run file.")]
Depth = Annotated[int, typer.Option(min=1, help="Candidates for each query.")]
Queries = Annotated[
    int | None,
    typer.Option(min=1, help="How many queries, chosen by hash of their ids; all by default, some of a sample."),
]
Data = Annotated[Path | None, typer.Option(help="A folder that holds TASK/ in BEIR format.")]
Source = Annotated[str, typer.Option(help="ir_datasets or mteb.")]
Embedded = Annotated[bool, typer.Option("--embedded", help="The samples inside the package: no network, no download.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")]
Dtype = Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")]
QueryLength = Annotated[int, typer.Option(min=1, help="Cap on a query, in the reranker's tokens.")]
DocLength = Annotated[int, typer.Option(min=1, help="Cap on a document, in the reranker's tokens.")]
Seed = Annotated[int, typer.Option(help="For the random reranker.")]
Output = Annotated[Path, typer.Option(help="Where result.json and run.trec.gz go.")]
TaskIds = Annotated[
    list[str], typer.Argument(metavar="TASK...", help="suite/name, or a suite and then names; a suite alone for all.")
]
Places = Annotated[
    list[Path] | None, typer.Argument(metavar="[DIR]...", help="Results: files or folders; out if none.")
]
Format = Annotated[str, typer.Option("--format", help="text, markdown, csv, latex, html or mteb.")]
