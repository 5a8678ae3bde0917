import json
import os
import shutil
import subprocess
import sys

import pytest

from bench.errors import BenchError
from bench.rerankers import load
from bench.rerankers.local import checkpoint
from bench.rerankers.rows import Row

FAMILIES = ["core", "cross-encoder", "yes-no", "late-interaction", "bi-encoder"]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("model", ["owner/absent", "/absent/folder", "../absent"])
def test_a_model_that_is_nowhere(family, model, cpu):
    with pytest.raises(BenchError) as caught:
        load(f"{family}:{model}", cpu)
    assert model in str(caught.value)
    assert "folder" in str(caught.value)


def test_without_a_hub_the_answer_comes_at_once_and_says_what_was_tried(tmp_path):
    """In a process of its own, as the hub's library reads its settings when it is imported."""
    code = (
        "from bench.errors import BenchError\n"
        "from bench.rerankers import Row\n"
        "from bench.rerankers.local import checkpoint\n"
        "for ask in (checkpoint.find, checkpoint.check):\n"
        "    try: ask(Row('x', 'cross-encoder', 'owner/absent'))\n"
        "    except BenchError as error: print(error)"
    )
    environment = os.environ | {"HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"}
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60, env=environment
    )
    first, early = answer.stdout.splitlines()
    assert first == early
    assert "Model 'owner/absent' not found locally, and the hub could not be reached" in first
    assert "Download it once, or pass a local folder: 'cross-encoder:FOLDER'." in first


@pytest.mark.parametrize("family", FAMILIES[1:])
def test_a_folder_that_is_no_checkpoint(family, tmp_path, cpu):
    with pytest.raises(BenchError, match=r"has neither config\.json nor modules\.json"):
        load(f"{family}:{tmp_path}", cpu)


@pytest.mark.parametrize("family", FAMILIES[1:])
def test_code_of_the_models_own_is_never_run(family, tmp_path, cpu):
    settings = {"architectures": ["NewModel"], "auto_map": {"AutoModel": "modeling.NewModel"}}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    (tmp_path / "modeling.py").write_text("raise SystemExit('code was run')")
    with pytest.raises(BenchError, match="Python code of its own"):
        load(f"{family}:{tmp_path}", cpu)


def test_modules_of_the_models_own_are_never_run(tmp_path, cpu):
    (tmp_path / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "", "type": "custom.Module"}]))
    with pytest.raises(BenchError, match="Python code of its own"):
        load(f"bi-encoder:{tmp_path}", cpu)


def test_pickles_are_never_read(tmp_path, cpu):
    (tmp_path / "config.json").write_text('{"architectures": ["BertForSequenceClassification"]}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n")
    with pytest.raises(BenchError, match=r"pytorch_model\.bin is a pickle"):
        load(f"cross-encoder:{tmp_path}", cpu)


@pytest.mark.parametrize("name", ["config.json", "modules.json"])
@pytest.mark.parametrize("content", ["{", "[[", "3"])
def test_damaged_settings(name, content, tmp_path, cpu):
    (tmp_path / name).write_text(content)
    with pytest.raises(BenchError, match=f"{name} (is not|does not fit)"):
        load(f"bi-encoder:{tmp_path}", cpu)


@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"{", b"{}", b"[]"])
@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("family", ["cross-encoder", "bi-encoder", "late-interaction", "yes-no"])
def test_damaged_files(family, name, content, tmp_path, request, cpu):
    folders = {"bi-encoder": "minilm_folder", "late-interaction": "colbert", "yes-no": "qwen3"}
    shutil.copytree(request.getfixturevalue(folders.get(family, "classifier")), tmp_path, dirs_exist_ok=True)
    (tmp_path / name).write_bytes(content)
    (tmp_path / "vocab.txt").unlink(missing_ok=True)
    with pytest.raises(
        BenchError, match=r"cannot be (loaded as|read)|is not valid JSON|holds no tokenizer|lacks tensors"
    ):
        load(f"{family}:{tmp_path}", cpu)


def test_settings_that_no_model_can_have(tmp_path, classifier, cpu):
    shutil.copytree(classifier, tmp_path, dirs_exist_ok=True)
    settings = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(settings | {"hidden_size": "wide"}))
    with pytest.raises(BenchError, match="cannot be loaded as"):
        load(f"cross-encoder:{tmp_path}", cpu)


def test_identity_follows_every_file_that_matters(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"1")

    def identity():
        return checkpoint.locate(Row("x", "core", str(tmp_path))).identity

    first = identity()
    (tmp_path / "README.md").write_text("words")
    assert identity() == first
    (tmp_path / "model.safetensors").write_bytes(b"2")
    assert identity() != first


@pytest.mark.parametrize("family", ["cross-encoder", "bi-encoder", "late-interaction"])
def test_a_tokenizer_without_a_padding_token(family, tmp_path, request, cpu):
    folders = {"bi-encoder": "encoder", "late-interaction": "colbert", "cross-encoder": "classifier"}
    shutil.copytree(request.getfixturevalue(folders[family]), tmp_path, dirs_exist_ok=True)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    settings |= {"pad_token": None, "tokenizer_class": "PreTrainedTokenizerFast"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(BenchError, match="padding token"):
        load(f"{family}:{tmp_path}", cpu)


def test_a_window_without_room(tmp_path, classifier, cpu):
    shutil.copytree(classifier, tmp_path, dirs_exist_ok=True)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings | {"model_max_length": 3}))
    with pytest.raises(BenchError, match="model_max_length"):
        load(f"cross-encoder:{tmp_path}", cpu)
