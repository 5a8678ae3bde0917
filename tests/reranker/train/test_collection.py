"""Training lists: what may be in them, how they are mined, and that they depend on their number alone."""

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from reranker import RerankerError
from reranker.train.collection import Collection, Mix

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
        ("corpus.jsonl", "no JSON\n", r"corpus\.jsonl, line 1 is not valid JSON"),
        ("corpus.jsonl", "\n[5]\n", r"corpus\.jsonl, line 2: expected an object"),
        ("corpus.jsonl", "[" * 100_000, r"corpus\.jsonl, line 1 is not valid JSON"),
        ("corpus.jsonl", '{"_id": 5, "text": "a"}', r"corpus\.jsonl, line 1: '_id' must be a text"),
        ("corpus.jsonl", '{"_id": "a", "text": null}', r"corpus\.jsonl, line 1: 'text' must be a text"),
        ("corpus.jsonl", '{"_id": "a", "title": 5, "text": ""}', r"corpus\.jsonl, line 1: 'title' must be a text"),
        ("corpus.jsonl", 2 * '{"_id": "a", "text": "b"}\n', r"line 2: the id 'a' occurs a second time"),
        ("queries.jsonl", json.dumps({"id": "q0"}), r"queries\.jsonl, line 1: '_id' must be a text"),
        ("qrels/train.tsv", "a\tb\n1\t2\n", r"train\.tsv, line 1: expected query-id<TAB>corpus-id<TAB>score"),
        ("qrels/train.tsv", "query-id\tcorpus-id\tscore\nq0\td0\tmuch\n", r"line 2: the score must be a whole number"),
        ("qrels/train.tsv", "q0\td0\t1_0\n", r"line 1: the score must be a whole number"),
        ("qrels/train.tsv", "q0\td0\t1\nq0\td0\t1\n", r"line 2: document 'd0' is judged a second time"),
        ("qrels/train.tsv", "query-id\tcorpus-id\tscore\nq0\td0\t0\n", "no training query with a relevant document"),
    ],
)
def test_what_cannot_be_trained_on_is_said(training_folder: Path, file: str, content: str | None, message: str) -> None:
    path = training_folder / file
    path.unlink() if content is None else path.write_text(content, encoding="utf-8")
    with pytest.raises(RerankerError, match=message):
        Collection(training_folder)


@pytest.mark.parametrize("kept", [10, 40, -8, -1])
def test_a_packed_file_cut_short_is_told(kept: int, training_folder: Path) -> None:
    path = training_folder / "corpus.jsonl"
    path.write_bytes(gzip.compress(path.read_bytes())[:kept])  # whatever the name says
    with pytest.raises(RerankerError, match=r"corpus\.jsonl is a damaged gzip file"):
        Collection(training_folder)


def test_damaged_collections_are_read_or_refused(training_folder: Path) -> None:
    """Bytes changed, taken out and put in at random: nothing but a collection or one clear error."""
    source = random.Random(7)
    packed = training_folder / "corpus.jsonl.gz"
    packed.write_bytes(gzip.compress((training_folder / "corpus.jsonl").read_bytes()))
    (training_folder / "corpus.jsonl").unlink()
    files = [packed, training_folder / "queries.jsonl", training_folder / "qrels" / "train.tsv"]
    whole = {path: path.read_bytes() for path in files}
    refused = 0
    for number in range(240):
        path = files[number % 3]
        path.write_bytes(mutated(whole[path], source))
        try:
            Collection(training_folder)
        except RerankerError as error:
            refused += 1
            assert str(training_folder) in str(error)
        path.write_bytes(whole[path])
    assert 100 < refused < 240


def mutated(content: bytes, source: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(source.randint(1, 3)):
        at = source.randrange(len(data))
        kind = source.randrange(4)
        if kind == 0:
            data[at] = source.randrange(256)
        elif kind == 1:
            del data[at : at + source.randint(1, 40)]
        elif kind == 2:
            data[at:at] = source.choice([b"\0", b"\xff", b"\n", b"\t", b'"', b"{", b"[" * 5000, b"9" * 400, b"1e999"])
        else:
            del data[at:]
        if not data:
            break
    return bytes(data)


def test_a_small_corpus_gives_shorter_lists(training_folder: Path) -> None:
    collection = Collection(training_folder)
    example = collection.example(0, 0, replace(Mix(), documents=500))
    query = next(key for key, text in collection.queries.items() if text == example.query)
    relevant = [document for document, grade in collection.judgements[query].items() if grade > 0]
    assert len(example.ids) == len(collection.documents) - len(relevant) + 1
