"""Find and read a checkpoint: a folder, a repository on the Hugging Face hub or in its local cache, or `embedded`.

The format is the released model's: `config.json`, `tokenizer.json`, `tokenizer_config.json`, and weights in
safetensors, in one file or in shards. The config decides the backbone, so that full attention (v3) and sliding layers
(v3.5) both load. No code of a checkpoint is ever run, and nothing is unpickled.
"""

import hashlib
import json
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from reranker import declared, hub, identity
from reranker.errors import CheckpointError
from reranker.model import ListModel
from reranker.prompt import PROMPT_VERSION, Markers

CONFIG, TOKENIZER, TOKENIZER_CONFIG = "config.json", "tokenizer.json", "tokenizer_config.json"
TOKENIZER_FILES = (TOKENIZER, TOKENIZER_CONFIG)
WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
EMBEDDED = "embedded"
INCOMING = ".incoming"
"""Subfolder of a checkpoint with the complete files of a newer one, which are being moved to their own paths."""
_PROJECTOR = ("projector.0.weight", "projector.2.weight")
_PRECISIONS = ("F32", "F16", "BF16", "F64")
_NO_BLOCKS = 1 << 30  # maximum prompt tokens where no file gives a number

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The files of one checkpoint, found and parsed; the weights are not read yet. `capacity` is in prompt tokens."""

    folder: Path
    config: dict[str, Any]
    weights: tuple[Path, ...]
    capacity: int

    def file(self, name: str) -> Path:
        """The path of one of its files.

        Raises:
            CheckpointError: it does not exist.
        """
        return _file(self.folder, name)

    @property
    def markers(self) -> Markers:
        """The marker tokens: the config's `document_marker` and `query_marker`, by default those of v3."""
        default = Markers()
        return Markers(
            self.config.get("document_marker") or default.document, self.config.get("query_marker") or default.query
        )

    @property
    def longest_document(self) -> int | None:
        """Maximum tokens of a document by the config, or None; longer documents are truncated."""
        return self.config.get("max_doc_length")

    @property
    def parameters(self) -> int:
        """How many parameters the model has, from the headers of the files.

        Raises:
            CheckpointError: a file is damaged.
        """
        return sum(math.prod(file.get_slice(key).get_shape()) for _, key, file in self._entries())

    def tokenizer(self) -> Tokenizer:
        """The tokenizer of `tokenizer.json`.

        Raises:
            CheckpointError: the file is damaged, or has a token id outside the vocabulary.
        """
        path = _file(self.folder, TOKENIZER)
        content, highest = declared.tokenizer(path)
        if highest >= self.config["vocab_size"]:
            raise CheckpointError(
                f"{path} has the token id {highest}, beyond the vocab_size {self.config['vocab_size']} of {CONFIG}: "
                "use the tokenizer files that belong to the weights"
            )
        try:
            return Tokenizer.from_str(json.dumps(content))
        except Exception as error:  # the library raises nothing narrower
            raise CheckpointError(f"{path} is not a tokenizer file: {error}") from error

    def model(self, device: torch.device, dtype: torch.dtype) -> ListModel:
        """The model with its weights, on the device.

        Raises:
            CheckpointError: a tensor is missing, unknown or of the wrong shape, or a file is damaged.
        """
        backbone = self._backbone(device)
        expected = {name: tuple(tensor.shape) for name, tensor in backbone.state_dict().items()}
        _compare(expected, self._shapes(), self.folder)  # before any weight is read
        tensors = dict(self.stored(device, dtype))
        projector = _projector(tensors, self.folder)
        backbone.load_state_dict(tensors, assign=True)
        return ListModel(backbone, projector).eval()

    def _backbone(self, device: torch.device) -> Any:
        """The backbone without weights: initialising them would be wasted.

        The attention implementation is set here, since a config could name one to be fetched and run. Only
        `reranker.speed.baseline` uses it.
        """
        where = self.folder / CONFIG
        try:
            config = AutoConfig.for_model(**declared.architecture(self.config), attn_implementation="sdpa")
            if "sliding_attention" in (getattr(config, "layer_types", None) or ()) and not config.sliding_window:
                raise CheckpointError(f"{where} has sliding layers but no sliding_window in use")
            if config.num_attention_heads % config.num_key_value_heads:
                raise CheckpointError(f"{where}: num_key_value_heads does not divide num_attention_heads")
            with torch.device("meta"):
                backbone = AutoModel.from_config(config)  # type: ignore[no-untyped-call]
            # The rotary frequencies are computed, not stored, so they cannot stay on the meta device.
            backbone.rotary_emb = type(backbone.rotary_emb)(config).to(device)
        except (StrictDataclassError, TypeError, ValueError, KeyError, ArithmeticError) as error:
            raise CheckpointError(f"{where} is not a usable configuration: {error}") from error
        if not bool(torch.isfinite(backbone.rotary_emb.inv_freq).all()):
            raise CheckpointError(f"{where} gives rotary frequencies that are not finite numbers")
        return backbone

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor of the backbone, from the files' headers."""
        shapes = {name: tuple(file.get_slice(key).get_shape()) for name, key, file in self._entries()}
        return {name: shape for name, shape in shapes.items() if name not in _PROJECTOR}

    def stored(
        self, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> Iterator[tuple[str, Tensor]]:
        """Each tensor by the backbone's name for it; None keeps the stored precision. Skips the unused LM head."""
        for name, key, file in self._entries():
            yield name, file.get_tensor(key).to(device, dtype)

    def _entries(self) -> Iterator[tuple[str, str, Any]]:
        """Each tensor's name for the backbone, its name in the file, and the open file.

        Raises:
            CheckpointError: a file cannot be read, or contains a tensor of another precision or a duplicate.
        """
        known = set()
        for path in self.weights:
            try:
                with safe_open(path, "pt") as file:
                    for key in file.keys():  # noqa: SIM118  (not a dict: it cannot be iterated over)
                        name = key.removeprefix("model.")
                        if key.startswith("lm_head."):
                            continue
                        if name in known:
                            raise CheckpointError(f"{path} has the tensor {name} a second time")
                        known.add(name)
                        if file.get_slice(key).get_dtype() not in _PRECISIONS:
                            raise CheckpointError(
                                f"{path}: {name} is not of a precision among {', '.join(_PRECISIONS)}"
                            )
                        yield name, key, file
            except (SafetensorError, OSError) as error:
                raise CheckpointError(f"{path} cannot be read, fetch it again: {error}") from error

    def fingerprint(self, dtype: torch.dtype) -> str:
        """Sha256 in hex of all that scores depend on: files, precision, and the prompt's version.

        The same weights have the same fingerprint in one file or in shards.
        """
        digest = hashlib.sha256(f"{PROMPT_VERSION} {dtype}".encode())
        try:
            for name in (CONFIG, *TOKENIZER_FILES):
                digest.update(hashlib.sha256(self.file(name).read_bytes()).digest())
            digest.update(identity.weights(self.weights))
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{self.folder} cannot be read: {error}") from error
        return digest.hexdigest()


def find(name_or_folder: str | Path, revision: str | None = None) -> Checkpoint:
    """The checkpoint in a folder, or of that name on the hub or in its local cache; `embedded` is in this package.

    Raises:
        CheckpointError: it does not exist, is an adapter, or its files are missing or damaged.
    """
    folder = Path(__file__).parent / EMBEDDED if name_or_folder == EMBEDDED else local_folder(name_or_folder)
    folder = folder or _from_hub(str(name_or_folder), revision)
    refuse_adapter(folder)
    config = declared.config(_file(folder, CONFIG))
    capacity = declared.capacity(_file(folder, TOKENIZER_CONFIG), config.get("max_position_embeddings", _NO_BLOCKS))
    _file(folder, TOKENIZER)
    return Checkpoint(folder, config, _weight_files(folder), capacity)


def refuse_adapter(folder: Path) -> None:
    """Refuse a folder with an adapter (LoRA): without it, the scores would be another model's.

    Raises:
        CheckpointError: the folder or a folder in it contains `adapter_model.safetensors` (peft) or
            `adapter.safetensors`.
    """
    for name in ("adapter_model.safetensors", "adapter.safetensors"):
        for path in (*folder.glob(name), *folder.glob(f"*/{name}")):
            raise CheckpointError(
                f"{folder} contains an adapter, {path.relative_to(folder)}, which is not supported. Merge the adapter "
                "into its base model (merge_and_unload in peft) and use that checkpoint, or remove the file"
            )


def local_folder(name: str | Path) -> Path | None:
    """The folder of that name, or None."""
    try:
        folder = Path(name).expanduser()
        return folder if folder.is_dir() else None
    except (OSError, RuntimeError):  # a name too long for a file, or the home folder of an unknown user
        return None


def _from_hub(name: str, revision: str | None) -> Path:
    advice = (
        "If you have the model's files, give the folder that holds them (config.json, tokenizer.json, "
        "tokenizer_config.json, model.safetensors) instead of the name."
    )
    if Path(name).is_absolute() or name.startswith((".", "~")) or name.count("/") != 1:
        raise CheckpointError(f"there is no folder {name!r}, and it is not the name of a hub repository. {advice}")
    try:
        fetched = hub.fetch(name, revision or "", [CONFIG, TOKENIZER, TOKENIZER_CONFIG, _INDEX, "*.safetensors"])
    except CheckpointError as error:
        at = f" at revision {revision}" if revision else ""
        raise CheckpointError(
            f"{name}{at} is neither a folder here nor to be had from the Hugging Face hub or its local cache: {error}. "
            f"{advice}"
        ) from error
    if fetched.doubt:
        _log.warning("%s is taken from the local cache, at commit %s: %s", name, fetched.commit, fetched.doubt)
    return fetched.folder


def _file(folder: Path, name: str) -> Path:
    path = folder / name
    try:
        for place in (folder / INCOMING / name, path):
            if place.is_file():
                return place
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    raise CheckpointError(f"{folder} has no {name}: it is not a whole checkpoint")


def _weight_files(folder: Path) -> tuple[Path, ...]:
    if not (folder / _INDEX).is_file() or (folder / WEIGHTS).is_file() or (folder / INCOMING / WEIGHTS).is_file():
        return (_file(folder, WEIGHTS),)
    return tuple(_shard(folder, name) for name in declared.shards(folder / _INDEX))


def _shard(folder: Path, name: str) -> Path:
    """A file that the index names. It may be a link into the hub's store of files, but nowhere else."""
    path = _file(folder, name)
    places = [folder.resolve()]
    if folder.parent.name == "snapshots":
        places.append((folder.parent.parent / "blobs").resolve())
    if not any(path.resolve().is_relative_to(place) for place in places):
        raise CheckpointError(f"{path} is a link that leads out of the checkpoint: put the file itself in its place")
    return path


def _projector(tensors: dict[str, Tensor], folder: Path) -> nn.Sequential:
    """Remove the projector's two matrices from `tensors` and build the projector with their shapes."""
    missing = [name for name in _PROJECTOR if name not in tensors]
    if missing:
        raise CheckpointError(f"{folder} lacks {', '.join(missing)}: it is not a checkpoint of this kind of reranker")
    first, second = (tensors.pop(name) for name in _PROJECTOR)
    hidden = tensors["embed_tokens.weight"].shape[-1] if "embed_tokens.weight" in tensors else first.shape[-1]
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != hidden or second.shape[1] != first.shape[0]:
        shapes = f"{tuple(first.shape)} and {tuple(second.shape)}"
        raise CheckpointError(f"{folder}: projector shapes {shapes} do not fit each other and the width {hidden}")
    layers = [nn.Linear(matrix.shape[1], matrix.shape[0], bias=False, device="meta") for matrix in (first, second)]
    projector = nn.Sequential(layers[0], nn.ReLU(), layers[1])
    projector.load_state_dict({"0.weight": first, "2.weight": second}, assign=True)
    return projector


def _compare(expected: dict[str, tuple[int, ...]], found: dict[str, tuple[int, ...]], folder: Path) -> None:
    """Raise an error that names the tensors that are missing, unknown or of another shape than the config's."""
    faults = [f"{name} is missing" for name in expected if name not in found]
    faults += [f"{name} is unknown" for name in found if name not in expected]
    faults += [
        f"{name} is {found[name]}, not {shape}" for name, shape in expected.items() if found.get(name, shape) != shape
    ]
    if faults:
        more = f" and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise CheckpointError(f"the weights in {folder} do not fit its config.json: {'; '.join(faults[:5])}{more}")
