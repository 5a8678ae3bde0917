"""Finding and loading checkpoints: folders, the hub's cache, shards, other configs, and every kind of damage."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from reranker import CheckpointError, Reranker, checkpoint, hub
from reranker.speed.baseline import Baseline
from reranker.train.merge import merge
from tests.hub import NAME, failing, serving

LIST = ("which tide", ["The tide turns twice a day.", "\nA glacier moves slowly.", "12 orbits"])


def load(folder: Path) -> Reranker:
    return Reranker.from_pretrained(folder, device="cpu")


def edit_json(path: Path, **changes: Any) -> None:
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))


def edit_weights(folder: Path, **changes: torch.Tensor | None) -> None:
    """Keywords name tensors with `__` for a point; None removes one."""
    tensors = load_file(folder / "model.safetensors")
    tensors |= {name.replace("__", "."): tensor for name, tensor in changes.items()}
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, folder / "model.safetensors")


def test_shards_give_the_same_scores(editable: Path, tiny: Reranker) -> None:
    tensors = load_file(editable / "model.safetensors")
    (editable / "model.safetensors").unlink()
    places = {name: f"model-{1 + number % 2}-of-2.safetensors" for number, name in enumerate(tensors)}
    for file in set(places.values()):
        save_file({name: tensors[name] for name, place in places.items() if place == file}, editable / file)
    (editable / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    assert load(editable).score([LIST]) == tiny.score([LIST])
    (editable / "model-2-of-2.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"has no model-2-of-2\.safetensors"):
        load(editable)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_shards_have_the_fingerprint_of_the_whole(metadata: dict[str, str] | None, editable: Path) -> None:
    tensors = load_file(editable / "model.safetensors")
    tensors["model.norm.weight"] = tensors["model.norm.weight"].bfloat16()  # two precisions, one after the other
    save_file(tensors, editable / "model.safetensors", metadata)
    whole = load(editable).fingerprint
    (editable / "model.safetensors").unlink()
    places = {name: f"model-{number % 3}.safetensors" for number, name in enumerate(tensors)}

    def cut(tensors: dict[str, torch.Tensor]) -> str:
        for file in set(places.values()):
            part = {name: tensors[name] for name, place in places.items() if place == file}
            save_file(part, editable / file, metadata)
        (editable / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
        return load(editable).fingerprint

    assert cut(tensors) == whole
    tensors["model.norm.weight"] = tensors["model.norm.weight"] * 2
    assert cut(tensors) != whole


def test_the_released_config_loads_and_its_code_is_left_alone(editable: Path, tiny: Reranker) -> None:
    # As released: rope as two keys, the precision's old name, and code to be run with trust_remote_code.
    (editable / "modeling.py").write_text("raise SystemExit('code of a checkpoint was run')")
    edit_json(
        editable / "config.json",
        auto_map={"AutoModel": "modeling.JinaForRanking", "AutoConfig": "modeling.JinaConfig"},
        rope_parameters=...,
        rope_theta=1000000,
        rope_scaling=None,
        layer_types=...,
        dtype=...,
        torch_dtype="bfloat16",
        transformers_version="4.51.0",
    )
    assert load(editable).score([LIST]) == tiny.score([LIST])


@pytest.mark.parametrize("kind", ["sliding", "llama"])
def test_other_backbones_score_as_transformers_runs_them(kind: str, make_checkpoint: Callable[..., Path]) -> None:
    plan = ["sliding_attention"] * 3 + ["full_attention"] * 2
    sliding = {"layer_types": plan, "sliding_window": 24, "use_sliding_window": True}
    folder = make_checkpoint(**({"model_type": "llama"} if kind == "llama" else sliding))
    files = checkpoint.find(folder)
    model = files.model(torch.device("cpu"), torch.float32)
    baseline = Baseline(model, files.tokenizer(), files.markers, files.capacity)
    lists = [LIST, ("another", LIST[1] * 4)]
    for scores, one in zip(load(folder).score(lists), lists, strict=True):
        assert scores == pytest.approx(baseline.score(*one), abs=1e-5)


def test_a_checkpoint_written_anew_keeps_what_other_tools_want_to_know(editable: Path, tmp_path: Path) -> None:
    edit_json(editable / "config.json", attn_implementation="evil/kernel@main", eos_token_id=[5, 6])
    merge([editable], [1.0], tmp_path / "merged")
    written = json.loads((tmp_path / "merged" / "config.json").read_text())
    assert (written["architectures"], written["dtype"], written["eos_token_id"]) == (
        ["JinaForRanking"],
        "float16",
        [5, 6],
    )
    assert "attn_implementation" not in written
    assert load(tmp_path / "merged").score([LIST]) == load(editable).score([LIST])


def test_markers_of_the_config_are_read(editable: Path) -> None:
    edit_json(editable / "config.json", document_marker="<|box_start|>", query_marker="<|box_end|>")
    files = checkpoint.find(editable)
    assert (files.markers.document, files.markers.query) == ("<|box_start|>", "<|box_end|>")
    assert len(load(editable).rerank(*LIST)) == 3


def test_the_hubs_local_cache_is_used(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "models--maker--model"
    snapshot = home / "snapshots" / "0123456789012345678901234567890123456789"
    shutil.copytree(tiny_folder, snapshot)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(snapshot.name)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert checkpoint.find("maker/model").folder == snapshot
    assert checkpoint.find("maker/model", revision=snapshot.name).folder == snapshot
    with pytest.raises(CheckpointError, match="maker/model at revision other is neither a folder here"):
        checkpoint.find("maker/model", revision="other")


@pytest.mark.parametrize("status", [200, 429, 401, 404, 503])
def test_a_hub_that_gives_nothing_is_told_in_one_message(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("reranker.hub._WAITS", ())
    with serving(tmp_path) as hub:
        hub.answer = failing(status, {"Content-Type": "text/html"}, "<html>Please log in.</html>")
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        with pytest.raises(CheckpointError) as caught:
            Reranker.from_pretrained(NAME)
    message = str(caught.value)
    assert "is neither a folder here nor to be had from the Hugging Face hub or its local cache" in message
    assert "give the folder that holds them (config.json, tokenizer.json" in message
    assert ("busy" in message) == (status == 429)


def test_what_was_fetched_once_is_used_offline(
    tiny_folder: Path, tiny: Reranker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with serving(tiny_folder) as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        assert Reranker.from_pretrained(NAME, device="cpu").score([LIST]) == tiny.score([LIST])
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert Reranker.from_pretrained(NAME, device="cpu").fingerprint == tiny.fingerprint


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "~/nowhere", "~nobody-here/x", "nowhere", "a/b/c"])
def test_a_folder_that_is_not_there_is_not_looked_for_on_the_hub(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "fetch", None)
    with pytest.raises(CheckpointError, match="there is no folder"):
        Reranker.from_pretrained(name)


@pytest.mark.parametrize("name", ["a" * 300, "a/" + "b" * 300, "a\0/b", "a b/c", "é/b", "", "/"])
def test_a_name_that_none_can_have_is_refused(name: str) -> None:
    with pytest.raises(CheckpointError):
        Reranker.from_pretrained(name, device="cpu")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"])
def test_a_missing_file_is_named(name: str, editable: Path) -> None:
    (editable / name).unlink()
    with pytest.raises(CheckpointError, match=f"has no {name}"):
        load(editable)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("config.json", r"config\.json is not valid JSON"),
        ("tokenizer.json", r"tokenizer\.json is not valid JSON"),
        ("tokenizer_config.json", r"tokenizer_config\.json is not valid JSON"),
        ("model.safetensors", r"model\.safetensors cannot be read, fetch it again"),
    ],
)
@pytest.mark.parametrize("share", [0.0, 0.6])
def test_a_file_cut_short_is_named(name: str, message: str, share: float, editable: Path) -> None:
    content = (editable / name).read_bytes()
    (editable / name).write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=message):
        load(editable)


def test_a_missing_an_unknown_and_a_misshapen_tensor_are_named(editable: Path) -> None:
    changes = {
        "model__norm__weight": None,
        "model__extra__weight": torch.zeros(2),
        "model__layers__2__mlp__up_proj__weight": torch.zeros(3, 64),
    }
    edit_weights(editable, **changes)
    with pytest.raises(CheckpointError) as caught:
        load(editable)
    for fault in (
        "norm.weight is missing",
        "extra.weight is unknown",
        "layers.2.mlp.up_proj.weight is (3, 64), not (192, 64)",
    ):
        assert fault in str(caught.value)


def test_a_config_of_another_size_is_told_in_few_words(editable: Path) -> None:
    edit_json(editable / "config.json", hidden_size=32)
    with pytest.raises(CheckpointError, match=r"do not fit its config\.json.* and \d+ more"):
        load(editable)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"projector__0__weight": None}, r"lacks projector\.0\.weight"),
        ({"projector__2__weight": torch.zeros(512, 31)}, r"projector shapes \(32, 64\) and \(512, 31\) do not fit"),
        ({"projector__0__weight": torch.zeros(32)}, "do not fit each other"),
    ],
)
def test_a_projector_that_does_not_fit_is_told(
    changes: dict[str, torch.Tensor | None], message: str, editable: Path
) -> None:
    edit_weights(editable, **changes)
    with pytest.raises(CheckpointError, match=message):
        load(editable)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "bert"}, "model_type: Input should be 'qwen3' or 'llama'"),
        ({"model_type": ...}, "model_type: Field required"),
        ({"hidden_size": "wide"}, "hidden_size: Input should be a valid integer"),
        ({"hidden_size": True}, "hidden_size: Input should be a valid integer"),
        ({"hidden_size": 10**30}, "hidden_size: "),
        ({"layer_types": ["sliding_attention"] * 4}, "sliding layers but no sliding_window"),
        ({"layer_types": ["full_attention"] * 3}, "layer_types has 3 layers, not 4"),
        ({"layer_types": ["evil/kernel"] * 4}, "layer_types.0: "),
        ({"hidden_act": "xielu"}, "hidden_act: "),
        ({"hidden_act": "os.system"}, "hidden_act: "),
        ({"head_dim": 2**31}, "head_dim: "),
        ({"head_dim": 15}, "head_dim: "),
        ({"head_dim": 8}, r"q_proj\.weight is \(64, 64\), not \(32, 64\)"),
        ({"num_key_value_heads": 0}, "num_key_value_heads: "),
        ({"num_key_value_heads": 3}, "num_key_value_heads 3 does not divide num_attention_heads 4"),
        ({"num_hidden_layers": 10**6}, "num_hidden_layers: "),
        ({"document_marker": 5}, "document_marker: Input should be a valid string"),
        ({"document_marker": "<|x|>", "query_marker": "<|x|>"}, "are the same"),
        ({"max_doc_length": -1}, "max_doc_length: "),
        ({"rope_parameters": {"rope_type": "evil", "rope_theta": 1e6}}, "rope_parameters.rope_type: "),
        ({"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}}, "rope_parameters.rope_type: "),
        ({"rope_parameters": {"rope_type": "default", "new_key": 2.0}}, "rope_parameters.new_key: "),
        ({"rope_parameters": {"rope_type": "yarn"}}, "is not a usable configuration|rotary frequencies"),
        (
            {
                "rope_parameters": {
                    "rope_type": "llama3",
                    "rope_theta": 1e4,
                    "low_freq_factor": 4,
                    "high_freq_factor": 1,
                }
            },
            "low_freq_factor 4.0 is not below high_freq_factor 1.0",
        ),
        ({"num_key_value_heads": ...}, "num_key_value_heads does not divide num_attention_heads"),
        (
            {"model_type": "llama", "head_dim": ..., "num_attention_heads": 3, "num_key_value_heads": 1},
            "head_dim is missing",
        ),
        ({"rms_norm_eps": 1e400}, "not valid JSON|rms_norm_eps"),
        ({"quantization_config": {"quant_method": "evil"}}, "quantization_config: "),
    ],
    ids=str,
)
def test_a_config_that_cannot_be_used_is_told(changes: dict[str, Any], message: str, editable: Path) -> None:
    edit_json(editable / "config.json", **changes)
    with pytest.raises(CheckpointError, match=message):
        load(editable)


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "[]",
        *(f'{{"model_max_length": {value}}}' for value in ("-1", "0", "1e400", "NaN", "true", '"many"', "null")),
    ],
)
def test_a_tokenizer_config_without_a_capacity_is_told(content: str, editable: Path) -> None:
    (editable / "tokenizer_config.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"tokenizer_config\.json"):
        load(editable)


def test_a_tokenizer_config_without_a_limit_means_that_of_the_positions(editable: Path) -> None:
    edit_json(editable / "tokenizer_config.json", model_max_length=10**30)
    assert checkpoint.find(editable).capacity == 131_072


@pytest.mark.parametrize(
    "weight_map",
    [
        *(
            {"a": name}
            for name in ("../x.safetensors", "/etc/passwd", "", ".", "a/b.safetensors", "x.bin", 5, None, [])
        ),
        *({"a": name} for name in ("x\0.safetensors", "x" * 300 + ".safetensors", "C:\\x.safetensors")),
        *({}, [], "x", None, {"a": {"b": "c"}}),
    ],
    ids=str,
)
def test_an_index_names_files_of_its_own_folder_alone(weight_map: Any, editable: Path) -> None:
    (editable / "model.safetensors").rename(editable.parent / "x.safetensors")
    (editable / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(CheckpointError, match=r"model\.safetensors\.index\.json"):
        load(editable)


def test_a_shard_may_be_a_link_into_the_hubs_store_alone(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models--maker--model" / "snapshots" / ("0" * 40)
    shutil.copytree(tiny_folder, folder)
    (tmp_path / "models--maker--model" / "blobs").mkdir()
    index = {"weight_map": {"a": "x.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    for home, allowed in (("models--maker--model/blobs", True), (".", False)):
        weights = folder / "model.safetensors" if allowed else tmp_path / "models--maker--model" / "blobs" / "x"
        weights.rename(tmp_path / home / "x")
        (folder / "x.safetensors").unlink(missing_ok=True)
        (folder / "x.safetensors").symlink_to(tmp_path / home / "x")
        if allowed:
            assert load(folder).score([LIST])
        else:
            with pytest.raises(CheckpointError, match="is a link that leads out of the checkpoint"):
                load(folder)


def test_a_tensor_of_whole_numbers_or_of_two_files_is_refused(editable: Path) -> None:
    tensors = load_file(editable / "model.safetensors")
    edit_weights(editable, model__norm__weight=tensors["model.norm.weight"].to(torch.int32))
    with pytest.raises(CheckpointError, match=r"norm\.weight is not of a precision among F32"):
        load(editable)
    for name in ("a", "b"):
        save_file(tensors, editable / f"{name}.safetensors")
    (editable / "model.safetensors").unlink()
    (editable / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}})
    )
    with pytest.raises(CheckpointError, match="a second time"):
        load(editable)


def edit_tokenizer(folder: Path, **changes: Any) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"] |= changes
    (folder / "tokenizer.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    "changes",
    [
        *({"continuing_subword_prefix": prefix} for prefix in ("#", "é", "x" * 100, 5)),
        *({"end_of_word_suffix": "x"}, {"dropout": 0.5}, {"vocab": {"a": 10**7}}, {"vocab": {"a": -1}}, {"merges": 5}),
        *({"type": "WordPiece"}, {"type": "Unigram"}, {"type": None}),
    ],
    ids=str,
)
def test_a_tokenizer_that_the_library_may_not_survive_is_refused(changes: dict[str, Any], editable: Path) -> None:
    edit_tokenizer(editable, **changes)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        load(editable)


def test_an_empty_prefix_of_a_byte_level_tokenizer_is_none(editable: Path, tiny: Reranker) -> None:
    edit_tokenizer(editable, continuing_subword_prefix="", end_of_word_suffix="")
    assert load(editable).score([LIST]) == tiny.score([LIST])


def test_a_token_beyond_the_embeddings_is_refused(editable: Path) -> None:
    content = json.loads((editable / "tokenizer.json").read_text())
    content["added_tokens"][-1]["id"] = 4028
    (editable / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="token id 4028, beyond the vocab_size 4028"):
        load(editable)


def test_the_fingerprint_tells_apart_what_scores_depend_on(tiny_folder: Path, editable: Path) -> None:
    first = load(tiny_folder).fingerprint
    assert len(first) == 64
    assert load(editable).fingerprint == first  # where the files lie does not matter
    assert Reranker.from_pretrained(editable, device="cpu", dtype="bfloat16").fingerprint != first
    norm = load_file(editable / "model.safetensors")["model.norm.weight"]
    edit_weights(editable, model__norm__weight=norm * 2)
    weights = load(editable).fingerprint
    edit_json(editable / "tokenizer_config.json", model_max_length=4096)
    assert len({first, weights, load(editable).fingerprint}) == 3


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter.safetensors", "query/adapter.safetensors"])
@pytest.mark.parametrize("alone", [False, True], ids=["with-weights", "alone"])
def test_an_adapter_is_refused(name: str, alone: bool, editable: Path) -> None:
    """Without the adapter the scores would be another model's."""
    (editable / name).parent.mkdir(exist_ok=True)
    (editable / name).touch()
    if alone:
        for path in (*editable.glob("*.json"), editable / "model.safetensors"):
            path.unlink()
    with pytest.raises(CheckpointError, match=rf"contains an adapter, {name}.* Merge the adapter"):
        checkpoint.find(editable)
