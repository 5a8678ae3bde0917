"""Commands that rerank what no benchmark declares: any data set of ir_datasets, any task of mteb."""

from dataclasses import dataclass
from typing import Annotated

import typer

from bench.cli.measuring import DEFAULT, measure_all
from bench.cli.options import MOST, app
from bench.cli.scoring import Measuring

_Analysis = Annotated[
    str, typer.Option("--analysis", help="BM25's text analysis; that of the documents' language if not given.")
]


@app.command(help="Measure any data set of ir_datasets, by its id.")
def irds(
    measuring: Measuring,
    ids: Annotated[
        list[str],
        typer.Argument(metavar="ID", help="Of https://ir-datasets.com, or trec-dl-2019, trec-dl-2020."),
    ],
    analysis: _Analysis = "",
) -> None:
    """Measure data sets that ir_datasets has, by the measure that it states."""
    from bench.suites.irds import irds_tasks

    measure_all(measuring.plans(irds_tasks(ids, analysis), DEFAULT), measuring.dry_run)


@dataclass(frozen=True, kw_only=True)
class _Mteb(Measuring):
    """The measuring options with the candidates that mteb's reranking tasks have."""

    depth: Annotated[
        int | None,
        typer.Option(min=1, max=MOST, help="Candidates for each query: 100, of a reranking task all up to 1000."),
    ] = None
    first_stage: Annotated[
        list[str] | None,
        typer.Option(
            help="bm25, given, dense:MODEL, or a run file. Repeatable. If not given: bm25, and of a reranking task its "
            "candidates."
        ),
    ] = None


@app.command(help="Measure any retrieval or reranking task of mteb, by its name.")
def mteb(
    measuring: _Mteb,
    names: Annotated[list[str], typer.Argument(metavar="TASK", help="Name, or Name:subset for one of its languages.")],
    split: Annotated[str, typer.Option(help="One of the splits that mteb evaluates; all if not given.")] = "",
    analysis: _Analysis = "",
) -> None:
    """Measure tasks that mteb has, by its measure and rules."""
    from bench.evaluation.stages import mteb_staged

    plans = [
        plan
        for each in mteb_staged(names, split, analysis)
        for plan in measuring.plans(each.tasks, DEFAULT, first_stage=each.first_stage, depth=each.depth)
    ]
    measure_all(plans, measuring.dry_run)
