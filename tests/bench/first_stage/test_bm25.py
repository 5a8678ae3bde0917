import math
import os
import subprocess
import sys

import bm25s
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.first_stage import bm25, weights
from bench.first_stage.bm25 import Bm25Index, build_run

# three documents of 3, 2 and 1 tokens: the mean length is 2
DOCUMENTS = [("d1", "a a b"), ("d2", "a c"), ("d3", "c")]
IDF_A = math.log(1 + 1.5 / 2.5)  # in two of three documents
IDF_B = math.log(1 + 2.5 / 1.5)  # in one
A_IN_D1 = IDF_A * 2 / (2 + 0.9 * (0.6 + 0.4 * 3 / 2))  # .4700 * 2 / 3.08
A_IN_D2 = IDF_A * 1 / (1 + 0.9 * (0.6 + 0.4 * 2 / 2))  # .4700 / 1.9
B_IN_D1 = IDF_B * 1 / (1 + 0.9 * (0.6 + 0.4 * 3 / 2))  # .9808 / 2.08

tokens_of = st.lists(st.sampled_from("abcdefgh"), max_size=12)
corpora = st.lists(tokens_of.map(" ".join), max_size=12)


def rank(query: str, documents: list[tuple[str, str]] = DOCUMENTS, **options: int | float | bool) -> bm25.Ranking:
    return build_run(documents, {"q": query}, str.split, **options)["q"]  # type: ignore[arg-type]


def test_scores_worked_out_by_hand() -> None:
    assert rank("a") == [("d1", pytest.approx(0.305198, abs=1e-6)), ("d2", pytest.approx(0.247370, abs=1e-6))]
    assert rank("b") == [("d1", pytest.approx(0.471553, abs=1e-6))]
    assert rank("b a") == [("d1", pytest.approx(A_IN_D1 + B_IN_D1)), ("d2", pytest.approx(A_IN_D2))]


def test_a_token_that_stands_twice_in_the_query_counts_twice() -> None:
    assert rank("a a") == [(document, 2 * score) for document, score in rank("a")]


def test_parameters() -> None:
    assert rank("b", k1=1.2, b=0.75)[0][1] == pytest.approx(IDF_B / (1 + 1.2 * (0.25 + 0.75 * 3 / 2)), rel=1e-6)


def test_counts_beyond_one_byte() -> None:
    (_, score), _ = rank("a", [("long", "a " * 300), ("short", "a")])
    held_back = 0.9 * (0.6 + 0.4 * 300 / 150.5)
    assert score == pytest.approx(math.log(1 + 0.5 / 2.5) * 300 / (300 + held_back))


def test_ties_stand_in_corpus_order() -> None:
    documents = [(name, "x y") for name in "zyxwv"] + [("best", "x x")]
    assert [name for name, _ in rank("x", documents)] == ["best", *"zyxwv"]
    assert [name for name, _ in rank("x", documents, depth=3)] == ["best", "z", "y"]


def test_documents_without_a_word_of_the_query_are_no_candidates() -> None:
    assert [name for name, _ in rank("b")] == ["d1"]


@pytest.mark.parametrize("query", ["", " ", "unknown words"])
def test_queries_without_known_words_have_no_candidates(query: str) -> None:
    assert rank(query) == []


def test_empty_corpus_and_empty_documents() -> None:
    assert rank("a", []) == []
    assert rank("a", [("d1", ""), ("d2", "")]) == []
    assert build_run(DOCUMENTS, {}, str.split) == {}
    assert [name for name, _ in rank("a", [("d1", ""), ("d2", "a")])] == ["d2"]


def test_the_document_with_the_querys_id_is_dropped_before_the_cut() -> None:
    queries = {"d1": "a", "other": "a"}
    kept = build_run(DOCUMENTS, queries, str.split, depth=1)
    dropped = build_run(DOCUMENTS, queries, str.split, depth=1, identical_ids=True)
    assert [name for name, _ in kept["d1"]] == ["d1"]
    assert [name for name, _ in dropped["d1"]] == ["d2"]
    assert [name for name, _ in dropped["other"]] == ["d1"]


def test_the_corpus_is_read_once_and_progress_counts_it() -> None:
    steps: list[int] = []
    documents = ((f"d{number}", "a b") for number in range(2500))
    run = build_run(documents, {"q": "a"}, str.split, progress=steps.append)
    assert steps == [1000, 1000, 500]
    assert len(run["q"]) == 100


@given(corpora.filter(lambda texts: any(texts)), tokens_of)
def test_scores_are_those_of_bm25s(texts: list[str], query: list[str]) -> None:
    reference = bm25s.BM25(k1=0.9, b=0.4, method="lucene")
    reference.index([text.split() for text in texts], show_progress=False)
    expected = reference.get_scores(query) if query else np.zeros(len(texts))
    index = Bm25Index([(str(number), text) for number, text in enumerate(texts)], query, str.split)
    np.testing.assert_allclose(index.scores(query), expected, rtol=1e-5, atol=1e-7)


@given(
    st.lists(tokens_of.map(" ".join), max_size=40),
    tokens_of,
    st.integers(1, 5),
    st.sampled_from([(1 << 18, 32), (1 << 18, 1), (5, 2), (4, 1), (1, 1)]),
)
def test_a_ranking_is_the_head_of_the_stable_order(
    texts: list[str], query: list[str], depth: int, sizes: tuple[int, int]
) -> None:
    index = Bm25Index([(str(number), text) for number, text in enumerate(texts)], query, str.split)
    pairs = [(str(number), float(score)) for number, score in enumerate(index.scores(query)) if score > 0]
    with pytest.MonkeyPatch.context() as patch:
        for name, size in zip(("_BLOCK", "_GROUP"), sizes, strict=True):
            patch.setattr(weights, name, size)
        assert index.search(query, depth) == sorted(pairs, key=lambda pair: -pair[1])[:depth]


@given(corpora, tokens_of)
def test_blocks_leave_no_trace(texts: list[str], query: list[str]) -> None:
    documents = [(str(number), text) for number, text in enumerate(texts)]
    whole = Bm25Index(documents, query, str.split)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bm25, "_OPEN_TOKENS", 3)
        patch.setattr(bm25, "_BATCH", 2)
        patch.setattr(weights, "_BLOCK", 3)
        scores = Bm25Index(documents, query, str.split).scores(query)
    assert scores.tobytes() == whole.scores(query).tobytes()


def test_runs_are_the_same_under_every_hash_seed_and_load_no_torch() -> None:
    program = (
        "import sys, random\n"
        "from bench.first_stage.bm25 import build_run\n"
        "draw = random.Random(5)\n"
        "words = [f'w{number}' for number in range(60)]\n"
        "documents = [(f'd{number}', ' '.join(draw.choices(words, k=20))) for number in range(300)]\n"
        "queries = {f'q{number}': ' '.join(draw.choices(words, k=6)) for number in range(20)}\n"
        "print(build_run(documents, queries, str.split, depth=20))\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1
