"""Tasks with the candidates that they are measured on where the user asks for no others."""

import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.errors import BenchError
from bench.files import kind
from bench.first_stage.runs import BM25, GIVEN
from bench.suites import by_ids, find
from bench.suites.folder import folder_tasks
from bench.suites.irds import irds_tasks
from bench.suites.mteb import mteb_tasks
from bench.task import SPLIT, Task

_GIVEN_DEPTH = 1_000
"""How many candidates mteb reranks at most."""


@dataclass(frozen=True, slots=True)
class Staged:
    """Tasks, and their usual first stage (empty for each task's own) and depth."""

    tasks: Sequence[Task]
    first_stage: str = ""
    depth: int = 100


def mteb_staged(names: Sequence[str], split: str = "", analysis: str = "") -> list[Staged]:
    """mteb's retrieval tasks over BM25, and its reranking tasks over the candidates that they come with.

    Raises:
        BenchError: as `bench.suites.mteb.mteb_tasks`.
    """
    retrieval, reranking = mteb_tasks(names, split, analysis)
    staged = (Staged(retrieval, BM25), Staged(reranking, GIVEN, _GIVEN_DEPTH))
    return [each for each in staged if each.tasks]


_OPTIONS = {
    "a declared task": ("--data", "--source"),
    "a folder of your own": ("--split", "--analysis", "--drop-identical-ids"),
    "a data set of ir_datasets": ("--analysis",),
    "a task of mteb": ("--split", "--analysis"),
}
"""What a name may mean, and the options that fit it."""


def named(name: str, given: Mapping[str, str]) -> Staged:
    """The tasks that a name means: ``suite/name``, a folder of the user's own, ``irds/ID`` or ``mteb/TASK``.

    Args:
        name: It is tried in this order.
        given: The options of `_OPTIONS` that were given, with their values.

    Raises:
        BenchError: for an unknown name, or an option that does not fit it.
    """
    what = _meaning(name)
    if unfit := [option for option in given if option not in _OPTIONS[what]]:
        fit = ("does not fit it. Leave it", "do not fit it. Leave them")[len(unfit) > 1]
        raise BenchError(f"{name} is {what}, so that {' and '.join(unfit)} {fit} out.")
    split, analysis = given.get("--split", ""), given.get("--analysis", "")
    if what == "a folder of your own":
        drop = "--drop-identical-ids" in given
        return Staged(folder_tasks([Path(name)], split or "test", analysis or "english", drop))
    if what == "a data set of ir_datasets":
        return Staged(irds_tasks([name], analysis))
    if what == "a task of mteb":
        task, _, stated = name.partition(SPLIT)
        first, *others = mteb_staged([task], split or stated, analysis)
        return replace(first, tasks=[*first.tasks, *(task for each in others for task in each.tasks)])
    declared = find(name)
    return Staged([declared] if declared else by_ids([name]))


def _meaning(name: str) -> str:
    if not find(name):
        if kind(Path(name)) == stat.S_IFDIR:
            return "a folder of your own"
        if name.startswith("irds/"):
            return "a data set of ir_datasets"
        if name.startswith("mteb/"):
            return "a task of mteb"
    return "a declared task"
