"""Collections as tables of the datasets library: parquet as the hub has it, and what ``save_to_disk`` writes.

A part (corpus, queries, qrels) is ``PART.parquet``, a folder of parquet files, or a saved Dataset or DatasetDict; the
hub calls the judgements ``default`` too. Texts are read from the memory-mapped tables.
"""

import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.collections.texts import hash_texts, remembered
from bench.errors import BenchError
from bench.files import kind
from bench.run_formats import ID
from bench.task import Task

_BATCH = 1_000
_QRELS = ("qrels", "default")
_COLUMNS = {
    "id": ("_id", "id"),
    "text": ("text", "contents"),
    "title": ("title",),
    "query": ("query-id", "query_id"),
    "document": ("corpus-id", "corpus_id", "doc_id"),
    "grade": ("score", "relevance"),
}
"""What a column may be called, the first that is there being taken."""


def has_table(folder: Path, part: str) -> bool:
    """Whether a folder has this part (corpus, queries or qrels) as a table, and not as lines too."""
    written = ("qrels.tsv*", "qrels/*.tsv*") if part == "qrels" else (f"{part}.jsonl*",)
    return not any(any(folder.glob(each)) for each in written) and any(
        _place(folder, name) is not None for name in _names(part)
    )


def table_documents(task: Task, folder: Path) -> "TableDocuments":
    """The folder's corpus.

    Raises:
        BenchError: for a table that cannot be read, lacks a column, or has an unfit or repeated id or no text.
    """
    table = _columns(_table(folder, "corpus", "corpus"), ("id", "text"), folder / "corpus", ("title",))
    _check(table, folder / "corpus")
    return TableDocuments(task, table, str(folder / "corpus"))


def table_queries(folder: Path) -> dict[str, str]:
    """Query texts by id, in the table's order; raises as `table_documents`."""
    place = folder / "queries"
    table = _columns(_table(folder, "queries", "queries"), ("id", "text"), place)
    _check(table, place)
    queries = {str(key): text for key, text in zip(table["id"], table["text"], strict=True)}
    if len(queries) != len(table):
        raise BenchError(f"{place}: {len(table) - len(queries)} queries have the id of another. Keep one of each.")
    return queries


def table_judgements(folder: Path, split: str) -> dict[str, dict[str, int]]:
    """The judgements of a split; raises as `table_documents`, and for a judgement that is repeated or not whole."""
    place = folder / "qrels"
    table = _columns(_table(folder, "qrels", split), ("query", "document", "grade"), place)
    judgements: dict[str, dict[str, int]] = {}
    for query, document, grade in zip(table["query"], table["document"], table["grade"], strict=True):
        grades = judgements.setdefault(str(query), {})
        if str(document) in grades:
            raise BenchError(
                f"{place}: document {document!r} is judged twice for query {query!r}. Keep one of the rows."
            )
        if isinstance(grade, bool) or not isinstance(grade, int | float) or grade != int(grade):
            raise BenchError(f"{place}: the score {grade!r} of document {document!r} is not a whole number.")
        grades[str(document)] = int(grade)
    if not judgements:
        raise BenchError(f"{place}: the split {split} has no judgements.")
    return judgements


def _names(part: str) -> tuple[str, ...]:
    return _QRELS if part == "qrels" else (part,)


def _place(folder: Path, name: str) -> Path | None:
    """``name.parquet``, or the folder of that name if it has a table in it."""
    file, inside = folder / f"{name}.parquet", folder / name
    if kind(file) == stat.S_IFREG:
        return file
    if kind(inside) == stat.S_IFDIR and (_is_saved(inside) or any(inside.glob("*.parquet"))):
        return inside
    return None


def _is_saved(folder: Path) -> bool:
    # By listing: where the folder may not be entered, the judgements' reader names the file that it looks for.
    return any(any(folder.glob(name)) for name in ("dataset_dict.json", "state.json"))


