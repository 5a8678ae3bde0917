"""Commands that rerank what no benchmark declares: any data set of ir_datasets, any task of mteb."""

from dataclasses import dataclass
from typing import Annotated

import typer

from bench.cli.help import MEASURE
from bench.cli.measuring import DEFAULT, MEASURED, measure_all
from bench.cli.options import MOST, app
from bench.cli.scoring import Measuring

_Analysis = Annotated[
    str,
    typer.Option(
        "--analysis",
        metavar="NAME",
        help="BM25's text analysis: a language, code or whitespace; by default that of the documents' language.",
    ),
]


@app.command(help=f"Measure any data set of ir_datasets, by its id.\n\n{MEASURED}", rich_help_panel=MEASURE)
def irds(
    measuring: Measuring,
    ids: Annotated[
        list[str],
        typer.Argument(metavar="ID", help="An id of https://ir-datasets.com, or trec-dl-2019, trec-dl-2020."),
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
        typer.Option(
            metavar="N",
            min=1,
            max=MOST,
            help="Candidates for each query; 100 if not given, and all (up to 1,000) of a reranking task.",
        ),
    ] = None
    first_stage: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RUN",
            help="bm25, dense:MODEL, a TREC run file, or given: the candidates of a reranking task. Repeatable. If not "
            "given: bm25, and for reranking tasks their candidates.",
        ),
    ] = None


@app.command(
    help=f"Measure any retrieval or reranking task of mteb, by its name.\n\n{MEASURED}", rich_help_panel=MEASURE
)
def mteb(
    measuring: _Mteb,
    names: Annotated[list[str], typer.Argument(metavar="TASK", help="Name, or Name:subset for one of its languages.")],
    split: Annotated[
        str, typer.Option(metavar="SPLIT", help="One of the splits that mteb evaluates; all by default.")
    ] = "",
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
