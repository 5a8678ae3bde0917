"""Run files in other forms than TREC's: what is read, and how the rest is named."""

import gzip
import json
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.run import Run, read_run

RANKINGS = {"q1": [("d2", 2.5), ("d1", 1.5)], "q2": [("d9", 7.0)]}
SCORES = {"q1": {"d1": 1.5, "d2": 2.5}, "q2": {"d9": 7}}
REQUESTS = [
    {"query": {"text": "what 3 5 is", "qid": "q1"}, "candidates": [{"docid": "d2", "score": 2.5, "doc": {"text": "x"}},
                                                                   {"docid": "d1", "score": 1.5}]},
    {"query": {"text": "zwei", "qid": "q2"}, "candidates": [{"docid": "d9", "score": 7}]},
]  # fmt: skip
HITS = [
    {"query": "one", "hits": [{"qid": "q1", "docid": "d2", "rank": 1, "score": 2.5},
                              {"qid": "q1", "docid": "d1", "rank": 2, "score": 1.5}]},
    {"query": "two", "hits": [{"qid": "q2", "docid": "d9", "rank": 1, "score": 7}]},
]  # fmt: skip


def lines(rows: list[object]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def read(tmp_path: Path, text: str, name: str = "mine.json") -> Run:
    path = tmp_path / name
    path.write_text(text)
    return read_run(path)


def refusal(tmp_path: Path, text: str, name: str = "mine.json") -> str:
    with pytest.raises(BenchError) as caught:
        read(tmp_path, text, name)
    assert str(tmp_path / name) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(SCORES),
        json.dumps(SCORES, indent=2),
        "\n" + json.dumps(SCORES, separators=(",", ":")),
        json.dumps({"mteb_model_meta": {"model_name": "mine", "revision": "1"}, "default": {"test": SCORES}}),
        lines(REQUESTS),
        json.dumps(REQUESTS, indent=1),
        lines(HITS),
    ],
    ids=["json", "indented", "compact", "mteb", "rank_llm", "rank_llm as one list", "hits"],
)
def test_json_forms_are_one_run(tmp_path: Path, text: str):
    run = read(tmp_path, text)
    assert run.rankings == RANKINGS
    assert run.name == "mine"


def test_a_gzipped_json_run_is_named_by_its_file(tmp_path: Path):
    path = tmp_path / "my run.json.gz"
    path.write_bytes(gzip.compress(json.dumps(SCORES).encode()))
    assert read_run(path) == Run("my_run", RANKINGS)


def test_equal_scores_keep_the_files_order(tmp_path: Path):
    assert read(tmp_path, '{"q": {"z": 1, "a": 1, "m": 2}}').ids("q") == ["m", "z", "a"]


def test_an_order_without_scores_is_the_ranking(tmp_path: Path):
    request = {"query": {"text": "", "qid": 7}, "candidates": [{"docid": 5, "score": None}, {"docid": 3}]}
    assert read(tmp_path, lines([request])).rankings == {"7": [("5", -1.0), ("3", -2.0)]}


def test_ms_marcos_three_columns_are_ranks(tmp_path: Path):
    run = read(tmp_path, "7\t30\t2\n7\t10\t1\n9 20 1\n", "run.dev.tsv")
    assert (run.name, run.orders) == ("run.dev", {"7": ["10", "30"], "9": ["20"]})


def test_a_trec_query_may_begin_like_json(tmp_path: Path):
    assert read(tmp_path, '{"q Q0 d 1 2 r\n', "some.trec").rankings == {'{"q': [("d", 2.0)]}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('{"q": ["d1", "d2"]}', ["query 'q' has a list, not {document: score}"]),
        ('{"q": {"d": "high"}}', ["score of document 'd' for query 'q' must be a finite number"]),
        ('{"q": {"d": true}}', ["must be a finite number"]),
        ('{"q": {"d": NaN}}', ["NaN is not a JSON number"]),
        ('{"q": {"d": 1, "d": 2}}', ["key 'd' occurs twice"]),
        ('{"q": {"two words": 1}}', ["the id 'two words' contains white space"]),
        ('{"q": {"d": 1}', ["is not valid JSON"]),
        ('{"mteb_model_meta": {}, "de": {"dev": {}}, "en": {"dev": {}}}', ["de/dev, en/dev", "jq '.["]),
        ('{"mteb_model_meta": {}}', ["none"]),
        (lines([*REQUESTS, REQUESTS[0]]), ["object 3: query 'q1' occurs twice"]),
        ('{"query": {"qid": "q"}, "candidates": [{"docid": "d"}, {"docid": "d"}]}', ["document 'd' occurs twice"]),
        ('{"query": {"qid": "q"}, "candidates": [{"score": 1}]}', ["object 1: 'docid' must be"]),
        ('{"query": {"text": "q"}, "candidates": []}', ["object 1: 'qid' must be"]),
        ('["d1", "d2"]', ["expected rank_llm's 'query' and 'candidates', found a text"]),
        ("q\td\t1.5\n", ["line 1: the third of three columns is '1.5', not a rank", """awk '{print $1, "Q0", $2"""]),
        ("q\td\t1\nq\te\t1\n", ["line 2: rank 1 occurs twice", "qrels/test.tsv"]),
        ("q\td\t1\nq\td\t2\n", ["line 2: document 'd' occurs twice"]),
        ("q\td\t1\nq e 2 x\n", ["line 2: expected the 3 fields"]),
        ("query-id\tcorpus-id\tscore\nq\td\t1\n", ["line 1: the third of three columns is 'score'"]),
        ("q 0 d 1\n", ["judgements in TREC's form, not a run"]),
        ("query,doc,score\nq,d,1\n", ["comma-separated values", "awk -F,"]),
    ],
)  # fmt: skip
def test_what_is_not_taken_is_named(tmp_path: Path, text: str, parts: list[str]):
    message = refusal(tmp_path, text)
    assert [part for part in parts if part not in message] == []


@pytest.mark.parametrize(
    ("start", "parts"),
    [
        (b"PAR1rest", ["is a parquet file", "pandas.read_parquet"]),
        (b"\x80\x04\x95rest", ["is a Python pickle", "pandas.read_pickle"]),
        (b"PK\x03\x04rest", ["is a zip archive", "unzip"]),
    ],
)
def test_a_binary_file_is_named(tmp_path: Path, start: bytes, parts: list[str]):
    path = tmp_path / "run"
    path.write_bytes(start)
    with pytest.raises(BenchError) as caught:
        read_run(path)
    assert [part for part in parts if part not in str(caught.value)] == []
