"""Collections through mteb's own task objects, at the revisions that mteb pins: CoIR, and a second source of the rest.

https://github.com/embeddings-benchmark/mteb. Data comes from the Hugging Face hub and is in its cache; texts are read
from the memory-mapped tables there.
"""

from collections.abc import Collection as Sized
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from itertools import islice
from typing import Any

from bench.collections.collection import Collection, Documents, assemble
from bench.collections.mteb_tables import all_tables
from bench.collections.tables import TableDocuments
from bench.errors import BenchError
from bench.task import Task

_BATCH = 1_000


def load_mteb(task: Task) -> Collection:
    """Load one task by its name in mteb, ``Name`` or ``Name:subset``, downloading what is not there yet.

    A task of the suite ``mteb`` follows mteb's rules further than BEIR's, MIRACL's and CoIR's tasks do, which have
    their own: a query's instruction is a part of its text, and a query without a relevant document is left out.

    Raises:
        BenchError: where mteb has no such task or cannot get its data, or the counts differ from the declared ones.
    """
    part, source = _load(task)
    judgements = {
        query_id: {document_id: int(grade) for document_id, grade in grades.items()}
        for query_id, grades in part["relevant_docs"].items()
    }
    documents = TableDocuments(task, part["corpus"], source)
    if task.suite != "mteb":
        texts = dict(zip(part["queries"]["id"], part["queries"]["text"], strict=True))
        return assemble(task, texts, judgements, documents, source)
    relevant = {key: grades for key, grades in judgements.items() if any(grade > 0 for grade in grades.values())}
    made = assemble(task, query_texts(part["queries"]), relevant, documents, source)
    if len(relevant) < len(judgements):
        made.judgement_rule = "given, queries without a relevant document left out"
    given = part.get("top_ranked") or {}
    made.given = {query_id: list(given[query_id]) for query_id in made.queries if query_id in given}
    return made


def query_texts(queries: Any) -> dict[str, str]:
    """The texts of mteb's table of queries by id, each followed by its instruction if it has one."""
    texts = queries["text"]
    told = queries["instruction"] if "instruction" in queries.column_names else [None] * len(texts)
    joined = (
        text if instruction is None else f"{text} {instruction}" for text, instruction in zip(texts, told, strict=True)
    )
    return dict(zip(queries["id"], joined, strict=True))


def check_sources(task: Task) -> None:
    """Refuse a task that has no two sources to compare.

    Raises:
        BenchError: naming the task and the one place it comes from.
    """
    if task.embedded or not (task.source_id and task.mteb):
        place = "the package itself" if task.embedded else "mteb" if task.mteb else f"ir_datasets {task.source_id}"
        raise BenchError(
            f"{task.id} has a single source, {place}: there is nothing to compare. Give tasks of BEIR or MIRACL."
        )


def differences(one: Collection, other: Collection) -> list[str]:
    """What keeps two sources' collections from being the same, a line for each kind; empty where nothing does.

    Reads the corpora from end to end, holding a batch at a time.
    """
    names = one.source, other.source
    return [
        *_compared("queries", names, one.queries, other.queries),
        *_compared("queries' judgements", names, one.judgements, other.judgements),
        *_compared_documents(names, one.documents, other.documents),
    ]


def _compared(
    kind: str, names: tuple[str, str], one: Mapping[str, object], other: Mapping[str, object]
) -> Iterator[str]:
    unlike = {key for key in one.keys() & other.keys() if one[key] != other[key]}
    yield from _lines(kind, names, one.keys() - other.keys(), other.keys() - one.keys(), unlike)


def _compared_documents(names: tuple[str, str], one: Documents, other: Documents) -> Iterator[str]:
    only_one, unlike = _against(one, other)
    yield from _lines("documents", names, only_one, _against(other, one)[0], unlike)


def _against(one: Documents, other: Documents) -> tuple[list[str], list[str]]:
    """The ids of one corpus that the other lacks, and those under which it has another text."""
    lacking: list[str] = []
    unlike: list[str] = []
    rows = iter(one)
    while batch := dict(islice(rows, _BATCH)):
        texts = other.texts(list(batch))
        lacking += [document_id for document_id in batch if document_id not in texts]
        unlike += [document_id for document_id, text in texts.items() if text != batch[document_id]]
    return lacking, unlike


def _lines(
    kind: str, names: tuple[str, str], only_one: Sized[str], only_other: Sized[str], unlike: Sized[str]
) -> Iterator[str]:
    one, other = names
    for ids, what in (
        (only_one, f"only in {one}"),
        (only_other, f"only in {other}"),
        (unlike, f"not the same in {one} and {other}"),
    ):
        if ids:
            yield f"{len(ids):,} {kind} {what}, such as {min(ids)!r}"


def _load(task: Task) -> tuple[Mapping[str, Any], str]:
    """The task's tables, and where they came from."""
    import mteb
    from datasets.exceptions import DatasetsError
    from httpx import HTTPError

    name, _, subset = task.mteb.partition(":")
    try:
        loaded: Any = mteb.get_task(name, hf_subsets=[subset] if subset else None, eval_splits=[task.split])
    except (KeyError, ValueError) as error:
        raise BenchError(f"{task.id}: mteb {version('mteb')} has no task {task.mteb!r}. {_instead(task)}") from error
    origin = f"{loaded.metadata.dataset['path']} at {loaded.metadata.dataset['revision'][:12]}"
    try:
        with all_tables():
            loaded.load_data()
        loaded.convert_v1_dataset_format_to_v2(num_proc=None)
        return loaded.dataset[subset or "default"][task.split], f"mteb {version('mteb')} {task.mteb}, {origin}"
    except (OSError, HTTPError, DatasetsError, ValueError, LookupError) as error:
        raise BenchError(
            f"{task.id}: mteb could not get {task.mteb!r} from the Hugging Face hub, {origin} "
            f"({_status(error)}{type(error).__name__}: {str(error)[:200]}). {_instead(task)}"
        ) from error


def _status(error: BaseException | None) -> str:
    """The HTTP status that led to an error, which `datasets` leaves out of its messages; "" where none did."""
    while error is not None:
        if status := getattr(getattr(error, "response", None), "status_code", 0):
            return f"status {status}; "
        error = error.__cause__ or error.__context__
    return ""


def _instead(task: Task) -> str:
    if task.suite == "mteb":
        return "What to do: check the network and the hub's cache."
    other = "take the other source with --source ir_datasets; or " if task.source_id else ""
    return (
        f"What to do: check the network and the hub's cache; or {other}give a BEIR-format folder that holds "
        f"{task.name}/ with --data DIR; or measure the built-in sample with --embedded."
    )
