"""README's snippets for other libraries, each run with the real library where it is installed."""

import asyncio
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from reranker import Reranker

README = Path(__file__).parents[2] / "reranker" / "README.md"
QUERY = "what does green tea do?"
TEXTS = ["The tide rises twice a day.", "Green tea has caffeine and antioxidants.", "Tea is grown on hills."]


@cache
def model() -> Reranker:
    """Loaded once a library is there: tests that are skipped cost nothing."""
    return Reranker.from_pretrained("embedded")


def library(name: str) -> Any:
    """A module of another library, or a skip that says which package is missing."""
    return pytest.importorskip(name, reason=f"README's snippet needs {name.split('.')[0]}, which is not installed")


def snippet(heading: str) -> dict[str, Any]:
    """What one snippet defines; there is nothing else in its scope than the model."""
    found = re.search(rf"^\[{heading}\]\(.*?^```python\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"README has no snippet for {heading}"
    scope: dict[str, Any] = {"model": model(), "__name__": "snippet"}
    exec(compile(found[1], heading, "exec"), scope)
    return scope


def test_langchain() -> None:
    documents = [library("langchain_core.documents").Document(text, metadata={"n": n}) for n, text in enumerate(TEXTS)]
    compressor = snippet("LangChain")["ListwiseCompressor"](top_n=2)
    assert compressor.compress_documents(documents, QUERY) == [documents[1], documents[2]]
    assert asyncio.run(compressor.acompress_documents(documents, QUERY)) == [documents[1], documents[2]]


def test_llama_index() -> None:
    schema = library("llama_index.core.schema")
    nodes = [schema.NodeWithScore(node=schema.TextNode(text=text), score=1.0) for text in TEXTS]
    found = snippet("LlamaIndex")["ListwisePostprocessor"](top_n=2).postprocess_nodes(nodes, query_str=QUERY)
    ranked = model().rerank(QUERY, TEXTS, top_n=2)
    assert [(each.node, each.score) for each in found] == [(nodes[each.index].node, each.score) for each in ranked]
    assert [each.score for each in nodes] == [1.0, 1.0, 1.0]


def test_haystack() -> None:
    haystack = library("haystack")
    documents = [haystack.Document(content=text) for text in TEXTS]
    pipeline = haystack.Pipeline()
    pipeline.add_component("ranker", snippet("Haystack")["ListwiseRanker"]())
    found = pipeline.run({"ranker": {"query": QUERY, "documents": documents, "top_k": 2}})["ranker"]["documents"]
    ranked = model().rerank(QUERY, TEXTS, top_n=2)
    assert [(each.id, each.score) for each in found] == [(documents[each.index].id, each.score) for each in ranked]


def test_rerankers() -> None:
    documents = library("rerankers.documents")
    ranker = snippet("rerankers")["ListwiseRanker"]()
    ranked = model().rerank(QUERY, TEXTS)
    found = ranker.rank(QUERY, TEXTS, doc_ids=["a", "b", "c"])
    assert [(each.doc_id, each.score, each.rank) for each in found] == [
        ("abc"[each.index], each.score, rank) for rank, each in enumerate(ranked, 1)
    ]
    own = [documents.Document(text, doc_id=n, metadata={"from": "a"}) for n, text in enumerate(TEXTS)]
    assert [each.document for each in asyncio.run(ranker.rank_async(QUERY, own)).top_k(2)] == [own[1], own[2]]
    assert ranker.score(QUERY, TEXTS[1]) == pytest.approx(model().score([(QUERY, TEXTS[1:2])])[0][0])
