"""Attention within one list: a position sees itself and those before it, with a window of w only the last w of these.

On a CPU it is made of oneDNN's products, block by block; elsewhere by torch's own kernels.

Shapes: n positions, m queries among them, A attention heads, K key heads, D width of a head.
"""

import math
from functools import reduce

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from reranker.cpu import STEP, filled, product
from reranker.workers import in_pieces

# Keys that a block of queries meets at once, by products: a multiple of `STEP`.
_KEYS = 2048

# What queries take from some keys: the weighted values [R, D], the weights' sum [R, 1], and the logarithm (to the base
# of two) of what a weight of one stands for [R, 1].
Met = tuple[Tensor, Tensor, Tensor]


def pieces(length: int, query: Tensor, window: int | None) -> list[slice]:
    """The positions of a list of `length` tokens that `causal` is to be called with, the costliest first."""
    size = STEP if in_pieces(query) else length if window is None else window
    return [slice(start, min(start + size, length)) for start in range(0, length, size)][::-1]


def causal(query: Tensor, key: Tensor, value: Tensor, own: slice, scale: float, window: int | None) -> Tensor:
    """The positions `own` of a list, one of its `pieces`: [m, A, D], [K, n, D], [K, n, D] to [m, A, D]."""
    if in_pieces(query):
        return _by_products(query, key, value, own, scale, window)
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

    Query heads that share a key head being rows of it, this needs neither copied keys nor a kernel for grouped heads.
    """
    rows, places = _by_key_head(query, places, len(key))
    seen = _seen(places, torch.arange(key.shape[1], device=key.device), window)
    heard = scaled_dot_product_attention(rows[None], key[None], value[None], seen, scale=scale)[0]
    return _by_query(heard, len(query))


def _by_key_head(query: Tensor, places: Tensor, heads: int) -> tuple[Tensor, Tensor]:
    """The query heads that share a key head as rows of it, and the rows' places: [K, R, D] and [R], R = m A / K."""
    rows = query.view(len(query), heads, -1, query.shape[-1]).transpose(0, 1).flatten(1, 2)
    return rows, places.repeat_interleave(query.shape[1] // heads)


def _by_query(rows: Tensor, queries: int) -> Tensor:
    """The way back: [K, R, D] to [m, A, D]."""
    return rows.view(len(rows), queries, -1, rows.shape[-1]).transpose(0, 1).flatten(1, 2)


def _seen(places: Tensor, keys: Tensor, window: int | None) -> Tensor:
    """Which keys, given by their positions, are seen from which places: [m], [n] to [m, n]."""
    seen = keys <= places[:, None]
    return seen if window is None else seen & (keys > places[:, None] - window)


def _by_products(query: Tensor, key: Tensor, value: Tensor, own: slice, scale: float, window: int | None) -> Tensor:
    """What `causal` gives, by oneDNN's products."""
    rows, places = _by_key_head(query, torch.arange(own.start, own.stop), len(key))
    spans = _spans_of_keys(own, places, window)
    # Weights are powers of two, which torch computes in a fifth of the time of powers of e.
    rows = rows * (scale * math.log2(math.e))
    heard = []
    for head in range(len(key)):
        met = (_meet(rows[head], filled(key[head, span]), filled(value[head, span]), mask) for span, mask in spans)
        gathered, total, _ = reduce(_join, met)
        heard.append(gathered.div_(total))
    return _by_query(torch.stack(heard), len(query))


def _spans_of_keys(own: slice, places: Tensor, window: int | None) -> list[tuple[slice, Tensor | None]]:
    """The keys that a block of queries meets, `_KEYS` at a time, each with the mask of its last columns [R, k]."""
    first, sure = 0, own.start  # all see the keys before the block itself
    if window is not None:
        first, sure = max(own.start - window + 1, 0) // STEP * STEP, 0

    def mask(span: slice) -> Tensor | None:
        if span.stop <= sure:
            return None
        keys = torch.arange(max(span.start, sure), span.stop + -span.stop % STEP)
        return ~_seen(places, keys, window)

    spans = [slice(start, min(start + _KEYS, own.stop)) for start in range(first, own.stop, _KEYS)]
    return [(span, mask(span)) for span in spans]


def _meet(query: Tensor, key: Tensor, value: Tensor, unseen: Tensor | None) -> Met:
    """What queries [R, D] take from some keys and their values [k, D]; the mask covers the last of the keys."""
    weights = product(query, key)  # [R, k]
    if unseen is not None:
        weights[:, -unseen.shape[1] :].masked_fill_(unseen, -math.inf)
    greatest = weights.amax(1, keepdim=True).clamp_(min=torch.finfo(weights.dtype).min)  # finite where nothing is seen
    weights.sub_(greatest).exp2_()
    return product(weights, value.t()), weights.sum(1, keepdim=True), greatest


def _join(one: Met, other: Met) -> Met:
    """What is taken from both, on the scale of the greater weight."""
    greatest = torch.maximum(one[2], other[2])
    share, rest = (one[2] - greatest).exp2_(), (other[2] - greatest).exp2_()
    return one[0] * share + other[0] * rest, one[1] * share + other[1] * rest, greatest
