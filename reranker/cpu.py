"""The fast path for float32 inference on a CPU: oneDNN's matrix products, and tiles of rows on parallel threads.

By itself torch multiplies float32 matrices by MKL, which is half as fast as oneDNN on a processor that is not Intel's,
and divides every single operation among its threads, which then wait for the slowest of them thousands of times a
pass. Here each thread takes whole tiles instead, so threads wait for each other only a few times a layer
(`results/speed.md` has the figures). Everywhere else torch's own operations run, on all rows at once.
"""

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

_log = logging.getLogger(__name__)

# Rows come in multiples of this: oneDNN compiles code for each shape it is given, which takes .5 ms and a MiB.
STEP = 128
# Rows of a tile: the activations of 512 stay in a CPU's cache; elsewhere the number only bounds memory.
_CPU_ROWS, _OTHER_ROWS = 512, 32_768

Tile = TypeVar("Tile")


def is_fast(states: Tensor) -> bool:
    """Whether the fast path applies to these states: float32 inference on a CPU, by a torch whose oneDNN is right.

    Gradients need torch's own operations, and are recorded on the caller's thread only.
    """
    return (
        states.device.type == "cpu"
        and states.dtype == torch.float32
        and torch.is_inference_mode_enabled()
        and _onednn_is_right()
    )


def linear(layer: Any, rows: Tensor) -> Tensor:
    """Apply a linear layer, or a module in the place of one (an adapter, a quantised layer): [R, X] to [R, Y]."""
    if type(layer) is nn.Linear and is_fast(rows):
        return product(rows, layer.weight, layer.bias)
    output: Tensor = layer(rows)
    return output


def by_rows(function: Callable[[slice], None], states: Tensor) -> None:
    """Call a function with slices that together cover the rows of the states [R, X]."""
    size = _OTHER_ROWS
    if is_fast(states):  # whole steps, and a tile at least for every thread
        size = min(_CPU_ROWS, -(-len(states) // (torch.get_num_threads() * STEP)) * STEP)
    for_each(function, [slice(start, min(start + size, len(states))) for start in range(0, len(states), size)], states)


def for_each(function: Callable[[Tile], None], tiles: Iterable[Tile], states: Tensor) -> None:
    """Call a function with each tile of some states: on the fast path each call is on one thread.

    So the number of threads decides no sum's order, and no bit of a score.
    """
    if is_fast(states):
        parallel(function, tiles)
    else:
        for tile in tiles:
            function(tile)


def parallel(function: Callable[[Tile], None], tiles: Iterable[Tile]) -> None:
    """Call a function in inference mode with each tile, each call on one thread."""
    threads = torch.get_num_threads()
    run = torch.inference_mode()(function)
    for _ in map(run, tiles) if threads == 1 else _pool(threads).map(run, tiles):
        pass  # raises the error of any tile


def product(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """oneDNN's product of rows and a transposed weight: [R, X], [Y, X] and [Y] to [R, Y], for states that are fast.

    The weight is packed, or contiguous, or the transpose of a contiguous matrix: any other would be read an element at
    a time.
    """
    # The operation that torch's own compiler calls for a linear layer.
    output: Tensor = torch.ops.mkldnn._linear_pointwise(padded(rows), weight, bias, "none", [], "")
    return output[: len(rows)]


def packed(weight: Tensor) -> Tensor:
    """A weight [Y, X] copied into oneDNN's own layout, into which `product` would copy it each time."""
    layout: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, None)
    return layout


def padded(rows: Tensor) -> Tensor:
    """The rows, then zeros up to the next multiple of `STEP`: [R, X] to [R', X]."""
    missing = -len(rows) % STEP
    return pad(rows, (0, 0, 0, missing)) if missing else rows


@cache
def _onednn_is_right() -> bool:
    """Whether this torch has oneDNN's product, and it agrees with torch's own: checked once a process.

    The operation is private: another version of torch may lack it, or give it another meaning.
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    rows, weight, bias = (torch.arange(size).sin().view(-1, 16) for size in (3 * 16, 32 * 16, 2 * 16))
    bias = bias.flatten()
    expected = rows.double() @ weight.double().T + bias.double()
    try:
        outputs = [product(rows, one, bias) for one in (weight, weight.T.contiguous().T, packed(weight))]
    except (AttributeError, RuntimeError) as error:
        reason = f"it cannot be called: {str(error).partition(chr(10))[0]}"
    else:
        if all(torch.allclose(output.double(), expected, atol=1e-5) for output in outputs):
            return True
        reason = "its results are wrong"
    _log.warning("oneDNN's product is not used, so scoring may take twice as long: %s", reason)
    return False


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """As many workers as torch has threads, in each of which torch uses one."""
    started = Barrier(threads + 1)

    def start() -> None:
        torch.get_num_threads()  # a thread takes over the setting of the process first, and would do so later
        torch.set_num_threads(1)
        started.wait()

    pool = ThreadPoolExecutor(threads, thread_name_prefix="reranker", initializer=start)
    for _ in range(threads):
        pool.submit(int)
    started.wait()
    torch.set_num_threads(threads)  # the workers keep theirs, and every other thread what it had
    return pool
