"""A dense first stage: every document's embedding against every query's, by any sentence-transformers model.

For tasks where words are blind, such as questions in one language over passages in another. The search is exact: the
best documents are found block by block, without an approximate index. The embeddings of a large corpus are stored in
the cache folder in half precision, where a killed command resumes and the next one finds them.
"""

import gc
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from contextvars import ContextVar
from itertools import islice
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from bench.collections.collection import Collection
from bench.console import Advance, note
from bench.errors import BenchError
from bench.files import cache_folder
from bench.first_stage.search import Best
from bench.first_stage.vectors import Store
from bench.lock import locked
from bench.protocol import digest
from bench.rerankers import FAMILIES, ROWS, load
from bench.rerankers.base import Card, Options
from bench.run import Ranking, Run

if TYPE_CHECKING:
    from bench.rerankers.bi_encoder import BiEncoder

_FAMILY = "bi-encoder"
_BLOCK = 1024  # documents embedded and stored at once, and between two calls of ``progress``
_STORED = 10_000  # embeddings of fewer documents stay in memory, in full precision
_CELLS = 1 << 25  # cosines held at once
_LAYOUT = "embeddings 1"

Matrix = NDArray[np.float32] | NDArray[np.float16]
Block = list[tuple[str, str]]
EmbedAll = Callable[[Iterator[Block]], Generator[tuple[Block, NDArray[np.float32]]]]
"""Embeds blocks of documents: gives each, in their order, with embeddings of shape (documents, dimensions)."""
Spread = Callable[[str, Card, Options, str], EmbedAll | None]
"""From a bi-encoder's name, its card, the options and a task's id to the workers who embed; None for this process."""

_LOADED: ContextVar["dict[tuple[str, Options], BiEncoder] | None"] = ContextVar("loaded encoders", default=None)


def dense_run(
    collection: Collection,
    model: str,
    depth: int,
    progress: Advance | None = None,
    options: Options | None = None,
    spread: Spread | None = None,
) -> Run:
    """Rank the corpus for every query by the cosine of their embeddings; equal cosines keep the corpus' order.

    Args:
        collection: The task's queries and documents.
        model: A bi-encoder row such as ``minilm``, or the hub id or folder of a sentence-transformers model.
        depth: Documents kept for each query.
        progress: Called with the number of documents embedded since its last call.
        options: On what device and in what precision the model runs; texts are cut by its own window alone.
        spread: Whom a large corpus is spread over to be embedded, if not this process alone. The run is the same.

    Raises:
        BenchError: where the model cannot be loaded, is no bi-encoder, or gives an embedding that is not a number or
            nothing but zeros; or where the embeddings cannot be stored.
    """
    options = options or Options()
    encoder = _encoder(model, options)
    query_ids = list(collection.queries)
    queries = _embedded(encoder, "query", list(collection.queries.items()), collection.task.id)  # (queries, dimensions)
    _check_zeros(encoder, "queries", _zeros(queries), len(query_ids))
    if len(collection.documents) >= _STORED:
        embed = _embed_all(collection, encoder, model, options, spread)
        matrix: Matrix = _stored(collection, encoder, embed, queries.shape[1], progress)
    else:
        matrix = _held(collection, encoder, queries.shape[1], progress)
    # One more than asked: the query's own document may be among them, and is dropped before the cut.
    drop = collection.task.drop_identical_ids
    places, cosines = _search(encoder, queries, matrix, depth + 1 if drop else depth)
    ids = _ids(collection, places)
    rankings: dict[str, Ranking] = {}
    for row, query_id in enumerate(query_ids):
        ranking = [
            (ids[place], score) for place, score in zip(places[row].tolist(), cosines[row].tolist(), strict=True)
        ]
        rankings[query_id] = [pair for pair in ranking if not (drop and pair[0] == query_id)][:depth]
    name = encoder.card.name.removeprefix(f"{_FAMILY}:").replace("/", "_")
    return Run("_".join(f"dense:{name}".split()), rankings)


def _held(collection: Collection, encoder: "BiEncoder", dimensions: int, progress: Advance | None) -> Matrix:
    """The documents' embeddings in memory, shape (documents, dimensions)."""
    found = [np.empty((0, dimensions), np.float32)]
    for block in _blocks(iter(collection.documents)):
        found.append(_embedded(encoder, "document", block, collection.task.id))
        if progress:
            progress(len(block))
    return np.concatenate(found)


