"""Where a task's candidates come from: a bundled run, one built on the spot, or a file.

Bundled runs are in ``bundled/``, with a manifest that says who made each, how, and what it scores (`manifest.py`);
``python -m bench runs build`` makes our own again, byte for byte.
"""

import stat
from pathlib import Path
from typing import TYPE_CHECKING

from bench.collections.collection import Collection
from bench.console import Advance, note
from bench.errors import BenchError
from bench.files import cache_folder, kind, text_lines, write_whole
from bench.first_stage.manifest import (
    BUNDLED_DEPTH,
    Manifest,
    Origin,
    bundled_path,
    read_manifests,
    relevant_hash,
)
from bench.protocol import digest
from bench.rerankers.base import Options
from bench.run import Run, read_run, write_run
from bench.task import Task

if TYPE_CHECKING:
    from bench.first_stage.dense import Spread

GIVEN = "given"
"""The first stage of a reranking task: the candidates that come with its queries."""
BM25 = "bm25"
BM25_ENGLISH = "bm25-english"
"""BM25 of the English question, a human translation: the first stage where query and documents share no script."""
BUILT = (BM25, BM25_ENGLISH, GIVEN)
"""The first stages that a collection alone decides."""


def opened(choice: str | Run) -> str | Run:
    """A first stage as `first_stage` takes it: a run file is read here, once for all tasks, since it may be a pipe.

    Raises:
        BenchError: naming what can be given, before collections are fetched; or for a run file that cannot be read.
    """
    if isinstance(choice, Run) or choice in ("", *BUILT) or choice.startswith("dense:"):
        return choice
    if not kind(Path(choice)):
        raise BenchError(
            f"Cannot read {choice}: no such file. A first stage is bm25, bm25-english, dense:MODEL, or the path of a "
            "TREC run file."
        )
    return read_run(Path(choice))


def first_stage(
    collection: Collection,
    choice: str | Run,
    depth: int,
    progress: Advance | None = None,
    options: Options | None = None,
    spread: "Spread | None" = None,
) -> Run:
    """The run that a task's candidates are taken from.

    Args:
        collection: The task's collection.
        choice: ``bm25``, ``bm25-english``, ``given``, ``dense:MODEL``, the path of a run file, or a run; empty for the
            task's own.
        depth: How many documents a query needs.
        progress: Called with the number of documents read since its last call, while a run is built.
        options: On what device and in what precision a dense first stage's model runs.
        spread: Who embeds a large corpus for it (`bench.first_stage.dense.dense_run`).

    Raises:
        BenchError: for a file that cannot be read, or a damaged bundled run.
    """
    if isinstance(choice, Run):
        return choice
    task = collection.task
    choice = choice or task.first_stage
    if choice == GIVEN:
        return _given(collection, depth)
    if choice.startswith("dense:"):
        from bench.first_stage.dense import dense_run

        return dense_run(collection, choice.removeprefix("dense:"), depth, progress, options, spread)
    if choice not in (BM25, BM25_ENGLISH):
        return read_run(Path(choice))
    if choice == BM25_ENGLISH and not collection.english:
        raise BenchError(f"{task.id} has no English queries for --first-stage {BM25_ENGLISH}. Only MKQA's tasks have.")
    manifest = read_manifests().get(task.id)
    if choice == BM25 and manifest and depth <= manifest.depth and _made_from(manifest, collection):
        return _bundled(task, manifest)
    if task.suite == "folder" or task.embedded:
        return build(collection, depth, progress, choice)
    return _cached(collection, max(depth, BUNDLED_DEPTH), progress, choice)


def _given(collection: Collection, depth: int) -> Run:
    """The candidates that come with the queries, in an order that says nothing of them.

    The sources list relevant documents first, and equal scores keep the candidates' order here: so they are ordered by
    a hash of query and document. A list longer than ``depth`` would be cut at random, and is refused.
    """
    task = collection.task
    if not collection.given:
        raise BenchError(f"{task.id} comes without candidates. Use another first stage, such as --first-stage bm25.")
    longest = max(map(len, collection.given.values()))
    if longest > depth:
        raise BenchError(f"{task.id}: a query comes with {longest:,} candidates. Take them all with --depth {longest}.")
    return Run(
        GIVEN,
        {
            query_id: [
                (document_id, -float(rank))
                for rank, document_id in enumerate(sorted(set(ids), key=lambda each: digest([query_id, each])), start=1)
            ]
            for query_id, ids in collection.given.items()
        },
    )


