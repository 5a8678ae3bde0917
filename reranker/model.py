"""The model: token ids go in, one embedding comes out at each marker, and a score is the cosine of two of them.

This is "last but not late interaction" (jina-reranker-v3, arXiv 2509.25085, section 3): a causal language model reads
the query and all documents of a list in one pass, so each document is read in the context of those before it; the last
hidden state at each document's marker, and at the query's marker, goes through a small projector.

The weights are those of a transformers backbone. The forward pass is ours, because it can leave out what nobody reads:
the last layer is computed at the markers only. Several lists are packed into one row of tokens; each has position ids
from zero, and attends to itself only.

Shapes: T tokens in the pass, M markers, R of these rows, H hidden size, A attention heads, K key heads, D width of a
head, E width of an embedding.
"""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import rms_norm

from reranker.attention import attention_at, causal_attention, spans, torch_kernels
from reranker.cpu import by_rows, for_each, linear


class ListModel(nn.Module):
    """A backbone and a projector, applied to packed lists."""

    def __init__(self, backbone: Any, projector: nn.Sequential) -> None:
        """Take a decoder of the Llama family from transformers (Qwen 3, Llama) and the projector over it.

        The projector works in float32 whatever the backbone's precision: it costs nothing next to the layers, and in
        bfloat16 it caused a third to a half of the change in nDCG@10 (`results/speed.md`).
        """
        super().__init__()
        self.backbone = backbone
        self.projector = projector.float()
        config = backbone.config
        layers = config.num_hidden_layers
        types = getattr(config, "layer_types", None) or ["full_attention"] * layers
        self.windows = [config.sliding_window if kind == "sliding_attention" else None for kind in types]

    def forward(self, ids: Tensor, lengths: Sequence[int], markers: Sequence[Tensor]) -> Tensor:
        """Embeddings at the markers of one or more packed lists.

        Args:
            ids: token ids of all lists, one after another [T].
            lengths: tokens of each list; their sum is T.
            markers: for each list the positions, counted from its own first token, whose embeddings are wanted;
                M in all.

        Returns:
            Raw (not normalised) embeddings, float32 [M, E].
        """
        backbone = self.backbone
        hidden_states = backbone.embed_tokens(ids)  # [T, H]
        position_ids = torch.cat([torch.arange(length, device=ids.device) for length in lengths])  # [T]
        cos, sin = backbone.rotary_emb(hidden_states, position_ids[None])  # [1, T, D]
        cos, sin = cos[0, :, None], sin[0, :, None]  # [T, 1, D]
        *layers, last = zip(backbone.layers, self.windows, strict=True)
        with torch_kernels(ids.device, lengths):
            for layer, window in layers:
                hidden_states = _layer(layer, hidden_states, cos, sin, lengths, window)  # [T, H]
            hidden_states = _last_layer(*last, hidden_states, cos, sin, lengths, markers)  # [M, H]
        return self._embeddings(hidden_states.float())

    def _embeddings(self, hidden_states: Tensor) -> Tensor:
        """The final norm and the projector: [M, H] to [M, E]."""
        found: list[Tensor] = []

        def project(states: Tensor) -> None:
            found.append(reduce(lambda states, layer: linear(layer, states), self.projector, states))

        for_each(project, [_norm(self.backbone.norm, hidden_states)], hidden_states)
        return found[0]


def _layer(
    layer: Any, hidden_states: Tensor, cos: Tensor, sin: Tensor, lengths: Sequence[int], window: int | None
) -> Tensor:
    """One decoder layer at all positions: [T, H] to [T, H]."""
    attention = layer.self_attn
    query = hidden_states.new_empty(len(hidden_states), _heads(attention.q_proj, attention), attention.head_dim)
    key, value = _empty_keys_and_values(attention, hidden_states)  # [K, T, D] each
    output = torch.empty_like(hidden_states)

    def project(rows: slice) -> None:
        normed = _norm(layer.input_layernorm, hidden_states[rows])  # [R, H]
        query[rows] = _queries(attention, normed, cos[rows], sin[rows])
        key[:, rows], value[:, rows] = _keys_and_values(attention, normed, cos[rows], sin[rows])

    def finish(rows: slice) -> None:
        output[rows] = _after_attention(layer, hidden_states[rows], attention_output[rows])

    by_rows(project, hidden_states)
    attention_output = causal_attention(query, key, value, lengths, attention.scaling, window)  # [T, A, D]
    by_rows(finish, hidden_states)
    return output


