"""Collections from ir_datasets: BEIR and MIRACL as their publishers host them, checked by hash on download.

https://ir-datasets.com. Files are under ``$IR_DATASETS_HOME`` (``~/.ir_datasets``); documents are looked up on disk.
"""

import logging
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from bench.collections.collection import Collection, assemble, check_counts
from bench.collections.texts import hash_texts, remembered
from bench.errors import BenchError
from bench.task import Counts, Task

_BATCH = 1_000


def load_irds(task: Task) -> Collection:
    """Load one task by its ``source_id``, downloading what is not there yet.

    Raises:
        BenchError: where a download fails, or the counts differ from the declared ones.
    """
    dataset, queries, judgements = _questions(task)
    documents = IrdsDocuments(task, dataset)
    try:
        return assemble(task, queries, judgements, documents, _source(task))
    except BenchError:
        documents.close()
        raise


def _questions(task: Task) -> tuple[Any, dict[str, str], dict[str, dict[str, int]]]:
    """The data set, its judged queries and its judgements, counted before a corpus of millions is fetched for them."""
    import ir_datasets

    try:
        dataset = ir_datasets.load(task.source_id)
    except KeyError as error:
        raise BenchError(
            f"{task.id}: ir_datasets has no {task.source_id!r}. Check the name, or take another source."
        ) from error
    judgements: dict[str, dict[str, int]] = {}
    with _reachable(task):
        for judgement in dataset.qrels_iter():
            judgements.setdefault(judgement.query_id, {})[judgement.doc_id] = int(judgement.relevance)
        asked = (query for query in dataset.queries_iter() if query.query_id in judgements)
        queries = {query.query_id: query.default_text() if task.source_text else query.text for query in asked}
    if task.counts:
        found = Counts(task.counts.documents, len(queries), sum(map(len, judgements.values())))
        check_counts(task, found, _source(task))
    return dataset, queries, judgements


class IrdsDocuments:
    """ir_datasets' documents, by its own document store; see `bench.collections.collection.Documents`."""

    def __init__(self, task: Task, dataset: Any, folder: str = "") -> None:
        """Open, and fetch if need be, a data set's documents; ``folder`` is their name under ``--data``."""
        self._task = task
        self._dataset = dataset
        with _reachable(task, folder):
            self._store = dataset.docs_store()
            # The store's own count: the data set's is a declared one, and would fit an incomplete corpus as well.
            self._count = int(self._store.count())

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for document in self._dataset.docs_iter():
            yield document.doc_id, self._text(document)

    def texts(self, ids: Sequence[str]) -> dict[str, str]:
        """The texts of the ids that the store holds."""
        found = self._store.get_many(ids)
        return {document_id: self._text(found[document_id]) for document_id in ids if document_id in found}

    def lacking(self, ids: Sequence[str]) -> list[str]:
        """Those of the ids that the store lacks."""
        lacking: list[str] = []
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            found = self._store.get_many(batch)
            lacking += [document_id for document_id in batch if document_id not in found]
        return lacking

    def texts_hash(self) -> str:
        """Hash of every id and text; remembered for as long as the store's files stay as they are."""
        files = sorted(Path(self._store.path).rglob("*")) if hasattr(self._store, "path") else []
        # The files tell one corpus from another; docs_namespace() fails for vaswani and cranfield in ir_datasets 0.6.3.
        return remembered(f"ir_datasets {self._task.text_rule}", files, lambda: hash_texts(self))

    def close(self) -> None:
        """Close the store: left to the interpreter's end, it complains there."""
        close = getattr(self._store, "close", None)
        if close:
            close()

    def _text(self, document: Any) -> str:
        if self._task.source_text:
            return str(document.default_text())
        return self._task.document_text(getattr(document, "title", "") or "", document.text)


def _source(task: Task) -> str:
    return f"ir_datasets {task.source_id}"


@contextmanager
def _reachable(task: Task, folder: str = "") -> Iterator[None]:
    """Report a failed download in one message: ir_datasets logs each attempt, which would hide the cause.

    Raises:
        BenchError: naming the cause and what to do.
    """
    log = logging.getLogger("ir_datasets")
    was_disabled, log.disabled = log.disabled, True
    try:
        yield
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, BadZipFile, zlib.error) as error:
        # A silent host, or a damaged file: ir_datasets verifies what it fetches, and not what is already there.
        raise BenchError(_unreachable(task, folder or task.name, error)) from error
    finally:
        log.disabled = was_disabled


def _unreachable(task: Task, folder: str, error: Exception) -> str:
    import ir_datasets

    home = ir_datasets.util.home_path()
    # ir_datasets takes a page that says 500 for the file.
    is_another = isinstance(error, ir_datasets.util.HashVerificationError)
    sent = " The host sent something else than the file, as one does that fails for a while." if is_another else ""
    other = "or take it from mteb with --source mteb; " if task.mteb else ""
    elsewhere = (
        f"; {other}or give a folder that holds {folder}/ in BEIR format with --data DIR; or measure the sample with "
        "--embedded."
    )
    return (
        f"{task.id}: ir_datasets could not get {task.source_id!r} ({type(error).__name__}: {str(error)[:200]}).{sent} "
        f"What to do: check the network, or try again later; delete damaged files under {home}; or put the files there "
        f"by hand{'.' if task.suite == 'irds' else elsewhere}"
    )
