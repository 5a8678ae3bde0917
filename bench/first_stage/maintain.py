"""Making the bundled runs and checking them: `python -m bench runs build` and `runs check`."""

import stat
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from bench.collections.load import load
from bench.console import Progress
from bench.errors import BenchError
from bench.files import kind
from bench.first_stage.manifest import (
    BUNDLED,
    BUNDLED_DEPTH,
    Manifest,
    bundled_path,
    describe,
    read_manifests,
    recomputed,
    write_bundled,
)
from bench.first_stage.runs import build
from bench.published import read_all
from bench.run import Run, read_run
from bench.task import Task

REFERENCES = {
    "beir": "BM25 bm25s Lucene (k1=0.9, b=0.4)",
    "miracl": "BM25 pyserini, language analysers (k1=0.9, b=0.4)",
    "mkqa": "BM25 of BGE-M3",
    "coir": "BM25 mteb 0.1.10 (bm25s, k1=1.5, b=0.75)",
}
"""The published BM25 of each suite that a run is held against: the one made most nearly as ours is."""


TOLERANCE = 0.01
"""How far a run's figure may be from the published one: the analyses differ, by a third of this at most so far."""


def build_bundled(
    tasks: Sequence[Task], data: Path | None, source: str, into: Path | None, progress: Progress
) -> Iterator[str]:
    """Build each task's run and write it with its manifest row; yields a line about each.

    Raises:
        BenchError: where a collection cannot be loaded or the folder not be written.
    """
    _check_folder(into)
    for task in tasks:
        built = _built(task, data, source, progress)
        if built is None:
            yield f"{task.id}: no document shares a word with any query, so there is no run to write."
            continue
        run, row = built
        path = write_bundled(task, run, row, into or BUNDLED)
        yield f"{task.id}: {_with_published(task, row)}; {path}"


def build_missing(
    tasks: Sequence[Task], data: Path | None, source: str, into: Path | None, progress: Progress
) -> Iterator[str]:
    """Build the runs that are not bundled yet, embedded samples left out; yields a line about each task.

    Each is written as soon as it is made, so that the same command goes on where one was stopped.

    Raises:
        BenchError: as `build_bundled`; at the end, for runs whose figure is further from the published one than
            `TOLERANCE`, which are not written.
    """
    _check_folder(into)
    wrong = []
    for task in tasks:
        if task.embedded:
            continue
        if _is_bundled(task, into or BUNDLED):
            yield f"{task.id}: is there."
            continue
        built = _built(task, data, source, progress)
        if built is None or _distance(task, built[1]) > TOLERANCE:
            wrong.append(task.id)
            yield f"{task.id}: {_with_published(task, built[1]) if built else 'no candidates'}; not written."
            continue
        path = write_bundled(task, *built, into or BUNDLED)
        yield f"{task.id}: {_with_published(task, built[1])}; {path}"
    if wrong:
        raise BenchError(
            f"{len(wrong)} runs are more than {100 * TOLERANCE:.0f} point from the published figure and were not "
            f"written: {', '.join(wrong)}. Check the collections' versions; without --all they are written as well."
        )


def _check_folder(into: Path | None) -> None:
    if into and kind(into) != stat.S_IFDIR and (kind(into) or into.is_symlink()):
        raise BenchError(f"{into} is not a folder. Choose another place with --into.")


def _built(task: Task, data: Path | None, source: str, progress: Progress) -> tuple[Run, Manifest] | None:
    """A task's run and its row; None where BM25 finds nothing."""
    with progress.step(f"{task.id}  reading", None):
        collection = load(task, data, source)
    with closing(collection.documents):
        with progress.step(f"{task.id}  BM25", len(collection.documents)) as advance:
            run = build(collection, BUNDLED_DEPTH, advance)
        return (run, describe(collection, run, BUNDLED_DEPTH)) if any(run.rankings.values()) else None


def _is_bundled(task: Task, folder: Path) -> bool:
    """Whether a task has a run and a row that fit each other."""
    row, path = read_manifests(folder).get(task.id), bundled_path(task, folder)
    return row is not None and kind(path) == stat.S_IFREG and read_run(path).sha256 == row.sha256


def _distance(task: Task, row: Manifest) -> float:
    """How far a run is from the published figures at most; 0 where there is none."""
    known = _published(task)
    return max((abs(figure - known[name]) for name, figure in row.figures.items() if name in known), default=0.0)


def check_bundled(tasks: Sequence[Task], data: Path | None, source: str) -> list[str]:
    """What differs between bundled runs and their manifest rows, recomputed from file and collection; empty if nothing.

    Raises:
        BenchError: where a collection cannot be loaded or a run not be read.
    """
    manifests = read_manifests()
    wrong: list[str] = []
    for task in tasks:
        if task.id not in manifests:
            wrong.append(f"{task.id}: no run is bundled.")
            continue
        collection = load(task, data, source)
        try:
            found = recomputed(collection, read_run(bundled_path(task)), manifests[task.id])
        finally:
            collection.documents.close()
        wrong += _differences(task, manifests[task.id], found)
    return wrong


def _with_published(task: Task, row: Manifest) -> str:
    """A run's figures times 100, each with its distance from the published one where there is one."""
    published = _published(task)
    parts = []
    for name, figure in row.figures.items():
        known = published.get(name)
        distance = f" ({100 * (figure - known):+.2f} from the published {100 * known:.2f})" if known is not None else ""
        parts.append(f"{name} {100 * figure:.2f}{distance}")
    return ", ".join(parts)


def _published(task: Task) -> dict[str, float]:
    """The figures of the suite's reference by measure, 0 to 1."""
    return {
        figure.measure: figure.value / 100
        for figure in read_all()
        if (figure.suite, figure.task, figure.reranker) == (task.suite, task.name, REFERENCES.get(task.suite))
    }


def _differences(task: Task, stored: Manifest, found: Manifest) -> list[str]:
    today = asdict(found)
    return [
        f"{task.id}: {field} is {value!r} in the manifest, recomputed {today[field]!r}"
        for field, value in asdict(stored).items()
        if value != today[field]
    ]
