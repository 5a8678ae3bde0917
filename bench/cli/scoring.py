"""The options of every command that scores candidates, and the plans that they make."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli import completing
from bench.cli.help import GENERATIVE, PARALLEL, SCORING
from bench.cli.options import MOST, STAGES, Device, Dtype, Output
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.evaluation.hiring import Wanted
    from bench.evaluation.plan import Plan
    from bench.evaluation.shards import Shard
    from bench.rerankers.base import Options
    from bench.task import Task


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What is measured, over which candidates, and how."""

    rerankers: Annotated[
        list[str] | None,
        typer.Option(
            "--reranker",
            "-r",
            metavar="NAME",
            autocompletion=completing.rerankers,
            help="Reranker to run: a name from 'rerankers', FAMILY:MODEL, a checkpoint folder, MODULE:CLASS. "
            "Repeatable.",
        ),
    ] = None
    first_stage: Annotated[
        list[str] | None,
        typer.Option(
            "--first-stage",
            metavar="RUN",
            help=f"{STAGES} Repeatable.",
        ),
    ] = None
    measure: Annotated[
        list[str] | None,
        typer.Option(
            "--measure",
            metavar="NAME",
            help="The main measure, as ir_measures names it: nDCG@10, 'RR(rel=2)@10'. Repeat to report more.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """The options of commands that score one task or many."""

    depth: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=MOST, help="Candidates for each query; 100 if not given.")
    ] = None
    queries: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=MOST,
            help="Measure N queries, chosen by a hash of their ids. By default all; of an embedded sample, a few.",
        ),
    ] = None
    device: Device = "auto"
    dtype: Dtype = "auto"
    max_query_length: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, max=MOST, help="Cap on a query, in the reranker's tokens.", rich_help_panel=SCORING
        ),
    ] = 512
    max_doc_length: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, max=MOST, help="Cap on a document, in the reranker's tokens.", rich_help_panel=SCORING
        ),
    ] = 2048
    http_option: Annotated[
        list[str] | None,
        typer.Option(
            "--http-option",
            metavar="KEY=VALUE",
            help="Add a field to each request of an HTTP reranker, as JSON or text. Results contain it. Repeatable.",
            rich_help_panel=SCORING,
        ),
    ] = None
    seed: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=-MOST,
            max=MOST,
            help="Seed of the random reranker, and of sensitivity's orders and distractors.",
            rich_help_panel=SCORING,
        ),
    ] = 0
    output: Output = Path("out")
    cache_id: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            help="Reuse scores of servers and of classes without a fingerprint between commands that pass the same "
            "text.",
            rich_help_panel=SCORING,
        ),
    ] = ""
    workers: Annotated[
        str,
        typer.Option(
            metavar="N|auto",
            help="Score by N processes, each on its own GPU or all on the CPU; auto: one for each GPU, else one.",
            rich_help_panel=PARALLEL,
        ),
    ] = ""
    ray: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Score on a Ray cluster: HOST:PORT, auto, or local for this machine.",
            rich_help_panel=PARALLEL,
        ),
    ] = ""

    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Score again what is cached. The old scores and results stay until the new ones are complete; if "
            "interrupted, the same command resumes.",
        ),
    ] = False

    def options(self) -> "Options":
        """The options of every reranker.

        Raises:
            BenchError: an ``--http-option`` is not KEY=VALUE.
        """
        from bench.rerankers.base import Options
        from bench.rerankers.http_options import read_options

        caps = (self.max_query_length, self.max_doc_length)
        return Options(self.device, self.dtype, *caps, self.seed, read_options(self.http_option or []))

    def wanted(self) -> "Wanted | None":
        """The workers that ``--workers`` and ``--ray`` ask for; None for neither.

        Raises:
            BenchError: ``--workers`` is no number.
        """
        from bench.evaluation.hiring import Wanted

        workers = self.workers
        if not workers and not self.ray:
            return None
        number = int(workers) if workers.isascii() and workers.isdigit() and len(workers) < 10 else 0
        if not number and workers not in ("", "auto"):
            raise BenchError(f"--workers {workers} is no number of workers. Give auto, or a number from 1.")
        return Wanted(number or None, self.ray)


@dataclass(frozen=True, kw_only=True)
class Measuring(Scoring, Chosen):
    """The options of commands that measure rerankers on tasks."""

    shard: Annotated[
        str,
        typer.Option(
            metavar="I/N",
            help="Score share I of N, as one of N jobs; then run the command without --shard.",
            rich_help_panel=PARALLEL,
        ),
    ] = ""
    allow_failures: Annotated[
        bool,
        typer.Option(
            "--allow-failures",
            help="Go on when a call fails for good: its query gets no order and counts as 0.",
            rich_help_panel=GENERATIVE,
        ),
    ] = False
    price: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[RERANKER=]IN:OUT",
            help="The price of a million tokens, read and written. Repeat for more rerankers.",
            rich_help_panel=GENERATIVE,
        ),
    ] = None
    latency: Annotated[
        bool,
        typer.Option(
            "--latency",
            help="Afterwards time 50 lists of each task one at a time, in this process, on one device: seconds a list, "
            "p50 and p95. Ignores the score cache, so a server is called again.",
        ),
    ] = False
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Score nothing. Show what would be done and what is cached: lists, documents, calls, tokens, money.",
        ),
    ] = False

    def plans(
        self,
        tasks: "Sequence[Task]",
        rerankers: Sequence[str],
        *,
        first_stage: str = "",
        depth: int = 100,
        data: Path | None = None,
        source: str = "",
    ) -> "list[Plan]":
        """A plan for each first stage; ``rerankers``, ``first_stage`` and ``depth`` are used where none is given.

        Raises:
            BenchError: for a value that means nothing.
        """
        from bench.evaluation.plan import Plan
        from bench.evaluation.prices import read_prices
        from bench.suites import measured_by

        return [
            Plan(
                tasks=[measured_by(task, self.measure or []) for task in tasks],
                rerankers=self.rerankers or rerankers,
                output=self.output,
                first_stage=stage,
                depth=self.depth or depth,
                queries=self.queries,
                data=data,
                source=source,
                options=self.options(),
                cache_id=self.cache_id,
                workers=self.wanted(),
                shard=_share(self.shard),
                allow_failures=self.allow_failures,
                prices=read_prices(self.price or []),
                overwrite=self.overwrite,
                latency=self.latency,
            )
            for stage in dict.fromkeys(self.first_stage or [first_stage])
        ]


def _share(shard: str) -> "Shard | None":
    """The share of the chunks that ``--shard`` asks for; None for all."""
    from bench.evaluation.shards import Shard

    return Shard.parse(shard) if shard else None
