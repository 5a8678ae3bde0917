"""Prepare a task: settle its candidates, judgements and protocol, once for every reranker."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from bench.collections.collection import Collection
from bench.errors import BenchError
from bench.measures import Judgements, Measure, library, mean, per_query
from bench.protocol import Protocol, digest
from bench.rerankers.base import Options
from bench.results import Candidates
from bench.run import Run

_BATCH = 1_000  # documents looked up at once


@dataclass(frozen=True, slots=True)
class PreparedTask:
    """What every reranker of a task is given: candidates, judgements, protocol. Made once, used for each of them."""

    collection: Collection
    candidates: Run
    judgements: Judgements
    protocol: Protocol
    about: Candidates


def prepare(
    collection: Collection, first_stage: Run, depth: int, options: Options, queries: int | None = None
) -> PreparedTask:
    """Settle a task's candidates and protocol.

    Args:
        collection: The task's data.
        first_stage: The whole run that candidates are taken from.
        depth: How many documents of it a query gets.
        options: The length caps.
        queries: How many queries are measured, chosen by the hash of their ids; None for all.

    Raises:
        BenchError: where the first stage answers none of the task's queries, or names documents that the corpus lacks.
    """
    data = collection.version
    _check_answers(collection, first_stage)
    collection, subset = keep_queries(collection, queries)
    candidates = _candidates(collection, first_stage, depth)
    texts = _digest_of_texts(collection, candidates)
    judgements = collection.judged(candidates)
    task = collection.task
    protocol = Protocol(
        task=task.id,
        split=task.split,
        data=data,
        texts=texts,
        documents=len(collection.documents),
        queries=len(collection.queries),
        query_subset=subset,
        first_stage=first_stage.name,
        first_stage_sha256=first_stage.sha256,
        depth=depth,
        candidate_order="first stage",
        text_rule=task.text_rule,
        identical_ids="dropped" if task.drop_identical_ids else "kept",
        judgements=collection.judgement_rule,
        max_query_length=options.max_query_length,
        max_doc_length=options.max_doc_length,
        measure=task.measure,
        measure_library=library(),
    )
    return PreparedTask(collection, candidates, judgements, protocol, _about(candidates, judgements, protocol))


def keep_queries(collection: Collection, queries: int | None) -> tuple[Collection, str]:
    """The collection with some of its queries, the same ones for everybody, and the protocol's words for the choice."""
    if queries is None or queries >= len(collection.queries):
        return collection, "all"
    chosen = set(sorted(collection.queries, key=lambda key: hashlib.sha256(key.encode()).digest())[:queries])
    kept = replace(
        collection,
        queries={key: text for key, text in collection.queries.items() if key in chosen},
        judgements={key: grades for key, grades in collection.judgements.items() if key in chosen},
        answers={key: answers for key, answers in collection.answers.items() if key in chosen},
        without_text=collection.without_text & chosen,
    )
    return kept, "by hash of the id"


def without_candidates(prepared: PreparedTask) -> str:
    """A line about the judged queries that have no candidates; empty where all have some."""
    asked = prepared.collection.queries
    count = sum(query_id not in prepared.candidates.rankings for query_id in asked)
    if not count:
        return ""
    reason = ""
    if count == len(asked) and prepared.candidates.name == "bm25":
        reason = " BM25 finds only documents that share a word with the query: try --first-stage dense:MODEL."
    share = f"{count:,} of {len(asked):,}"
    return f"{prepared.protocol.task}: {share} judged queries have no candidates and count as 0.{reason}"


def by_judgement(ids: Sequence[str], grades: Mapping[str, int]) -> list[str]:
    """A query's documents sorted by grade: the best order that a reranker could give them."""
    return sorted(ids, key=lambda document_id: -grades.get(document_id, 0))


def _candidates(collection: Collection, first_stage: Run, depth: int) -> Run:
    """The first ``depth`` documents for every judged query; a query's own id is dropped before the cut."""
    drop = collection.task.drop_identical_ids
    rankings = {
        query_id: [row for row in first_stage.rankings.get(query_id, ()) if not (drop and row[0] == query_id)][:depth]
        for query_id in collection.queries
        if query_id not in collection.without_text
    }
    return Run(first_stage.name, {query_id: ranking for query_id, ranking in rankings.items() if ranking})


def _check_answers(collection: Collection, first_stage: Run) -> None:
    """Refuse a foreign run, which knows none of all the task's queries.

    A first stage may know a query and find nothing for it, as BM25 does across scripts, and so nothing for a few
    queries that were chosen.
    """
    if not collection.queries.keys() & first_stage.rankings.keys():
        raise BenchError(
            f"The run {first_stage.name!r} answers none of the {len(collection.queries):,} judged queries of "
            f"{collection.task.id}. Its first query id is {next(iter(first_stage.rankings), '')!r}, the task's is "
            f"{next(iter(collection.queries), '')!r}: is it another task's or split's run?"
        )
    task = collection.task
    if first_stage.name == "bm25" and task.suite == "folder" and not any(first_stage.rankings.values()):
        raise BenchError(
            f"{task.id}: BM25 finds no document for any of the {len(collection.queries):,} judged queries by its "
            f"{task.analysis} analysis. Name the texts' language, for example with --analysis japanese, or give "
            "another first stage, such as --first-stage dense:MODEL."
        )


def _digest_of_texts(collection: Collection, candidates: Run) -> str:
    """A hash of the candidates' texts in the order of their ids: an edited corpus is another protocol.

    The pass over them also finds a run over another corpus, before hours of work go into it.
    """
    asked_by = {document_id: query_id for query_id, ids in candidates.orders.items() for document_id in ids}
    return digest(_ids_and_texts(collection, candidates.name, asked_by))


def _ids_and_texts(collection: Collection, run: str, asked_by: Mapping[str, str]) -> Iterator[str]:
    ids = iter(sorted(asked_by))
    while batch := list(islice(ids, _BATCH)):
        texts = collection.documents.texts(batch)
        for document_id in batch:
            if document_id not in texts:
                raise BenchError(
                    f"The run {run!r} names document {document_id!r} for query {asked_by[document_id]!r}, which "
                    f"{collection.task.id} ({collection.source}) does not hold. Is it another corpus' run?"
                )
            yield document_id
            yield texts[document_id]


def _about(candidates: Run, judgements: Judgements, protocol: Protocol) -> Candidates:
    main = Measure.parse(protocol.measure)
    # The same as at the depth itself, which may be beyond what the measure library can count to.
    recall = Measure("R", max([1, *map(len, candidates.rankings.values())]))
    given = candidates.orders
    best = {key: by_judgement(ids, judgements.get(key, {})) for key, ids in given.items()}
    as_given = per_query(judgements, given, [main, recall])
    return Candidates(
        first_stage=mean(as_given[main]),
        ceiling=mean(per_query(judgements, best, [main])[main]),
        recall=mean(as_given[recall]),
    )
