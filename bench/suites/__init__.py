"""The suites: a declared table of tasks for each. Open `beir.py` first."""

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from importlib import import_module

from bench.errors import BenchError
from bench.measures import Measure
from bench.task import SPLIT, Task

SUITES = ("beir", "miracl", "mkqa", "coir")
DECLARED = (*SUITES, "irds")
"""Where tasks are declared: the benchmarks, and those of ir_datasets' other data sets that the field reports."""
OTHERS = ("irds", "mteb", "folder")
"""What a task's id begins with that belongs to no benchmark."""


def tasks(suite: str) -> tuple[Task, ...]:
    """All tasks of a suite, embedded ones included."""
    declared: tuple[Task, ...] = import_module(f"bench.suites.{suite}").TASKS
    return declared


def declared(suite: str | None = None) -> list[Task]:
    """The tasks of one suite, or of all.

    Raises:
        BenchError: for a suite that does not exist.
    """
    if suite is None:
        return [task for each in DECLARED for task in tasks(each)]
    if suite not in DECLARED:
        near = get_close_matches(suite, DECLARED, n=1, cutoff=0.4)
        hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(DECLARED)}."
        raise BenchError(f"Unknown suite {suite!r}. {hint}")
    return list(tasks(suite))


def by_ids(ids: list[str]) -> list[Task]:
    """Tasks named as ``suite/name``, or as a suite followed by names; a suite alone names all its tasks.

    Raises:
        BenchError: for a suite or task that does not exist.
    """
    chosen: dict[str, list[str]] = {}
    suite = ""
    for each in ids:
        if "/" not in each and (each in DECLARED or not suite):
            suite = each
            chosen.setdefault(suite, [])
        else:
            place, _, name = each.rpartition("/")
            chosen.setdefault(place or suite, []).append(name)
    return [task for suite, names in chosen.items() for task in _named(suite, names)]


def _named(suite: str, names: list[str]) -> list[Task]:
    rows = declared(suite)
    samples = {task.name for task in rows if task.embedded}
    if not names:
        return rows
    kinds = [name for name in names if name not in samples], [name for name in names if name in samples]
    return [task for embedded, part in enumerate(kinds) if part for task in choose(suite, part, bool(embedded))]


def choose(suite: str, names: list[str], embedded: bool = False) -> list[Task]:
    """The named tasks (a group's name selects all its tasks); without names, the default ones.

    Raises:
        BenchError: for names the suite does not have, all of them at once, each with the nearest that it has.
    """
    rows = [task for task in tasks(suite) if task.embedded == embedded]
    if not names:
        return [task for task in rows if task.default]
    # An embedded task also answers to the name of what it is a sample of: `miracl sw --embedded`.
    keys = {task: {task.name, task.id, task.group, task.name.removeprefix("embedded-")} - {""} for task in rows}
    known = set().union(*keys.values())
    unknown = [name for name in names if name not in known]
    if embedded and any(task.name in unknown or task.id in unknown for task in tasks(suite)):
        raise BenchError(
            f"No embedded sample in {suite}: {', '.join(unknown)}. Leave out --embedded, or choose from "
            f"{', '.join(task.name for task in rows)}."
        )
    if unknown:
        choices = {task.name for task in rows} | {task.group for task in rows} - {""}
        raise BenchError(" ".join(_unknown(name, suite, choices) for name in unknown))
    return [task for task in rows if keys[task] & set(names)]


def find(task_id: str) -> Task | None:
    """The declared task with this id, in the split that it names; None where there is none (a user's own folder)."""
    suite = task_id.partition("/")[0]
    declared_id, _, split = task_id.partition(SPLIT)
    found = next((task for task in tasks(suite) if task.id == declared_id), None) if suite in DECLARED else None
    if not split or found is None:
        return found
    return with_split(found, split) if _has_splits(found) and split != found.split else None


def with_split(task: Task, split: str) -> Task:
    """A declared task in another split, as a task of its own: no published figure and no declared count is this one's.

    Raises:
        BenchError: where the task has a single split.
    """
    if split == task.split:
        return task
    if not _has_splits(task):
        kind = "a sample of the package" if task.embedded else "a task whose questions are one set"
        raise BenchError(f"{task.id} is {kind}, so that --split does not fit it. Leave it out.")
    # ir_datasets names a split last; a data set that does not name one has no other there.
    head, _, last = task.source_id.rpartition("/")
    source_id = f"{head}/{split}" if last == task.split else ""
    return replace(
        task, name=f"{task.name}{SPLIT}{split}", split=split, source_id=source_id, counts=None, default=False
    )


def _has_splits(task: Task) -> bool:
    return not task.embedded and task.suite not in ("mkqa", "irds")


def undeclared(task_id: str, split: str, drop_identical_ids: bool, analysis: str) -> Task | None:
    """A task of ir_datasets or mteb that is declared nowhere, as a result tells of it; None for any other id."""
    suite, _, name = task_id.partition("/")
    task = Task(suite, name, split=split, drop_identical_ids=drop_identical_ids, analysis=analysis, default=False)
    if suite == "irds":
        return replace(task, source_id=name, source_text=True)
    return replace(task, mteb=name.partition(SPLIT)[0]) if suite == "mteb" else None


def measured_by(task: Task, names: Sequence[str]) -> Task:
    """The task with the first of these measures as its main one, and the others and its own reported along with it.

    Raises:
        BenchError: for a measure that is not known.
    """
    if not names:
        return task
    main, *more = (str(Measure.parse(name)) for name in names)
    extra = dict.fromkeys((*more, task.measure, *task.extra_measures))
    return replace(task, measure=main, extra_measures=tuple(name for name in extra if name != main))


def _unknown(name: str, suite: str, choices: set[str]) -> str:
    near = get_close_matches(name.rpartition("/")[2].lower(), choices, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"See 'python -m bench tasks {suite}'."
    return f"Unknown task {name!r} in suite {suite}. {hint}"
