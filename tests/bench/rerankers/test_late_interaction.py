import json
import string

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, BertConfig, BertModel

from bench.errors import BenchError
from bench.rerankers import load
from bench.rerankers.base import CandidateList
from bench.rerankers.late_interaction import windows


def from_transformers(folder, candidates):
    """MaxSim by hand: [CLS] marker text [SEP], queries filled up with unseen [MASK]s, punctuation left out."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    model = BertModel(BertConfig(**{name: value for name, value in config.items() if name != "architectures"})).eval()
    model.load_state_dict({name.removeprefix("bert."): value for name, value in weights.items() if "bert." in name})

    def ids_of(marker, text, limit):
        words = tokenizer(text, add_special_tokens=False)["input_ids"][: limit - 3]
        ends = tokenizer.cls_token_id, tokenizer.sep_token_id
        return [ends[0], tokenizer.convert_tokens_to_ids(marker), *words, ends[1]]

    def embed(ids, attended):
        mask = torch.tensor([[1] * attended + [0] * (len(ids) - attended)])
        with torch.inference_mode():
            states = model(input_ids=torch.tensor([ids]), attention_mask=mask).last_hidden_state[0]
        return torch.nn.functional.normalize(states @ weights["linear.weight"].T, dim=1)

    asked = ids_of("[unused0]", candidates.query, 16)
    query = embed(asked + [tokenizer.mask_token_id] * (16 - len(asked)), len(asked))
    skipped = {tokenizer.convert_tokens_to_ids(sign) for sign in string.punctuation} - {tokenizer.unk_token_id}
    scores = []
    for text in candidates.texts:
        ids = ids_of("[unused1]", text, 40)
        document = embed(ids, len(ids))[[token not in skipped for token in ids]]
        scores.append((query @ document.T).max(dim=1).values.sum().item())
    return scores


def test_scores_are_maxsim_with_colberts_markers_and_expansion(colbert, cpu, lists):
    reranker = load(f"late-interaction:{colbert}", cpu)
    for candidates, answer in zip(lists, reranker.score(lists), strict=True):
        assert answer.scores == pytest.approx(from_transformers(colbert, candidates), abs=1e-4, rel=1e-5)


def test_company_does_not_change_a_score(colbert, cpu, stays_put):
    stays_put(load(f"late-interaction:{colbert}", cpu))


def test_what_the_windows_take_is_counted(colbert, cpu, wordpiece):
    query, text = "why do tides rise " * 10, "water boils " * 30
    reranker = load(f"late-interaction:{colbert}", cpu)
    (answer,) = reranker.score([CandidateList("q", query, ("d", "e"), (2.0, 1.0), (text, "short"))])
    lengths = [len(wordpiece(each, add_special_tokens=False)["input_ids"]) for each in (query, text)]
    assert (answer.queries_cut, answer.documents_cut) == (1, 1)
    assert answer.tokens_lost == lengths[0] - (16 - 3) + lengths[1] - (40 - 3)


def test_a_model_that_was_not_trained_for_it_is_refused(encoder, minilm_folder, cpu):
    for folder in (encoder, minilm_folder):
        with pytest.raises(BenchError, match="neither of the two formats of ColBERT models"):
            load(f"late-interaction:{folder}", cpu)


def test_pylates_format(tmp_path, encoder, cpu, lists):
    """A transformer and a projection, markers and lengths in the library's settings; no query expansion here."""
    for path in encoder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "1_Dense").mkdir()
    projection = torch.randn(8, 32)
    save_file({"linear.weight": projection}, tmp_path / "1_Dense" / "model.safetensors")
    shape = {"in_features": 32, "out_features": 8, "bias": False}
    (tmp_path / "1_Dense" / "config.json").write_text(
        json.dumps(shape | {"activation_function": "torch.nn.modules.linear.Identity"})
    )
    modules = [("", "sentence_transformers.models.Transformer"), ("1_Dense", "pylate.models.Dense.Dense")]
    (tmp_path / "modules.json").write_text(
        json.dumps(
            [{"idx": at, "name": str(at), "path": path, "type": kind} for at, (path, kind) in enumerate(modules)]
        )
    )
    settings = {"query_prefix": "[unused0]", "document_prefix": "[unused1]", "do_query_expansion": False}
    lengths = {"query_length": 16, "document_length": 40, "skiplist_words": []}
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps(settings | lengths))

    tokenizer, model = AutoTokenizer.from_pretrained(encoder), BertModel.from_pretrained(encoder).eval()

    def embed(marker, text, limit):
        words = tokenizer(text, add_special_tokens=False)["input_ids"][: limit - 3]
        ids = [tokenizer.cls_token_id, tokenizer.convert_tokens_to_ids(marker), *words, tokenizer.sep_token_id]
        with torch.inference_mode():
            states = model(input_ids=torch.tensor([ids])).last_hidden_state[0]
        return torch.nn.functional.normalize(states @ projection.T, dim=1)

    reranker = load(f"late-interaction:{tmp_path}", cpu)
    assert reranker.card.settings == {"similarity": "maxsim", "query_window": 16, "document_window": 40}
    (answer, *_) = reranker.score(lists)
    query = embed("[unused0]", lists[0].query, 16)
    documents = [embed("[unused1]", text, 40) for text in lists[0].texts]
    expected = [(query @ document.T).max(dim=1).values.sum().item() for document in documents]
    assert answer.scores == pytest.approx(expected, abs=1e-5, rel=1e-5)


def test_card_states_the_windows(colbert, cpu):
    reranker = load(f"late-interaction:{colbert}", cpu)
    card = reranker.card
    assert windows(reranker._encoder._model) == (16, 40)
    assert card.parameters == sum(each.numel() for each in reranker._encoder._model.parameters())
    assert card.settings == {"similarity": "maxsim", "query_window": 16, "document_window": 40}
