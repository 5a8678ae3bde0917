"""The model: token ids go in, one embedding comes out at each marker, and a score is the cosine of two of them.

This is "last but not late interaction" (jina-reranker-v3, arXiv 2509.25085, section 3): a causal language model reads
the query and all documents of a list in one pass, so each document is read in sight of those before it; the last hidden
state at each document's marker, and at the query's marker, goes through a small projector.

The layers' weights are those of a transformers backbone; the arithmetic is ours, because it can leave out what nobody
reads: the last layer is computed at the markers alone. Several lists share a pass without seeing each other: they lie
one after another in one row of tokens, each with positions from zero and attention of its own.

Shapes: T tokens in the pass, M markers, R rows of a chunk, H hidden, A attention heads, K key heads, D width of a head,
E width of an embedding.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from reranker.attention import causal, masked, pieces
from reranker.cpu import STEP, linear
from reranker.workers import each, in_pieces

# Rows of tokens that go through a layer's linear parts at once. In pieces for a CPU, their activations stay in its
# cache; elsewhere the number only bounds memory.
_PIECE_ROWS, _MOST_ROWS = 512, 32_768

Rope = tuple[Tensor, Tensor]


class ListModel(nn.Module):
    """A backbone and a projector, applied to packed lists."""

    def __init__(self, backbone: Any, projector: nn.Sequential) -> None:
        """Take a decoder of the Llama family from transformers (Qwen 3, Llama) and the projector over it.

        The projector works in float32 whatever the backbone's precision. It costs nothing beside the layers, and in
        bfloat16 it had a third to a half of what nDCG@10 changed by (`results/speed.md`).
        """
        super().__init__()
        self.backbone = backbone
        self.projector = projector.float()
        config = backbone.config
        layers = config.num_hidden_layers
        kinds = getattr(config, "layer_types", None) or ["full_attention"] * layers
        self.windows = [config.sliding_window if kind == "sliding_attention" else None for kind in kinds]

    def forward(self, ids: Tensor, lengths: Sequence[int], markers: Sequence[Tensor]) -> Tensor:
        """Embeddings at the markers of one or more lists packed in a row.

        Args:
            ids: token ids of all lists, one after another [T].
            lengths: tokens of each list; their sum is T.
            markers: for each list the positions, counted from its own first token, whose embeddings are wanted;
                M in all.

        Returns:
            Raw (not normalised) embeddings, float32 [M, E].
        """
        backbone = self.backbone
        hidden = backbone.embed_tokens(ids)  # [T, H]
        positions = torch.cat([torch.arange(length, device=ids.device) for length in lengths])  # [T]
        cos, sin = backbone.rotary_emb(hidden, positions[None])  # [1, T, D]
        rope = cos[0, :, None], sin[0, :, None]  # [T, 1, D]
        *layers, last = zip(backbone.layers, self.windows, strict=True)
        for layer, window in layers:
            hidden = _layer(layer, hidden, rope, lengths, window)  # [T, H]
        hidden = _last_layer(*last, hidden, rope, lengths, markers)  # [M, H]
        return self.projector(backbone.norm(hidden.float()))  # type: ignore[no-any-return]  # [M, E]


def _layer(layer: Any, hidden: Tensor, rope: Rope, lengths: Sequence[int], window: int | None) -> Tensor:
    """One layer at all positions: [T, H] to [T, H]."""
    attention = layer.self_attn
    query = hidden.new_empty(len(hidden), attention.q_proj.out_features // attention.head_dim, attention.head_dim)
    key, value = _empty_keys_and_values(attention, hidden)
    heard, out = torch.empty_like(query), torch.empty_like(hidden)

    def project(rows: slice) -> None:
        normed, turn = layer.input_layernorm(hidden[rows]), (rope[0][rows], rope[1][rows])
        query[rows] = _queries(attention, normed, turn)
        key[:, rows], value[:, rows] = _keys_and_values(attention, normed, turn)

    def attend(part: tuple[slice, slice]) -> None:
        span, own = part
        rows = slice(span.start + own.start, span.start + own.stop)
        heard[rows] = causal(query[rows], key[:, span], value[:, span], own, attention.scaling, window)

    def finish(rows: slice) -> None:
        out[rows] = _finish(layer, hidden[rows], heard[rows])

    parts = [(span, own) for span in _spans(lengths) for own in pieces(span.stop - span.start, query, window)]
    each(project, _chunks(hidden), hidden)
    each(attend, parts, hidden)
    each(finish, _chunks(hidden), hidden)
    return out


def _last_layer(
    layer: Any, window: int | None, hidden: Tensor, rope: Rope, lengths: Sequence[int], markers: Sequence[Tensor]
) -> Tensor:
    """The last layer at the markers alone: [T, H] to [M, H]. Keys and values are still needed at all positions."""
    attention = layer.self_attn
    key, value = _empty_keys_and_values(attention, hidden)

    def project(rows: slice) -> None:
        normed = layer.input_layernorm(hidden[rows])
        key[:, rows], value[:, rows] = _keys_and_values(attention, normed, (rope[0][rows], rope[1][rows]))

    each(project, _chunks(hidden), hidden)
    counts = [len(places) for places in markers]
    read = torch.cat([places + span.start for places, span in zip(markers, _spans(lengths), strict=True)])  # [M]
    marked = hidden[read]  # [M, H]
    query = _queries(attention, layer.input_layernorm(marked), (rope[0][read], rope[1][read]))  # [M, A, D]
    heard = torch.cat(
        [
            masked(own, key[:, span], value[:, span], places, attention.scaling, window)
            for own, places, span in zip(torch.split(query, counts), markers, _spans(lengths), strict=True)
        ]
    )  # [M, A, D]
    return _finish(layer, marked, heard)


def _finish(layer: Any, hidden: Tensor, heard: Tensor) -> Tensor:
    """What follows attention, row by row: [R, H] and [R, A, D] to [R, H]."""
    hidden = hidden + linear(layer.self_attn.o_proj, heard.flatten(-2))
    mlp, normed = layer.mlp, layer.post_attention_layernorm(hidden)
    return hidden + linear(mlp.down_proj, mlp.act_fn(linear(mlp.gate_proj, normed)) * linear(mlp.up_proj, normed))


def _queries(attention: Any, normed: Tensor, rope: Rope) -> Tensor:
    query = linear(attention.q_proj, normed).view(len(normed), -1, attention.head_dim)  # [R, A, D]
    return _turn(_head_norm(attention, "q_norm", query), rope)


def _keys_and_values(attention: Any, normed: Tensor, rope: Rope) -> tuple[Tensor, Tensor]:
    """Keys and values of the rows, head by head: [K, R, D] each."""
    key, value = (
        linear(projection, normed).view(len(normed), -1, attention.head_dim)
        for projection in (attention.k_proj, attention.v_proj)
    )  # [R, K, D]
    return _turn(_head_norm(attention, "k_norm", key), rope).transpose(0, 1), value.transpose(0, 1)


def _empty_keys_and_values(attention: Any, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Room for the keys and values of all positions [K, T, D]: each head's are dense, as products need them."""
    heads = attention.k_proj.out_features // attention.head_dim
    key = hidden.new_empty(heads, len(hidden), attention.head_dim)
    return key, torch.empty_like(key)


def _head_norm(attention: Any, name: str, heads: Tensor) -> Tensor:
    """Qwen 3 normalises each head's queries and keys, Llama does not."""
    norm = getattr(attention, name, None)
    return heads if norm is None else norm(heads)


def _turn(heads: Tensor, rope: Rope) -> Tensor:
    """Rotary position embedding, the two halves of a head being one pair of coordinates: [R, heads, D] to the same."""
    cos, sin = rope
    left, right = heads.chunk(2, dim=-1)
    return heads * cos + torch.cat((-right, left), dim=-1) * sin


def _chunks(hidden: Tensor) -> list[slice]:
    """The rows that go through a layer's linear parts at once; in pieces, whole steps, and some for every thread."""
    size = _MOST_ROWS
    if in_pieces(hidden):
        size = min(_PIECE_ROWS, -(-len(hidden) // (torch.get_num_threads() * STEP)) * STEP)
    return [slice(start, min(start + size, len(hidden))) for start in range(0, len(hidden), size)]


def _spans(lengths: Sequence[int]) -> Iterator[slice]:
    start = 0
    for length in lengths:
        yield slice(start, start + length)
        start += length
