"""Load LoRA adapters into a model with PEFT, and check that all of their tensors are in use."""

import importlib.util
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from bench.errors import BenchError
from bench.rerankers.local.adapters import CONFIG, WEIGHTS
from reranker.schema import read_model


def check_installed(model: str) -> None:
    """Refuse a model with adapters before anything is loaded.

    Raises:
        BenchError: the package peft is missing.
    """
    if importlib.util.find_spec("peft") is None:
        raise BenchError(
            f"{model} needs its adapters, and the package that loads them is missing: "
            "pip install 'rerank-bench[adapters]'"
        )


def attach(model: Any, folder: Path, names: Iterable[str]) -> None:
    """Load the adapters of a staged checkpoint into a model of transformers; none of them is active afterwards.

    Raises:
        BenchError: a tensor of an adapter has no place in the model or the other way round, or an adapter changes
            nothing.
    """
    from peft import LoraConfig

    for name in names:
        tensors = load_file(folder / name / WEIGHTS)
        settings = read_model(folder / name / CONFIG, dict[str, Any], BenchError)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that a model has several adapters, as is intended
            report = model.load_adapter(
                adapter_name=name, peft_config=LoraConfig(**settings), adapter_state_dict=tensors
            )
        # Each report also names the tensors of the adapters before as missing.
        misplaced = {each for each in report.missing_keys if name in each.split(".")}
        misplaced |= {*report.unexpected_keys, *map(str, report.mismatched_keys)}
        if misplaced or not _holds(model, name, tensors):
            some = f": {', '.join(sorted(misplaced)[:4])}" if misplaced else ""
            raise BenchError(f"The adapter {name} does not fit its base model{some}. Check that the files are whole.")
    _check_effect(model, names)


def _holds(model: Any, name: str, tensors: dict[str, torch.Tensor]) -> bool:
    """Whether a model's adapter has exactly the file's values, whatever the names and the joins of its tensors."""
    placed = list(model.get_adapter_state_dict(name).values())
    held = torch.cat([each.detach().cpu().flatten() for each in placed])
    stored = torch.cat([each.to(held.dtype).flatten() for each in tensors.values()])
    return np.array_equal(np.unique(held.float().numpy()), np.unique(stored.float().numpy()))


@torch.inference_mode()
def _check_effect(model: Any, names: Iterable[str]) -> None:
    ids = torch.arange(min(16, model.config.vocab_size), device=model.device)[None]
    model.eval().disable_adapters()
    plain = model(input_ids=ids).last_hidden_state
    model.enable_adapters()
    for name in names:
        model.set_adapter(name)
        if torch.equal(model(input_ids=ids).last_hidden_state, plain):
            raise BenchError(f"The adapter {name} changes nothing: it is not trained, or not in use.")
