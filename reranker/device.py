"""Choosing a device and a precision, and recognising that a device is out of memory."""

import torch

from reranker.errors import RerankerError

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

_KINDS = ("cpu", "cuda", "mps", "xpu")


def choose_device(name: str) -> torch.device:
    """The device of this name; "auto" is the first CUDA GPU, else an Apple GPU (MPS), else the CPU.

    Raises:
        RerankerError: there is no such device here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in _KINDS:
            raise NotImplementedError("no such kind of device runs the model")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise RerankerError(f"device {name!r} cannot be used here ({reason}): choose auto, cpu or cuda") from error
    return device


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """The precision of this name; "auto" is float32 on a CPU and bfloat16 on a GPU.

    Raises:
        RerankerError: the name is none of auto, float32, bfloat16, float16.
    """
    if name == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    if name not in _DTYPES:
        raise RerankerError(f"dtype {name!r} is not known: choose one of auto, {', '.join(_DTYPES)}")
    return _DTYPES[name]


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether the error means that the device is out of memory; on a CPU it is a mere RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def free_memory(device: torch.device) -> None:
    """Return the memory that torch caches to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
