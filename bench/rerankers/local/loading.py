"""Shared by the families that run a model on this machine: device and precision, the card, loading."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from bench.errors import BenchError
from bench.rerankers.base import CandidateList, Card, Options, Reranker
from bench.rerankers.local import staging, stored
from bench.rerankers.local.checkpoint import Checkpoint, shown
from bench.rerankers.options import check_options
from bench.rerankers.rows import Row
from reranker.device import choose_device, choose_dtype

Settings = Mapping[str, str | int | float | bool]


def place(options: Options) -> tuple[torch.device, torch.dtype]:
    """The device and precision that the options name.

    Raises:
        BenchError: this machine has no such device, or there is no such precision.
    """
    check_options(options)
    device = choose_device(options.device)
    return device, choose_dtype(options.dtype, device)


def arguments(options: Options, folder: Path) -> dict[str, Any]:
    """Arguments for loading a sentence-transformers model from local files without running code of theirs."""
    device, dtype = place(options)
    reader = staging.reader(folder)
    chosen = {"attn_implementation": attention(reader)} if (reader / "config.json").is_file() else {}
    return {
        "device": str(device),
        "local_files_only": True,
        "trust_remote_code": False,
        "model_kwargs": {"dtype": dtype, "use_safetensors": True, **chosen},
    }


def attention(folder: Path) -> str:
    """The attention implementation that a model runs with: torch's own if transformers' class supports it."""
    from transformers import MODEL_MAPPING, AutoConfig

    kind = MODEL_MAPPING.get(type(AutoConfig.from_pretrained(folder, local_files_only=True)), None)
    return "sdpa" if getattr(kind, "_supports_sdpa", False) else "eager"


def card(
    row: Row,
    files: Checkpoint,
    options: Options,
    what: str,
    settings: Callable[[Path], Settings],
    prompt: str = "",
) -> Card:
    """The card of a model, from its files: no weights are loaded.

    Args:
        row: The reranker's name, family and model.
        files: Where the files are.
        options: The command line's options, which decide device and precision.
        what: The kind of model, for messages.
        settings: Reads the settings from a folder with the checkpoint's validated files.
        prompt: What the harness itself puts around the texts.

    Raises:
        BenchError: a file is missing, damaged or not allowed, or there is no such device or precision.
    """
    device, dtype = place(options)
    with explained(f"{files.model} cannot be loaded as {what}"), staging.staged(files.folder) as folder:
        stated = settings(folder)
        precision = stored.precision(folder) or str(dtype).removeprefix("torch.")
        parameters = stored.parameters(folder, with_head=row.family in ("yes-no", "generative"))
    identity = f"{row.family} 1 {files.identity} {precision} {prompt}"
    return Card(
        name=row.name,
        fingerprint=hashlib.sha256(identity.encode()).hexdigest(),
        family=row.family,
        model=shown(row.model),
        revision=files.revision,
        parameters=parameters,
        device=device.type,
        dtype=precision,
        settings=stated,
    )


@contextmanager
def loading(files: Checkpoint, what: str) -> Iterator[Path]:
    """Gives the folder to load a checkpoint from, and checks the model that a library made of it.

    Raises:
        BenchError: the library cannot make ``what`` of the checkpoint, or filled missing tensors with random numbers.
    """
    from reranker.loaded import reports

    with explained(f"{files.model} cannot be loaded as {what}"):
        with staging.staged(files.folder, to_load=True) as folder, reports() as loaded:
            yield folder
        for report in loaded:
            report.check(files.model, BenchError)


def tried(reranker: Reranker) -> Reranker:
    """Score a made-up list, so that a fault of the checkpoint shows now and not in the middle of a task.

    Raises:
        BenchError: the model cannot score it.
    """
    texts = ("Water boils at one hundred degrees.", "")
    made_up = CandidateList("trial", "when does water boil", ("a", "b"), (2.0, 1.0), texts)
    with explained(f"{reranker.card.name} was loaded but cannot score"):
        list(reranker.score([made_up]))
    return reranker


@contextmanager
def explained(problem: str) -> Iterator[None]:
    """Turn a library's errors into ours, and hide its progress bar and its own report."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    except BenchError:
        raise
    except BaseException as error:
        # The libraries in Rust raise PanicException, which is not an Exception.
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
        BenchError: a batch does not fit in memory, or a text does not fit the model: a token without an embedding, a
            window longer than the model's positions.
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
