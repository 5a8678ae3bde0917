"""Attention within one list: a position sees itself and those before it, with a window of w only the last w of these.

On a CPU it is made of oneDNN's products, block by block; elsewhere by torch's own kernels.

Shapes: n positions, m queries among them, A attention heads, K key heads, D width of a head.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from reranker.products import STEP, filled, product
from reranker.workers import in_pieces

# Keys that a block of queries meets at once, by products: a multiple of `STEP`.
_KEYS = 2048


def blocks(length: int, query: Tensor, window: int | None) -> list[slice]:
    """The positions of a list of `length` tokens that `causal` is to be called with, the costliest first."""
    size = STEP if in_pieces(query) else length if window is None else window
    return [slice(start, min(start + size, length)) for start in range(0, length, size)][::-1]


def causal(query: Tensor, key: Tensor, value: Tensor, own: slice, scale: float, window: int | None) -> Tensor:
    """The positions `own` of a list, one of its `blocks`: [m, A, D], [K, n, D], [K, n, D] to [m, A, D]."""
    if in_pieces(query):
        groups = query.shape[1] // len(key)
        heads = zip(torch.split(query, groups, dim=1), key, value, strict=True)
        return torch.cat([_by_products(*head, own, scale, window) for head in heads], dim=1)
    if window is not None and key.shape[1] > window:
        first = max(own.start - window + 1, 0)
        places = torch.arange(own.start - first, own.stop - first, device=query.device)
        return masked(query, key[:, first : own.stop], value[:, first : own.stop], places, scale, window)
    query, key, value = query.transpose(0, 1)[None], key[None], value[None]  # [1, heads, n, D]
    if query.is_cuda and query.dtype == torch.float32:
        # Here torch's only kernel for grouped heads would hold the whole n x n matrix.
        key, value = (states.repeat_interleave(query.shape[1] // key.shape[1], dim=1) for states in (key, value))
    heard = scaled_dot_product_attention(query, key, value, is_causal=True, scale=scale, enable_gqa=True)
    return heard[0].transpose(0, 1)


def masked(query: Tensor, key: Tensor, value: Tensor, places: Tensor, scale: float, window: int | None) -> Tensor:
    """The queries that stand at `places` among the keys: [m, A, D], [K, n, D], [K, n, D] to [m, A, D].

    The A / K query heads that share a key head are laid under one another as further rows of it, which needs neither
    copied keys nor a kernel that knows grouped heads.
    """
    groups = query.shape[1] // len(key)
    seen = _seen(places, torch.arange(key.shape[1], device=key.device), window)
    grouped = query.view(len(query), -1, groups, query.shape[-1])  # [m, K, A / K, D]
    rows = grouped.permute(1, 2, 0, 3).flatten(1, 2)  # [K, A / K * m, D]
    heard = scaled_dot_product_attention(rows[None], key[None], value[None], seen.repeat(groups, 1), scale=scale)
    return heard.view(-1, groups, len(query), query.shape[-1]).permute(2, 0, 1, 3).flatten(1, 2)


def _seen(places: Tensor, keys: Tensor, window: int | None) -> Tensor:
    """Which keys, given by their positions, are seen from which places: [m], [n] to [m, n]."""
    seen = keys <= places[:, None]
    return seen if window is None else seen & (keys > places[:, None] - window)


def _by_products(query: Tensor, key: Tensor, value: Tensor, own: slice, scale: float, window: int | None) -> Tensor:
    """One key head and the query heads that share it: [m, A / K, D], [n, D], [n, D] to [m, A / K, D].

    The keys come in blocks, from the last to the first, so that every query sees a key of the first one it meets. What
    was gathered is scaled down whenever a greater weight turns up. Weights are powers of two, which torch computes in a
    fifth of the time of powers of e.
    """
    groups = query.shape[1]
    rows = query.flatten(0, 1) * (scale * math.log2(math.e))  # [R, D]
    places = torch.arange(own.start, own.stop).repeat_interleave(groups)  # [R]
    top, total, heard = rows.new_full((len(rows), 1), -math.inf), rows.new_zeros(len(rows), 1), torch.zeros_like(rows)
    # Without a window the keys before the block itself need no mask; with one, those before the window are left out.
    seen_by_all, first = (own.start, 0) if window is None else (0, max(own.start - window + 1, 0) // STEP * STEP)
    for start in range(first, own.stop, _KEYS)[::-1]:
        span = slice(start, min(start + _KEYS, own.stop))
        weights = product(rows, filled(key[span]))  # [R, k]
        if span.stop > seen_by_all:
            keys = torch.arange(max(start, seen_by_all), start + weights.shape[1])
            weights[:, -len(keys) :].masked_fill_(~_seen(places, keys, window), -math.inf)
        greatest = torch.maximum(top, weights.amax(1, keepdim=True))
        weights.sub_(greatest).exp2_()
        kept, top = (top - greatest).exp2_(), greatest
        total.mul_(kept).add_(weights.sum(1, keepdim=True))
        heard.mul_(kept).add_(product(weights, filled(value[span]).t()))
    return heard.div_(total).view_as(query)
