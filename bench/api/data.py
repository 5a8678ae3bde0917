"""Tasks and their data, for scripts and notebooks."""

from collections.abc import ItemsView, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path

from bench.collections.collection import Collection, Documents
from bench.collections.load import load as load_collection
from bench.console import Silent
from bench.errors import BenchError
from bench.evaluation.plan import Plan, with_candidates
from bench.evaluation.prepare import PreparedTask
from bench.first_stage.runs import opened
from bench.protocol import Protocol
from bench.suites import SUITES, by_ids, choose, declared
from bench.suites.folder import folder_task
from bench.task import Task


def tasks(suite: str | None = None, *, embedded: bool | None = None) -> list[Task]:
    """The declared tasks of one suite, or of all.

    Args:
        suite: ``beir``, ``miracl``, ``mkqa`` or ``coir``.
        embedded: True for the samples inside the package only, False for all others; both by default.

    Raises:
        BenchError: for a suite that does not exist.
    """
    return [task for task in declared(suite) if embedded in (None, task.embedded)]


def folder(
    path: str | Path, *, split: str = "test", analysis: str = "english", drop_identical_ids: bool = False
) -> Task:
    """Your own folder in BEIR format as a task: corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv.

    Args:
        path: The folder.
        split: Which judgements are measured.
        analysis: BM25's text analysis: a language, ``code`` or ``whitespace``.
        drop_identical_ids: Whether a document whose id is the query's own is left out of its candidates.

    Raises:
        BenchError: where it is not a folder.
    """
    return folder_task(Path(path), split, analysis, drop_identical_ids)


def named(task: str | Path | Task) -> list[Task]:
    """The tasks that a name means: ``beir/scifact``, a suite's default ones, or a folder in BEIR format.

    Raises:
        BenchError: for an unknown suite or task.
    """
    if isinstance(task, Task):
        return [task]
    if isinstance(task, Path) or (task.partition("/")[0] not in SUITES and Path(task).is_dir()):
        return [folder(task)]
    return choose(task, []) if task in SUITES else by_ids([task])


class Texts(Mapping[str, str]):
    """A collection's documents by id, read when they are asked for; the text rule of the task is applied."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def __getitem__(self, document_id: str) -> str:
        return self._documents.texts([document_id])[document_id]

    def __iter__(self) -> Iterator[str]:
        return (document_id for document_id, _ in self._documents)

    def __len__(self) -> int:
        return len(self._documents)

    def items(self) -> ItemsView[str, str]:
        """Every (id, text), in one pass over the corpus."""
        return _Items(self)


class _Items(ItemsView[str, str]):
    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._mapping._documents)  # type: ignore[attr-defined]


class Data(AbstractContextManager["Data"]):
    """A task's data: ``queries``, ``documents``, ``judgements`` and ``candidates``, by id.

    Files stay open until `close`, or for as long as the object is used as a context.
    """

    def __init__(self, collection: Collection, plan: Plan) -> None:
        self.task = collection.task
        self.source = collection.source
        self.queries: Mapping[str, str] = collection.queries
        self.documents: Mapping[str, str] = Texts(collection.documents)
        self._collection = collection
        self._plan = plan

    @property
    def judgements(self) -> Mapping[str, Mapping[str, int]]:
        """Grades by query and document. MKQA's depend on the candidates, which contain an answer or do not."""
        return self._prepared.judgements if self._collection.judge else self._collection.judgements

    @property
    def candidates(self) -> Mapping[str, list[tuple[str, float]]]:
        """Each query's (document id, first-stage score), best first; found when first asked for."""
        return self._prepared.candidates.rankings

    @property
    def protocol(self) -> Protocol:
        """What a figure measured on these candidates depends on besides the reranker."""
        return self._prepared.protocol

    @cached_property
    def _prepared(self) -> PreparedTask:
        return with_candidates(self._plan, self._collection, opened(self._plan.first_stage), Silent())

    def close(self) -> None:
        """Close the corpus' files."""
        self._collection.documents.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Data of {self.task.id}: {len(self.queries):,} queries, {len(self.documents):,} documents>"


def load(
    task: str | Path | Task,
    *,
    first_stage: str | Path = "",
    depth: int = 100,
    data: str | Path | None = None,
    source: str = "",
) -> Data:
    """Load one task's queries, documents and judgements; its candidates are found when they are asked for.

    Args:
        task: ``beir/scifact``, a folder in BEIR format, or what `tasks` and `folder` return.
        first_stage: ``bm25``, ``bm25-english``, ``dense:MODEL``, or the path of a run file; the task's own by default.
        depth: How many candidates a query gets.
        data: A folder that holds ``TASK/`` in BEIR format, in place of the task's usual source.
        source: ``ir_datasets`` or ``mteb``; the usual one by default.

    Raises:
        BenchError: for an unknown task, or data that cannot be read; the message says what to do.
    """
    chosen = named(task)
    if len(chosen) != 1:
        raise BenchError(f"{task!r} names {len(chosen)} tasks. Load one, such as {chosen[0].id!r}.")
    place = None if data is None else Path(data)
    plan = Plan(chosen, (), Path(), str(first_stage), depth, data=place, source=source)
    return Data(load_collection(chosen[0], place, source), plan)
