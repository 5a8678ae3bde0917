"""A result's data, loaded again: the collection it was measured on and the first stage it took candidates from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.collections.beir_folder import load_folder
from bench.collections.collection import Collection
from bench.collections.load import load
from bench.errors import BenchError
from bench.first_stage.runs import first_stage
from bench.results import Result
from bench.run import Run, read_run
from bench.suites import SUITES, find
from bench.suites.folder import folder_task
from bench.task import Task


def data_places(given: Sequence[str]) -> Mapping[str, Path]:
    """Read ``--data``: DIR (a folder that holds TASK/), SUITE=DIR, or TASK=DIR (the task's own folder).

    Raises:
        BenchError: for one that is given twice.
    """
    places: dict[str, Path] = {}
    for text in given:
        head, equals, folder = text.partition("=")
        keyed = equals and head.partition("/")[0] in (*SUITES, "folder")
        key, place = (head, folder) if keyed else ("", text)
        if key in places:
            raise BenchError(
                f"--data is given twice for {key or 'all tasks'}: {places[key]} and {place}. Give it once."
            )
        places[key] = Path(place)
    return places


@dataclass(slots=True)
class Reload:
    """Loads each task's collection once, however many results it has; `close` it when done.

    ``data`` has folders by task id, by suite, and under "" for all others (see `data_places`); ``source`` is as for the
    suite commands; ``runs`` are the TREC files that first stages were read from.
    """

    data: Mapping[str, Path] = field(default_factory=dict)
    source: str = ""
    runs: Sequence[Path] = ()
    _loaded: dict[Task, Collection] = field(default_factory=dict)
    _failed: dict[Task, BenchError] = field(default_factory=dict)
    _read: list[tuple[Run, str]] = field(default_factory=list)
    _built: dict[tuple[Task, int], Run] = field(default_factory=dict)

    def close(self) -> None:
        """Close what was loaded."""
        for collection in self._loaded.values():
            collection.documents.close()

    def collection(self, result: Result) -> Collection:
        """The whole collection of a result's task.

        Raises:
            BenchError: where it cannot be loaded.
        """
        task = self._task(result)  # two splits of a folder have one name, and so have two folders elsewhere
        if task in self._failed:
            raise self._failed[task]
        if task not in self._loaded:
            try:
                self._loaded[task] = self._load(task)
            except BenchError as error:
                self._failed[task] = error
                raise
        return self._loaded[task]

    def first_stage(self, result: Result) -> Run | None:
        """The whole first-stage run of a result: a given file that is its run, or BM25 built again; None for others.

        A given file is for the results over it: those that name its hash, or the tag in its last column.

        Raises:
            BenchError: where it cannot be read or built.
        """
        protocol = result.protocol
        runs = self._runs()
        for run, sha256 in runs:
            if sha256 == protocol.first_stage_sha256:
                return run
        if protocol.first_stage != "bm25":
            return next((run for run, _ in runs if run.name == protocol.first_stage), None)
        key = self._task(result), protocol.depth
        if key not in self._built:
            self._built[key] = first_stage(self.collection(result), "bm25", protocol.depth)
        return self._built[key]

    def _runs(self) -> list[tuple[Run, str]]:
        """The given files, each read once (it may be a pipe), with their hashes."""
        for path in self.runs[len(self._read) :]:
            run = read_run(path)
            self._read.append((run, run.sha256))
        return self._read

    def _load(self, task: Task) -> Collection:
        own = self.data.get(task.id)
        if own is not None and task.suite not in ("mkqa", "folder") and not task.embedded:
            return load_folder(task, own)
        return load(task, own or self._parent(task.suite), self.source)

    def _parent(self, suite: str) -> Path | None:
        return self.data.get(suite, self.data.get(""))

    def _task(self, result: Result) -> Task:
        declared = find(result.task)
        if declared:
            return declared
        suite, _, name = result.task.partition("/")
        if suite != "folder" or name in ("", ".", "..") or "/" in name:
            raise BenchError(f"Task {result.task!r} is not known to this version.")
        folder = self._folder(result, name)
        try:
            found = folder is not None and folder.is_dir()
        except OSError as error:
            raise BenchError(f"Cannot read {folder}: {error.strerror or error}.") from error
        if folder is None or not found:
            raise BenchError(f"The folder of {result.task} is not at {folder}. Say where it is with --data PARENT.")
        analysis = str(result.provenance.get("analysis", "english"))
        task = folder_task(folder, result.protocol.split, analysis, result.protocol.identical_ids == "dropped")
        # A folder that is given for this task stands for it, whatever it is called.
        return replace(task, name=name) if result.task in self.data else task

    def _folder(self, result: Result, name: str) -> Path | None:
        """Where a folder of the user's own is: where ``--data`` says, else where it was."""
        parent, source = self._parent("folder"), str(result.provenance.get("source", ""))
        if result.task in self.data:
            return self.data[result.task]
        if parent is not None:
            return parent / name
        return Path(source) if source else None
