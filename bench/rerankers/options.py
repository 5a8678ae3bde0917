"""Device and precision as the command line names them: what is allowed, checked before anything is loaded."""

import re

from bench.errors import BenchError
from bench.rerankers.base import Options

PRECISIONS = ("float32", "bfloat16", "float16")


def check_options(options: Options) -> None:
    """Refuse a device or precision that no model could run with; loads no model, and torch only for an accelerator.

    Raises:
        BenchError: for an unknown precision, or a device that this machine does not have.
    """
    if options.dtype not in ("auto", *PRECISIONS):
        raise BenchError(f"Unknown precision {options.dtype!r}. Choose auto, {', '.join(PRECISIONS)}.")
    if options.device not in ("auto", "cpu"):
        _check_accelerator(options.device)


def _check_accelerator(name: str) -> None:
    """Only a device that computes will do: torch also knows names such as ``meta``, which hold no numbers."""
    import torch

    here = torch.accelerator.current_accelerator(check_available=True)
    usable = re.fullmatch(r"([a-z]+)(?::(\d{1,4}))?", name)
    if here is None or usable is None or usable[1] != here.type:
        choices = "auto or cpu" if here is None else f"auto, cpu or {here.type}"
        raise BenchError(f"The device {name!r} cannot be used: this machine does not have it. Choose {choices}.")
    count = torch.accelerator.device_count()
    if usable[2] is not None and int(usable[2]) >= count:
        raise BenchError(f"The device {name!r} cannot be used: this machine has {count}, numbered from 0.")
