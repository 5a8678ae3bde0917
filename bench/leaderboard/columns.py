"""The columns of a leaderboard: which results share a column, and what each mean averages.

A column is one task's figures under one protocol, or the mean of several tasks'. Groups of tasks (cqadupstack's
forums) count once in their suite's mean, as BEIR counts them. A mean is taken over the tasks that every row has, and
names what it leaves out.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import numpy as np

from bench import statistics
from bench.comparison.stored import is_copy
from bench.errors import BenchError
from bench.protocol import Protocol
from bench.rerankers.base import Card
from bench.results import Candidates, Result
from bench.suites import SUITES, find, tasks
from bench.task import Task

Kind = Literal["task", "group", "mean", "stages"]
Key = tuple[str, str]
"""A row's identity: the reranker's name, and its fingerprint, device, precision and settings as one text.

Two states of one model never share a row.
"""

Item = TypeVar("Item")
Group = TypeVar("Group", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Column:
    """One task's figures, or the weighted mean of several tasks'.

    ``parts`` maps the protocol ids of the tasks it is made of to their weights, which add up to 1. ``over`` names what
    a mean is over, ``without`` what it leaves out because some row lacks it. ``label`` distinguishes columns of
    different protocols, and is empty where there is one. Figures of the candidates are 0 to 1; ``protocol`` is a
    task's. ``queries`` says over how many queries a task was measured, ``fewest_queries`` is how many the part with the
    fewest has. A column is ``partial`` where that is not all of the task's, in any of its parts. ``without_candidates``
    counts the queries that score 0 because they have none.
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
    queries: str
    fewest_queries: int
    partial: bool
    without_candidates: int

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
            known = self.at.setdefault(place, result)
            if not is_copy(known, result):
                raise BenchError(
                    f"{result.reranker.name} has two results on {result.task} under the protocol "
                    f"{result.protocol.label}, with different figures: {100 * known.main:.2f} and "
                    f"{100 * result.main:.2f}. Give one folder that holds one of them."
                )
            self.protocols[result.protocol.id] = result.protocol

    @property
    def keys(self) -> list[Key]:
        """The rows, in the order of the results."""
        return list(dict.fromkeys(key for _, key in self.at))

    def of(self, part: str) -> dict[Key, Result]:
        """One column's results by row."""
        return {key: result for (protocol, key), result in self.at.items() if protocol == part}

    def figure(self, column: Column, key: Key) -> float | None:
        """A row's figure in a column, 0 to 1; None where the row lacks one of its parts."""
        if any((part, key) not in self.at for part in column.parts):
            return None
        return sum(weight * self.at[part, key].main for part, weight in column.parts.items())

    def failed(self, column: Column, key: Key) -> int:
        """Over the column's tasks, the row's queries that count as 0 because a call failed for good."""
        generations = (self.at[part, key].generation for part in column.parts if (part, key) in self.at)
        return sum(each.failed for each in generations if each)

    def values(self, column: Column, key: Key) -> list[statistics.Array]:
        """A row's per-query values, one array a task, scaled so that the mean of their means is the column's figure.

        A query that was measured over several first stages counts once, with its mean.
        """
        tasks = self._tasks(column)
        return [
            np.sum([self._array(part, key) * column.parts[part] for part in parts], axis=0) * len(tasks)
            for parts in tasks
        ]

    def weights(self, column: Column) -> list[float]:
        """How much each task of `values` counts."""
        return [sum(column.parts[part] for part in parts) for parts in self._tasks(column)]

    def _tasks(self, column: Column) -> list[list[str]]:
        return list(split(column.parts, lambda part: self.protocols[part].task).values())

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
    columns = [_task_column(table, part, labels[part]) for part in parts]
    means = []
    for members in _conditions(table, parts):
        if not _are_different_tasks(table, members):
            continue  # one task twice, over other data or texts: neither may represent it in a mean
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


def unit_of(task_id: str) -> str:
    """What a task counts as in its suite's mean: the name of its group, or its own."""
    task = find(task_id)
    return task.group if task and task.group else task_id.partition("/")[2]


def weights(units: Iterable[Collection[Item]]) -> dict[Item, float]:
    """The weights of a mean of means: every unit weighs the same, and within a unit each of its members."""
    whole = [unit for unit in units if unit]
    return {member: 1 / len(unit) / len(whole) for unit in whole for member in unit}


def stage_of(protocol: Protocol) -> str:
    """First stage and depth, as in ``bm25@100``."""
    return f"{protocol.first_stage}@{protocol.depth}"


def is_partial(protocol: Protocol) -> bool:
    """Whether fewer queries were measured than the task has."""
    declared = declared_queries(protocol)
    return protocol.query_subset != "all" or (declared is not None and protocol.queries < declared)


def queries_of(protocol: Protocol) -> str:
    """How many queries were measured, in words: ``300 queries``, or ``50 of 300 queries``."""
    declared = declared_queries(protocol)
    if not is_partial(protocol):
        return f"{protocol.queries:,} queries"
    return f"{protocol.queries:,} of {declared:,} queries" if declared else f"a subset of {protocol.queries:,} queries"


