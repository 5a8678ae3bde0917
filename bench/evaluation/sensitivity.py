"""How much a reranker's figure hangs on what should not matter: candidate order, depth, block size, a distractor.

A listwise model reads all candidates together, so their order and company can change its scores. Here the same task is
measured again and again, each time with one thing varied, and set against the base: the first stage's order at the
full depth, which is what the suite commands measure. Every variation is a prepared task, evaluated like
any other, and its scores are cached, so that an interrupted command can resume.
"""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.comparison.agreement import TOP, Disagreement, disagreement, mean
from bench.console import Progress, note
from bench.errors import BenchError
from bench.evaluation.cache import scorer
from bench.evaluation.chunks import ScoreChunks
from bench.evaluation.evaluate import evaluate
from bench.evaluation.hiring import hired
from bench.evaluation.overwrite import scores_of
from bench.evaluation.plan import Plan, check, settled
from bench.evaluation.prepare import PreparedTask
from bench.evaluation.variations import variations
from bench.evaluation.workers import ScoringCrew
from bench.files import write_whole
from bench.leaderboard.columns import queries_of
from bench.protocol import Protocol
from bench.render.numbers import count, difference, percent, score
from bench.render.page import Column, Notes, Page, Table, rows
from bench.rerankers import load as load_reranker
from bench.rerankers.base import Card, Reranker, VariesBlocks
from bench.results import Result
from bench.run import Run

_COLUMNS: Mapping[str, str] = {
    "change": "",
    "std": "standard deviation of a group's figures.",
    "min": "lowest figure of a group.",
    "max": "highest figure of a group.",
    "replaced": "share of the baseline's top ten that is not in the variant's.",
    "reversed": "share of pairs, in both top tens, whose order is reversed.",
    "new first": "share of queries with another first document.",
    "distractor": "share of queries whose top ten contains the added document.",
}
"""The columns after the figure, and what each shows."""
Scoring = Callable[[Reranker, int], ScoreChunks | None]
"""From a reranker, and the size of its blocks (0 for the usual one), to what scores its chunks."""


@dataclass(frozen=True, slots=True)
class Variant:
    """The task's main measure with one thing varied.

    ``distractor`` is the share of queries, among those that got one, whose top ten contains it.
    """

    group: str
    name: str
    figure: float
    disagreement: Disagreement
    per_query: Mapping[str, float]
    distractor: float | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """A group's figures together: ``std`` is the sample's (n - 1).

    ``query_std`` is the standard deviation of one query's figures, averaged over the queries: a mean over queries
    evens out what happens to each of them.
    """

    group: str
    variants: int
    mean: float
    std: float
    min: float
    max: float
    query_std: float
    disagreement: Disagreement


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What was found: the base's figure (0 to 1), each variant, each group of several, and what could not be varied."""

    task: str
    reranker: Card
    protocol: Protocol
    seed: int
    base: float
    variants: Sequence[Variant]
    spreads: Sequence[Spread]
    notes: Sequence[str] = field(default_factory=tuple)


def measure(plan: Plan, orders: int, progress: Progress) -> tuple[Sensitivity, Path]:
    """Measure the plan's task by its reranker in every variation; gives what was found and the file it is in.

    Args:
        plan: One task and one reranker; its depth is the base's, its options' seed makes orders and distractors.
        orders: How many random orders.
        progress: Shows each variation as a step.

    Raises:
        BenchError: for anything the user can fix; scores cached until then stay.
    """
    if len(plan.tasks) != 1:
        raise BenchError(f"Give one task, not {len(plan.tasks)}: {', '.join(task.id for task in plan.tasks)}.")
    check(plan)
    (name,) = plan.rerankers

    def loading() -> AbstractContextManager[object]:
        return progress.step(f"loading {name}", None)

    with (
        scores_of(plan.output, plan.overwrite) as scores,
        settled(plan, plan.tasks[0], progress) as prepared,
    ):
        with progress.step(f"preparing {name}", None):
            reranker = load_reranker(name, plan.options, loading)
        with hired(plan.workers, name, reranker, plan.options, loading) as crew:

            def scoring(each: Reranker, block_size: int) -> ScoreChunks | None:
                if isinstance(crew, ScoringCrew):
                    crew.block_size = block_size
                return scorer(scores, each, plan.options, plan.cache_id, crew)

            base, found = study(prepared, reranker, orders, plan.options.seed, scoring, progress)
        # Everything else that the figures depend on is in the folder's name.
        path = plan.output / base.folder / f"sensitivity-{orders}-{plan.options.seed}.json"
        write_whole(path, _as_json(found).encode())
        if scores.file.found:
            note(f"{name}: {count(scores.file.found)} lists from the score cache in {scores.file.path}")
    return found, path


