"""A collection: a task's queries, documents and judgements, and the checks it passes before it is used."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bench.errors import BenchError
from bench.measures import MAX_GRADE, Judgements
from bench.protocol import digest
from bench.run import Run
from bench.task import Counts, Task


class Documents(Protocol):
    """Documents by id, without holding them all: the text rule of the task is already applied."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Every (id, text), in the corpus' order."""
        ...

    def texts(self, ids: Sequence[str]) -> Mapping[str, str]:
        """The texts of the given ids; an id that the corpus lacks is missing from the answer."""
        ...

    def lacking(self, ids: Sequence[str]) -> list[str]:
        """Those of the given ids that the corpus lacks."""
        ...

    def texts_hash(self) -> str:
        """Hash of every id and text, in the corpus' order: the same corpus from two sources has the same."""
        ...

    def close(self) -> None:
        """Let go of files and stores."""
        ...


Judge = Callable[[Run, Documents], Judgements]


@dataclass(slots=True)
class Collection:
    """A loaded task. ``queries`` holds the judged queries only, in their source's order.

    ``judge`` is for tasks whose judgements come from the candidates' texts (MKQA's answers); None where they are
    given. ``source`` says where the data came from, for messages and provenance. ``without_text`` are judged queries
    whose text the source lacks: nobody can be asked them, so they have no candidates and count as 0. ``given`` are
    the candidates that come with each query of a reranking task, ``english`` MKQA's queries in English.
    """

    task: Task
    queries: dict[str, str]
    judgements: Judgements
    documents: Documents
    source: str
    judge: Judge | None = None
    judgement_rule: str = "given"
    answers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    without_text: frozenset[str] = frozenset()
    english: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Hash of queries and judgements (or answers): the same data from two sources gives the same version."""
        parts: list[str] = []
        for query_id in sorted(self.queries):
            parts += [query_id, self.queries[query_id]]
            parts += [f"{doc}={grade}" for doc, grade in sorted(self.judgements.get(query_id, {}).items())]
            parts += self.answers.get(query_id, ())
        return digest(parts)

    def judged(self, candidates: Run) -> Judgements:
        """The judgements of the collection's queries, which the candidates are measured against."""
        if not self.judge:
            return self.judgements
        judged = self.judge(candidates, self.documents)
        return {query_id: grades for query_id, grades in judged.items() if query_id in self.queries}


def assemble(
    task: Task, texts: Mapping[str, str], judgements: Judgements, documents: Documents, source: str
) -> Collection:
    """Put a collection together from its parts, keeping the judged queries only.

    Raises:
        BenchError: where no judged query has a text, a grade is out of bounds, or counts differ from the declared ones.
    """
    check_grades(judgements, source)
    missing = [query_id for query_id in judgements if query_id not in texts]
    if missing and len(missing) == len(judgements):
        raise BenchError(
            f"{source}: none of the {len(judgements):,} judged queries has a text, the first being {missing[0]!r}; the "
            f"queries' first id is {next(iter(texts), '')!r}. {_mending(missing[0], 'queries')}"
        )
    queries = {query_id: text for query_id, text in texts.items() if query_id in judgements}
    check_counts(task, Counts(len(documents), len(queries), sum(map(len, judgements.values()))), source)
    queries |= dict.fromkeys(missing, "")
    return Collection(task, queries, dict(judgements), documents, source, without_text=frozenset(missing))


def check_grades(judgements: Judgements, source: str) -> None:
    """Refuse grades that the measure library would not survive, before anything is built on them.

    Raises:
        BenchError: naming the judgement.
    """
    for query_id, grades in judgements.items():
        for document_id, grade in grades.items():
            if not -MAX_GRADE <= grade <= MAX_GRADE:
                raise BenchError(
                    f"{source}: document {document_id!r} has the grade {grade} for query {query_id!r}. Give grades "
                    f"from -{MAX_GRADE:,} to {MAX_GRADE:,}."
                )


def check_judged(collection: Collection) -> list[str]:
    """What in a collection's judgements no reranker can reach, a line for each kind; empty where all is there.

    Raises:
        BenchError: where the corpus has none of the judged documents, or none of the relevant ones: every figure
            would be 0 for everybody.
    """
    source, judgements = collection.source, collection.judgements
    lines = []
    unasked = [query_id for query_id in judgements if query_id in collection.without_text]
    if unasked:
        lines.append(
            f"{source}: {len(unasked):,} of {len(judgements):,} judged queries have no text and count as 0, the first "
            f"being {unasked[0]!r}."
        )
    judged = list(dict.fromkeys(document_id for grades in judgements.values() for document_id in grades))
    if not judged:  # judged by their texts, once there are candidates
        return lines
    relevant = {document_id for grades in judgements.values() for document_id, grade in grades.items() if grade > 0}
    absent = collection.documents.lacking(judged)
    lost = [document_id for document_id in absent if document_id in relevant]
    for kind, all_ids, lacking in (("judged", judged, absent), ("relevant", relevant, lost)):
        if lacking and len(lacking) == len(all_ids):
            there = next(iter(collection.documents))[0]
            raise BenchError(
                f"{source}: the corpus has none of the {len(all_ids):,} {kind} documents, the first being "
                f"{lacking[0]!r}; the corpus' first id is {there!r}. {_mending(lacking[0], 'corpus')}"
            )
    if absent:
        lines.append(
            f"{source}: {len(absent):,} of {len(judged):,} judged documents are not in the corpus and cannot be found, "
            f"the first being {absent[0]!r}."
        )
    if not relevant:
        lines.append(f"{source}: no judgement is above 0, so that every figure is 0.")
    return lines


def _mending(judged_id: str, other: str) -> str:
    """What to do about an id of the judgements that another file does not have."""
    if judged_id[:1] in "\"'" or judged_id[-1:] in "\"'":
        return "The judgements' ids have quotation marks around them: write the file without any."
    return f"Do judgements and {other} belong together?"


def check_counts(task: Task, found: Counts, source: str) -> None:
    """Compare a collection with its declaration.

    Raises:
        BenchError: naming each number that differs.
    """
    if task.counts is None or found == task.counts:
        return
    wrong = [
        f"{getattr(found, field):,} {field} (expected {getattr(task.counts, field):,})"
        for field in ("documents", "queries", "judgements")
        if getattr(found, field) != getattr(task.counts, field)
    ]
    raise BenchError(
        f"{task.id} from {source} holds {', '.join(wrong)}. It is incomplete or a different "
        "version: download it again, or measure it as your own data with 'python -m bench folder PATH'."
    )
