"""The user's own data: a BEIR-format folder is a task of its own, `python -m bench folder PATH`."""

import stat
from collections.abc import Sequence
from pathlib import Path

from bench.errors import BenchError
from bench.files import kind
from bench.paths import as_text
from bench.task import Task


def folder_tasks(
    paths: Sequence[Path], split: str, analysis: str = "english", drop_identical_ids: bool = False
) -> list[Task]:
    """Declare BEIR-format folders as the tasks ``folder/<their names>``; counts are their own and not checked.

    ``drop_identical_ids`` drops a document whose id is the query's own from its candidates.

    Raises:
        BenchError: where a folder does not exist, or two have one name and would pass for one task.
    """
    tasks = [folder_task(path, split, analysis, drop_identical_ids) for path in paths]
    by_id = {task.id: task for task in tasks}
    for task in tasks:
        if by_id[task.id] is not task:
            raise BenchError(
                f"{task.source_id} and {by_id[task.id].source_id} would both be called {task.id}. "
                "Rename one of the folders, or measure each with a command of its own."
            )
    return tasks


def folder_task(path: Path, split: str, analysis: str = "english", drop_identical_ids: bool = False) -> Task:
    """Declare one folder, or the zip archive of one, which is named without its ending.

    Raises:
        BenchError: where it does not exist.
    """
    is_archive = kind(path) == stat.S_IFREG and path.suffix == ".zip"
    if kind(path) != stat.S_IFDIR and not is_archive:
        raise BenchError(
            f"{path} is not a folder. Give one that holds corpus.jsonl, queries.jsonl and qrels/, or a .zip of one."
        )
    return Task(
        suite="folder",
        name=as_text(path.resolve().name).removesuffix(".zip" if is_archive else ""),
        split=split,
        source_id=str(path),
        analysis=analysis,
        drop_identical_ids=drop_identical_ids,
    )
