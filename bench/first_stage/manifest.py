"""The bundled runs' manifest: who made each run, how, from what data, and what it scores."""

import json
import stat
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

from bench.collections.collection import Collection
from bench.errors import BenchError
from bench.files import kind, write_whole
from bench.lock import locked
from bench.measures import Judgements, Measure, mean, per_query
from bench.protocol import digest
from bench.run import Run, write_run
from bench.task import Task
from reranker.schema import read_model

BUNDLED = Path(__file__).parent / "bundled"
BUNDLED_DEPTH = 100
_PATIENCE = 60.0  # seconds; another command holds the folder for as long as it takes to write one run


@dataclass(frozen=True, slots=True)
class Origin:
    """Who made a run that this project did not build, and what ties it to its collection.

    ``relevant`` is `relevant_hash` of the collection: such a run is checked with public judgements, of which copies
    without the grades of 0 are in use, so that the collection's version is not known.
    """

    by: str
    source: str
    licence: str
    relevant: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """How a bundled run was made, and what it scores.

    ``sha256`` is of the TREC text, unpacked; ``data`` the collection's version; figures are 0 to 1. ``texts`` is the
    hash of the corpus that the run was made from. ``origin`` is None for a run of our own BM25; a run of others has no
    ``data`` and no ``texts``, since they published neither.
    """

    sha256: str
    data: str | None
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
    texts: str | None = None
    origin: Origin | None = None


def describe(collection: Collection, run: Run, depth: int) -> Manifest:
    """The manifest row of a run of our own BM25."""
    from bench.first_stage.analysis import analyser
    from bench.first_stage.bm25 import K1, B

    task = collection.task
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
        identical_ids=identical_ids(task),
        libraries=f"numpy {version('numpy')}",
        figures=figures(task, collection.judged(run), run),
        texts=collection.documents.texts_hash(),
    )


def recomputed(collection: Collection, run: Run, stored: Manifest) -> Manifest:
    """The row that a bundled run and its collection give today; what only its makers know is taken from the stored."""
    if stored.origin is None:
        return describe(collection, run, stored.depth)
    task = collection.task
    return replace(
        stored,
        sha256=run.sha256,
        documents=len(collection.documents),
        queries=len(collection.queries),
        text_rule=task.text_rule,
        identical_ids=identical_ids(task),
        figures=figures(task, collection.judgements, run),
        origin=replace(stored.origin, relevant=relevant_hash(collection.queries, collection.judgements)),
    )


def figures(task: Task, judgements: Judgements, run: Run) -> dict[str, float]:
    """What a run scores by the task's measures, 0 to 1, as a manifest has it."""
    measures = [Measure.parse(name) for name in (task.measure, "R@100", *task.extra_measures)]
    found = per_query(judgements, run.orders, measures)
    return {str(measure): round(mean(of_query), 6) for measure, of_query in found.items()}


def identical_ids(task: Task) -> str:
    """What a manifest says of documents that have their query's id."""
    return "dropped" if task.drop_identical_ids else "kept"


def relevant_hash(queries: dict[str, str], judgements: Judgements) -> str:
    """Hash of the judged queries and their judgements above 0, on which nDCG and recall depend."""
    parts: list[str] = []
    for query_id in sorted(judgements):
        parts += [query_id, queries[query_id]]
        parts += [f"{document}={grade}" for document, grade in sorted(judgements[query_id].items()) if grade > 0]
    return digest(parts)


def read_manifests(folder: Path = BUNDLED) -> dict[str, Manifest]:
    """The manifest's rows by task id; empty where there is no manifest."""
    path = folder / "manifest.json"
    if kind(path) not in (0, stat.S_IFREG):  # a pipe would be waited for without end
        raise BenchError(f"{path} is not a regular file. Remove it, or choose another folder.")
    return read_model(path, dict[str, Manifest], BenchError) if kind(path) else {}


def write_bundled(task: Task, run: Run, manifest: Manifest, folder: Path = BUNDLED) -> Path:
    """Write a run and its manifest row in the bundled runs' form; gives the run's path."""
    path = bundled_path(task, folder)
    # Another command may add its own row meanwhile: reading the rows and writing them is one step.
    with locked(folder, _PATIENCE):
        write_run(run, path)
        rows = {name: asdict(row) for name, row in (read_manifests(folder) | {task.id: manifest}).items()}
        write_whole(folder / "manifest.json", (json.dumps(rows, indent=1, sort_keys=True) + "\n").encode())
    return path


def bundled_path(task: Task, folder: Path = BUNDLED) -> Path:
    """The path of a task's bundled run."""
    return folder / task.suite / f"{task.name}.trec.gz"
