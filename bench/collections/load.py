"""Which source a task's collection comes from."""

from pathlib import Path

from bench.collections.beir_folder import load_folder, place_of
from bench.collections.collection import Collection, check_judged
from bench.console import note
from bench.errors import BenchError
from bench.task import Task

EMBEDDED = Path(__file__).parent / "embedded"
SOURCES = ("ir_datasets", "mteb")


def load(task: Task, data: Path | None = None, source: str = "") -> Collection:
    """Load a task's collection: the package's own for embedded tasks, else the user's folder, else its source.

    Args:
        task: What to load.
        data: A folder that holds ``<task>/`` in BEIR format (for MKQA: the official question file).
        source: ``ir_datasets`` or ``mteb``; the task's usual one where empty.

    What no reranker can reach, such as judged documents that the corpus lacks, is said on standard error.

    Raises:
        BenchError: saying what was tried and what to do.
    """
    collection = _loaded(task, data, source)
    try:
        lines = check_judged(collection)
    except BenchError:
        collection.documents.close()
        raise
    for line in lines:
        note(f"Note: {line}")
    return collection


def _loaded(task: Task, data: Path | None, source: str) -> Collection:
    if source not in ("", *SOURCES):
        raise BenchError(f"Unknown source {source!r}. Known: {', '.join(SOURCES)}.")
    if task.embedded:
        return _embedded(task)
    if task.suite == "mkqa":
        if source == "mteb":
            raise BenchError(
                f"{task.id} is not in mteb, whose MKQARetrieval is another task. Leave --source out, or give --data."
            )
        from bench.collections.mkqa import load_mkqa

        return load_mkqa(task, data)
    if task.suite == "folder":
        return load_folder(task, Path(task.source_id))
    if data is not None:
        return load_folder(task, place_of(data, task.folder))
    return _from_source(task, source or ("mteb" if task.suite in ("coir", "mteb") else "ir_datasets"))


def _embedded(task: Task) -> Collection:
    """A sample inside the package. Its source names the sample's origin, not a path on this machine."""
    if task.suite == "mkqa":
        from bench.collections.mkqa import load_mkqa

        collection = load_mkqa(task, EMBEDDED / "mkqa")
    else:
        collection = load_folder(task, EMBEDDED / task.suite / task.name)
    collection.source = task.source_id or f"rerank-bench's own {task.name}"
    return collection


def _from_source(task: Task, source: str) -> Collection:
    if source == "mteb":
        from bench.collections.mteb import load_mteb

        return load_mteb(task)
    if not task.source_id:
        raise BenchError(f"{task.id} is not in ir_datasets. Use --source mteb or --data DIR.")
    from bench.collections.irds import load_irds

    return load_irds(task)
