"""A dense first stage: every document's embedding against every query's, by any sentence-transformers model.

For tasks where words are blind, such as questions in one language over passages in another. The search is exact: all
documents are embedded block by block and the best of each query are kept, so memory does not grow with the corpus.
"""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from bench.collections.collection import Collection
from bench.console import Advance, note
from bench.errors import BenchError
from bench.rerankers import FAMILIES, ROWS, load
from bench.rerankers.base import Options
from bench.run import Ranking, Run

if TYPE_CHECKING:
    from bench.rerankers.bi_encoder import BiEncoder

_FAMILY = "bi-encoder"
_BLOCK = 256  # documents embedded at once, and between two calls of ``progress``


def dense_run(
    collection: Collection, model: str, depth: int, progress: Advance | None = None, options: Options | None = None
) -> Run:
    """Rank the corpus for every query by the cosine of their embeddings; equal cosines keep the corpus' order.

    Args:
        collection: The task's queries and documents.
        model: A bi-encoder row such as ``minilm``, or the hub id or folder of a sentence-transformers model.
        depth: Documents kept for each query.
        progress: Called with the number of documents embedded since its last call.
        options: On what device and in what precision the model runs; texts are cut by its own window alone.

    Raises:
        BenchError: where the model cannot be loaded, is no bi-encoder, or gives an embedding that is not a number or
            nothing but zeros.
    """
    encoder = _encoder(model, options or Options())
    zeros = 0
    query_ids = list(collection.queries)
    task = collection.task.id
    queries = _embedded(encoder, "query", list(collection.queries.items()), task)  # (queries, dimensions)
    _check_zeros(encoder, "queries", _zeros(queries), len(query_ids))
    # One more than asked: the query's own document may be among them, and is dropped before the cut.
    kept = depth + 1 if collection.task.drop_identical_ids else depth
    ids: list[str] = []
    best, places = np.empty((len(query_ids), 0), np.float32), np.empty((len(query_ids), 0), np.int64)
    for block in _blocks(iter(collection.documents)):
        documents = _embedded(encoder, "document", block, task)  # (block, dimensions)
        zeros += _zeros(documents)
        numbers = np.broadcast_to(np.arange(len(ids), len(ids) + len(block)), (len(query_ids), len(block)))
        cosines = _cosines(queries, documents)
        best, places = _keep(np.hstack([best, cosines]), np.hstack([places, numbers]), kept)
        ids += [document_id for document_id, _ in block]
        if progress:
            progress(len(block))
    _check_zeros(encoder, "documents", zeros, len(ids))
    drop = collection.task.drop_identical_ids
    rankings: dict[str, Ranking] = {}
    for row, query_id in enumerate(query_ids):
        ranking = [(ids[place], score) for place, score in zip(places[row].tolist(), best[row].tolist(), strict=True)]
        rankings[query_id] = [pair for pair in ranking if not (drop and pair[0] == query_id)][:depth]
    name = encoder.card.name.removeprefix(f"{_FAMILY}:").replace("/", "_")
    return Run("_".join(f"dense:{name}".split()), rankings)


def _embedded(encoder: "BiEncoder", kind: str, texts: list[tuple[str, str]], task: str) -> NDArray[np.float32]:
    """Embed a task's queries or documents, given with their ids.

    Raises:
        BenchError: for an embedding that is not finite, which has no place in an order.
    """
    vectors = encoder.embed([text for _, text in texts], kind == "query", task)
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        name = texts[int(np.argmin(finite))][0]
        raise BenchError(
            f"{encoder.card.name} gave {kind} {name!r} an embedding that is not a finite number. "
            "Check its weights; in half precision try '--dtype float32'."
        )
    return vectors


def _zeros(vectors: NDArray[np.float32]) -> int:
    """How many embeddings have no direction."""
    return int((~vectors.any(axis=1)).sum())


def _check_zeros(encoder: "BiEncoder", kind: str, zeros: int, count: int) -> None:
    """Say that some embeddings are zero, which make every cosine 0 and leave the corpus' order.

    Raises:
        BenchError: where all are, so that the order is not the model's at all.
    """
    if zeros and zeros == count:
        raise BenchError(f"{encoder.card.name} gave all {count:,} {kind} an embedding of zeros. Check its weights.")
    if zeros:
        note(
            f"Note: {encoder.card.name} gave {zeros:,} of {count:,} {kind} an embedding of zeros. Their cosines are 0, "
            "and equal cosines keep the corpus' order."
        )


def _encoder(model: str, options: Options) -> "BiEncoder":
    """Load a row or any other model; another family's is refused before its weights are fetched."""
    named = model.partition(":")[0]
    family = ROWS[model].family if model in ROWS else named if named in FAMILIES else _FAMILY
    if family != _FAMILY:
        raise BenchError(
            f"dense:{model} is no dense first stage: {model} is of the family {family}, not a bi-encoder. Take a row "
            "such as minilm, or the hub id or folder of a sentence-transformers model."
        )
    return cast("BiEncoder", load(model if model in ROWS or named == _FAMILY else f"{_FAMILY}:{model}", options))


def _cosines(queries: NDArray[np.float32], documents: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosines, shape (queries, documents).

    Summed in float64 and rounded, since a sum's last bits depend on a document's position in the block: equal texts
    must have equal scores.
    """
    return (queries.astype(np.float64) @ documents.T.astype(np.float64)).astype(np.float32)


def _keep(
    scores: NDArray[np.float32], places: NDArray[np.int64], kept: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The best columns of each row, shape (queries, kept); a stable sort keeps the corpus' order among equals."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :kept]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(places, order, axis=1)


def _blocks(documents: Iterator[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    while block := list(islice(documents, _BLOCK)):
        yield block
