"""Training lists: what may be in them, how they are mined, and that they depend on their number alone."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from reranker import RerankerError
from reranker.examples import Collection, Mix

Make = Callable[..., Path]


def test_test_queries_and_documents_judged_for_them_alone_are_kept_out(training_folder: Path) -> None:
    (training_folder / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq0\td0\t1\nq0\td1\t0\nq1\td4\t1\n", encoding="utf-8"
    )
    collection = Collection(training_folder)
    # q0 and q1 are test queries now; d0 and d1 were judged for q0 alone, d4 for q2 as well, which is trained on.
    assert not {"q0", "q1"} & set(collection.queries)
    assert not {"d0", "d1"} & set(collection.documents)
    assert "d4" in collection.documents
    assert collection.held_documents == 2
    held = {"d0", "d1"}
    for number in range(50):
        example = collection.example(number, 0, Mix(documents=8, hard=0.5, sentences=0.5))
        assert not held & set(example.ids)
        assert not example.query.startswith(("what is word0 ", "what is word1 "))


def test_a_list_holds_one_relevant_document_and_none_of_the_querys_others(training_folder: Path) -> None:
    collection = Collection(training_folder)
    for number in range(60):
        example = collection.example(number, 3, Mix(documents=6, hard=0.6))
        query = next(key for key, text in collection.queries.items() if text == example.query)
        relevant = {document for document, grade in collection.judgements[query].items() if grade > 0}
        assert len(set(example.ids)) == 6
        assert relevant & set(example.ids) == {example.ids[example.positive]}
        assert example.documents == tuple(collection.documents[each] for each in example.ids)


def test_the_same_number_gives_the_same_list_and_another_seed_another(training_folder: Path) -> None:
    one, again = Collection(training_folder), Collection(training_folder)
    mix = Mix(documents=6, hard=0.5, ordered=0.5, sentences=0.3)
    lists = [one.example(number, 0, mix) for number in range(20)]
    assert [again.example(number, 0, mix) for number in reversed(range(20))] == lists[::-1]
    assert [one.example(number, 1, mix) for number in range(20)] != lists


def test_hard_negatives_are_bm25_candidates_and_ordered_lists_stand_in_its_order(training_folder: Path) -> None:
    collection = Collection(training_folder)
    for number in range(30):
        example = collection.example(number, 0, Mix(documents=4, hard=1.0, ordered=1.0))
        candidates = collection.candidates(example.query, 100)
        places = [candidates.index(each) for each in example.ids if each in candidates]
        assert places == sorted(places)
        negatives = [each for place, each in enumerate(example.ids) if place != example.positive]
        assert set(negatives) <= set(candidates)
    shuffled = [collection.example(number, 0, Mix(documents=4, hard=1.0)) for number in range(60)]
    assert len({example.positive for example in shuffled}) == 4


def test_a_sentence_stands_behind_what_is_read_of_its_document(training_folder: Path) -> None:
    collection = Collection(training_folder)
    for number in range(30):
        example = collection.example(number, 0, Mix(documents=4, hard=0.5, sentences=1.0))
        before, _, _ = example.documents[example.positive].partition(example.query)
        assert example.query in example.documents[example.positive]
        assert len(before.split()) >= 40


def test_dev_queries_are_not_trained_on(training_folder: Path) -> None:
    collection = Collection(training_folder, dev_queries=4)
    dev = {one.query for one in collection.dev(5)}
    assert len(dev) == 4
    trained = {collection.example(number, 0, Mix(documents=4)).query for number in range(100)}
    assert trained
    assert not trained & dev
    for one in collection.dev(5):
        assert one.ids == tuple(collection.candidates(one.query, 5))


def test_packed_files_are_read_alike(training_folder: Path) -> None:
    plain = Collection(training_folder).example(0, 0, Mix(documents=4))
    for name in ("corpus", "queries"):
        path = training_folder / f"{name}.jsonl"
        with gzip.open(training_folder / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.write(path.read_text(encoding="utf-8"))
        path.unlink()
    assert Collection(training_folder).example(0, 0, Mix(documents=4)) == plain


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("qrels/train.tsv", None, r"no qrels/train\.tsv: there is nothing to train on"),
        ("corpus.jsonl", None, r"has no corpus\.jsonl or corpus\.jsonl\.gz"),
        ("corpus.jsonl", "no JSON\n", r"corpus\.jsonl is not a collection file"),
        ("queries.jsonl", json.dumps({"id": "q0"}), r"queries\.jsonl is not a collection file"),
        ("qrels/train.tsv", "a\tb\n1\t2\n", r"train\.tsv is not a file of judgements"),
        ("qrels/train.tsv", "query-id\tcorpus-id\tscore\nq0\td0\tmuch\n", r"train\.tsv is not a file of judgements"),
        ("qrels/train.tsv", "query-id\tcorpus-id\tscore\nq0\td0\t0\n", "no training query with a relevant document"),
    ],
)
def test_what_cannot_be_trained_on_is_said(training_folder: Path, file: str, content: str | None, message: str) -> None:
    path = training_folder / file
    path.unlink() if content is None else path.write_text(content, encoding="utf-8")
    with pytest.raises(RerankerError, match=message):
        Collection(training_folder)


def test_a_small_corpus_gives_shorter_lists(training_folder: Path) -> None:
    collection = Collection(training_folder)
    example = collection.example(0, 0, replace(Mix(), documents=500))
    query = next(key for key, text in collection.queries.items() if text == example.query)
    relevant = [document for document, grade in collection.judgements[query].items() if grade > 0]
    assert len(example.ids) == len(collection.documents) - len(relevant) + 1
