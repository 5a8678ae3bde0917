"""The columns of a leaderboard: which results stand under each other, and what a mean is over.

A column is one task's figures under one protocol, or the mean of several tasks'. Groups of tasks (cqadupstack's
forums) count once in their suite's mean, as BEIR counts them. A mean is taken over the tasks that every row has, and
names what it leaves out.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import numpy as np

from bench import statistics
from bench.errors import BenchError
from bench.protocol import Protocol
from bench.results import Candidates, Result
from bench.suites import SUITES, tasks
from bench.task import Task

Kind = Literal["task", "group", "mean"]
Key = tuple[str, str]
"""A row's identity: the reranker's name and fingerprint, so that two states of one model never share a row."""

Item = TypeVar("Item")
Group = TypeVar("Group", bound=Hashable)

_COLUMN_FIELDS = {
    "task", "split", "data", "documents", "queries", "first_stage_sha256", "text_rule", "identical_ids", "judgements",
    "measure_library",
}  # fmt: skip
"""What may differ between the columns of one mean; in everything else they must agree."""


@dataclass(frozen=True, slots=True)
class Column:
    """One task's figures, or the weighted mean of several tasks'.

    ``parts`` maps the protocol ids of the tasks it is made of to their weights, which add up to 1. ``over`` names what
    a mean is over, ``without`` what it leaves out because some row lacks it. ``label`` tells columns of different
    protocols apart, and is empty where there is one. Figures of the candidates are 0 to 1; ``protocol`` is a task's;
    ``queries`` how many the part with the fewest has.
    """

    name: str
    kind: Kind
    label: str
    measure: str
    parts: Mapping[str, float]
    over: tuple[str, ...]
    without: tuple[str, ...]
    candidates: Candidates
    protocol: Protocol | None
    queries: int

    @property
    def title(self) -> str:
        """Name and label."""
        return f"{self.name} {self.label}".strip()


@dataclass(slots=True)
class Table:
    """A section's results by protocol id and row, and each one's per-query values in one order."""

    results: list[Result]
    at: dict[tuple[str, Key], Result] = field(default_factory=dict)
    protocols: dict[str, Protocol] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for result in self.results:
            place = (result.protocol.id, _key(result))
            if place in self.at:
                raise BenchError(
                    f"{result.reranker.name} stands twice on {result.task} under the protocol {result.protocol.label}. "
                    "Give one folder that holds one of them."
                )
            self.at[place] = result
            self.protocols[result.protocol.id] = result.protocol

    @property
    def keys(self) -> list[Key]:
        """The rows, in the order of the results."""
        return list(dict.fromkeys(key for _, key in self.at))

    def of(self, part: str) -> dict[Key, Result]:
        """One column's results by row."""
        return {key: result for (protocol, key), result in self.at.items() if protocol == part}

    def values(self, column: Column, key: Key) -> list[statistics.Array]:
        """A row's per-query values, one array a part, scaled so that the mean of their means is the column's figure."""
        return [self._array(part, key) * weight * len(column.parts) for part, weight in column.parts.items()]

    def _array(self, part: str, key: Key) -> statistics.Array:
        result = self.at[part, key]
        order = next(iter(self.of(part).values())).per_query
        if result.per_query.keys() != order.keys():
            raise BenchError(
                f"{result.reranker.name} on {result.task} was measured on other queries than the rest of its column, "
                "which its protocol does not allow: the file was changed by hand. Measure again."
            )
        return np.array([result.per_query[query_id] for query_id in sorted(order)], dtype=np.float64)


def arrange(suite: str, table: Table) -> list[Column]:
    """Means first, then the tasks in their suite's order, a group's mean before its tasks."""
    declared = {task.id: task for task in tasks(suite)} if suite in SUITES else {}
    order = {task_id: position for position, task_id in enumerate(declared)}

    def place(part: str) -> tuple[int, str, str, int, str]:
        protocol = table.protocols[part]
        return order.get(protocol.task, len(order)), protocol.task, protocol.first_stage, protocol.depth, part

    parts = sorted(table.protocols, key=place)
    labels = _labels(table, parts)
    conditions = split(parts, lambda part: _condition(table.protocols[part]))
    columns = [_task_column(table, part, labels[part]) for part in parts]
    means = []
    for members in conditions.values():
        if len({_task(table, part) for part in members}) < len(members):
            continue  # one task twice, over other data or texts: neither may stand for it in a mean
        groups, mean = _means(table, members, declared, labels[members[0]])
        means += mean
        for group in groups:
            first = min(position for position, column in enumerate(columns) if group.parts.keys() & column.parts.keys())
            columns.insert(first, group)
    return means + columns


