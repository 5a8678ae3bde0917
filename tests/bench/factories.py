"""Results, collections and rerankers made by hand, for tests of what compares and verifies them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.collections.collection import Collection
from bench.collections.texts import hash_texts
from bench.evaluation.evaluate import evaluate
from bench.evaluation.prepare import prepare
from bench.protocol import Protocol
from bench.rerankers.base import CandidateList, Card, Options, Scored
from bench.results import Candidates, Cost, Cut, Result, write_result
from bench.run import Run
from bench.suites import find
from bench.task import Task


def figures_result(
    per_query: Mapping[str, float],
    task: str = "beir/toy",
    reranker: str = "model",
    family: str = "bi-encoder",
    **protocol: str | int,
) -> Result:
    """A result that has figures only; its run is the one that `keep` writes."""
    mean = sum(per_query.values()) / len(per_query)
    settled = Protocol(
        task=task, split="test", data=f"data of {task}", texts=f"texts of {task}", documents=9,
        queries=len(per_query), query_subset="all",
        first_stage="bm25",
        first_stage_sha256="11", depth=100, candidate_order="first stage", text_rule="text", identical_ids="kept",
        judgements="given", max_query_length=512, max_doc_length=2048, measure="nDCG@10", measure_library="pytrec_eval",
    )  # fmt: skip
    return Result(
        task=task,
        reranker=Card(reranker, f"fingerprint of {reranker}", family),
        protocol=replace(settled, **protocol),  # type: ignore[arg-type]
        measures={"nDCG@10": mean},
        per_query=dict(per_query),
        candidates=Candidates(mean, 1.0, 1.0),
        cut=Cut(),
        cost=Cost(1.0, 0.1, len(per_query), len(per_query), 0, 0, "cpu"),
        run_sha256=figures_run(per_query).sha256,
        provenance={"source": "made by hand"},
    )


def whole(result: Result) -> Result:
    """The same result as if it were over all queries that its task declares; its per-query figures stay few."""
    task = find(result.task)
    queries = task.counts.queries if task and task.counts else result.protocol.queries
    return replace(result, protocol=replace(result.protocol, queries=queries), cost=replace(result.cost, lists=queries))


def figures_run(per_query: Mapping[str, float]) -> Run:
    """Any run over these queries."""
    return Run("figures", {query_id: [("d1", 1.0)] for query_id in per_query})


def keep(output: Path, result: Result) -> Path:
    """Write a result that has figures only."""
    return write_result(result, figures_run(result.per_query), output)


class Texts(dict[str, str]):
    """Documents in memory."""

    def __iter__(self) -> Iterator[tuple[str, str]]:  # type: ignore[override]
        return iter(self.items())

    def texts(self, ids: Sequence[str]) -> dict[str, str]:
        return {document_id: self[document_id] for document_id in ids if document_id in self}

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Scripted:
    """A reranker whose order is written down: ``orders[query id]``, best first; the others follow as they came."""

    card: Card
    orders: Mapping[str, Sequence[str]]

    def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
        for candidates in lists:
            first = list(self.orders.get(candidates.query_id, ()))
            ranks = {document_id: rank for rank, document_id in enumerate(first)}
            yield Scored(candidates.query_id, tuple(-float(ranks.get(each, len(first))) for each in candidates.ids))


def toy_collection() -> Collection:
    """Two queries over twelve documents: q1 has d1 (grade 2) and d3 (grade 1), q2 has d2 and a judged d4 (grade 0)."""
    return Collection(
        task=Task("beir", "toy", join_title=False),
        queries={"q1": "first question", "q2": "second question"},
        judgements={"q1": {"d1": 2, "d3": 1}, "q2": {"d2": 1, "d4": 0}},
        documents=Texts({f"d{number}": f"text of document {number}" for number in range(1, 13)}),
        source="made by hand",
    )


def toy_first_stage() -> Run:
    """All twelve documents for both queries, d1 to d12."""
    ranking = [(f"d{number}", 13.0 - number) for number in range(1, 13)]
    return Run("bm25", {"q1": list(ranking), "q2": list(ranking)})


def measure(
    output: Path,
    orders: Mapping[str, Sequence[str]],
    reranker: str = "model",
    collection: Collection | None = None,
    depth: int = 11,
    queries: int | None = None,
    first_stage: Run | None = None,
) -> Path:
    """Measure a written-down order on the toy collection by the real pipeline; gives the result's path."""
    settled = prepare(collection or toy_collection(), first_stage or toy_first_stage(), depth, Options(), queries)
    card = Card(reranker, f"fingerprint of {reranker}", "own", needs=frozenset())
    result, run = evaluate(settled, Scripted(card, orders))
    return write_result(result, run, output)


class HeldDocuments:
    """Documents in memory; see `bench.collections.collection.Documents`."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        yield from self._texts.items()

    def texts(self, ids: Sequence[str]) -> dict[str, str]:
        return {document_id: self._texts[document_id] for document_id in ids if document_id in self._texts}

    def lacking(self, ids: Sequence[str]) -> list[str]:
        return [document_id for document_id in ids if document_id not in self._texts]

    def texts_hash(self) -> str:
        return hash_texts(self)

    def close(self) -> None:
        pass
