"""Published cross-encoders whose files name their tensors in their own way, in tiny: scores are transformers' own."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, GteConfig, GteForSequenceClassification

from bench.rerankers import ROWS
from bench.rerankers.base import CandidateList
from tests.bench.rerankers.conftest import QUERIES, TEXTS
from tests.bench.rerankers.multilingual import TINY, xlm_roberta_tokenizer
from tests.bench.rerankers.test_architectures import loaded_as_its_card_says


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
    tokenizer = xlm_roberta_tokenizer(window=64)
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
