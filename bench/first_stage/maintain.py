"""Making the bundled runs and checking them: `python -m bench runs build` and `runs check`."""

import stat
from collections.abc import Iterator, Sequence
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
from bench.run import read_run
from bench.task import Task

REFERENCES = {
    "beir": "BM25 bm25s Lucene (k1=0.9, b=0.4)",
    "miracl": "BM25 pyserini, language analysers (k1=0.9, b=0.4)",
    "mkqa": "BM25 of BGE-M3",
    "coir": "BM25 mteb 0.1.10 (bm25s, k1=1.5, b=0.75)",
}
"""The published BM25 of each suite that a run is held against: the one made most nearly as ours is."""


def build_bundled(
    tasks: Sequence[Task], data: Path | None, source: str, into: Path | None, progress: Progress
) -> Iterator[str]:
    """Build each task's run and write it with its manifest row; yields a line about each.

    Raises:
        BenchError: where a collection cannot be loaded or the folder not be written.
    """
    if into and kind(into) != stat.S_IFDIR and (kind(into) or into.is_symlink()):
        raise BenchError(f"{into} is not a folder. Choose another place with --into.")
    for task in tasks:
        with progress.step(f"{task.id}  reading", None):
            collection = load(task, data, source)
        try:
            with progress.step(f"{task.id}  BM25", len(collection.documents)) as advance:
                run = build(collection, BUNDLED_DEPTH, advance)
            if not any(run.rankings.values()):
                yield f"{task.id}: no document shares a word with any query, so there is no run to keep."
                continue
            row = describe(collection, run, BUNDLED_DEPTH)
            path = write_bundled(task, run, row, into or BUNDLED)
        finally:
            collection.documents.close()
        yield f"{task.id}: {_beside_published(task, row)}; {path}"


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


def _beside_published(task: Task, row: Manifest) -> str:
    """A run's figures times 100, each with its distance from the published one where there is one."""
    published = {
        figure.measure: figure.value
        for figure in read_all()
        if (figure.suite, figure.task, figure.reranker) == (task.suite, task.name, REFERENCES.get(task.suite))
    }
    parts = []
    for name, figure in row.figures.items():
        known = published.get(name)
        distance = f" ({100 * figure - known:+.2f} from the published {known:.2f})" if known is not None else ""
        parts.append(f"{name} {100 * figure:.2f}{distance}")
    return ", ".join(parts)


def _differences(task: Task, stored: Manifest, found: Manifest) -> list[str]:
    today = asdict(found)
    return [
        f"{task.id}: {field} is {value!r} in the manifest, recomputed {today[field]!r}"
        for field, value in asdict(stored).items()
        if value != today[field]
    ]
