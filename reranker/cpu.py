"""Products of float32 matrices on a CPU, by the oneDNN that torch carries.

By itself torch hands such products to MKL, which is half as fast on a processor that is not Intel's
(`results/speed.md`). The operation is the one that torch's own compiler calls for a linear layer.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from reranker.workers import in_pieces

# Rows come in multiples of this. oneDNN makes code for every shape that it meets, which takes .5 ms and a MiB each.
STEP = 128


def product(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Rows times the transposed weight: [R, X], [Y, X] and [Y] to [R, Y], for states that are worked on in pieces.

    The weight is dense, or the transpose of a dense matrix: others would be read an element at a time.
    """
    made: Tensor = torch.ops.mkldnn._linear_pointwise(filled(rows), weight, bias, "none", [], "")
    return made[: len(rows)]


def filled(rows: Tensor) -> Tensor:
    """The rows, and rows of zeros up to the next multiple of `STEP`: [R, X] to [R', X]."""
    missing = -len(rows) % STEP
    return pad(rows, (0, 0, 0, missing)) if missing else rows


def linear(layer: Any, rows: Tensor) -> Tensor:
    """What a linear layer makes of rows: [R, X] to [R, Y]. It may be a module of another kind that stands for one."""
    if type(layer) is nn.Linear and in_pieces(rows):
        return product(rows, layer.weight, layer.bias)
    made: Tensor = layer(rows)
    return made