def _stored(
    collection: Collection, encoder: "BiEncoder", embed: EmbedAll, dimensions: int, progress: Advance | None
) -> Matrix:
    """The documents' embeddings on disk, shape (documents, dimensions); those that an earlier command stored stay."""
    task, count = collection.task, len(collection.documents)
    made = digest([_LAYOUT, collection.documents.texts_hash(), encoder.card.fingerprint, encoder.variant(task.id)])
    folder = cache_folder() / "embeddings" / task.suite / f"{task.name}-{made}"
    with locked(folder):
        store = Store(folder, dimensions)
        store.tell(task.id, encoder.card.name, count)
        store.check_room(count)
        if progress and store.rows:
            progress(store.rows, restored=True)
        with closing(embed(_blocks(islice(collection.documents, store.rows, None)))) as found:
            for block, vectors in found:
                store.append(_finite(encoder, "document", block, vectors))
                if progress:
                    progress(len(vectors))
    return store.matrix()


def _embed_all(
    collection: Collection, encoder: "BiEncoder", model: str, options: Options, spread: Spread | None
) -> EmbedAll:
    """How blocks of documents are embedded: by workers, or in this process."""
    task = collection.task.id
    by_workers = spread(_name(model), encoder.card, options, task) if spread else None
    return by_workers or (lambda blocks: ((block, encoder.embed(_texts(block), False, task)) for block in blocks))


def _search(
    encoder: "BiEncoder", queries: NDArray[np.float32], matrix: Matrix, kept: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The best documents' places in the corpus and their cosines, each of shape (queries, kept), best first."""
    best, zeros = Best(len(queries), kept), 0
    step = max(1, _CELLS // max(1, len(queries)))
    for start in range(0, len(matrix), step):
        block = matrix[start : start + step].astype(np.float32)
        zeros += _zeros(block)
        best.add(_cosines(queries, block), start)
    _check_zeros(encoder, "documents", zeros, len(matrix))
    return best.places(), best.scores()


def _ids(collection: Collection, places: NDArray[np.int64]) -> dict[int, str]:
    """The ids of the documents at some places of the corpus, by place; a large corpus' ids would fill the memory."""
    wanted = set(np.unique(places).tolist())
    return {place: document_id for place, (document_id, _) in enumerate(collection.documents) if place in wanted}


def _embedded(encoder: "BiEncoder", kind: str, texts: Block, task: str) -> NDArray[np.float32]:
    """Embed a task's queries or documents, given with their ids.

    Raises:
        BenchError: as `_finite`.
    """
    return _finite(encoder, kind, texts, encoder.embed(_texts(texts), kind == "query", task))


def _texts(block: Block) -> list[str]:
    return [text for _, text in block]


def _finite(encoder: "BiEncoder", kind: str, texts: Block, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The embeddings of queries or documents.

    Raises:
        BenchError: one is not finite, which has no place in an order.
    """
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


@contextmanager
def one_encoder() -> Iterator[None]:
    """Until the context ends, load a model once for all tasks; its memory is free again afterwards.

    Outside of it, every call of `dense_run` loads its model.
    """
    loaded: dict[tuple[str, Options], BiEncoder] = {}
    token = _LOADED.set(loaded)
    try:
        yield
    finally:
        _LOADED.reset(token)
        if loaded:
            loaded.clear()
            gc.collect()


def _encoder(model: str, options: Options) -> "BiEncoder":
    """The model, loaded unless the context of `one_encoder` has it."""
    loaded = _LOADED.get()
    if loaded is None:
        return _load(model, options)
    if (model, options) not in loaded:
        loaded[model, options] = _load(model, options)
    return loaded[model, options]


def _load(model: str, options: Options) -> "BiEncoder":
    """Load a row or any other model."""
    return cast("BiEncoder", load(_name(model), options))


def _name(model: str) -> str:
    """The model's name as a reranker; another family's is refused before its weights are fetched."""
    named = model.partition(":")[0]
    family = ROWS[model].family if model in ROWS else named if named in FAMILIES else _FAMILY
    if family != _FAMILY:
        raise BenchError(
            f"dense:{model} is no dense first stage: {model} is of the family {family}, not a bi-encoder. Take a row "
            "such as minilm, or the hub id or folder of a sentence-transformers model."
        )
    return model if model in ROWS or named == _FAMILY else f"{_FAMILY}:{model}"


def _cosines(queries: NDArray[np.float32], documents: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosines, shape (queries, documents).

    Summed in float64 and rounded, since a sum's last bits depend on a document's position in the block: equal texts
    must have equal scores.
    """
    return (queries.astype(np.float64) @ documents.T.astype(np.float64)).astype(np.float32)


def _blocks(documents: Iterator[tuple[str, str]]) -> Iterator[Block]:
    while block := list(islice(documents, _BLOCK)):
        yield block
