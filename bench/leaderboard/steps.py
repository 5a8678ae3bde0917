"""What has to be run for the paper's figures that are not measured yet: first stages, tasks and rerankers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.leaderboard.reproduce import Reproduction, not_built

_FIRST_STAGES: Mapping[str, str] = {"jina-embeddings-v3": "dense:jina-embeddings-v3"}
"""The paper's first stages as ``--first-stage`` names them; without those that are not built here."""


@dataclass(frozen=True, slots=True)
class Step:
    """Tasks of one suite that the same rerankers have still to be measured on, over one first stage."""

    tasks: tuple[str, ...]
    rerankers: tuple[str, ...]
    first_stage: str
    depth: int


def steps(rows: Sequence[Reproduction]) -> list[Step]:
    """What has to be run, in the order of the paper's tables.

    Left out are what has a result under the paper's protocol, and what is over a first stage that is not built here.
    Whether a first stage scores what the paper's scores decides nothing here: running it again would not change that.
    """
    lacking: dict[tuple[str, str], dict[str, None]] = {}
    left_out = not_built(rows)
    for row in rows:
        if row.figure.first_stage.partition("@")[0] in left_out:
            continue
        for task in row.unmeasured:
            lacking.setdefault((row.figure.first_stage, task), {})[row.reranker] = None
    together: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (stage, task), rerankers in lacking.items():
        together.setdefault((stage, task.partition("/")[0], tuple(rerankers)), []).append(task)
    return [_step(stage, tasks, rerankers) for (stage, _, rerankers), tasks in together.items()]


def _step(first_stage: str, tasks: Sequence[str], rerankers: tuple[str, ...]) -> Step:
    stage, _, depth = first_stage.partition("@")
    return Step(tuple(tasks), rerankers, _FIRST_STAGES[stage], int(depth))
