"""Nothing that a checkpoint says makes code run: a payload would leave a file."""

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers.modeling_utils
from transformers import AutoConfig, AutoModel

from reranker import CheckpointError, Reranker, checkpoint
from reranker.packages import PACKAGE
from reranker.train.teacher import Teacher

LIST = ("which tide", ["The tide turns twice a day.", "A glacier moves slowly."])
KERNEL = "evil/kernel@main"
PAYLOADS = ("payload", "modeling", "evil")


@pytest.fixture
def mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The file that a payload would leave: a module of the working folder, or a kernel that transformers fetches."""
    mark, home = tmp_path / "it-ran", tmp_path / "working-folder"
    for name in PAYLOADS:
        (home / name / "x").mkdir(parents=True)
        for file in (home / name / "__init__.py", home / name / "x" / "__init__.py"):
            file.write_text(f"open({str(mark)!r}, 'w').close()\nclass X: pass\n")
    monkeypatch.chdir(home)
    monkeypatch.syspath_prepend(str(home))
    monkeypatch.setattr(
        transformers.modeling_utils, "lazy_import_flash_attention", lambda *_, **__: mark.write_text("kernel")
    )
    yield mark
    for module in [name for name in sys.modules if name.partition(".")[0] in PAYLOADS]:
        del sys.modules[module]


def poison(folder: Path) -> None:
    kernels = {f"{start}attn_implementation{end}": KERNEL for start in ("", "_") for end in ("", "_internal")}
    poisoned = {
        **kernels,
        "experts_implementation": KERNEL,
        "auto_map": {"AutoConfig": "payload.X", "AutoModel": "payload.X", "AutoTokenizer": "payload.X"},
        "custom_pipelines": {"rerank": {"impl": "payload.X", "pt": ["AutoModel"]}},
        "trust_remote_code": True,
        "tokenizer_class": "payload.X",
        "chat_template": "{{ payload }}",
        "text_config": {**kernels, "model_type": "qwen3"},
        "base_model_tp_plan": {"layers.*": "payload"},
    }
    for name in ("config.json", "tokenizer_config.json"):
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | poisoned))


def test_a_poisoned_checkpoint_scores_as_a_clean_one(mark: Path, editable: Path, tiny: Reranker) -> None:
    poison(editable)
    assert Reranker.from_pretrained(editable, device="cpu").score([LIST]) == tiny.score([LIST])
    backbone = checkpoint.find(editable).model(torch.device("cpu"), torch.float32).backbone
    assert backbone.config._attn_implementation == "sdpa"
    assert not hasattr(backbone.config, "custom_pipelines")
    assert not mark.exists()


def test_the_poison_is_one(mark: Path, editable: Path) -> None:
    """transformers does as the config says, so that the test above would notice it."""
    poison(editable)
    with torch.device("meta"), contextlib.suppress(ValueError):
        AutoModel.from_config(AutoConfig.for_model(**json.loads((editable / "config.json").read_text())))
    assert mark.exists()


@pytest.mark.parametrize("package", ["payload.x", "payload", "evil", "evil.x.y", "working-folder"])
def test_a_package_that_a_config_or_a_recipe_names_is_not_imported(package: str, mark: Path, editable: Path) -> None:
    backbone = {"package": package, "version": "1", "file": "x.gguf", "sha256": "0" * 64}
    path = editable / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": "llama", "backbone": backbone}))
    (editable / "model.safetensors").rename(editable / "adapter.safetensors")
    with pytest.raises(CheckpointError):
        Reranker.from_pretrained(editable, device="cpu")
    with pytest.raises(CheckpointError):
        Teacher(f"{PACKAGE}{package}/m")
    assert not mark.exists()
