"""A result's data, loaded again: the collection it was measured on and the first stage it took candidates from."""

from dataclasses import dataclass, field
from pathlib import Path

from bench.collections.collection import Collection
from bench.collections.load import load
from bench.errors import BenchError
from bench.first_stage.runs import first_stage
from bench.results import Result
from bench.run import Run, read_run
from bench.suites import find
from bench.suites.folder import folder_task
from bench.task import Task


@dataclass(slots=True)
class Reload:
    """Loads each task's collection once, however many results it has; `close` it when done.

    ``data`` and ``source`` are as for the suite commands; ``run`` is the first stage's TREC file where it was one.
    """

    data: Path | None = None
    source: str = ""
    run: Path | None = None
    _loaded: dict[Task, Collection] = field(default_factory=dict)
    _failed: dict[Task, BenchError] = field(default_factory=dict)
    _given: Run | None = None
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
                self._loaded[task] = load(task, self.data, self.source)
            except BenchError as error:
                self._failed[task] = error
                raise
        return self._loaded[task]

    def first_stage(self, result: Result) -> Run | None:
        """The whole first-stage run of a result; None where it was a file that is not given.

        Raises:
            BenchError: where it cannot be read or built.
        """
        name = result.protocol.first_stage
        if self.run is None and name != "bm25":
            return None
        if self.run is not None:
            self._given = self._given or read_run(self.run)  # once: it may be a pipe
            return self._given
        key = self._task(result), result.protocol.depth
        if key not in self._built:
            self._built[key] = first_stage(self.collection(result), name, result.protocol.depth)
        return self._built[key]

    def _task(self, result: Result) -> Task:
        declared = find(result.task)
        if declared:
            return declared
        suite, _, name = result.task.partition("/")
        if suite != "folder":
            raise BenchError(f"Task {result.task!r} is not known to this version.")
        folder = self.data / name if self.data else Path(str(result.provenance.get("source", "")))
        if not folder.is_dir():
            raise BenchError(f"The folder of {result.task} is not at {folder}. Say where it lies with --data PARENT.")
        analysis = str(result.provenance.get("analysis", "english"))
        return folder_task(folder, result.protocol.split, analysis, result.protocol.identical_ids == "dropped")
