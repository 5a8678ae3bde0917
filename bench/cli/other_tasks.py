"""Commands that rerank what no benchmark declares: any data set of ir_datasets, any task of mteb."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.measuring import DEFAULT, measure_all
from bench.cli.options import (
    MOST,
    CacheId,
    Depth,
    Device,
    DocLength,
    Dtype,
    FirstStages,
    HttpOptions,
    Measures,
    Output,
    Queries,
    QueryLength,
    Ray,
    Rerankers,
    Seed,
    ShardOption,
    Workers,
    app,
    scoring_options,
    share,
    wanted,
)

if TYPE_CHECKING:
    from bench.task import Task

_Analysis = Annotated[
    str, typer.Option("--analysis", help="BM25's text analysis; that of the documents' language if not given.")
]
_GIVEN_DEPTH = 1_000
"""How many candidates mteb reranks at most."""


@app.command(help="Measure any data set of ir_datasets, by its id.")
def irds(
    ids: Annotated[
        list[str],
        typer.Argument(metavar="ID", help="Of https://ir-datasets.com, or trec-dl-2019, trec-dl-2020."),
    ],
    rerankers: Rerankers = None,
    analysis: _Analysis = "",
    measure: Measures = None,
    first_stage: FirstStages = None,
    depth: Depth = 100,
    queries: Queries = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    max_query_length: QueryLength = 512,
    max_doc_length: DocLength = 2048,
    http_option: HttpOptions = None,
    seed: Seed = 0,
    output: Output = Path("out"),
    cache_id: CacheId = "",
    workers: Workers = "",
    ray: Ray = "",
    shard: ShardOption = "",
) -> None:
    """Measure data sets that ir_datasets has, by the measure that it states."""
    from bench.evaluation.plan import Plan
    from bench.suites.irds import irds_tasks

    measure_all(
        Plan(
            tasks=_by(irds_tasks(ids, analysis), measure),
            rerankers=rerankers or DEFAULT,
            output=output,
            depth=depth,
            queries=queries,
            options=scoring_options(device, dtype, max_query_length, max_doc_length, seed, http_option),
            cache_id=cache_id,
            workers=wanted(workers, ray),
            shard=share(shard),
        ),
        first_stages=first_stage,
    )


@app.command(help="Measure any retrieval or reranking task of mteb, by its name.")
def mteb(
    names: Annotated[list[str], typer.Argument(metavar="TASK", help="Name, or Name:subset for one of its languages.")],
    rerankers: Rerankers = None,
    split: Annotated[str, typer.Option(help="One of the splits that mteb evaluates; all if not given.")] = "",
    analysis: _Analysis = "",
    measure: Measures = None,
    first_stage: Annotated[
        str,
        typer.Option(
            help="bm25, given, dense:MODEL, or a run file. If not given: bm25, and of a reranking task its candidates."
        ),
    ] = "",
    depth: Annotated[
        int | None,
        typer.Option(min=1, max=MOST, help="Candidates for each query: 100, of a reranking task all up to 1000."),
    ] = None,
    queries: Queries = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    max_query_length: QueryLength = 512,
    max_doc_length: DocLength = 2048,
    http_option: HttpOptions = None,
    seed: Seed = 0,
    output: Output = Path("out"),
    cache_id: CacheId = "",
    workers: Workers = "",
    ray: Ray = "",
    shard: ShardOption = "",
) -> None:
    """Measure tasks that mteb has, by its measure and rules."""
    from bench.evaluation.plan import Plan
    from bench.first_stage.runs import GIVEN
    from bench.suites.mteb import mteb_tasks

    retrieval, reranking = mteb_tasks(names, split, analysis)
    options = scoring_options(device, dtype, max_query_length, max_doc_length, seed, http_option)
    measure_all(
        *(
            Plan(
                tasks=_by(tasks, measure),
                rerankers=rerankers or DEFAULT,
                output=output,
                first_stage=first_stage or stage,
                depth=depth or most,
                queries=queries,
                options=options,
                cache_id=cache_id,
                workers=wanted(workers, ray),
                shard=share(shard),
            )
            for tasks, stage, most in ((retrieval, "bm25", 100), (reranking, GIVEN, _GIVEN_DEPTH))
            if tasks
        )
    )


def _by(tasks: "Sequence[Task]", measure: Sequence[str] | None) -> "list[Task]":
    from bench.suites import measured_by

    return [measured_by(task, measure or []) for task in tasks]