def study(
    prepared: PreparedTask, reranker: Reranker, orders: int, seed: int, scoring: Scoring, progress: Progress
) -> tuple[Result, Sensitivity]:
    """Measure one prepared task in every variation; returns the base's result and the sensitivity.

    ``scoring`` says how a reranker's lists get their scores, as in `bench.evaluation.evaluate.evaluate`.
    """
    base, base_run = _evaluated("first-stage order", prepared, reranker, scoring(reranker, 0), progress)
    variants = []
    for each in variations(prepared, reranker, orders, seed):
        scored = scoring(each.reranker, each.block_size)
        result, run = _evaluated(each.name, each.prepared, each.reranker, scored, progress)
        variants.append(
            Variant(
                each.group,
                each.name,
                result.main,
                disagreement(base_run, run),
                result.per_query,
                _seen(each.distractors, run),
            )
        )
    found = Sensitivity(
        task=base.task,
        reranker=reranker.card,
        protocol=prepared.protocol,
        seed=seed,
        base=base.main,
        variants=variants,
        spreads=_spreads(variants),
        notes=_notes(reranker, variants),
    )
    return base, found


def page(found: Sensitivity) -> Page:
    """The base, each variant, and each group's mean and spread; random orders only as a group."""
    spreads = {spread.group: spread for spread in found.spreads}
    groups = [rows([("baseline (first-stage order)", score(found.base), *[""] * len(_COLUMNS))])]
    for group in dict.fromkeys(variant.group for variant in found.variants):
        variants = [variant for variant in found.variants if variant.group == group]
        shown = variants if group != "random order" or group not in spreads else []
        cells = [_variant_cells(variant, found.base) for variant in shown]
        if group in spreads:
            cells.append(_spread_cells(spreads[group], found.base))
        groups.append(rows(cells))
    table = Table(
        columns=(
            Column("varied", "key"),
            Column(found.protocol.measure),
            *(Column(name, drop=place) for place, name in enumerate(_COLUMNS)),
        ),
        groups=tuple(groups),
        caption=f"{found.task}  {found.reranker.name}  {found.protocol.label}, {queries_of(found.protocol)}",
        hint="use a wider terminal or see the file of all figures",
    )
    explained = (Notes((f"{name}: {about}",), explains=name) for name, about in _COLUMNS.items() if about)
    return Page((table, *explained, Notes(_remarks(found))))


def _evaluated(
    name: str, prepared: PreparedTask, reranker: Reranker, scored: ScoreChunks | None, progress: Progress
) -> tuple[Result, Run]:
    with progress.step(f"{prepared.protocol.task}  {name}", len(prepared.candidates.rankings)) as advance:
        return evaluate(prepared, reranker, scored, advance)


def _seen(distractors: Mapping[str, str], run: Run) -> float | None:
    """The share of distractors in a top ten."""
    if not distractors:
        return None
    return mean(float(distractor in run.ids(query_id)[:TOP]) for query_id, distractor in distractors.items())


def _spreads(variants: Sequence[Variant]) -> list[Spread]:
    groups: dict[str, list[Variant]] = {}
    for variant in variants:
        groups.setdefault(variant.group, []).append(variant)
    return [_spread(group, members) for group, members in groups.items() if len(members) > 1]


def _spread(group: str, members: Sequence[Variant]) -> Spread:
    figures = [variant.figure for variant in members]
    of_query = zip(*(variant.per_query.values() for variant in members), strict=True)
    return Spread(
        group=group,
        variants=len(members),
        mean=mean(figures),
        std=statistics.stdev(figures),
        min=min(figures),
        max=max(figures),
        query_std=mean(map(statistics.stdev, of_query)),
        disagreement=Disagreement(
            mean(variant.disagreement.replaced for variant in members),
            mean(variant.disagreement.reversed for variant in members),
            mean(variant.disagreement.first for variant in members),
        ),
    )


def _notes(reranker: Reranker, variants: Sequence[Variant]) -> list[str]:
    groups = {variant.group for variant in variants}
    name = reranker.card.name
    notes = []
    if not reranker.card.listwise and reranker.card.family != "order-only":
        notes.append(f"{name} is not listwise: order and company should move no score; ties follow the order.")
    if "block size" not in groups:
        why = "has no blocks to vary" if not isinstance(reranker, VariesBlocks) else "reads so few in one block"
        notes.append(f"Block size: not applicable, {name} {why}.")
    if "distractor" not in groups:
        notes.append("Distractor: not applicable, every candidate of another query is a candidate or judged already.")
    return notes


def _as_json(found: Sensitivity) -> str:
    content = asdict(found)
    content["reranker"]["needs"] = sorted(found.reranker.needs)
    content["protocol"] = found.protocol.as_dict()
    return json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _remarks(found: Sensitivity) -> tuple[str, ...]:
    return (
        *(f"{each.group}: one query's standard deviation is {score(each.query_std)}." for each in found.spreads),
        *found.notes,
    )


def _variant_cells(variant: Variant, base: float) -> list[str]:
    seen = "" if variant.distractor is None else percent(variant.distractor)
    change = difference(variant.figure - base)
    return [variant.name, score(variant.figure), change, "", "", "", *_disagreement_cells(variant.disagreement), seen]


def _spread_cells(spread: Spread, base: float) -> list[str]:
    figures = map(score, (spread.std, spread.min, spread.max))
    name = f"{spread.variants} {spread.group}s, mean"
    return [
        name,
        score(spread.mean),
        difference(spread.mean - base),
        *figures,
        *_disagreement_cells(spread.disagreement),
        "",
    ]


def _disagreement_cells(of: Disagreement) -> list[str]:
    return [percent(of.replaced), percent(of.reversed), percent(of.first)]
