"""Compile static token embeddings into the weights of a three-layer Llama.

In the prompt, every passage is preceded by its number, `<passage id="17">`. The layers use it to pool each passage:

0. Each token attends to the three tokens before it, so that a `>` can tell whether it ends `"17">` or `><query>`, and
   copies the number. The MLP, which is empty in the other layers, computes that conjunction.
1. Each token attends to the nearest such `>` before it and copies the number: that of its own passage. The query at the
   end has a number that no passage has. Another head counts the document markers so far.
2. Each marker takes the weighted mean of the vectors (`reranker.train.static.vectors`) of all tokens with its number.

The projector passes that mean through, and maps the count to two more coordinates, `vectors.rank_coordinates`. So a
score equals that of `vectors.scores`, within rounding.

Each coordinate of the hidden state has a meaning (`_Coordinates`). All embeddings have the same norm, so that the
RMSNorm before each layer divides by the same number everywhere. Logits use the rotary embedding: pair j of a head of
width D, the coordinates j and j + D / 2, is rotated by the angle t_j = base^(-2 j / D) per position, so that a query
(a, b) and a key (1, 0) at distance d have the product a cos(t_j d) - b sin(t_j d).
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from reranker.blocks import MAX_DOCUMENTS
from reranker.prompt import Markers
from reranker.train.static.vectors import StaticEmbeddings, rank_coordinates
from reranker.train.static.wordpiece import MARKS, NUMBERS, START

_HEADS, _HEAD_WIDTH = 3, 64
WIDEST = _HEADS * _HEAD_WIDTH  # largest width of token vectors
_PAIRS = _HEAD_WIDTH // 2
_UNITS = 2  # width of the MLPs
_STILL = slice(_PAIRS - 1, _PAIRS)  # the slowest rotary pair: over a whole prompt it rotates by a tenth of a radian
_POSITIONS = 8_192
_BASE = 100_000.0
_NUMBER = 7  # coordinates of a passage's number, each 1 or -1
_QUERY = 127  # the query's number
_ONE = 8.0  # value of the constant coordinate
_SILENT = -20.0  # logarithm of the pooling weight of tokens that belong to the prompt
_AHEAD = 16.0  # logit margin of the position attended to over its neighbours
_SHARP = 40.0  # slope of the MLP's gate between a condition that holds and one that does not
_NEARER, _SCALE = 80.0, 24.0  # logit penalty of a passage's beginning at distance d: 80 ln(1 + d / 24)
_MISFIT = 600.0  # logit penalty of tokens that are not a beginning: more than any distance costs
_LAST = 30.0  # logit bonus of the query's beginning, the last one, so that a long query never attends to a passage's
_UNCOUNTED = 60.0  # logit penalty of tokens that are not a document marker
_MATCH = 12.0  # logit of each coordinate of the number that agrees
_COUNTED = 8.0  # c in c / (c + documents so far), the form in which the count is stored
_KNOTS = (*range(1, 17), 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112)  # knots of the piecewise linear rank coordinates


class _Coordinates:
    """The meaning of each coordinate of the hidden state."""

    def __init__(self, rank: int) -> None:
        """Arrange them for token vectors of width `rank`."""
        self.count = 0
        self.vector = self._next(rank)
        self.weight = self._next(1)  # logarithm of the token's weight in the mean
        self.one = self._next(1)
        self.filler = self._next(1)  # gives all embeddings the same norm
        self.value = self._next(_NUMBER)  # of a token that is a number
        self.is_number = self._next(1)
        self.quotes = self._next(1)  # `"`
        self.opens = self._next(1)  # `<`
        self.closes = self._next(1)  # `>`
        self.is_query = self._next(1)  # the word
        self.is_start = self._next(1)
        self.is_document_marker = self._next(1)
        self.is_query_marker = self._next(1)
        self.after_quote = self._next(1)  # written by layer 0: the token before
        self.after_query = self._next(1)
        self.before = self._next(_NUMBER)  # the second before
        self.after_number = self._next(1)
        self.opened = self._next(1)
        self.quoted = self._next(1)  # the third before
        self.closed = self._next(1)
        self.begins = self._next(1)  # a passage; set for the start of the prompt in its embedding
        self.begins_query = self._next(1)
        self.number = self._next(_NUMBER)  # written by layer 1
        self.counted = self._next(1)
        self._next(-self.count % _HEADS)  # transformers needs a multiple of the number of heads

    def _next(self, width: int) -> slice:
        self.count += width
        return slice(self.count - width, self.count)


class _Layer:
    """The matrices of one layer, initially zero."""

    def __init__(self, hidden: int) -> None:
        self.query, self.key, self.value = torch.zeros(3, _HEADS * _HEAD_WIDTH, hidden)
        self.out = torch.zeros(hidden, _HEADS * _HEAD_WIDTH)
        self.gate, self.up = torch.zeros(2, _UNITS, hidden)
        self.down = torch.zeros(hidden, _UNITS)

    def add_query(
        self, head: int, pairs: slice, source: slice, real: Tensor | float, turned: Tensor | float = 0.0
    ) -> None:
        """Add a coordinate times (real, turned) to the head's query in those rotary pairs: its logit for a key of 1."""
        first = head * _HEAD_WIDTH
        size = math.sqrt(_HEAD_WIDTH)
        self.query[first + pairs.start : first + pairs.stop, source.start] += size * real
        self.query[first + _PAIRS + pairs.start : first + _PAIRS + pairs.stop, source.start] += size * turned

    def add_key(self, head: int, pairs: slice, source: slice, size: float) -> None:
        """Add a coordinate times `size` to the head's key in those rotary pairs, to the first coordinate of each."""
        first = head * _HEAD_WIDTH
        self.key[first + pairs.start : first + pairs.stop, source.start] += size

    def add_value(self, head: int, source: slice, target: slice) -> None:
        """Let the head copy the coordinates `source` of the tokens that it attends to into `target`."""
        width = target.stop - target.start
        used = int(self.out[:, head * _HEAD_WIDTH : (head + 1) * _HEAD_WIDTH].any(0).sum())
        rows = torch.arange(width) + head * _HEAD_WIDTH + used
        self.value[rows, torch.arange(source.start, source.stop)] = 1.0
        self.out[torch.arange(target.start, target.stop), rows] = 1.0

    def add_and(self, unit: int, one: slice, conditions: Sequence[slice], target: slice) -> None:
        """Let a unit of the MLP add 1 to a coordinate where all conditions are 1, and 0 elsewhere.

        The activation x * sigmoid(x) differs from 0 by less than 1e-7 at x = -20.
        """
        for condition in conditions:
            self.gate[unit, condition.start] = _SHARP
        self.gate[unit, one.start] = -_SHARP * (len(conditions) - 0.5) / _ONE
        self.up[unit, one.start] = 1 / _ONE
        self.down[target.start, unit] = 2 / _SHARP


