"""Dividing a long list into blocks, one prompt each, and merging their embeddings into one score per document.

Both rules are those of the published `rerank()` of jina-reranker-v3: a block is full at 125 documents, or when the rest
of the tokenizer's capacity is no more than one document's cap. The tokens of the template are not counted.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

MAX_DOCUMENTS = 125


def block_sizes(
    lengths: Sequence[int], query_length: int, max_doc_length: int, capacity: int, max_documents: int = MAX_DOCUMENTS
) -> list[int]:
    """How many documents each block has, in the list's order.

    Args:
        lengths: tokens of each document, after its cap.
        query_length: tokens of the query, after its cap; the query is in the prompt twice.
        max_doc_length: the cap on a document, in tokens.
        capacity: tokens that a prompt may hold (the tokenizer's `model_max_length`).
        max_documents: documents that a block may hold; another number than the published 125 gives other scores.

    Returns:
        The sizes: each at least 1 and at most `max_documents`, with the number of documents as their sum.
    """
    sizes: list[int] = []
    count, left = 0, capacity - 2 * query_length
    for length in lengths:
        count, left = count + 1, left - length
        if count == max_documents or left <= max_doc_length:
            sizes.append(count)
            count, left = 0, capacity - 2 * query_length
    return [*sizes, count] if count else sizes


def merge(queries: Tensor, documents: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The query embedding and scores of a whole list from the embeddings of its blocks.

    The query embeddings of the blocks are averaged, each weighted by its similarity to the block's best document; every
    document is then compared with this mean.

    Args:
        queries: one raw query embedding per block, float32 [blocks, width].
        documents: the documents' raw embeddings of each block, float32 [documents of the block, width].

    Returns:
        The merged query embedding, float32 [width], and each document's cosine with it, float32 [documents], in the
        list's order.
    """
    best = [cosine_similarity(query, block, dim=-1).max() for query, block in zip(queries, documents, strict=True)]
    weights = (1 + torch.stack(best)) / 2
    query = (weights[:, None] * queries).sum(0) / weights.sum()
    return query, cosine_similarity(query, torch.cat(list(documents)), dim=-1)
