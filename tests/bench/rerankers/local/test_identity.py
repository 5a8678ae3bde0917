import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from bench.errors import BenchError
from bench.rerankers import ROWS, load
from bench.rerankers.local.checkpoint import Checkpoint, locate
from bench.rerankers.local.identity import content_hash

FOLDERS = {"bi-encoder": "encoder", "cross-encoder": "classifier", "yes-no": "qwen3"}


@pytest.fixture
def copy(tmp_path, request):
    return lambda family: Path(shutil.copytree(request.getfixturevalue(FOLDERS[family]), tmp_path / "copy"))


@pytest.mark.parametrize("family", FOLDERS)
def test_a_flipped_byte_is_noticed(family, copy, cpu):
    folder = copy(family)
    before = load(f"{family}:{folder}", cpu).card.fingerprint
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    assert load(f"{family}:{folder}", cpu).card.fingerprint != before


def test_what_the_hub_gave_is_hashed_like_a_folder(encoder):
    """Not by the commit: a file that was damaged after it was fetched is another model."""
    plain = Checkpoint("owner/model", encoder, "").identity
    assert Checkpoint("owner/model", encoder, "0" * 40).identity == plain


@pytest.mark.parametrize("family", FOLDERS)
def test_whole_and_sharded_weights_are_one_model(family, copy, tmp_path, request, cpu):
    folder = copy(family)
    whole = load(f"{family}:{folder}", cpu)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    shards = {"model-00001-of-00002.safetensors": names[1::2], "model-00002-of-00002.safetensors": names[::2]}
    for file, some in shards.items():
        save_file({name: tensors[name] for name in some}, folder / file, {"format": "pt", "by": "another tool"})
    weight_map = {name: file for file, some in shards.items() for name in some}
    index = '{"metadata": {"total_size": 1}, "weight_map": ' + str(weight_map).replace("'", '"') + "}"
    (folder / "model.safetensors.index.json").write_text(index)
    assert load(f"{family}:{folder}", cpu).card.fingerprint == whole.card.fingerprint


def test_the_hash_of_weights_is_that_of_the_file_as_safetensors_writes_it(tmp_path, encoder):
    """So a fingerprint is the one that the file's own bytes had always given."""
    AutoModel.from_pretrained(encoder).save_pretrained(tmp_path / "saved")
    path = tmp_path / "saved" / "model.safetensors"
    first = content_hash(tmp_path / "saved")
    save_file(dict(reversed(load_file(path).items())), path, {"format": "pt"})
    assert content_hash(tmp_path / "saved") == first


def test_minilms_fingerprint_is_that_of_the_kept_results(cpu):
    kept = "b20898c82b3aa1685849bde32a5a1d1d7db0804e1b0544e4b5e2f0457dc01807"
    assert load("minilm", cpu).card.fingerprint == kept
    assert locate(ROWS["minilm"]).revision == "0.1.0"


def test_files_that_no_score_depends_on(tmp_path, encoder):
    folder = Path(shutil.copytree(encoder, tmp_path / "copy"))
    before = content_hash(folder)
    (folder / "README.md").write_text("words")
    (folder / ".cache" / "huggingface").mkdir(parents=True)
    (folder / ".cache" / "huggingface" / "model.metadata").write_text("1764115200.0")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "config.json").write_text("{}")
    assert content_hash(folder) == before


@pytest.mark.parametrize("index", ['{"weight_map": {}}', '{"weight_map": {"a": "../x.safetensors"}}', "[]", "{"])
def test_a_damaged_index(index, copy, cpu):
    folder = copy("bi-encoder")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(index)
    with pytest.raises(BenchError, match=r"index\.json"):
        load(f"bi-encoder:{folder}", cpu)


def test_the_weights_of_a_module_behind_a_link_count(tmp_path, encoder):
    """A library goes through a link to a folder, so the fingerprint does too."""
    folder = Path(shutil.copytree(encoder, tmp_path / "copy"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    tensors = load_file(folder / "model.safetensors")
    save_file(tensors, elsewhere / "model.safetensors")
    (folder / "2_Dense").symlink_to(elsewhere)
    before = content_hash(folder)
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, elsewhere / "model.safetensors")
    assert content_hash(folder) != before