def config(embeddings: StaticEmbeddings) -> dict[str, Any]:
    """The model's `config.json`, as transformers describes it."""
    return {
        "model_type": "llama",
        "vocab_size": len(embeddings.vectors),
        "hidden_size": _Coordinates(embeddings.vectors.shape[1]).count,
        "intermediate_size": _UNITS,
        "num_hidden_layers": 3,
        "num_attention_heads": _HEADS,
        "num_key_value_heads": _HEADS,
        "head_dim": _HEAD_WIDTH,
        "max_position_embeddings": _POSITIONS,
        "rms_norm_eps": 1e-5,
        "rope_parameters": {"rope_type": "default", "rope_theta": _BASE},
        "tie_word_embeddings": True,
    }


def weights(embeddings: StaticEmbeddings, prior: float, tokenizer: Tokenizer, markers: Markers) -> dict[str, Tensor]:
    """All weights of the model by the names of the released file; `prior` is the weight of the first stage's rank."""
    own = _Coordinates(embeddings.vectors.shape[1])
    table = _embeddings(own, embeddings, tokenizer, markers)
    hidden = own.count
    length = 2 * table.square().sum(1).max().sqrt().item()
    table[:, own.filler.start] = (length**2 - table.square().sum(1)).sqrt()
    tensors = {"embed_tokens.weight": table, "norm.weight": torch.full((hidden,), length / math.sqrt(hidden))}
    for number, layer in enumerate((_look_back(own), _find_number(own), _take_mean(own))):
        parts = {
            "self_attn.q_proj": layer.query,
            "self_attn.k_proj": layer.key,
            "self_attn.v_proj": layer.value,
            "self_attn.o_proj": layer.out,
            "mlp.gate_proj": layer.gate,
            "mlp.up_proj": layer.up,
            "mlp.down_proj": layer.down,
            "input_layernorm": tensors["norm.weight"].clone(),
            "post_attention_layernorm": tensors["norm.weight"].clone(),
        }
        tensors |= {f"layers.{number}.{name}.weight": part for name, part in parts.items()}
    first, second = _projector(own, prior)
    tensors = {f"model.{name}": tensor for name, tensor in tensors.items()}
    return tensors | {"projector.0.weight": first, "projector.2.weight": second}


