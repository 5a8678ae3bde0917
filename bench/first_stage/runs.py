"""Where a task's candidates come from: a bundled run, one built on the spot, or a file.

Bundled runs lie in ``bundled/`` beside a manifest that says how each was made and what it scores; ``python -m bench
runs build`` makes them again, byte for byte.
"""

import json
import os
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path

from bench.collections.collection import Collection
from bench.errors import BenchError
from bench.files import write_whole
from bench.measures import Measure, mean, per_query
from bench.progress import Advance
from bench.protocol import digest
from bench.rerankers.base import Options
from bench.run import Run, read_run, write_run
from bench.task import Task

BUNDLED = Path(__file__).parent / "bundled"
BUNDLED_DEPTH = 100


@dataclass(frozen=True, slots=True)
class Manifest:
    """How a bundled run was made, and what it scores.

    ``sha256`` is of the TREC text, unpacked; ``data`` the collection's version; figures are 0 to 1.
    """

    sha256: str
    data: str
    documents: int
    queries: int
    depth: int
    analysis: str
    k1: float
    b: float
    text_rule: str
    identical_ids: str
    libraries: str
    figures: dict[str, float]


def check(choice: str) -> None:
    """Refuse a first stage that is no file, before collections are fetched for it.

    Raises:
        BenchError: naming what can be given.
    """
    if choice != "bm25" and not choice.startswith("dense:") and not Path(choice).exists():
        raise BenchError(
            f"Cannot read {choice}: no such file. A first stage is bm25, dense:MODEL, or the path of a TREC run file."
        )


def first_stage(
    collection: Collection, choice: str, depth: int, progress: Advance | None = None, options: Options | None = None
) -> Run:
    """The run that a task's candidates are taken from.

    Args:
        collection: The task's collection.
        choice: ``bm25``, ``dense:MODEL``, or the path of a TREC run file.
        depth: How many documents a query needs.
        progress: Called with the number of documents read since its last call, while a run is built.
        options: On what device and in what precision a dense first stage's model runs.

    Raises:
        BenchError: for a file that cannot be read, or a damaged bundled run.
    """
    if choice.startswith("dense:"):
        from bench.first_stage.dense import dense_run

        return dense_run(collection, choice.removeprefix("dense:"), depth, progress, options)
    if choice != "bm25":
        return read_run(Path(choice))
    task = collection.task
    manifest = read_manifests().get(task.id)
    if manifest and manifest.data == collection.version and depth <= manifest.depth:
        return _bundled(task, manifest)
    if task.suite == "folder" or task.embedded:
        return build(collection, depth, progress)
    return _cached(collection, max(depth, BUNDLED_DEPTH), progress)


def build(collection: Collection, depth: int = BUNDLED_DEPTH, progress: Advance | None = None) -> Run:
    """Rank the whole corpus for every query by BM25 with the task's analysis."""
    from bench.first_stage.analysis import analyser
    from bench.first_stage.bm25 import build_run

    task = collection.task
    rankings = build_run(
        collection.documents,
        collection.queries,
        analyser(task.analysis),
        depth=depth,
        identical_ids=task.drop_identical_ids,
        progress=progress,
    )
    return Run("bm25", rankings)


def describe(collection: Collection, run: Run, depth: int) -> Manifest:
    """The manifest row of a BM25 run."""
    from bench.first_stage.analysis import analyser
    from bench.first_stage.bm25 import K1, B

    task = collection.task
    measures = [Measure.parse(name) for name in (task.measure, "R@100", *task.extra_measures)]
    orders = {query_id: [document_id for document_id, _ in ranking] for query_id, ranking in run.rankings.items()}
    figures = per_query(collection.judged(run), orders, measures)
    return Manifest(
        sha256=run.sha256,
        data=collection.version,
        documents=len(collection.documents),
        queries=len(collection.queries),
        depth=depth,
        analysis=analyser(task.analysis).description,
        k1=K1,
        b=B,
        text_rule=task.text_rule,
        identical_ids="dropped" if task.drop_identical_ids else "kept",
        libraries=f"numpy {version('numpy')}",
        figures={str(measure): round(mean(of_query), 6) for measure, of_query in figures.items()},
    )


def read_manifests(folder: Path = BUNDLED) -> dict[str, Manifest]:
    """The manifest's rows by task id; empty where there is no manifest."""
    path = folder / "manifest.json"
    if not path.is_file():
        return {}
    names = {field.name for field in fields(Manifest)}
    try:
        rows = json.loads(path.read_bytes())
        return {task: Manifest(**{name: row[name] for name in names}) for task, row in rows.items()}
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise BenchError(f"{path} is damaged ({error}). Restore it, or build the runs again.") from error


def write_bundled(task: Task, run: Run, manifest: Manifest, folder: Path = BUNDLED) -> Path:
    """Write a run and its manifest row in the bundled runs' form; gives the run's path."""
    path = bundled_path(task, folder)
    write_run(run, path)
    rows = {name: asdict(row) for name, row in (read_manifests(folder) | {task.id: manifest}).items()}
    write_whole(folder / "manifest.json", (json.dumps(rows, indent=1, sort_keys=True) + "\n").encode())
    return path


def bundled_path(task: Task, folder: Path = BUNDLED) -> Path:
    """Where a task's bundled run lies."""
    return folder / task.suite / f"{task.name}.trec.gz"


def _bundled(task: Task, manifest: Manifest) -> Run:
    path = bundled_path(task)
    run = read_run(path)
    if run.sha256 != manifest.sha256:
        raise BenchError(
            f"{path} is damaged: its sha256 is {run.sha256[:12]}…, the manifest's {manifest.sha256[:12]}…. "
            f"Restore it, or make it again with 'python -m bench runs build {task.id}'."
        )
    return run


def _cached(collection: Collection, depth: int, progress: Advance | None) -> Run:
    """A run built on first use and kept in the user's cache folder, told apart by all that decides it."""
    from bench.first_stage.analysis import analyser
    from bench.first_stage.bm25 import K1, B

    task = collection.task
    settings = K1, B, depth, len(collection.documents), task.drop_identical_ids
    made = digest([collection.version, analyser(task.analysis).description, task.text_rule, *map(str, settings)])
    name = f"{task.name}-{made}.trec.gz"
    path = _cache_folder() / "runs" / task.suite / name
    if path.is_file():
        return read_run(path)
    run = build(collection, depth, progress)
    if any(run.rankings.values()):
        write_run(run, path)
    return run


def _cache_folder() -> Path:
    """``$RERANK_BENCH_CACHE``, or ``rerank-bench`` in the user's cache folder."""
    given = os.environ.get("RERANK_BENCH_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rerank-bench"
