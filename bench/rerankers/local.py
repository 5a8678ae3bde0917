"""What the families share that run a model on this machine: device and precision, loading, and the model's card."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers.utils import logging

from bench.errors import BenchError
from bench.rerankers.base import Card, Options
from bench.rerankers.checkpoint import Checkpoint, shown
from bench.rerankers.options import check_options
from bench.rerankers.rows import Row


def device(options: Options) -> torch.device:
    """The device that the options name; ``auto`` is the first accelerator, else the CPU.

    Raises:
        BenchError: for a device that this machine does not have.
    """
    check_options(options)
    if options.device == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    return torch.device(options.device)


def dtype(options: Options) -> torch.dtype | str:
    """The precision that the options name; ``auto`` is float32 on a CPU and the checkpoint's own on an accelerator.

    Raises:
        BenchError: for any other word.
    """
    check_options(options)
    if options.dtype == "auto":
        return torch.float32 if device(options).type == "cpu" else "auto"
    named: torch.dtype = getattr(torch, options.dtype)
    return named


def arguments(options: Options) -> dict[str, Any]:
    """How every kind of sentence-transformers model is loaded: from files at hand, without running their code."""
    return {
        "device": str(device(options)),
        "local_files_only": True,
        "trust_remote_code": False,
        "model_kwargs": {"dtype": dtype(options), "use_safetensors": True},
    }


def card(
    row: Row, files: Checkpoint, model: nn.Module, settings: Mapping[str, str | int | float | bool], prompt: str = ""
) -> Card:
    """The card of a model that was loaded; ``prompt`` is what the harness itself puts around the texts."""
    weights = next(model.parameters())
    precision = str(weights.dtype).removeprefix("torch.")
    identity = f"{row.family} 1 {files.identity} {precision} {prompt}"
    return Card(
        name=row.name,
        fingerprint=hashlib.sha256(identity.encode()).hexdigest(),
        family=row.family,
        model=shown(row.model),
        revision=files.revision,
        parameters=sum(each.numel() for each in model.parameters()),
        device=weights.device.type,
        dtype=precision,
        settings=settings,
    )


@contextmanager
def loading(model: str, what: str) -> Iterator[None]:
    """Read a checkpoint without the library's progress bar, and turn its errors into ours.

    Raises:
        BenchError: where the library cannot make ``what`` of the checkpoint.
    """
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    except BenchError:
        raise
    except Exception as error:
        raise BenchError(
            f"{model} cannot be loaded as {what}: {type(error).__name__}: {error}. Check that the files are whole and "
            "that the family is the right one."
        ) from error
    finally:
        logging.enable_progress_bar()  # type: ignore[no-untyped-call]


@contextmanager
def running(name: str) -> Iterator[None]:
    """Turn an accelerator's running out of memory into an error that says what to do.

    Raises:
        BenchError: where a batch does not fit.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise BenchError(
            f"{name} does not fit in the accelerator's memory: {str(error).splitlines()[0]} "
            "Lower --max-doc-length, take '--dtype bfloat16', or '--device cpu'."
        ) from error