def _embeddings(own: _Coordinates, embeddings: StaticEmbeddings, tokenizer: Tokenizer, markers: Markers) -> Tensor:
    """All embeddings [V, H] without the filler."""
    table = torch.zeros(len(embeddings.vectors), own.count)
    table[:, own.vector] = embeddings.vectors
    table[:, own.weight.start] = embeddings.weights
    table[:, own.one] = _ONE
    rows = {text: table[_token(tokenizer, text)] for text in (*MARKS, START)}
    for number, text in enumerate(NUMBERS):
        row = table[_token(tokenizer, text)]
        row[own.value], row[own.is_number] = _signs(number), 1.0
    rows['"'][own.quotes] = rows["<"][own.opens] = rows[">"][own.closes] = rows["query"][own.is_query] = 1.0
    rows[START][own.begins] = rows[START][own.is_start] = 1.0
    asked, asking = (table[_token(tokenizer, marker)] for marker in (markers.document, markers.query))
    asked[own.is_document_marker] = asking[own.is_query_marker] = 1.0
    for row in (rows[">"], asked, asking):
        row[own.vector], row[own.weight] = 0.0, _SILENT
    return table


def _look_back(own: _Coordinates) -> _Layer:
    """Layer 0: head 0 attends to the previous token, head 1 to the second before, head 2 to the third."""
    layer = _Layer(own.count)
    every, angles = slice(0, _PAIRS), _angles(_PAIRS)
    size = _AHEAD / (1 - angles.cos()).sum() / _ONE
    for head in range(_HEADS):
        back = (head + 1) * angles
        layer.add_query(head, every, own.one, size * back.cos(), -size * back.sin())
        layer.add_key(head, every, own.one, 1 / _ONE)
    layer.add_value(0, own.quotes, own.after_quote)
    layer.add_value(0, own.is_query, own.after_query)
    layer.add_value(1, own.value, own.before)
    layer.add_value(1, own.is_number, own.after_number)
    layer.add_value(1, own.opens, own.opened)
    layer.add_value(2, own.quotes, own.quoted)
    layer.add_value(2, own.closes, own.closed)
    layer.add_and(0, own.one, (own.closes, own.after_quote, own.after_number, own.quoted), own.begins)
    layer.add_and(1, own.one, (own.closes, own.after_query, own.opened, own.closed), own.begins_query)
    return layer


def _find_number(own: _Coordinates) -> _Layer:
    """Layer 1: head 0 finds the number of a token's passage, head 1 counts the documents so far."""
    layer = _Layer(own.count)
    near = slice(0, _STILL.start)
    real, turned = _nearest()
    layer.add_query(0, near, own.one, real / _ONE, turned / _ONE)
    layer.add_key(0, near, own.one, 1 / _ONE)
    layer.add_query(0, _STILL, own.one, _MISFIT / _ONE)
    for source, size in ((own.begins, 1.0), (own.begins_query, 1 + _LAST / _MISFIT), (own.one, -1 / _ONE)):
        layer.add_key(0, _STILL, source, size)
    layer.add_value(0, own.before, own.number)
    layer.value[:_NUMBER, own.begins_query.start] = _signs(_QUERY)  # the head's first values: those of a number
    # The prompt has two starts. The query's marker hardly attends to the documents, so that its rank is 0.
    slow = slice(_STILL.start - 1, _STILL.start)
    layer.add_query(1, slow, own.one, math.log(_COUNTED / 2) / _ONE)
    layer.add_query(1, slow, own.is_query_marker, _UNCOUNTED / 2)
    layer.add_key(1, slow, own.is_start, 1.0)
    layer.add_query(1, _STILL, own.one, _UNCOUNTED / _ONE)
    for source, size in ((own.is_document_marker, 1.0), (own.is_start, 1.0), (own.one, -1 / _ONE)):
        layer.add_key(1, _STILL, source, size)
    layer.add_value(1, own.is_start, own.counted)
    return layer


