"""A cleaned checkpoint is the model that its files describe: scores are the library's own."""

import json
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

from bench.rerankers import load
from bench.rerankers.base import Lazy

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
DECODER = SMALL | {"num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128, "tie_word_embeddings": True}
KINDS = {
    "bert": SMALL | {"max_position_embeddings": 64},
    "roberta": SMALL | {"max_position_embeddings": 70, "pad_token_id": 0},
    "xlm-roberta": SMALL | {"max_position_embeddings": 70, "pad_token_id": 0},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48, "max_position_embeddings": 64},
    "electra": SMALL | {"embedding_size": 16, "max_position_embeddings": 64},
    "mpnet": SMALL | {"max_position_embeddings": 70},
    "albert": SMALL | {"embedding_size": 16, "max_position_embeddings": 64},
    "deberta-v2": SMALL | {"max_position_embeddings": 64, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "modernbert": SMALL | {"pad_token_id": 0, "global_rope_theta": 1000.0, "local_attention": 8},
    "t5": {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4},
    "qwen3": DECODER | {"rope_theta": 50.0},
    "qwen2": DECODER | {"rope_theta": 50.0},
    "llama": DECODER | {"rope_theta": 50.0},
    "mistral": DECODER | {"rope_theta": 50.0, "sliding_window": 4},
    "gemma2": DECODER | {"sliding_window": 4, "query_pre_attn_scalar": 8},
}
CLASSIFIERS = ("bert", "roberta", "xlm-roberta", "distilbert", "electra", "mpnet", "deberta-v2", "modernbert")


def config_of(kind, tokenizer, **more):
    words = {"vocab_size": len(tokenizer), "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    return AutoConfig.for_model(kind, **{**words, "initializer_range": 0.3, **KINDS[kind], **more})


def save(model, tokenizer, folder, kind):
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    # As older files have them, beside what the library now writes.
    path = folder / "config.json"
    old = {name: value for name, value in KINDS[kind].items() if "rope_theta" in name}
    content = {
        name: value for name, value in json.loads(path.read_text()).items() if not old or name != "rope_parameters"
    }
    path.write_text(json.dumps(content | old | {"torch_dtype": "float32", "_name_or_path": "x", "use_cache": True}))


def loaded_as_its_card_says(name, options):
    """The reranker, loaded; its card, made before that from its files, must describe the model."""
    lazy = load(name, options, nullcontext)
    assert isinstance(lazy, Lazy)
    assert not lazy.is_loaded
    reranker = lazy.load()
    assert reranker.card == lazy.card
    model = reranker._model
    assert lazy.card.parameters == sum(each.numel() for each in model.parameters())
    assert {str(each.dtype).removeprefix("torch.") for each in model.parameters()} == {lazy.card.dtype}
    if "window" in lazy.card.settings:
        assert lazy.card.settings["window"] == getattr(model, "max_seq_length", 8192)
    return reranker


@pytest.mark.parametrize("is_causal", [None, False])
@pytest.mark.parametrize("kind", KINDS)
def test_embeddings(kind, is_causal, tmp_path, wordpiece, cpu, lists):
    torch.manual_seed(1)
    save(AutoModel.from_config(config_of(kind, wordpiece)), wordpiece, tmp_path, kind)
    path = tmp_path / "config.json"
    if is_causal is not None:
        path.write_text(json.dumps(json.loads(path.read_text()) | {"is_causal": is_causal}))
    modules = [Transformer(str(tmp_path)), Pooling(32, pooling_mode="lasttoken" if is_causal is None else "mean")]
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(tmp_path / "saved"))
    plain = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    candidates = lists[0]
    query, *documents = plain.encode([candidates.query, *candidates.texts], batch_size=1, normalize_embeddings=True)
    reranker = loaded_as_its_card_says(f"bi-encoder:{tmp_path / 'saved'}", cpu)
    (answer, *_) = reranker.score(lists)
    assert answer.scores == pytest.approx([float(np.dot(query, document)) for document in documents], abs=1e-5)
    together = reranker.embed(candidates.texts, is_query=False)
    for text, vector in zip(candidates.texts, together, strict=True):
        assert np.array_equal(reranker.embed([text], is_query=False)[0], vector)


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_classifiers(kind, tmp_path, wordpiece, cpu, lists):
    torch.manual_seed(2)
    model = AutoModelForSequenceClassification.from_config(config_of(kind, wordpiece, num_labels=1))
    save(model, wordpiece, tmp_path, kind)
    plain = CrossEncoder(str(tmp_path), device="cpu")
    candidates = lists[0]
    pairs = [(candidates.query, text) for text in candidates.texts]
    expected = plain.predict(pairs, batch_size=1, activation_fn=torch.nn.Identity())
    (answer, *_) = loaded_as_its_card_says(f"cross-encoder:{tmp_path}", cpu).score(lists)
    assert answer.scores == pytest.approx(list(map(float, expected)), abs=1e-4)