def headings(columns: Sequence[Column]) -> list[tuple[str, ...]]:
    """The lines above each column: its name, and what tells it from others or is different in each."""
    several = len({column.measure for column in columns}) > 1
    lines = ((each.name, each.label, each.measure if several else "", each.queries) for each in columns)
    return [tuple(filter(None, each)) for each in lines]


def row_names(cards: Mapping[Key, Card]) -> dict[Key, str]:
    """A name for each row; where rerankers share one, with what distinguishes them."""
    names: dict[Key, str] = {}
    for name, keys in split(cards, lambda key: key[0]).items():
        differences = _distinguishing([cards[key] for key in keys])
        names |= {key: f"{name} ({text})" if text else name for key, text in zip(keys, differences, strict=True)}
    return {key: names[key] for key in cards}


def _distinguishing(namesakes: Sequence[Card]) -> list[str]:
    """The settings in which rerankers of one name differ, and the fingerprints' beginnings where that is not enough."""
    if len(namesakes) == 1:
        return [""]
    facts = [
        {"precision": card.dtype, "device": card.device, "revision": card.revision[:8]}
        | {name: str(value) for name, value in card.settings.items()}
        for card in namesakes
    ]
    names = dict.fromkeys(name for each in facts for name in each)
    differing = [name for name in names if len({each.get(name, "") for each in facts}) > 1]
    told = [", ".join(f"{name} {each[name]}" for name in differing if each.get(name)) for each in facts]
    if all(told) and len(set(told)) == len(told):
        return told
    return [", ".join(filter(None, (text, card.fingerprint[:8]))) for text, card in zip(told, namesakes, strict=True)]


def declared_queries(protocol: Protocol) -> int | None:
    """How many queries the suite says that the task has."""
    task = find(protocol.task)
    return task.counts.queries if task and task.counts else None


def _key(result: Result) -> Key:
    """The row of a result."""
    card = result.reranker
    return card.name, " ".join((card.fingerprint, card.device, card.dtype, str(sorted(card.settings.items()))))


def _task(table: Table, part: str) -> str:
    return table.protocols[part].task


def _names(table: Table, parts: Iterable[str]) -> list[str]:
    """The names of the parts' tasks, without their suite."""
    return [_task(table, part).partition("/")[2] for part in parts]


def _are_different_tasks(table: Table, parts: Sequence[str]) -> bool:
    return len({_task(table, part) for part in parts}) == len(parts)


def _conditions(table: Table, parts: Sequence[str]) -> list[list[str]]:
    """The parts that may share a mean; a task measured over two subsets of its queries has a part in two means."""
    found: list[list[str]] = []
    for members in split(parts, lambda part: table.protocols[part].condition).values():
        if _are_different_tasks(table, members):
            found.append(members)
        else:
            found += split(members, lambda part: _chosen(table.protocols[part])).values()
    return found


def _chosen(protocol: Protocol) -> int | None:
    """The number of queries that was asked for; None for all."""
    return protocol.queries if is_partial(protocol) else None


def _labels(table: Table, parts: Sequence[str]) -> dict[str, str]:
    """Nothing where the section has one condition; else first stage and depth, numbered where that is not enough."""
    conditions = _conditions(table, parts)
    stages = [stage_of(table.protocols[members[0]]) for members in conditions]
    labels: dict[str, str] = {}
    for number, (stage, members) in enumerate(zip(stages, conditions, strict=True), start=1):
        label = stage if stages.count(stage) == 1 else f"{stage} #{number}"
        twice = not _are_different_tasks(table, members)
        labels |= {part: f"{label} {part}" if twice else label if len(conditions) > 1 else "" for part in members}
    return labels


def _task_column(table: Table, part: str, label: str) -> Column:
    protocol = table.protocols[part]
    name = protocol.task.partition("/")[2]
    return column_of(table, name, "task", label, {part: 1.0}, (name,), (), protocol)


def column_of(
    table: Table,
    name: str,
    kind: Kind,
    label: str,
    parts: Mapping[str, float],
    over: Sequence[str],
    without: Sequence[str],
    protocol: Protocol | None = None,
) -> Column:
    """A column of some parts, with what it averages of the candidates."""
    one = {part: next(iter(table.of(part).values())) for part in parts}
    about = {part: result.candidates for part, result in one.items()}
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
        queries=queries_of(protocol) if protocol else "",
        fewest_queries=min(table.protocols[part].queries for part in parts),
        partial=any(is_partial(table.protocols[part]) for part in parts),
        without_candidates=sum(result.protocol.queries - result.cost.lists for result in one.values()),
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
    names = dict(zip(parts, _names(table, parts), strict=True))
    members = split(parts, lambda part: unit_of(_task(table, part)))
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
        column_of(table, unit.name, "group", label, weights([unit.present]), _names(table, unit.present), unit.missing)
        for unit in whole
        if unit.grouped
    ]
    if len(whole) < 2:
        return groups, []
    without = [unit.name for unit in units if not unit.present]
    over = [unit.name for unit in whole]
    return groups, [
        column_of(table, f"mean of {len(whole)}", "mean", label, weights(unit.present for unit in whole), over, without)
    ]