def _take_mean(own: _Coordinates) -> _Layer:
    """Layer 2: each head averages a part of the vectors over the tokens with the same number as its own token."""
    layer = _Layer(own.count)
    for head in range(_HEADS):
        for part in range(_NUMBER):
            pair = slice(_STILL.start - _NUMBER + part, _STILL.start - _NUMBER + part + 1)
            source = slice(own.number.start + part, own.number.start + part + 1)
            layer.add_query(head, pair, source, _MATCH)
            layer.add_key(head, pair, source, 1.0)
        layer.add_query(head, _STILL, own.one, -_MATCH * _NUMBER / _ONE)
        layer.add_key(head, _STILL, own.one, 1 / _ONE)
        # Weights have their own pair: added to the far larger numbers above, they would be lost in half precision.
        slow = slice(_STILL.start - _NUMBER - 1, _STILL.start - _NUMBER)
        layer.add_query(head, slow, own.one, 1 / _ONE)
        layer.add_key(head, slow, own.weight, 1.0)
        first, stop = (min(part * _HEAD_WIDTH, own.vector.stop) for part in (head, head + 1))
        layer.add_value(head, slice(first, stop), slice(first, stop))
    return layer


def _projector(own: _Coordinates, prior: float) -> tuple[Tensor, Tensor]:
    """Two matrices, [W, H] and [rank + 2, W]: vectors pass as pairs (v, -v), the count is piecewise linear."""
    rank = own.vector.stop
    counts = torch.arange(MAX_DOCUMENTS + 1).double()
    kept, knots = (_COUNTED / (_COUNTED + each) for each in (counts, torch.tensor(_KNOTS).double()))
    bends = torch.cat((torch.zeros(1), knots))
    lines = torch.cat((torch.relu(kept[:, None] - bends), torch.ones(len(counts), 1)), dim=1)  # [counts, bends + 1]
    fitted = torch.linalg.lstsq(lines, rank_coordinates(counts, prior), driver="gelsd").solution.T  # [2, bends + 1]
    first = torch.zeros(2 * rank + len(bends) + 1, own.count)
    second = torch.zeros(rank + 2, len(first))
    first[:rank, :rank], first[rank : 2 * rank, :rank] = torch.eye(rank), -torch.eye(rank)
    second[:rank, :rank], second[:rank, rank : 2 * rank] = torch.eye(rank), -torch.eye(rank)
    first[2 * rank : -1, own.counted.start] = 1.0
    first[2 * rank : -1, own.one.start] = -bends / _ONE
    first[-1, own.one.start] = 1 / _ONE
    second[rank:, 2 * rank :] = fitted
    return first, second


def _nearest() -> tuple[Tensor, Tensor]:
    """The query whose logits fall with the logarithm of the distance: its two coordinates in all pairs but the last.

    The fit weighs near distances most, and ripples beyond about 150 tokens; the ridge keeps the numbers small.
    """
    distance = torch.arange(_POSITIONS).double()
    wanted = -_NEARER * torch.log1p(distance / _SCALE)
    turns = distance[:, None] * _angles(_STILL.start)
    parts = torch.cat((turns.cos(), -turns.sin()), dim=1)
    counts = 1 / (1 + distance / _SCALE).square()
    square = parts.T @ (parts * counts[:, None])
    ridge = 1e-5 * counts.sum() * torch.eye(len(square), dtype=torch.double)
    real, turned = torch.linalg.solve(square + ridge, parts.T @ (wanted * counts)).chunk(2)
    return real, turned


def _angles(pairs: int) -> Tensor:
    """Rotation of the first rotary pairs per position, in radians."""
    return _BASE ** -(torch.arange(pairs).double() / _PAIRS)


def _signs(number: int) -> Tensor:
    return torch.tensor([1.0 if number >> bit & 1 else -1.0 for bit in range(_NUMBER)])


def _token(tokenizer: Tokenizer, text: str) -> int:
    number = tokenizer.token_to_id(text)
    assert number is not None, f"the tokenizer has no token {text!r}"
    return int(number)