def split(items: Iterable[Item], key: Callable[[Item], Group]) -> dict[Group, list[Item]]:
    """Items by key, in the order in which the keys come up."""
    groups: dict[Group, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def stage_of(protocol: Protocol) -> str:
    """First stage and depth, as in ``bm25@100``."""
    return f"{protocol.first_stage}@{protocol.depth}"


def _key(result: Result) -> Key:
    """The row that a result stands in."""
    return result.reranker.name, result.reranker.fingerprint


def _task(table: Table, part: str) -> str:
    return table.protocols[part].task


def _condition(protocol: Protocol) -> tuple[object, ...]:
    """What the columns of one mean share."""
    return tuple(value for name, value in protocol.as_dict().items() if name not in _COLUMN_FIELDS | {"id"})


def _labels(table: Table, parts: Sequence[str]) -> dict[str, str]:
    """Nothing where the section has one condition; else first stage and depth, numbered where that is not enough."""
    conditions = split(parts, lambda part: _condition(table.protocols[part]))
    stages = [stage_of(table.protocols[members[0]]) for members in conditions.values()]
    labels: dict[str, str] = {}
    for number, (stage, members) in enumerate(zip(stages, conditions.values(), strict=True), start=1):
        label = stage if stages.count(stage) == 1 else f"{stage} #{number}"
        twice = len({_task(table, part) for part in members}) < len(members)
        labels |= {part: f"{label} {part}" if twice else label if len(conditions) > 1 else "" for part in members}
    return labels


def _task_column(table: Table, part: str, label: str) -> Column:
    protocol = table.protocols[part]
    name = protocol.task.partition("/")[2]
    return _column(table, name, "task", label, {part: 1.0}, (name,), (), protocol)


def _column(
    table: Table,
    name: str,
    kind: Kind,
    label: str,
    parts: Mapping[str, float],
    over: Sequence[str],
    without: Sequence[str],
    protocol: Protocol | None = None,
) -> Column:
    about = {part: next(iter(table.of(part).values())).candidates for part in parts}
    return Column(
        name=name,
        kind=kind,
        label=label,
        measure=table.protocols[next(iter(parts))].measure,
        parts=parts,
        over=tuple(over),
        without=tuple(without),
        candidates=Candidates(
            first_stage=sum(weight * about[part].first_stage for part, weight in parts.items()),
            ceiling=sum(weight * about[part].ceiling for part, weight in parts.items()),
            recall=sum(weight * about[part].recall for part, weight in parts.items()),
        ),
        protocol=protocol,
        queries=min(table.protocols[part].queries for part in parts),
    )


@dataclass(frozen=True, slots=True)
class _Unit:
    """What counts once in a suite's mean: a task, or a group of which two or more tasks are there.

    ``present`` are the protocol ids that every row has a result for, ``missing`` the names of the other tasks.
    """

    name: str
    grouped: bool
    present: tuple[str, ...]
    missing: tuple[str, ...]


def _units(table: Table, parts: Sequence[str], declared: Mapping[str, Task]) -> list[_Unit]:
    """A condition's tasks and groups."""
    rows = {key for part in parts for key in table.of(part)}
    names = {part: _task(table, part).partition("/")[2] for part in parts}
    groups = {part: task.group for part in parts if (task := declared.get(_task(table, part)))}
    members = split(parts, lambda part: groups.get(part) or names[part])
    units = []
    for name, found in members.items():
        present = tuple(part for part in found if table.of(part).keys() == rows)
        missing = tuple(names[part] for part in found if part not in present)
        size = sum(task.group == name for task in declared.values())
        if len(found) == 1:
            title = names[found[0]]
        else:
            title = name if len(present) == size else f"{name} ({len(present)} of {size})"
        units.append(_Unit(title, len(found) > 1, present, missing))
    return units


def _means(
    table: Table, parts: Sequence[str], declared: Mapping[str, Task], label: str
) -> tuple[list[Column], list[Column]]:
    """The means of a condition's groups, and of all its tasks and groups together."""
    units = _units(table, parts, declared)
    whole = [unit for unit in units if unit.present]
    groups = [
        _column(table, unit.name, "group", label, dict.fromkeys(unit.present, 1 / len(unit.present)),
                [_task(table, part).partition("/")[2] for part in unit.present], unit.missing)
        for unit in whole
        if unit.grouped
    ]  # fmt: skip
    if len(whole) < 2:
        return groups, []
    weights = {part: 1 / len(unit.present) / len(whole) for unit in whole for part in unit.present}
    without = [unit.name for unit in units if not unit.present]
    over = [unit.name for unit in whole]
    return groups, [_column(table, f"mean of {len(whole)}", "mean", label, weights, over, without)]
