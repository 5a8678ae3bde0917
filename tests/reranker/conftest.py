"""The checkpoint that was made for parity with the published code, and random ones of any shape."""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import nn
from transformers import AutoConfig, AutoModel

from reranker import Reranker
from tests.torch_threads import torch_threads

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def tiny_folder() -> Path:
    return DATA / "tiny-checkpoint"


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Reranker:
    return Reranker.from_pretrained(tiny_folder, device="cpu")


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Two threads, also where the processes of a parallel test run use one each."""
    with torch_threads(2):
        yield


@pytest.fixture
def tokenizer(tiny_folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(tiny_folder / "tokenizer.json"))


@pytest.fixture(scope="session")
def cases() -> list[dict[str, Any]]:
    return json.loads((DATA / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture
def editable(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny checkpoint that a test may spoil."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "checkpoint"))


@pytest.fixture
def make_checkpoint(tiny_folder: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes a checkpoint of random weights, wide enough for every token to count; keywords go into its config."""

    def make(**changes: Any) -> Path:
        config = {
            "model_type": "qwen3",
            "vocab_size": 4028,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 5,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "max_position_embeddings": 131072,
            "initializer_range": 0.2,
            "rope_theta": 10000.0,
            **changes,
        }
        torch.manual_seed(3)
        backbone = AutoModel.from_config(AutoConfig.for_model(**config))
        projector = nn.Sequential(nn.Linear(32, 16, bias=False), nn.ReLU(), nn.Linear(16, 24, bias=False))
        weights = {f"model.{name}": tensor for name, tensor in backbone.state_dict().items()}
        weights |= {f"projector.{name}": tensor for name, tensor in projector.state_dict().items()}
        folder = tmp_path / f"random-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        save_file(weights, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(config))
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(tiny_folder / name, folder / name)
        return folder

    return make


@pytest.fixture
def training_folder(tmp_path: Path) -> Path:
    """A collection in BEIR format to train on: a query names a topic, and two documents of the topic are relevant."""
    source = random.Random(5)
    common = ["tide", "glacier", "orbit", "river", "stone", "cloud", "forest", "engine"]
    folder = tmp_path / "collection"
    (folder / "qrels").mkdir(parents=True)
    corpus, queries, judgements = [], [], ["query-id\tcorpus-id\tscore"]
    for topic in range(16):
        for number in (2 * topic, 2 * topic + 1):
            start = f"word{topic} {' '.join(source.choices(common, k=40))}."
            rest = f"Of word{topic} {' '.join(source.choices(common, k=6))}."
            corpus.append({"_id": f"d{number}", "title": f"about word{topic}", "text": f"{start} {rest}"})
            judgements.append(f"q{topic}\td{number}\t1")
        queries.append({"_id": f"q{topic}", "text": f"what is word{topic} and {source.choice(common)}"})
    for name, rows in (("corpus", corpus), ("queries", queries)):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    (folder / "qrels" / "train.tsv").write_text("\n".join(judgements) + "\n", encoding="utf-8")
    return folder