def build(
    collection: Collection, depth: int = BUNDLED_DEPTH, progress: Advance | None = None, choice: str = BM25
) -> Run:
    """Rank the whole corpus for every query, or for its English translation, by BM25 with the task's analysis."""
    from bench.first_stage.analysis import analyser
    from bench.first_stage.bm25 import build_run
    from bench.first_stage.counting import workers_for

    task = collection.task
    rankings = build_run(
        collection.documents,
        collection.english if choice == BM25_ENGLISH else collection.queries,
        analyser(task.analysis),
        depth=depth,
        identical_ids=task.drop_identical_ids,
        progress=progress,
        workers=workers_for(len(collection.documents)),
    )
    return Run(choice, rankings)


def _made_from(manifest: Manifest, collection: Collection) -> bool:
    """Whether a bundled run is of exactly these queries, judgements and texts; what is worth knowing is said."""
    task = collection.task
    if manifest.origin is not None:
        return _fits(manifest.origin, collection)
    if manifest.data != collection.version:
        return False
    if manifest.texts is None:
        note(f"Note: {task.id}: candidates from the bundled run; the corpus' texts could not be checked against it.")
        return True
    if manifest.texts != collection.documents.texts_hash():
        note(
            f"Note: {task.id}: the bundled run was made from other texts than {collection.source} has; BM25 is built "
            "from these."
        )
        return False
    return True


def _fits(origin: Origin, collection: Collection) -> bool:
    """Whether others' run is of these queries, and all its candidates are in this corpus."""
    task = collection.task
    found = read_run(bundled_path(task)).orders
    lacking = collection.documents.lacking(list(dict.fromkeys(each for ids in found.values() for each in ids)))
    if lacking or origin.relevant != relevant_hash(collection.queries, collection.judgements):
        what = f"ranks document {lacking[0]!r}, which the corpus lacks" if lacking else "is of other judgements"
        note(f"Note: {task.id}: the bundled run by {origin.by} {what}; BM25 is built from {collection.source}.")
        return False
    note(
        f"Note: {task.id}: candidates from the bundled run by {origin.by} ({origin.source}). Its makers published no "
        "hash of the corpus, so the texts could not be checked against it."
    )
    return True


def _bundled(task: Task, manifest: Manifest) -> Run:
    path = bundled_path(task)
    run = read_run(path)
    if run.sha256 != manifest.sha256:
        raise BenchError(
            f"{path} is damaged: its sha256 is {run.sha256[:12]}…, the manifest's {manifest.sha256[:12]}…. "
            f"Restore it, or make it again with 'python -m bench runs build {task.id}'."
        )
    return run


def _cached(collection: Collection, depth: int, progress: Advance | None, choice: str) -> Run:
    """A run built on first use and cached in the user's cache folder under a hash of all that decides it."""
    from bench.first_stage.analysis import analyser
    from bench.first_stage.bm25 import K1, B

    task = collection.task
    settings = task.text_rule, K1, B, depth, collection.documents.texts_hash(), task.drop_identical_ids
    asked = [] if choice == BM25 else [choice, *collection.english.values()]
    made = digest([*asked, collection.version, analyser(task.analysis).description, *map(str, settings)])
    path = cache_folder() / "runs" / task.suite / f"{task.name}-{made}.trec.gz"
    try:
        if kind(path):
            run = _checked(path)
            note(f"{task.id}: candidates from the cache: {path}")
            return run
    except BenchError as error:
        note(f"Note: {task.id}: the run in the cache cannot be used, and is built again. {error}")
    run = build(collection, depth, progress, choice)
    if any(run.rankings.values()):
        try:
            # The checksum first: whoever finds the run finds it too.
            write_whole(_checksum(path), f"{_vouched(path, run)}\n".encode())
            write_run(run, path)
        except BenchError as error:
            note(f"Note: {task.id}: the run could not be cached for the next command. {error}")
    return run


def _checked(path: Path) -> Run:
    """A run of the cache, as it was written.

    Raises:
        BenchError: where it, or its checksum, is damaged or missing.
    """
    for each in (path, _checksum(path)):
        if kind(each) not in (0, stat.S_IFREG):  # a pipe would be waited for, and a device read for ever
            raise BenchError(f"{each} is not a regular file.")
    run = read_run(path)
    if [line.strip() for line in text_lines(_checksum(path))] != [_vouched(path, run)]:
        raise BenchError(f"{path} is not the run that was written there: its checksum differs.")
    return run


def _vouched(path: Path, run: Run) -> str:
    """The checksum of a run under its name, which tells what it was made from: a renamed file is another's run."""
    return digest([path.name, run.sha256])


def _checksum(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(".trec.gz") + ".sha256")
