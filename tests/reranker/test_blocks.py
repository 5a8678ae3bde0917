"""Cutting a list into blocks, and merging what the blocks answer."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reranker.blocks import MAX_DOCUMENTS, block_sizes, merge


@given(
    lengths=st.lists(st.integers(0, 60), max_size=400),
    query_length=st.integers(0, 20),
    max_doc_length=st.integers(1, 60),
    capacity=st.integers(50, 1000),
)
def test_every_block_is_closed_exactly_when_it_is_full(
    lengths: list[int], query_length: int, max_doc_length: int, capacity: int
) -> None:
    sizes = block_sizes(lengths, query_length, max_doc_length, capacity)
    assert sum(sizes) == len(lengths)
    start = 0
    for number, size in enumerate(sizes):
        block = lengths[start : start + size]
        left = [capacity - 2 * query_length - sum(block[:count]) for count in range(1, size + 1)]
        assert all(room > max_doc_length for room in left[:-1])
        assert 1 <= size <= MAX_DOCUMENTS
        full = size == MAX_DOCUMENTS or left[-1] <= max_doc_length
        assert full or number == len(sizes) - 1
        start += size


def test_an_empty_list_has_no_blocks() -> None:
    assert block_sizes([], 3, 2048, 131072) == []


def test_merge_by_hand() -> None:
    # Block 1: the query (1, 0) meets its best document (3, 0) at cosine 1, so it weighs (1 + 1) / 2 = 1.
    # Block 2: the query (0, 1) meets its only document (3, 4) at cosine .8, so it weighs .9.
    # The merged query lies along (1, .9), of length 1.345362.
    queries = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    documents = [torch.tensor([[3.0, 0.0], [0.0, 2.0]]), torch.tensor([[3.0, 4.0]])]
    query, scores = merge(queries, documents)
    assert scores.tolist() == pytest.approx([0.743294, 0.668965, 0.981148], abs=1e-6)
    assert query.tolist() == pytest.approx([1 / 1.9, 0.9 / 1.9])


def test_query_embeddings_are_averaged_as_they_are_not_normalised() -> None:
    # Weights 1 and .5 as cosines are 1 and 0; (1, 0) * 1 + (0, 4) * .5 lies along (1, 2).
    queries = torch.tensor([[1.0, 0.0], [0.0, 4.0]])
    documents = [torch.tensor([[1.0, 0.0]]), torch.tensor([[5.0, 0.0]])]
    assert merge(queries, documents)[1].tolist() == pytest.approx([5**-0.5, 5**-0.5])


def test_a_smaller_block_is_as_good_as_a_full_one():
    assert block_sizes([1] * 7, 3, 2048, 131072, max_documents=3) == [3, 3, 1]
