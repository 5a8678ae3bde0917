"""The suites: a declared table of tasks for each. Open `beir.py` first."""

from difflib import get_close_matches
from importlib import import_module

from bench.errors import BenchError
from bench.task import Task

SUITES = ("beir", "miracl", "mkqa", "coir")


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
        return [task for each in SUITES for task in tasks(each)]
    if suite not in SUITES:
        near = get_close_matches(suite, SUITES, n=1, cutoff=0.4)
        hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(SUITES)}."
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
        if "/" not in each and (each in SUITES or not suite):
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
    """The declared task with this id, None where there is none (a user's own folder)."""
    suite = task_id.partition("/")[0]
    return next((task for task in tasks(suite) if task.id == task_id), None) if suite in SUITES else None


def _unknown(name: str, suite: str, choices: set[str]) -> str:
    near = get_close_matches(name.rpartition("/")[2].lower(), choices, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"See 'python -m bench tasks {suite}'."
    return f"Unknown task {name!r} in suite {suite}. {hint}"
