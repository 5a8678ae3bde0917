"""What the shell completes: names of rerankers, tasks and first stages.

The shell asks the installed command, ``rerank-bench``, so completion is for that name and not for ``python -m bench``.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any

import typer

PROGRAM = "rerank-bench"
_ASKED = "_RERANK_BENCH_COMPLETE"
_OPTIONS = {"--install-completion", "--show-completion"}


def is_asked(arguments: Iterable[str]) -> bool:
    """Whether a shell asks what comes next, or the user for the script that makes it ask."""
    return _ASKED in os.environ or not _OPTIONS.isdisjoint(arguments)


def one_of(*choices: str) -> Callable[[str], list[str]]:
    """Completes one of some words."""

    def complete(incomplete: str) -> list[str]:
        return _starting(choices, incomplete)

    return complete


def rerankers(incomplete: str) -> list[str]:
    """Names of rerankers that can be run."""
    from bench.rerankers import ROWS

    return _starting((name for name, row in ROWS.items() if not row.refusal), incomplete)


def suites(incomplete: str) -> list[str]:
    """Suites that have a table of tasks."""
    from bench.suites import DECLARED

    return _starting(DECLARED, incomplete)


def task_ids(incomplete: str) -> list[str]:
    """Ids of declared tasks: suite/name."""
    from bench.suites import declared

    return _starting((task.id for task in declared()), incomplete)


def task_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the tasks and groups of the command's suite; with ``--embedded``, of its samples."""
    from bench.suites import tasks

    given: dict[str, Any] = ctx.params
    rows = [task for task in tasks(str(ctx.info_name)) if task.embedded == bool(given.get("embedded"))]
    names = [name for task in rows for name in (task.name.removeprefix("embedded-"), task.group) if name]
    chosen = given.get("names") or ()
    return _starting((name for name in dict.fromkeys(names) if name not in chosen), incomplete)


def _starting(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
