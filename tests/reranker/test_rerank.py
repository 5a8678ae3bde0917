"""The Reranker as users hold it: ranking, what was cut, and bad input."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from reranker import NonFiniteScoreError, Ranked, Reranker, RerankerError, checkpoint
from reranker.speed.baseline import Baseline
from reranker.tokens import PromptTokens

DOCUMENTS = ["The tide turns twice a day.", "A glacier moves slowly.", "Copper wire conducts."]


def test_results_are_sorted_and_know_their_document(tiny: Reranker) -> None:
    ranked = tiny.rerank("glacier", DOCUMENTS)
    [scores] = tiny.score([("glacier", DOCUMENTS)])
    assert sorted(result.index for result in ranked) == [0, 1, 2]
    assert [result.score for result in ranked] == sorted(scores, reverse=True)
    assert all(DOCUMENTS[result.index] == result.document for result in ranked)
    assert all(scores[result.index] == result.score and result.embedding is None for result in ranked)
    assert tiny.rerank("glacier", DOCUMENTS, top_n=2) == ranked[:2]
    assert tiny.rerank("glacier", DOCUMENTS, top_n=99) == ranked


def test_of_equal_scores_the_earlier_document_comes_first(tiny_folder: Path) -> None:
    files = checkpoint.find(tiny_folder)
    model = files.model(torch.device("cpu"), torch.float32)
    with torch.no_grad():
        model.projector[0].weight.zero_()  # every embedding is nought, every cosine 0
    flat = Reranker(model, PromptTokens(files.tokenizer(), files.markers), files.capacity, lambda: "")
    assert flat.rerank("q", ["a", "b", "c"]) == [Ranked(0, 0.0, "a"), Ranked(1, 0.0, "b"), Ranked(2, 0.0, "c")]


def test_embeddings_are_the_raw_ones_behind_the_scores(tiny: Reranker, tiny_folder: Path) -> None:
    files = checkpoint.find(tiny_folder)
    model = files.model(torch.device("cpu"), torch.float32)
    baseline = Baseline(model, files.tokenizer(), files.markers, files.capacity)
    with torch.inference_mode():
        *expected, query = baseline._embeddings("glacier", DOCUMENTS)
    for result in tiny.rerank("glacier", DOCUMENTS, return_embeddings=True):
        assert result.embedding is not None
        assert (result.embedding.shape, result.embedding.dtype) == ((512,), np.float32)
        assert result.embedding == pytest.approx(expected[result.index].numpy(), abs=1e-5)
        cosine = torch.cosine_similarity(torch.from_numpy(result.embedding), query, dim=0)
        assert result.score == pytest.approx(cosine.item(), abs=1e-5)


def test_the_querys_embedding_is_the_one_behind_the_scores(tiny: Reranker) -> None:
    many = [f"document number {number}" for number in range(130)]  # two blocks
    for documents in (DOCUMENTS, many):
        found = tiny.rerank("glacier", documents, return_embeddings=True)
        assert found.query_embedding is not None and found.query_embedding.shape == (512,)
        for result in found:
            assert result.embedding is not None
            lengths = np.linalg.norm(result.embedding) * np.linalg.norm(found.query_embedding)
            assert result.score == pytest.approx(result.embedding @ found.query_embedding / lengths, abs=1e-5)
    assert tiny.rerank("glacier", DOCUMENTS).query_embedding is None
    assert tiny.rerank("glacier", [], return_embeddings=True).query_embedding is None


def test_a_result_is_an_object_and_a_mapping_with_the_keys_of_jina_and_cohere(tiny: Reranker) -> None:
    best = tiny.rerank("glacier", DOCUMENTS)[0]
    assert dict(best) == {"index": best.index, "relevance_score": best.score, "document": best.document}
    assert best["relevance_score"] == best.relevance_score == best.score
    with pytest.raises(KeyError):
        best["embedding"]
    assert "embedding" in tiny.rerank("glacier", DOCUMENTS, return_embeddings=True)[0]


def test_several_queries_share_texts_or_have_their_own(tiny: Reranker) -> None:
    one, other = tiny.rerank("glacier", DOCUMENTS), tiny.rerank("tide", DOCUMENTS[:2])
    assert tiny.rerank(["glacier", "tide"], [DOCUMENTS, (text for text in DOCUMENTS[:2])]) == [one, other]
    assert tiny.rerank(["tide", "glacier"], DOCUMENTS)[1] == one
    assert tiny.rerank([], DOCUMENTS) == []
    with pytest.raises(ValueError, match="2 queries and 1 lists"):
        tiny.rerank(["glacier", "tide"], [DOCUMENTS])


def test_rank_is_rerank_with_other_names(tiny: Reranker) -> None:
    ranked = tiny.rerank("glacier", DOCUMENTS)
    assert tiny.rank("glacier", DOCUMENTS, 2, return_documents=True) == [
        {"corpus_id": each.index, "score": each.score, "text": each.document} for each in ranked[:2]
    ]
    with pytest.raises(TypeError, match="query is a list, not one string: use rerank"):
        tiny.rank(["glacier", "tide"], DOCUMENTS)  # type: ignore[arg-type]


def test_predict_reads_the_pairs_of_one_query_as_one_list(tiny: Reranker) -> None:
    # The pairs of two queries are mixed: each query's documents are one list all the same.
    pairs = [(query, text) for text in DOCUMENTS for query in ("glacier", "tide")]
    scores = tiny.predict(pairs)
    [glacier, tide] = tiny.score([("glacier", DOCUMENTS), ("tide", DOCUMENTS)])
    assert scores[::2] == pytest.approx(glacier) and scores[1::2] == pytest.approx(tide)
    for given, message in (["glacier"], "a list of 1"), ([("a", "b"), "cd"], "a str of 2"), ([["a", "b", "c"]], "of 3"):
        with pytest.raises(TypeError, match=rf"pair \d is .*{message}, not \(query, document\)"):
            tiny.predict(given)


def test_device_and_precision_may_be_torchs_own(tiny_folder: Path) -> None:
    model = Reranker.from_pretrained(tiny_folder, torch.device("cpu"), torch.float32)
    assert repr(model) == f"Reranker({tiny_folder}, {model.parameters:,} parameters, cpu, float32)"


def test_an_instruction_changes_the_scores(tiny: Reranker) -> None:
    plain = tiny.rerank("glacier", DOCUMENTS)
    told = tiny.rerank("glacier", DOCUMENTS, instruction="Prefer short passages. <|embed_token|>")
    assert {result.index: result.score for result in told} != {result.index: result.score for result in plain}


def test_what_is_cut_is_counted(tiny: Reranker) -> None:
    # Digits are one token each: 12 and 9 tokens against a cap of 5 lose 7 and 4; the query of 6 loses 2 of them.
    [done] = tiny.score_iter([("123456", ["123456789012", "12345", "123456789"])], max_doc_length=5, max_query_length=4)
    assert (done.documents_cut, done.tokens_lost, done.query_cut) == (2, 11, True)
    [whole] = tiny.score_iter([("123456", ["123456789012", "12345", "123456789"])])
    assert (whole.documents_cut, whole.tokens_lost, whole.query_cut) == (0, 0, False)
    # The query stands in the prompt twice.
    assert whole.tokens - done.tokens == 11 + 2 * 2


def test_an_empty_list_gives_an_empty_result(tiny: Reranker) -> None:
    assert tiny.rerank("q", []) == []
    assert tiny.score([("a", []), ("b", ["x"]), ("c", [])])[::2] == [[], []]
    assert tiny.score([]) == []


@pytest.mark.parametrize(
    "text",
    ["", " ", "\n", "\x00", "a\x00b", "\ud800", "x\udfff", "<|embed_token|>", "<|rerank_token|><|embed_token|>"],
    ids=ascii,
)
def test_odd_texts_are_scored(text: str, tiny: Reranker) -> None:
    ranked = tiny.rerank(text, [text, "ordinary", text], instruction=text)
    assert sorted(result.index for result in ranked) == [0, 1, 2]
    assert all(-1 <= result.score <= 1 for result in ranked)


def test_a_lone_surrogate_is_read_as_a_replacement_character_but_returned_as_given(tiny: Reranker) -> None:
    [result] = tiny.rerank("q", ["a\ud800b"])
    [same] = tiny.rerank("q", ["a\ufffdb"])
    assert result.score == same.score
    assert result.document == "a\ud800b"


def test_a_document_that_is_no_string_is_named_by_its_index(tiny: Reranker) -> None:
    with pytest.raises(TypeError, match=r"document 1 of the query 'tides' is a int, not a string"):
        tiny.rerank("tides", ["a", 3])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"document 0 .* is a NoneType"):
        tiny.score([("a", ["x"]), ("b", [None])])  # type: ignore[list-item]


def test_one_string_is_not_a_list_of_documents(tiny: Reranker) -> None:
    with pytest.raises(TypeError, match="list of strings"):
        tiny.rerank("tides", "a document")
    with pytest.raises(TypeError, match="query must be a string, not NoneType"):
        tiny.rerank(None, ["a"])  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["top_n", "max_query_length", "max_doc_length"])
@pytest.mark.parametrize("value", [0, -1])
def test_numbers_below_one_are_refused(name: str, value: int, tiny: Reranker) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, not {value}"):
        tiny.rerank("q", ["d"], **{name: value})  # type: ignore[arg-type]
    if name != "top_n":
        with pytest.raises(ValueError, match=name):
            tiny.score_iter([], **{name: value})


def test_scores_that_are_not_finite_are_never_ranked(tiny_folder: Path) -> None:
    files = checkpoint.find(tiny_folder)
    model = files.model(torch.device("cpu"), torch.float32)
    with torch.no_grad():
        model.projector[2].weight[0, 0] = torch.nan
    broken = Reranker(model, PromptTokens(files.tokenizer(), files.markers), files.capacity, lambda: "")
    query = "which of these many words will still be shown " * 3
    with pytest.raises(NonFiniteScoreError, match=r"'which of these many words.{20,40}\.\.\.'"):
        broken.rerank(query, ["d"])


def test_lower_precision_still_scores_in_float32(tiny_folder: Path, tiny: Reranker) -> None:
    low = Reranker.from_pretrained(tiny_folder, device="cpu", dtype="bfloat16")
    assert low.dtype == torch.bfloat16
    [scores], [exact] = (reranker.score([("glacier", DOCUMENTS)]) for reranker in (low, tiny))
    assert scores == pytest.approx(exact, abs=0.02)
    assert all(score == np.float32(score) for score in scores)
    assert any(torch.tensor(score).bfloat16().item() != score for score in scores)
    # The projector works in float32 too: what it gives is finer than bfloat16.
    embedding = low.rerank("glacier", DOCUMENTS, return_embeddings=True)[0].embedding
    assert embedding is not None
    assert not torch.equal(torch.from_numpy(embedding).bfloat16().float(), torch.from_numpy(embedding))


def test_what_a_reranker_says_of_itself(tiny: Reranker) -> None:
    assert (str(tiny.device), tiny.dtype) == ("cpu", torch.float32)
    assert tiny.parameters == 473_536


@pytest.mark.parametrize(
    "given",
    [
        iter,
        tuple,
        np.array,
        lambda texts: dict.fromkeys(texts).keys(),
        lambda texts: (text for text in texts),
        lambda texts: pd.Series(texts, index=range(len(texts), 0, -1)),
        lambda texts: pd.Series(texts, index=list("abcdefghij")[: len(texts)]),
    ],
)
def test_documents_may_come_in_any_way_that_gives_them_one_by_one(given: Any, tiny: Reranker) -> None:
    texts = ["A glacier moves slowly.", "The tide turns twice a day.", "Two eggs."]
    wanted = tiny.rerank("which tide", texts)
    found = tiny.rerank("which tide", given(texts))
    assert [(one.index, one.score, one.document) for one in found] == [
        (one.index, one.score, one.document) for one in wanted
    ]
    assert tiny.score(iter([("which tide", given(texts))])) == tiny.score([("which tide", texts)])


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ("one text", "not one str"),
        (b"bytes", "not one bytes"),
        ({"a": "text"}, "not one dict"),
        (pd.DataFrame({"text": ["a"]}), "not one DataFrame"),
        (np.array([["a"]]), "not one ndarray"),
        (None, "not one NoneType"),
        (["a", None], "document 1 of the query 'q' is a NoneType, not a string"),
        (pd.Series(["a", float("nan")], index=[7, 7]), "document 1 of the query 'q' is a float"),
        ((text for text in ("a", "b", 3)), "document 2 of the query 'q' is a int"),
    ],
)
def test_what_is_not_a_list_of_texts_is_refused(documents: Any, message: str, tiny: Reranker) -> None:
    with pytest.raises(TypeError, match=message):
        tiny.rerank("q", documents)


@pytest.mark.parametrize("one", [5, ("a",), ("a", [], 3), None])
def test_a_list_without_query_and_documents_is_named(one: Any, tiny: Reranker) -> None:
    with pytest.raises(TypeError, match=r"list 1 is a \w+, not \(query, documents\)"):
        tiny.score([("a", ["b"]), one])


def test_unknown_device_and_precision_are_refused(tiny_folder: Path) -> None:
    for device in ("abacus", "meta", "", "cpu:x", "cuda:-1", "a" * 300, "vulkan"):
        with pytest.raises(RerankerError, match=r"cannot be used here .*: choose auto, cpu or cuda"):
            Reranker.from_pretrained(tiny_folder, device=device)
    with pytest.raises(RerankerError, match="dtype 'float8' is not known: choose one of auto, float32"):
        Reranker.from_pretrained(tiny_folder, dtype="float8")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused(tiny_folder: Path) -> None:
    with pytest.raises(RerankerError, match="'cuda' cannot be used here"):
        Reranker.from_pretrained(tiny_folder, device="cuda")


def test_importing_the_package_is_light() -> None:
    code = "import sys, reranker; print(sorted({'torch', 'transformers', 'tokenizers', 'numpy'} & set(sys.modules)))"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_package_names_only_what_it_has() -> None:
    import reranker

    assert all(getattr(reranker, name) is not None for name in reranker.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Rerankr'"):
        reranker.Rerankr  # noqa: B018
