"""This machine's devices, shared out to processes."""

import os
import sys
from collections.abc import Mapping

from bench.errors import BenchError


def one_each(device: str, count: int | None, share: bool = True) -> list[Mapping[str, str]]:
    """For each worker the variables that give it a GPU of its own, or its share of the CPU's threads.

    Args:
        device: The kind of device, with or without a number: ``cuda:0`` is any GPU.
        count: How many workers are wanted; None is one for every GPU, else one.
        share: Whether workers on a CPU divide its threads among them. Otherwise each has all.

    Raises:
        BenchError: there are fewer GPUs than workers.
    """
    if not device.startswith("cuda"):
        workers = count or 1
        is_divided = share and threads()
        return [{"OMP_NUM_THREADS": str(max(1, threads() // workers))} if is_divided else {}] * workers
    gpus = _visible()
    if count is not None and count > len(gpus):
        raise BenchError(
            f"--workers {count} needs as many GPUs, and this machine shows {len(gpus)}. Give --workers auto."
        )
    return [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus[:count]]


def threads() -> int:
    """The number of torch's threads in this process; 0 where nothing uses torch."""
    return int(sys.modules["torch"].get_num_threads()) if "torch" in sys.modules else 0


def _visible() -> list[str]:
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [each.strip() for each in given.split(",") if each.strip()]
    import torch

    return list(map(str, range(torch.cuda.device_count())))
