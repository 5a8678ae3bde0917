"""The published implementation's answers on the tiny checkpoint, and on the released weights where they are at hand."""

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import try_to_load_from_cache
from tokenizers import Tokenizer

from reranker import Reranker
from reranker.blocks import block_sizes
from reranker.prompt import Markers
from reranker.tokens import Block, PromptTokens

CASES = json.loads((Path(__file__).parent / "data" / "expected.json").read_text(encoding="utf-8"))
CAPS = ("max_query_length", "max_doc_length")
RELEASED = "jinaai/jina-reranker-v3"


def named(case: dict[str, Any]) -> str:
    return str(case["name"]).replace(" ", "-")


@pytest.mark.parametrize("case", CASES, ids=named)
def test_scores(case: dict[str, Any], tiny: Reranker, editable: Path, two_threads: None) -> None:
    reranker = tiny
    if "model_max_length" in case:
        config = {"model_max_length": case["model_max_length"]}
        (editable / "tokenizer_config.json").write_text(json.dumps(config))
        reranker = Reranker.from_pretrained(editable, device="cpu")
    caps = {name: case[name] for name in CAPS if name in case}
    [scores] = reranker.score([(case["query"], case["documents"])], **caps)
    assert scores == pytest.approx(case["scores"], abs=1e-5)


@pytest.mark.parametrize("case", CASES, ids=named)
def test_block_sizes(case: dict[str, Any], tokenizer: Tokenizer) -> None:
    tokens = PromptTokens(tokenizer, Markers())
    cap = case.get("max_doc_length", 2048)
    [query] = tokens.cut([case["query"]], case.get("max_query_length", 512))
    known = tokens.documents(case["documents"], cap)
    lengths = [known[document].cut.length for document in case["documents"]]
    assert block_sizes(lengths, query.length, cap, case.get("model_max_length", 131072)) == case["blocks"]


@pytest.mark.parametrize("case", [case for case in CASES if "input_ids" in case], ids=named)
@pytest.mark.parametrize("by_pieces", [True, False], ids=["by pieces", "whole"])
def test_token_ids(case: dict[str, Any], by_pieces: bool, tokenizer: Tokenizer) -> None:
    tokens = PromptTokens(tokenizer, Markers(), by_pieces)
    [query] = tokens.cut([case["query"]], 512)
    known = tokens.documents(case["documents"], 2048)
    [prompt] = tokens.prompts([Block(query.text, [known[document] for document in case["documents"]], None)])
    assert prompt.ids.tolist() == case["input_ids"]


# Query, documents and scores of the vLLM project's test of this model (Apache-2.0); documents are the model card's.
GOLDEN_QUERY = "What are the health benefits of green tea?"
GOLDEN_DOCUMENTS = [
    "Green tea contains antioxidants called catechins that may help reduce inflammation and protect cells from damage.",
    "El precio del café ha aumentado un 20% este año debido a problemas en la cadena de suministro.",
    "Studies show that drinking green tea regularly can improve brain function and boost metabolism.",
    "Basketball is one of the most popular sports in the United States.",
    "绿茶富含儿茶素等抗氧化剂，可以降低心脏病风险，还有助于控制体重。",
    "Le thé vert est riche en antioxydants et peut améliorer la fonction cérébrale.",
]
GOLDEN_TOGETHER = [0.2949, -0.1602, 0.1895, -0.1709, 0.2256, 0.1641]
GOLDEN_ALONE = [0.3457, -0.1050, 0.3145, -0.1377, 0.3398, 0.2539]


@pytest.mark.online
def test_golden_values_of_the_released_weights() -> None:
    if not isinstance(try_to_load_from_cache(RELEASED, "model.safetensors"), str):
        pytest.skip(f"the weights of {RELEASED} are not in the hub's local cache; fetch them: hf download {RELEASED}")
    reranker = Reranker.from_pretrained(RELEASED)
    assert reranker.parameters == 596_836_352
    [together] = reranker.score([(GOLDEN_QUERY, GOLDEN_DOCUMENTS)])
    assert together == pytest.approx(GOLDEN_TOGETHER, abs=0.01)
    alone = reranker.score([(GOLDEN_QUERY, [document]) for document in GOLDEN_DOCUMENTS])
    assert [scores[0] for scores in alone] == pytest.approx(GOLDEN_ALONE, abs=0.01)
