"""jina-embeddings-v3's conversion in tiny: a base model and adapters in folders, which the task chooses from."""

import importlib.util
import json
import shutil

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import JinaEmbeddingsV3Config, JinaEmbeddingsV3Model

from bench.errors import BenchError
from bench.first_stage.dense import dense_run
from bench.rerankers import ROWS, load
from bench.rerankers.base import CandidateList
from tests.bench.factories import toy_collection
from tests.bench.rerankers.conftest import QUERIES, TEXTS
from tests.bench.rerankers.multilingual import PASSAGE, QUERY, TARGETS, TINY, write_adapters
from tests.bench.rerankers.test_architectures import loaded_as_its_card_says
from tests.tiny_tokenizers import xlm_roberta_tokenizer


@pytest.fixture(scope="module")
def jina(tmp_path_factory):
    """A folder laid out as the conversion is; and its tokenizer."""
    folder = tmp_path_factory.mktemp("jina-embeddings-v3-hf")
    tokenizer = xlm_roberta_tokenizer(TEXTS + QUERIES, window=64)
    torch.manual_seed(7)
    config = JinaEmbeddingsV3Config(vocab_size=len(tokenizer), rope_parameters=None, **TINY)
    JinaEmbeddingsV3Model(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_adapters(folder)
    return folder, tokenizer


def embedder(folder, tokenizer, adapter):
    """Mean of an adapter's states, by transformers and peft alone, one text at a time."""
    base = JinaEmbeddingsV3Model.from_pretrained(folder)
    model = PeftModel.from_pretrained(base, folder / adapter).eval() if adapter else base.eval()

    def embed(text):
        ids = tokenizer([text], return_tensors="pt", truncation=True)
        with torch.inference_mode():
            return torch.nn.functional.normalize(model(**ids).last_hidden_state[0].mean(dim=0), dim=0)

    return embed


def cosines(folder, tokenizer, sides):
    """Scores of all queries and texts, for the adapter and prompt of queries and of documents."""
    (of_query, asked), (of_text, read) = sides
    embed_query, embed_text = embedder(folder, tokenizer, of_query), embedder(folder, tokenizer, of_text)
    return [[float(embed_query(asked + query) @ embed_text(read + text)) for text in TEXTS] for query in QUERIES]


def scores(reranker, task):
    ids, zeros = tuple(map(str, range(len(TEXTS)))), (0.0,) * len(TEXTS)
    lists = [CandidateList(query, query, ids, zeros, TEXTS, task=task) for query in QUERIES]
    return [answer.scores for answer in reranker.score(lists)]


RETRIEVAL = (("retrieval_query", QUERY), ("retrieval_passage", PASSAGE))
MATCHING = (("text_matching", ""), ("text_matching", ""))


def test_scores_are_those_of_the_tasks_adapters(jina, cpu):
    reranker = loaded_as_its_card_says(f"bi-encoder:{jina[0]}", cpu)
    usual, matching, bare = (cosines(*jina, sides) for sides in (RETRIEVAL, MATCHING, (("", ""), ("", ""))))
    for task, expected in (
        ("beir/nfcorpus", usual),
        ("beir/arguana", matching),
        ("", usual),
        ("beir/quora", matching),
        ("miracl/sw", usual),
    ):
        for found, of_query in zip(scores(reranker, task), expected, strict=True):
            assert found == pytest.approx(of_query, abs=1e-5), task
    assert abs(torch.tensor(usual) - torch.tensor(bare)).max() > 0.05
    assert abs(torch.tensor(usual) - torch.tensor(matching)).max() > 0.05


def test_lists_of_several_tasks_in_one_call(jina, cpu):
    reranker = load(f"bi-encoder:{jina[0]}", cpu)
    apart = [scores(reranker, task)[0] for task in ("beir/quora", "beir/fiqa", "beir/quora")]
    lists = [
        CandidateList("q", QUERIES[0], ("a", "b"), (2.0, 1.0), TEXTS[:2], task=f"beir/{name}")
        for name in ("quora", "fiqa", "quora")
    ]
    assert [answer.scores for answer in reranker.score(lists)] == [each[:2] for each in apart]


def test_card(jina, cpu, tmp_path):
    card = load(f"bi-encoder:{jina[0]}", cpu).card
    assert card.needs == {"texts", "task"}
    assert card.settings["adapters"] == (
        "retrieval_query/retrieval_passage; text_matching for beir/arguana, beir/quora"
    )
    other = shutil.copytree(jina[0], tmp_path / "other")
    shutil.copy(other / "separation" / "adapter_model.safetensors", other / "retrieval_query")
    assert load(f"bi-encoder:{other}", cpu).card.fingerprint != card.fingerprint
    row = ROWS["jina-embeddings-v3"]
    assert (row.model, row.revision[:8]) == ("jinaai/jina-embeddings-v3-hf", "d18862d9")


def test_adapters_that_no_rule_uses_are_no_part_of_the_model(jina, cpu, tmp_path):
    whole = load(f"bi-encoder:{jina[0]}", cpu)
    less = shutil.copytree(jina[0], tmp_path / "less", ignore=shutil.ignore_patterns("classification", "separation"))
    assert load(f"bi-encoder:{less}", cpu).card.fingerprint == whole.card.fingerprint


def test_in_half_precision(jina, cpu):
    from bench.rerankers.base import Options

    halved = loaded_as_its_card_says(f"bi-encoder:{jina[0]}", Options(device="cpu", dtype="bfloat16"))
    for found, expected in zip(scores(halved, ""), scores(load(f"bi-encoder:{jina[0]}", cpu), ""), strict=True):
        assert found == pytest.approx(expected, abs=0.1)


def test_as_first_stage(jina, cpu):
    collection = toy_collection()
    run = dense_run(collection, str(jina[0]), 3, options=cpu)
    embed_query, embed_text = (embedder(*jina, name) for name, _ in RETRIEVAL)
    documents = dict(collection.documents)
    for query_id, query in collection.queries.items():
        asked = embed_query(QUERY + query)
        for document_id, score in run.rankings[query_id]:
            assert score == pytest.approx(float(asked @ embed_text(PASSAGE + documents[document_id])), abs=1e-5)


@pytest.fixture
def copy(jina, tmp_path):
    return shutil.copytree(jina[0], tmp_path / "copy")


def change(folder, tensors=lambda each: each, **settings):
    """Change an adapter's tensors and settings."""
    path = folder / "retrieval_query" / "adapter_model.safetensors"
    save_file({name: each.contiguous() for name, each in tensors(load_file(path)).items()}, path)
    path = path.with_name("adapter_config.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


@pytest.mark.parametrize("file", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_missing_file_of_an_adapter(copy, cpu, file):
    (copy / "text_matching" / file).unlink()
    with pytest.raises(BenchError, match=rf"has no text_matching/{file}"):
        load(f"bi-encoder:{copy}", cpu)


def test_an_adapter_that_lacks_a_tensor(copy, cpu):
    change(copy, lambda tensors: dict(list(tensors.items())[1:]))
    with pytest.raises(BenchError, match=r"adapter retrieval_query does not fit its base model: \w"):
        load(f"bi-encoder:{copy}", cpu)


def test_an_adapter_with_a_tensor_too_many(copy, cpu):
    extra = {"base_model.model.layers.9.mlp.fc1.lora_A.weight": torch.ones(4, 32)}
    change(copy, lambda tensors: tensors | extra)
    with pytest.raises(BenchError, match=r"does not fit its base model.*layers\.9"):
        load(f"bi-encoder:{copy}", cpu)


def test_an_adapter_of_fewer_modules_than_its_tensors(copy, cpu):
    change(copy, target_modules=TARGETS[:-1])
    with pytest.raises(BenchError, match="does not fit its base model"):
        load(f"bi-encoder:{copy}", cpu)


def test_an_adapter_that_changes_nothing(copy, cpu):
    change(
        copy,
        lambda tensors: {name: each * ("lora_A" in name or "embedding_A" in name) for name, each in tensors.items()},
    )
    with pytest.raises(BenchError, match="adapter retrieval_query changes nothing"):
        load(f"bi-encoder:{copy}", cpu)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"peft_type": "PROMPT_TUNING"}, "peft_type"),
        ({"use_dora": True}, "sets use_dora, which is not supported"),
        ({"modules_to_save": ["pooler"]}, "sets modules_to_save"),
        ({"bias": "all"}, "bias"),
        ({"r": 0}, "r"),
    ],
)
def test_adapters_of_other_kinds_are_refused(copy, cpu, settings, message):
    change(copy, **settings)
    with pytest.raises(BenchError, match=message):
        load(f"bi-encoder:{copy}", cpu)


