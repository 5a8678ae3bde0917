"""What the families share that run a model on this machine: device and precision, loading, and the model's card."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import MODEL_MAPPING, AutoConfig
from transformers.utils import logging

from bench.errors import BenchError
from bench.rerankers.base import CandidateList, Card, Options, Reranker
from bench.rerankers.local import staging
from bench.rerankers.local.checkpoint import Checkpoint, shown
from bench.rerankers.options import check_options
from bench.rerankers.rows import Row
from reranker.loaded import reports


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


def arguments(options: Options, folder: Path) -> dict[str, Any]:
    """How every kind of sentence-transformers model is loaded: from files at hand, without running their code."""
    reader = staging.reader(folder)
    chosen = {"attn_implementation": attention(reader)} if (reader / "config.json").is_file() else {}
    return {
        "device": str(device(options)),
        "local_files_only": True,
        "trust_remote_code": False,
        "model_kwargs": {"dtype": dtype(options), "use_safetensors": True, **chosen},
    }


def attention(folder: Path) -> str:
    """The attention implementation that a model runs with: torch's own where transformers' class supports it."""
    kind = MODEL_MAPPING.get(type(AutoConfig.from_pretrained(folder, local_files_only=True)), None)
    return "sdpa" if getattr(kind, "_supports_sdpa", False) else "eager"


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
def loading(files: Checkpoint, what: str) -> Iterator[Path]:
    """Gives the folder to load a checkpoint from, and checks what a library has made of it.

    Raises:
        BenchError: where the library cannot make ``what`` of the checkpoint, or had to make tensors up.
    """
    with _explained(f"{files.model} cannot be loaded as {what}"):
        with staging.staged(files.folder) as folder, reports() as loaded:
            yield folder
        for report in loaded:
            report.check(files.model, BenchError)


def tried(reranker: Reranker) -> Reranker:
    """Score a made-up list, so that what is wrong with a checkpoint shows now, and not in the middle of a task.

    Raises:
        BenchError: where the model cannot score it.
    """
    texts = ("Water boils at one hundred degrees.", "")
    made_up = CandidateList("trial", "when does water boil", ("a", "b"), (2.0, 1.0), texts)
    with _explained(f"{reranker.card.name} was loaded but cannot score"):
        list(reranker.score([made_up]))
    return reranker


@contextmanager
def _explained(problem: str) -> Iterator[None]:
    """Turn a library's errors into ours, and keep its progress bar and its own report away."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    except BenchError:
        raise
    except BaseException as error:
        # The libraries in Rust raise what is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = " ".join(str(error).split())[:500]
        raise BenchError(
            f"{problem}: {type(error).__name__}: {reason}. Check that the files are whole and that the family is the "
            "right one."
        ) from error
    finally:
        logging.enable_progress_bar()  # type: ignore[no-untyped-call]
        logging.set_verbosity(verbosity)


@contextmanager
def running(name: str) -> Iterator[None]:
    """Turn what a model raises while it scores into one message.

    Raises:
        BenchError: where a batch does not fit in memory, or a text does not fit the model: a token without an
            embedding, a window longer than the positions that the model has.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise BenchError(
            f"{name} does not fit in the accelerator's memory: {str(error).splitlines()[0]} "
            "Lower --max-doc-length, take '--dtype bfloat16', or '--device cpu'."
        ) from error
    except (IndexError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:500]
        raise BenchError(
            f"{name} failed on a text: {type(error).__name__}: {reason}. Check that its tokenizer and its window "
            "belong to its weights."
        ) from error
