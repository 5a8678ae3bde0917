"""Check a teacher's files before sentence-transformers reads them: nothing in them may name code or be unpickled.

Settings are JSON. Numbers cannot name code; texts and structures are allowed only under the keys listed here.
"""

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from reranker import declared, hub
from reranker.checkpoint import local_folder
from reranker.errors import CheckpointError
from reranker.packages import FETCHING, PACKAGE, named_folder
from reranker.schema import read_json, read_model
from reranker.stored import check_stored

_WANTED = ("*.json", "*.txt", "*.model", "*.safetensors")
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".h5", ".msgpack")
_WEIGHTS = re.compile(r"model(-[0-9]+-of-[0-9]+)?\.safetensors")
_MODULES = ("Transformer", "Pooling", "Normalize", "Dense", "StaticEmbedding")
_LIBRARY = re.compile(rf"sentence_transformers\.(?:[a-z_]+\.)*(?:{'|'.join(_MODULES)})")
_LABEL = re.compile(r"[^\x00-\x1f]{0,1000}", re.DOTALL)
_NAME = re.compile(r"\w[\w.-]{0,99}", re.ASCII)
_ACTIVATION = re.compile(r"gelu(_new|_fast|_pytorch_tanh)?|quick_gelu|relu|silu|swish|tanh")
_TORCH_ACTIVATION = re.compile(r"torch\.nn\.modules\.(activation|linear)\.(Tanh|ReLU|GELU|SiLU|Sigmoid|Identity)")
_TEXTS: dict[str, re.Pattern[str]] = {
    "model_type": _NAME,
    "architectures": _NAME,
    "hidden_act": _ACTIVATION,
    "activation": _ACTIVATION,
    "hidden_activation": _ACTIVATION,
    "activation_function": _TORCH_ACTIVATION,
    "layer_types": re.compile("full_attention|sliding_attention"),
    "rope_type": re.compile("default|linear|dynamic|yarn|longrope|llama3"),
    "type": re.compile("default|linear|dynamic|yarn|longrope|llama3"),
    "method": re.compile("forward"),
    "tokenizer_class": re.compile(r"[A-Za-z0-9]+"),
    **dict.fromkeys(
        (
            *("dtype", "torch_dtype", "position_embedding_type", "transformers_version", "padding_side", "backend"),
            *("truncation_side", "truncation_strategy", "similarity_fn_name", "pooling_mode", "transformer_task"),
            *("module_input_name", "module_output_name", "method_output_name"),
            *("vocab_type", "model_input_names"),
        ),
        _NAME,
    ),
    **dict.fromkeys(
        (
            *("_name_or_path", "name_or_path", "special_tokens_map_file", "default_prompt_name", "content", "prompts"),
            *("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"),
            *("additional_special_tokens", "extra_special_tokens", "never_split", "id2label", "label2id"),
            *("keys_to_ignore_at_inference", "__type", "__version__"),
        ),
        _LABEL,
    ),
}
_STRUCTURES = ("rope_parameters", "rope_scaling", "modality_config", "text", "added_tokens_decoder")
"""Objects whose own keys are checked like the file's; those under a key of `_TEXTS` are lists or tables of texts."""


class _Module(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    path: Annotated[str, Field(pattern=r"^[\w-]*$")]
    type: Annotated[str, Field(pattern=rf"^{_LIBRARY.pattern}$")]


def find(model: str) -> Path:
    """The folder of a sentence-transformers model that is safe to load.

    Args:
        model: a folder, a hub id, or `package:DISTRIBUTION/FOLDER`.

    Raises:
        CheckpointError: it does not exist, its weights are pickles, or a file is damaged or has a setting that is not
            allowed.
    """
    if model.startswith(PACKAGE):
        folder = named_folder(model)
    else:
        folder = local_folder(model) or hub.fetch(model, "", _WANTED).folder
    path = folder / "modules.json"
    if path.is_file():
        places = [folder / row.path for row in read_model(path, list[_Module], CheckpointError)]
    else:
        places = [folder]
    _check_kind(folder, places)
    for place in {folder, *places}:
        _check_weights(place)
        for file in sorted(place.glob("*config*.json")) + sorted(place.glob("special_tokens_map.json")):
            # Nothing reads the list of training data, or folders of such a name.
            if file.is_file() and file.name != "data_config.json":
                _check(read_json(file, CheckpointError), file)
        for index in place.glob("*.safetensors.index.json"):
            declared.shards(index)
    return folder


def _check_weights(folder: Path) -> None:
    try:
        names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be read: {error.strerror}") from error
    pickled = sorted(name for name in names if name.endswith(_PICKLES))
    if pickled and not any(name.endswith(".safetensors") for name in names):
        raise CheckpointError(
            f"{folder / pickled[0]} may run code when it is read, and there is no safetensors file: convert it"
        )
    check_stored(sorted(folder / name for name in names if _WEIGHTS.fullmatch(name)), CheckpointError)


def _check_kind(folder: Path, places: list[Path]) -> None:
    """Refuse a teacher with a module that modules.json does not list, and models that are not embedding models.

    The library would skip the module, or average the hidden states of any model.
    """
    for path in sorted(folder.glob("*/config.json")):
        if re.fullmatch(r"[0-9]+_\w+", path.parent.name) and path.parent not in places:
            raise CheckpointError(f"{folder} has the module {path.parent.name}, which modules.json does not name")
    path = folder / "config_sentence_transformers.json"
    saved_as = read_model(path, dict[str, Any], CheckpointError).get("model_type") if path.is_file() else None
    if saved_as not in (None, "SentenceTransformer"):
        raise CheckpointError(
            f"{path} is that of a {saved_as!r}: a teacher is an embedding model, a SentenceTransformer"
        )
    if (folder / "modules.json").is_file():
        return
    if path.is_file():
        raise CheckpointError(f"{folder} has no modules.json, though sentence-transformers saved it: it is incomplete")
    config = read_json(folder / "config.json", CheckpointError) if (folder / "config.json").is_file() else {}
    names = config.get("architectures") if isinstance(config, dict) else None
    kind = str(names[0]) if isinstance(names, list) and names else ""
    if re.search(r"For[A-Z]\w+$|^HF_ColBERT$", kind):
        raise CheckpointError(f"{folder} is a {kind}, not an embedding model: it cannot be a teacher")


def _check(settings: Any, path: Path) -> None:
    if not isinstance(settings, dict):
        raise CheckpointError(f"{path} is not a JSON object")
    if settings.get("model_type") in FETCHING:
        raise CheckpointError(f"{path} is of a model that transformers fetches code from the hub for: take another")
    for key, value in settings.items():
        if value is None or isinstance(value, bool | int | float) or value in ([], {}):
            continue
        if isinstance(value, dict) and (key in _STRUCTURES or (key.isdigit() and path.name == "tokenizer_config.json")):
            _check(value, path)
        elif key not in _TEXTS or not all(_TEXTS[key].fullmatch(text) for text in _texts(value)):
            raise CheckpointError(
                f"{path}: {key} is {value!r:.80}, which is not among the settings that a teacher may have: "
                "they could name code to run"
            )


def _texts(value: Any) -> list[str]:
    """The texts in a value: itself, a list's or an object's; an empty text for a number."""
    if isinstance(value, dict):
        value = list(value.values())
    values = value if isinstance(value, list) else [value]
    return [each if isinstance(each, str) else "" if isinstance(each, int | float | None) else "\0" for each in values]
