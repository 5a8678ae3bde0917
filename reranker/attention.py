"""Causal self-attention within each of some packed lists, optionally limited to a sliding window of w positions.

Float32 inference on a CPU uses an online softmax, tile by tile (`reranker.cpu`); all else uses torch's own kernels.

Shapes: T tokens of all lists, n of one list, m queries among them, A attention heads, K key heads (A is a multiple of
K: grouped-query attention), D width of a head. R = m A / K rows are the queries that share a key head; k keys are one
block of a list's keys.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import reduce

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from reranker.cpu import STEP, for_each, is_fast, padded, parallel, product

# Keys in one block of the online softmax: a multiple of `STEP`.
_BLOCK = 2048

# Tokens of a list up to which a GPU uses flash attention. By itself torch takes cuDNN's kernel in 16-bit precision on
# Hopper, and cuDNN plans for some 50 ms whenever it meets a new length, longer than such a list takes to score
# (`results/speed.md`).
_SHORT = 4096

# One block of attention: unnormalised output [R, D], normaliser [R, 1], row maximum [R, 1].
Block = tuple[Tensor, Tensor, Tensor]


def spans(lengths: Sequence[int]) -> Iterator[slice]:
    """The positions of each list in the packed row."""
    start = 0
    for length in lengths:
        yield slice(start, start + length)
        start += length


def torch_kernels(device: torch.device, lengths: Sequence[int]) -> AbstractContextManager[None]:
    """The context in which torch's attention kernels suit lists of these lengths."""
    if device.type != "cuda" or max(lengths, default=0) > _SHORT:
        return nullcontext()
    return sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH])


def causal_attention(
    query: Tensor, key: Tensor, value: Tensor, lengths: Sequence[int], scale: float, window: int | None
) -> Tensor:
    """Attention of every position: [T, A, D], [K, T, D], [K, T, D] to [T, A, D]."""
    output = torch.empty_like(query)

    def attend(tile: tuple[slice, slice]) -> None:
        span, rows = tile
        output[span][rows] = _online_softmax(query[span][rows], key[:, span], value[:, span], rows, scale, window)

    if is_fast(query):
        # Of each list the tiles with the most keys first, so that no thread is left with a long one at the end.
        tiles = [(span, rows) for span in spans(lengths) for rows in reversed(_tiles(span.stop - span.start, STEP))]
        parallel(attend, tiles)
    else:
        for span in spans(lengths):
            output[span] = _by_torch(query[span], key[:, span], value[:, span], scale, window)
    return output


def attention_at(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lengths: Sequence[int],
    positions: Sequence[Tensor],
    scale: float,
    window: int | None,
) -> Tensor:
    """Attention of some queries of each list, at these positions in it: [M, A, D], [K, T, D], [K, T, D] to [M, A, D].

    M is the number of queries of all lists.
    """
    output = torch.empty_like(query)

    def attend(of_list: tuple[slice, slice, Tensor]) -> None:
        rows, span, places = of_list
        output[rows] = _some_by_torch(query[rows], key[:, span], value[:, span], places, scale, window)

    for_each(attend, zip(spans([len(each) for each in positions]), spans(lengths), positions, strict=True), query)
    return output


def _some_by_torch(
    query: Tensor, key: Tensor, value: Tensor, positions: Tensor, scale: float, window: int | None
) -> Tensor:
    """Attention of some queries of one list, at these positions [m]: [m, A, D], [K, n, D], [K, n, D] to [m, A, D].

    Queries that share a key head are rows of it, so neither copied keys nor a kernel for grouped heads are needed.
    """
    query_rows, positions = _group_by_key_head(query, positions, len(key))
    mask = _causal_mask(positions, torch.arange(key.shape[1], device=key.device), window)
    output = scaled_dot_product_attention(query_rows[None], key[None], value[None], mask, scale=scale)[0]
    return _ungroup(output, len(query))


def _by_torch(query: Tensor, key: Tensor, value: Tensor, scale: float, window: int | None) -> Tensor:
    """Attention of one list by torch's kernels: [n, A, D], [K, n, D], [K, n, D] to [n, A, D]."""
    if window is None or len(query) <= window:
        return _full_by_torch(query, key, value, scale)
    # Of a tile as long as the window, only two windows of keys are visible.
    outputs = []
    for rows in _tiles(len(query), window):
        keys = slice(max(rows.start - window + 1, 0), rows.stop)
        positions = torch.arange(rows.start - keys.start, rows.stop - keys.start, device=query.device)
        outputs.append(_some_by_torch(query[rows], key[:, keys], value[:, keys], positions, scale, window))
    return torch.cat(outputs)