def _last_layer(
    layer: Any,
    window: int | None,
    hidden_states: Tensor,
    cos: Tensor,
    sin: Tensor,
    lengths: Sequence[int],
    markers: Sequence[Tensor],
) -> Tensor:
    """The last layer at the markers only: [T, H] to [M, H]. Keys and values are still needed at all positions."""
    attention = layer.self_attn
    key, value = _empty_keys_and_values(attention, hidden_states)  # [K, T, D] each

    def project(rows: slice) -> None:
        normed = _norm(layer.input_layernorm, hidden_states[rows])  # [R, H]
        key[:, rows], value[:, rows] = _keys_and_values(attention, normed, cos[rows], sin[rows])

    by_rows(project, hidden_states)
    at = _marker_rows(markers, lengths)  # [M]
    residual, cos, sin = hidden_states[at], cos[at], sin[at]  # [M, H], [M, 1, D], [M, 1, D]
    query = residual.new_empty(len(residual), _heads(attention.q_proj, attention), attention.head_dim)
    output = torch.empty_like(residual)

    def ask(rows: slice) -> None:
        query[rows] = _queries(attention, _norm(layer.input_layernorm, residual[rows]), cos[rows], sin[rows])

    def finish(rows: slice) -> None:
        output[rows] = _after_attention(layer, residual[rows], attention_output[rows])

    by_rows(ask, residual)
    attention_output = attention_at(query, key, value, lengths, markers, attention.scaling, window)  # [M, A, D]
    by_rows(finish, residual)
    return output


def _marker_rows(markers: Sequence[Tensor], lengths: Sequence[int]) -> Tensor:
    """The markers' positions in the packed row, from those in each list: [M]."""
    return torch.cat([positions + span.start for positions, span in zip(markers, spans(lengths), strict=True)])


def _after_attention(layer: Any, residual: Tensor, attention_output: Tensor) -> Tensor:
    """Output projection and MLP, each with its residual: [R, H] and [R, A, D] to [R, H]."""
    hidden_states = residual + linear(layer.self_attn.o_proj, attention_output.flatten(-2))
    return hidden_states + _mlp(layer.mlp, _norm(layer.post_attention_layernorm, hidden_states))


def _mlp(mlp: Any, normed: Tensor) -> Tensor:
    """The gated feed-forward network: [R, H] to [R, H]."""
    return linear(mlp.down_proj, mlp.act_fn(linear(mlp.gate_proj, normed)) * linear(mlp.up_proj, normed))


def _queries(attention: Any, normed: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Queries with their rotary embedding: [R, H] to [R, A, D]."""
    return _apply_rotary(_head_norm(attention, "q_norm", _project(attention, attention.q_proj, normed)), cos, sin)


def _keys_and_values(attention: Any, normed: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    """Keys with their rotary embedding, and values: [R, H] to [K, R, D] each."""
    key = _apply_rotary(_head_norm(attention, "k_norm", _project(attention, attention.k_proj, normed)), cos, sin)
    return key.transpose(0, 1), _project(attention, attention.v_proj, normed).transpose(0, 1)


def _project(attention: Any, projection: Any, normed: Tensor) -> Tensor:
    """A projection, head by head: [R, H] to [R, heads, D]."""
    return linear(projection, normed).view(len(normed), -1, attention.head_dim)


def _head_norm(attention: Any, name: str, heads: Tensor) -> Tensor:
    """Normalise each head's queries or keys, as Qwen 3 does; Llama does not."""
    norm = getattr(attention, name, None)
    return heads if norm is None else _norm(norm, heads)


def _norm(norm: Any, states: Tensor) -> Tensor:
    """RMSNorm over the last dimension. On a GPU one operation instead of six, which rounds once instead of twice."""
    if not states.is_cuda:
        return norm(states)  # type: ignore[no-any-return]
    return rms_norm(states, states.shape[-1:], norm.weight.to(states.dtype), norm.variance_epsilon)


def _apply_rotary(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding, the halves of a head as pairs of coordinates: [R, heads, D] to the same."""
    left, right = heads.chunk(2, dim=-1)
    return heads * cos + torch.cat((-right, left), dim=-1) * sin


def _empty_keys_and_values(attention: Any, hidden_states: Tensor) -> tuple[Tensor, Tensor]:
    """Memory for the keys and values of all positions, each head's contiguous: [K, T, D] each."""
    key = hidden_states.new_empty(_heads(attention.k_proj, attention), len(hidden_states), attention.head_dim)
    return key, torch.empty_like(key)


def _heads(projection: Any, attention: Any) -> int:
    heads: int = projection.out_features // attention.head_dim
    return heads