def _table(folder: Path, part: str, split: str) -> Any:
    """The table of a part: of the judgements those of a split, of the others all there is."""
    place = next(found for name in _names(part) if (found := _place(folder, name)) is not None)
    import datasets
    from datasets.exceptions import DatasetsError

    try:
        if place.suffix == ".parquet":
            return datasets.Dataset.from_parquet(str(place))
        if _is_saved(place):
            return _saved(datasets.load_from_disk(str(place)), place, split)
        files = sorted(place.glob("*.parquet"))
        if part == "qrels":
            files = [each for each in files if each.stem == split or each.stem.startswith(f"{split}-")]
            if not files:
                there = sorted({each.stem.partition("-")[0] for each in place.glob("*.parquet")})
                raise BenchError(f"{place} has no split {split!r}. Splits that are there: {', '.join(there)}.")
        return datasets.Dataset.from_parquet([str(each) for each in files])
    except (OSError, ValueError, DatasetsError) as error:
        raise BenchError(
            f"{place} cannot be read as a table ({type(error).__name__}: {str(error)[:200]}). Write it again."
        ) from error


def _saved(found: Any, place: Path, split: str) -> Any:
    """A saved table: the one of this split, or the only one."""
    if not isinstance(found, dict):
        return found
    if split in found:
        return found[split]
    if len(found) == 1 and split in ("corpus", "queries"):
        return next(iter(found.values()))
    raise BenchError(f"{place} has no split {split!r}. Splits that are there: {', '.join(found)}.")


def _columns(table: Any, wanted: Sequence[str], place: Path, optional: Sequence[str] = ()) -> Any:
    """The table with only these columns, under our names for them."""
    found = {}
    for name in (*wanted, *optional):
        column = next((each for each in _COLUMNS[name] if each in table.column_names), None)
        if column is None and name in wanted:
            raise BenchError(
                f"{place} has no column {' or '.join(map(repr, _COLUMNS[name]))}; it has "
                f"{', '.join(map(repr, table.column_names))}. Rename the column that has the {name}."
            )
        if column is not None:
            found[column] = name
    return table.select_columns(list(found)).rename_columns(found)


def _check(table: Any, place: Path) -> None:
    if not len(table):
        raise BenchError(f"{place} has no rows.")
    if (nulls := table.data.column("text").null_count) or not isinstance(table[0]["text"], str):
        raise BenchError(f"{place}: {nulls or 'all'} rows have no text. Give each a text, if only an empty one.")
    for identifier in table["id"]:
        if isinstance(identifier, bool) or not isinstance(identifier, str | int) or not ID.fullmatch(str(identifier)):
            raise BenchError(
                f"{place}: the id {identifier!r:.80} is not a text without white space or a whole number. Change it, "
                "in the judgements too."
            )


class TableDocuments:
    """A corpus table of the datasets library; see `bench.collections.collection.Documents`. Only ids are in memory.

    Its columns are ``id``, ``text`` and, where there are titles, ``title``; ids may be whole numbers.
    """

    def __init__(self, task: Task, table: Any, source: str) -> None:
        self._task = task
        self._source = source
        self._table = table.select_columns([name for name in ("id", "title", "text") if name in table.column_names])
        self._position = {str(document_id): position for position, document_id in enumerate(table["id"])}
        if len(self._position) != len(table):
            raise BenchError(f"{source}: {len(table) - len(self._position)} documents have the id of another.")

    def __len__(self) -> int:
        return len(self._position)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for rows in self._table.iter(_BATCH):
            yield from self._texts(rows)

    def texts(self, ids: Sequence[str]) -> dict[str, str]:
        """The texts of the ids that the corpus holds."""
        known = [self._position[document_id] for document_id in ids if document_id in self._position]
        return dict(self._texts(self._table[known])) if known else {}

    def lacking(self, ids: Sequence[str]) -> list[str]:
        """Those of the ids that the corpus lacks."""
        return [document_id for document_id in ids if document_id not in self._position]

    def texts_hash(self) -> str:
        """Hash of every id and text; remembered for as long as the table's files stay as they are."""
        files = [Path(each["filename"]) for each in self._table.cache_files]
        rule = f"{self._source} {len(self)} {self._task.text_rule}"
        return remembered(rule, files, lambda: hash_texts(self))

    def close(self) -> None:
        """Nothing to do: the table's files are let go with the table."""

    def _texts(self, rows: Mapping[str, list[Any]]) -> Iterator[tuple[str, str]]:
        titles = rows.get("title") or [""] * len(rows["id"])
        for document_id, title, text in zip(rows["id"], titles, rows["text"], strict=True):
            yield str(document_id), self._task.document_text(title or "", text)