def _full_by_torch(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """The same without a window."""
    query, key, value = query.transpose(0, 1)[None], key[None], value[None]  # [1, heads, n, D]
    if query.is_cuda and query.dtype == torch.float32:
        # Here torch's only kernel for grouped heads would hold the whole n x n matrix.
        key, value = (states.repeat_interleave(query.shape[1] // key.shape[1], dim=1) for states in (key, value))
    output = scaled_dot_product_attention(query, key, value, is_causal=True, scale=scale, enable_gqa=True)
    return output[0].transpose(0, 1)


def _tiles(length: int, size: int) -> list[slice]:
    """The queries of a list in tiles of `size`."""
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]


def _group_by_key_head(query: Tensor, positions: Tensor, key_heads: int) -> tuple[Tensor, Tensor]:
    """Queries [m, A, D] as rows of the key head that they share [K, R, D], and the rows' positions [R]."""
    rows = query.view(len(query), key_heads, -1, query.shape[-1]).transpose(0, 1).flatten(1, 2)
    return rows, positions.repeat_interleave(query.shape[1] // key_heads)


def _ungroup(rows: Tensor, queries: int) -> Tensor:
    """The inverse: [K, R, D] to [m, A, D]."""
    return rows.view(len(rows), queries, -1, rows.shape[-1]).transpose(0, 1).flatten(1, 2)


def _causal_mask(query_positions: Tensor, key_positions: Tensor, window: int | None) -> Tensor:
    """Visibility mask [m, n]: True where query i may attend to key j."""
    mask = key_positions <= query_positions[:, None]
    return mask if window is None else mask & (key_positions > query_positions[:, None] - window)


def _online_softmax(query: Tensor, key: Tensor, value: Tensor, rows: slice, scale: float, window: int | None) -> Tensor:
    """Attention of a tile of queries, at positions `rows` of a list: [m, A, D], [K, n, D], [K, n, D] to [m, A, D]."""
    query_rows, positions = _group_by_key_head(query, torch.arange(rows.start, rows.stop), len(key))
    masked_blocks = _key_blocks(rows, positions, window)
    # Weights are powers of two, which torch computes in a fifth of the time of powers of e.
    query_rows = query_rows * (scale * math.log2(math.e))
    outputs = []
    for head in range(len(key)):
        blocks = (
            _attend_block(query_rows[head], padded(key[head, keys]), padded(value[head, keys]), hidden)
            for keys, hidden in masked_blocks
        )
        output, normaliser, _ = reduce(_merge, blocks)
        outputs.append(output.div_(normaliser))
    return _ungroup(torch.stack(outputs), len(query))


def _key_blocks(rows: slice, positions: Tensor, window: int | None) -> list[tuple[slice, Tensor | None]]:
    """The keys visible to a tile of queries in blocks, each with a mask of its last columns: True where hidden."""
    first, all_visible = 0, rows.start  # without a window, every query attends to all keys before its tile
    if window is not None:
        first, all_visible = max(rows.start - window + 1, 0) // STEP * STEP, 0

    def hidden(keys: slice) -> Tensor | None:
        if keys.stop <= all_visible:
            return None
        columns = torch.arange(max(keys.start, all_visible), keys.stop + -keys.stop % STEP)  # as `padded` makes them
        return ~_causal_mask(positions, columns, window)

    blocks = [slice(start, min(start + _BLOCK, rows.stop)) for start in range(first, rows.stop, _BLOCK)]
    return [(keys, hidden(keys)) for keys in blocks]


def _attend_block(query: Tensor, key: Tensor, value: Tensor, hidden: Tensor | None) -> Block:
    """One block of online-softmax attention: [R, D], [k, D], [k, D], and the mask of the last of the keys."""
    weights = product(query, key)  # [R, k], logits to the base of two
    if hidden is not None:
        weights[:, -hidden.shape[1] :].masked_fill_(hidden, -math.inf)
    maximum = weights.amax(1, keepdim=True)
    maximum.clamp_(min=torch.finfo(weights.dtype).min)  # finite also in a row whose keys are all hidden
    weights.sub_(maximum).exp2_()
    return product(weights, value.t()), weights.sum(1, keepdim=True), maximum


def _merge(left: Block, right: Block) -> Block:
    """Two blocks as one, rescaled to the greater row maximum."""
    maximum = torch.maximum(left[2], right[2])
    left_scale, right_scale = (left[2] - maximum).exp2_(), (right[2] - maximum).exp2_()
    return left[0] * left_scale + right[0] * right_scale, left[1] * left_scale + right[1] * right_scale, maximum
