"""Means over first stages: a reranker's figure averaged over the candidates of several first stages.

Every first stage counts the same, and of each the mean over the tasks that were measured over all of them. A row that
lacks one of the first stages has no figure there: the mean of the others would be another column's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from bench.errors import BenchError
from bench.leaderboard.columns import Column, Table, column_of, is_partial, split, stage_of, unit_of, weights
from bench.protocol import Protocol

_OF_THE_STAGE = ("first_stage", "first_stage_sha256", "texts")
"""The protocol's fields that follow from the first stage."""

Parts = Mapping[str, str]
"""One task's protocol ids by first stage and depth."""


def averages(table: Table, columns: Sequence[Column]) -> list[Column]:
    """A column for each setting that several first stages were measured under; its tasks as ``columns`` has them.

    Raises:
        BenchError: a task has two runs under one first stage's name, so that either could count.
    """
    ordered = [part for column in columns if column.protocol for part in column.parts]
    tasks = [_by_stage(table, parts) for parts in split(ordered, lambda part: _shared(table, part)).values()]
    found = []
    for of_setting in split(tasks, lambda parts: _setting(_one(table, parts))).values():
        for members in _of_different_tasks(table, of_setting):
            column = _column(table, members)
            if column:
                found.append(column)
    return found


def _column(table: Table, tasks: Sequence[Parts]) -> Column | None:
    stages = sorted({stage for parts in tasks for stage in parts})
    measured = [parts for parts in tasks if parts.keys() == set(stages)]
    whole = [parts for parts in measured if _every_row_has(table, parts, measured)]
    if len(stages) < 2 or not whole:
        return None
    units = split(whole, lambda parts: unit_of(_one(table, parts).task))
    shares = {
        part: share / len(stages)
        for stage in stages
        for part, share in weights([parts[stage] for parts in members] for members in units.values()).items()
    }
    names = [_one(table, parts).task.partition("/")[2] for parts in whole]
    without = [_one(table, parts).task.partition("/")[2] for parts in tasks if parts not in whole]
    return column_of(
        table, f"mean over {len(stages)} first stages", "stages", ", ".join(stages), shares, names, without
    )


def _every_row_has(table: Table, parts: Parts, measured: Sequence[Parts]) -> bool:
    """Whether a task was measured for every row over all first stages that the row has any of these tasks over."""
    return all(
        table.of(part).keys() >= {key for other in measured for key in table.of(other[stage])}
        for stage, part in parts.items()
    )


def _by_stage(table: Table, parts: Sequence[str]) -> Parts:
    found: dict[str, str] = {}
    for part in parts:
        stage = stage_of(table.protocols[part])
        if stage in found:
            raise BenchError(
                f"{table.protocols[part].task} was measured over two different runs called {stage}: a mean over first "
                "stages could take either. Give folders that hold one of them."
            )
        found[stage] = part
    return found


def _of_different_tasks(table: Table, tasks: Sequence[Parts]) -> list[list[Parts]]:
    """A task measured over two subsets of its queries is in two means."""
    if len({_one(table, parts).task for parts in tasks}) == len(tasks):
        return [list(tasks)]

    def chosen(parts: Parts) -> int | None:
        protocol = _one(table, parts)
        return protocol.queries if is_partial(protocol) else None

    apart = split(tasks, chosen).values()
    return [members for members in apart if len({_one(table, parts).task for parts in members}) == len(members)]


def _one(table: Table, parts: Parts) -> Protocol:
    """A task's protocol under one of its first stages: what does not follow from the first stage is the same in all."""
    return table.protocols[next(iter(parts.values()))]


def _shared(table: Table, part: str) -> tuple[object, ...]:
    fields = asdict(table.protocols[part])
    return tuple(value for name, value in fields.items() if name not in _OF_THE_STAGE)


def _setting(protocol: Protocol) -> tuple[object, ...]:
    """What the tasks of one mean must share, save for the first stage."""
    return replace(protocol, first_stage="").condition
