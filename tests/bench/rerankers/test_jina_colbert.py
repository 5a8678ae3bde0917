"""jina-colbert-v2 in tiny: its config is translated, its weights are read as they are; scores are transformers' own."""

import json
import string

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import JinaEmbeddingsV3Config, JinaEmbeddingsV3Model

from bench.rerankers import load
from bench.rerankers.base import CandidateList
from tests.bench.rerankers.conftest import QUERIES, TEXTS
from tests.bench.rerankers.multilingual import JINA_COLBERT, MARKERS, THETA, TINY
from tests.tiny_tokenizers import xlm_roberta_tokenizer


@pytest.fixture(scope="module")
def jina(tmp_path_factory):
    """A folder, and its model, projection and tokenizer as transformers has them."""
    folder = tmp_path_factory.mktemp("jina-colbert")
    tokenizer = xlm_roberta_tokenizer(TEXTS + QUERIES, window=64, more=MARKERS)
    sizes = {"vocab_size": len(tokenizer), **TINY}
    torch.manual_seed(5)
    rope = {"rope_type": "default", "rope_theta": THETA}
    config = JinaEmbeddingsV3Config(**sizes, layer_norm_eps=1e-5, rope_parameters=rope)
    model = JinaEmbeddingsV3Model(config, add_pooling_layer=False).eval()
    projection = torch.randn(8, 32)
    model.save_pretrained(folder)
    weights = {f"roberta.{name}": each for name, each in load_file(folder / "model.safetensors").items()}
    assert "roberta.encoder.layers.1.mixer.Wqkv.weight" in weights
    save_file(weights | {"linear.weight": projection}, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(JINA_COLBERT | sizes))
    lengths = {"query_maxlen": 16, "doc_maxlen": 40, "mask_punctuation": True, "attend_to_mask_tokens": True}
    (folder / "artifact.metadata").write_text(
        json.dumps({"query_token_id": MARKERS[0], "doc_token_id": MARKERS[1], **lengths, "root": "/experiments"})
    )
    tokenizer.save_pretrained(folder)
    return folder, model, projection, tokenizer


def maxsim(model, projection, tokenizer, query, text):
    """By hand: <s> marker text </s>, a query filled up with masks that are attended to, punctuation left out."""

    def ids_of(marker, words, limit):
        words = tokenizer(words, add_special_tokens=False)["input_ids"][: limit - 3]
        return [tokenizer.bos_token_id, tokenizer.convert_tokens_to_ids(marker), *words, tokenizer.eos_token_id]

    def embed(ids):
        with torch.inference_mode():
            states = model(input_ids=torch.tensor([ids])).last_hidden_state[0]
        return torch.nn.functional.normalize(states @ projection.T, dim=1)

    asked, read = ids_of(MARKERS[0], query, 16), ids_of(MARKERS[1], text, 40)
    asked += [tokenizer.mask_token_id] * (16 - len(asked))
    signs = set(tokenizer.convert_tokens_to_ids(list(string.punctuation))) - {tokenizer.unk_token_id}
    kept = embed(read)[[token not in signs for token in read]]
    return (embed(asked) @ kept.T).max(dim=1).values.sum().item()


def test_scores_are_those_of_transformers_model(jina, cpu):
    folder, model, projection, tokenizer = jina
    reranker = load(f"late-interaction:{folder}", cpu)
    assert reranker.card.parameters == sum(each.numel() for each in model.parameters()) + projection.numel()
    assert reranker.card.settings == {"similarity": "maxsim", "query_window": 16, "document_window": 40}
    for query in QUERIES:
        for text in TEXTS:
            (answer,) = reranker.score([CandidateList("q", query, ("d",), (0.0,), (text,))])
            assert answer.scores == pytest.approx((maxsim(model, projection, tokenizer, query, text),), abs=1e-5)


def test_the_base_of_the_rotation_is_read(jina, tmp_path, cpu, lists):
    folder, *_ = jina
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "config.json").write_text(
        json.dumps(json.loads((folder / "config.json").read_text()) | {"rotary_emb_base": 20000.0})
    )
    scores, others = (
        [answer.scores for answer in load(f"late-interaction:{place}", cpu).score(lists)]
        for place in (folder, tmp_path)
    )
    assert scores != others
