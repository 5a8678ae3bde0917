"""Published cross-encoders whose files name their tensors in their own way, in tiny: scores are transformers' own."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForSequenceClassification,
    GteConfig,
    GteForSequenceClassification,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

from bench.errors import BenchError
from bench.rerankers import ROWS, load
from bench.rerankers.base import CandidateList
from tests.bench.rerankers.conftest import QUERIES, TEXTS
from tests.bench.rerankers.multilingual import JINA_RERANKER, TINY, jina_names
from tests.bench.rerankers.test_architectures import loaded_as_its_card_says
from tests.tiny_tokenizers import xlm_roberta_tokenizer


def check(folder, model, tokenizer, options):
    """The reranker of a folder scores each pair, alone in its batch, as a model of transformers does."""
    reranker = loaded_as_its_card_says(f"cross-encoder:{folder}", options)
    for query in QUERIES:
        for text in TEXTS:
            ids = tokenizer([query], [text], truncation="longest_first", return_tensors="pt")
            with torch.inference_mode():
                expected = model.eval()(**ids).logits.item()
            (answer,) = reranker.score([CandidateList("q", query, ("d",), (0.0,), (text,))])
            assert answer.scores == pytest.approx((expected,), abs=1e-6)


def test_gte_multilingual_reranker(tmp_path, cpu):
    """The converted repository has the original's tensors, under a config that transformers knows."""
    tokenizer = xlm_roberta_tokenizer(TEXTS + QUERIES, window=64)
    torch.manual_seed(1)
    config = GteConfig(vocab_size=len(tokenizer), num_labels=1, rope_parameters=None, **TINY)
    model = GteForSequenceClassification(config)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    original = {name.replace("gte.", "new.", 1) if name.startswith("gte.") else name: saved[name] for name in saved}
    assert "new.encoder.layer.1.attention.qkv_proj.weight" in original
    save_file(original, tmp_path / "model.safetensors", {"format": "pt"})
    check(tmp_path, AutoModelForSequenceClassification.from_pretrained(tmp_path), tokenizer, cpu)
    check(tmp_path, model, tokenizer, cpu)
    assert ROWS["gte-multilingual-reranker-base"].model == "alibaba-nlp-community/gte-multilingual-reranker-base"


@pytest.fixture(scope="module")
def jina(tmp_path_factory):
    """A tiny jina-reranker-v2: its folder, and the same XLM-RoBERTa and tokenizer as transformers has them."""
    folder = tmp_path_factory.mktemp("jina")
    tokenizer = xlm_roberta_tokenizer(TEXTS + QUERIES, window=64)
    torch.manual_seed(2)
    sizes = {"vocab_size": len(tokenizer), **TINY}
    model = XLMRobertaForSequenceClassification(XLMRobertaConfig(**sizes, num_labels=1, layer_norm_eps=1e-5))
    for each in model.parameters():  # norms and biases that differ from each other
        torch.nn.init.normal_(each, std=0.3)
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(JINA_RERANKER | sizes))
    weights = jina_names(model.state_dict())
    assert len(weights) == 5 + 2 * 12 + 4
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder, model, tokenizer


def test_jina_reranker_v2(jina, cpu):
    check(*jina, cpu)


def test_jina_reranker_v2_in_shards(jina, tmp_path, cpu):
    folder, model, tokenizer = jina
    weights = load_file(folder / "model.safetensors")
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    shards = {}
    for number, name in enumerate(sorted(weights)):
        shards[name] = f"model-0000{number % 2 + 1}-of-00002.safetensors"
    for shard in set(shards.values()):
        save_file({name: weights[name] for name in weights if shards[name] == shard}, tmp_path / shard)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": shards}))
    check(tmp_path, model, tokenizer, cpu)


def test_a_translated_checkpoint_must_be_whole(jina, tmp_path, cpu):
    folder, _, tokenizer = jina
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    weights = load_file(folder / "model.safetensors")
    del weights["roberta.encoder.layers.1.mixer.Wqkv.bias"]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(BenchError, match=r"lacks tensors .*attention\.self\.key\.bias"):
        load(f"cross-encoder:{tmp_path}", cpu)


def test_other_code_of_a_repositorys_own_is_still_refused(jina, tmp_path, cpu):
    folder, _, tokenizer = jina
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    config = json.loads((folder / "config.json").read_text())
    other = {"auto_map": {"AutoConfig": "configuration.Other", "AutoModel": "modeling.Other"}}
    for change in (other, {"lora_adaptations": ["retrieval.query"]}):
        (tmp_path / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(BenchError, match="Python code of its own"):
            load(f"cross-encoder:{tmp_path}", cpu)