def test_settings_that_name_code_are_ignored(copy, jina, cpu):
    auto = {"base_model_class": "Payload", "parent_library": "payload"}
    change(copy, auto_mapping=auto, base_model_name_or_path="evil/base", revision="payload")
    assert scores(load(f"bi-encoder:{copy}", cpu), "") == scores(load(f"bi-encoder:{jina[0]}", cpu), "")


@pytest.mark.parametrize("family", ["bi-encoder", "cross-encoder", "late-interaction", "yes-no"])
@pytest.mark.parametrize("place", ["retrieval", "adapters/retrieval"])
def test_a_base_model_is_never_run_without_its_adapters(family, place, request, jina, tmp_path, cpu):
    given = {"bi-encoder": "encoder", "cross-encoder": "classifier", "late-interaction": "colbert", "yes-no": "qwen3"}
    folder = shutil.copytree(request.getfixturevalue(given[family]), tmp_path / "copy")
    shutil.copytree(jina[0] / "separation", folder / place)
    with pytest.raises(BenchError, match=rf"has adapters as well as a base model \({place}\).*another model's"):
        load(f"{family}:{folder}", cpu)


def test_without_peft(jina, cpu, monkeypatch):
    found = importlib.util.find_spec
    absent = {"peft"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name in absent else found(name, *more))
    with pytest.raises(BenchError, match=r"pip install 'rerank-bench\[adapters\]'"):
        load(f"bi-encoder:{jina[0]}", cpu)
