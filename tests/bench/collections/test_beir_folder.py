"""BEIR-format folders: the same collection plain or packed, and every mistake named by file and line."""

import bz2
import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.collections.beir_folder import FolderDocuments, load_folder, read_queries
from bench.collections.collection import Collection, check_judged
from bench.collections.judgements import read_judgements
from bench.collections.load import load
from bench.collections.texts import hash_texts
from bench.errors import BenchError
from bench.evaluation.prepare import prepare
from bench.rerankers.base import Options
from bench.run import Run
from bench.suites.folder import folder_task
from bench.task import Counts, Task

BeirFolder = Callable[..., Path]

TASK = Task("folder", "small")
CORPUS = """
    d1 | Tides | The moon pulls the sea.
    d2 |       | Onions make eyes water.
    d3 | Émile | Ein Text – auf Deutsch, 日本語も。
"""
QUERIES = """
    q2 | why do onions hurt
    q1 | how do tides work
    q9 | nobody judged this one
"""
QRELS = """
    q1 d1 2
    q1 d2 0
    q2 d2 1
    q2 absent 1
"""


@pytest.fixture
def small(beir_folder: BeirFolder) -> Path:
    return beir_folder(CORPUS, QUERIES, QRELS)


def put(folder: Path, file: str, *rows: object) -> Path:
    """Overwrite one file of a folder with lines of JSON; a text stands as it is."""
    path = folder / file
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def loaded(folder: Path, task: Task = TASK) -> Collection:
    return load_folder(task, folder)


def refusal(folder: Path, task: Task = TASK) -> str:
    with pytest.raises(BenchError) as caught:
        loaded(folder, task)
    return str(caught.value)


def test_a_folder_becomes_a_collection(small: Path):
    collection = loaded(small)
    assert collection.queries == {"q2": "why do onions hurt", "q1": "how do tides work"}
    assert list(collection.queries) == ["q2", "q1"]
    assert collection.judgements == {"q1": {"d1": 2, "d2": 0}, "q2": {"d2": 1, "absent": 1}}
    assert list(collection.documents) == [
        ("d1", "Tides The moon pulls the sea."),
        ("d2", "Onions make eyes water."),
        ("d3", "Émile Ein Text – auf Deutsch, 日本語も。"),
    ]
    assert len(collection.documents) == 3
    assert str(small) in collection.source


def test_plain_and_packed_are_the_same_collection(beir_folder: BeirFolder):
    plain = loaded(beir_folder(CORPUS, QUERIES, QRELS, name="plain"))
    packed = loaded(beir_folder(CORPUS, QUERIES, QRELS, name="packed", packed=True))
    assert plain.version == packed.version
    assert plain.queries == packed.queries
    assert plain.judgements == packed.judgements
    assert list(plain.documents) == list(packed.documents)


def test_documents_are_looked_up_in_any_order_and_unknown_ones_are_missing(small: Path):
    documents = loaded(small).documents
    stream = iter(documents)
    next(stream)
    assert list(documents.texts(["d3", "absent", "d1", "d3"])) == ["d3", "d1"]
    assert documents.texts(["d1"]) == {"d1": "Tides The moon pulls the sea."}
    assert documents.texts([]) == {}
    # Looking up does not disturb somebody who reads the corpus from end to end.
    assert [document_id for document_id, _ in stream] == ["d2", "d3"]


@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=1, max_size=12),
    data=st.data(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_any_text_is_found_where_it_lies(small: Path, texts: list[str], data: st.DataObject):
    escaped, packed = data.draw(st.booleans()), data.draw(st.booleans())
    end = data.draw(st.sampled_from(["\n", "\r\n", "\n\n", "  \n \n"]))
    rows = [json.dumps({"_id": f"d{n}", "text": text}, ensure_ascii=escaped) for n, text in enumerate(texts)]
    content = end.join(rows).encode()
    (small / "corpus.jsonl").unlink(missing_ok=True)
    (small / "corpus.jsonl.gz").unlink(missing_ok=True)
    (small / ("corpus.jsonl.gz" if packed else "corpus.jsonl")).write_bytes(
        gzip.compress(content) if packed else content
    )
    documents = loaded(small).documents
    wanted = data.draw(st.permutations(range(len(texts))))
    try:
        assert documents.texts([f"d{n}" for n in wanted]) == {f"d{n}": texts[n] for n in wanted}
        assert list(documents) == [(f"d{n}", text) for n, text in enumerate(texts)]
    finally:
        documents.close()


@pytest.mark.parametrize(
    ("row", "join_title", "expected"),
    [
        ({"title": "Title", "text": "Text"}, True, "Title Text"),
        ({"title": "Title", "text": "Text"}, False, "Text"),
        ({"title": "", "text": "Text"}, True, "Text"),
        ({"title": None, "text": "Text"}, True, "Text"),
        ({"text": "Text"}, True, "Text"),
        ({"title": "Title", "text": ""}, True, "Title"),
        ({"title": "", "text": ""}, True, ""),
        ({"text": "Text", "metadata": {"url": "x"}}, True, "Text"),
    ],
)
def test_title_and_text_become_one_text(small: Path, row: dict[str, object], join_title: bool, expected: str):
    put(small, "corpus.jsonl", {"_id": "d1"} | row)
    task = Task("folder", "small", join_title=join_title)
    assert loaded(small, task).documents.texts(["d1"]) == {"d1": expected}


def test_documents_can_be_judged_that_the_corpus_lacks(small: Path):
    collection = loaded(small)
    assert "absent" in collection.judgements["q2"]
    assert "absent" not in collection.documents.texts(["absent"])


def test_queries_that_nobody_judged_are_left_out_and_change_nothing(beir_folder: BeirFolder):
    with_them = loaded(beir_folder(CORPUS, QUERIES, QRELS, name="more"))
    without = loaded(beir_folder(CORPUS, QUERIES.replace("q9 | nobody judged this one", ""), QRELS, name="less"))
    assert "q9" not in with_them.queries
    assert with_them.version == without.version


def test_a_judged_query_without_text_is_kept_to_count_as_0_and_named(small: Path, capsys: pytest.CaptureFixture[str]):
    put(small, "queries.jsonl", {"_id": "q2", "text": "why do onions hurt"})
    collection = loaded(small)
    assert collection.queries == {"q2": "why do onions hurt", "q1": ""}
    assert collection.without_text == {"q1"}
    assert check_judged(collection)[0] == (
        f"{small}: 1 of 2 judged queries have no text and count as 0, the first being 'q1'."
    )
    # A run's candidates for it are nobody's answer to a question that cannot be asked.
    run = Run("mine", {"q1": [("d1", 1.0)], "q2": [("d2", 1.0)]})
    settled = prepare(collection, run, 10, Options())
    assert settled.candidates.rankings == {"q2": [("d2", 1.0)]}
    assert settled.protocol.queries == 2
    assert settled.about.ceiling == pytest.approx(1 / 1.6309297536 / 2)  # q2 finds one of its two, q1 counts as 0


def test_without_any_judged_querys_text_the_folder_is_refused(small: Path):
    put(small, "queries.jsonl", {"_id": "7", "text": "why"})
    message = refusal(small)
    assert "none of the 2 judged queries has a text, the first being 'q1'; the queries' first id is '7'" in message


def test_a_declared_task_may_lack_no_querys_text(small: Path):
    put(small, "queries.jsonl", {"_id": "q2", "text": "why"})
    assert "1 queries (expected 2)" in refusal(small, Task("beir", "small", counts=Counts(3, 2, 4)))


def test_judged_documents_that_the_corpus_lacks_are_counted_and_named(small: Path, capsys: pytest.CaptureFixture[str]):
    load(folder_task(small, "test")).documents.close()
    note = f"{small}: 1 of 3 judged documents are not in the corpus and cannot be found, the first being 'absent'."
    assert capsys.readouterr().err == f"Note: {note}\n"


@pytest.mark.parametrize(
    ("qrels", "part"),
    [
        ("q1 x1 1\n q2 x2 0", "none of the 2 judged documents, the first being 'x1'; the corpus' first id is 'd1'"),
        ("q1 x1 1\n q1 d1 0\n q2 x2 2", "none of the 2 relevant documents, the first being 'x1'"),
        ('q1 "d1" 1\n q2 "d2" 1', "have quotation marks around them: write the file without any"),
    ],
)
def test_judgements_of_another_corpus_are_refused(beir_folder: BeirFolder, qrels: str, part: str):
    folder = beir_folder(CORPUS, QUERIES, qrels)
    with pytest.raises(BenchError) as caught:
        load(folder_task(folder, "test"))
    assert part in str(caught.value)


def test_quoted_query_ids_are_refused_with_what_to_do(beir_folder: BeirFolder):
    message = refusal(beir_folder(CORPUS, QUERIES, '"q1" d1 1\n "q2" d2 1'))
    assert "none of the 2 judged queries has a text" in message
    assert "quotation marks" in message


def test_judgements_that_call_nothing_relevant_are_named(beir_folder: BeirFolder, capsys: pytest.CaptureFixture[str]):
    load(folder_task(beir_folder(CORPUS, QUERIES, "q1 d1 0\n q2 d2 -1"), "test")).documents.close()
    assert "no judgement is above 0, so that every figure is 0" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
def test_a_plain_file_called_gz_and_a_gzipped_one_called_plain_are_read(small: Path, name: str):
    expected = [(each.version, list(each.documents)) for each in [loaded(small)]]
    path = small / name
    content = path.read_bytes()
    path.rename(small / f"{name}.gz")  # as browsers leave it
    assert [(each.version, list(each.documents)) for each in [loaded(small)]] == expected
    (small / f"{name}.gz").unlink()
    path.write_bytes(gzip.compress(content))
    assert [(each.version, list(each.documents)) for each in [loaded(small)]] == expected


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
def test_each_file_may_be_a_pipe(small: Path, name: str):
    before = loaded(small)
    expected = before.version, list(before.documents)
    path = small / name
    content = path.read_bytes()
    path.unlink()
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(content,))
    writer.start()
    after = loaded(small)
    writer.join(timeout=10)
    assert (after.version, list(after.documents), list(after.documents)) == (*expected, expected[1])
    after.documents.close()


def test_the_hash_of_the_texts_is_of_ids_texts_and_order(small: Path):
    rows = [{"_id": "d1", "title": "T", "text": "a"}, {"_id": "d2", "text": "b"}]

    def hashed(*documents: dict[str, str], task: Task = TASK) -> str:
        path = put(small, "corpus.jsonl", *documents)
        return FolderDocuments(path, task).texts_hash()

    first = hashed(*rows)
    assert first == hash_texts([("d1", "T a"), ("d2", "b")])
    others = [
        hashed(*reversed(rows)),
        hashed(rows[0] | {"text": "c"}, rows[1]),
        hashed(rows[0] | {"_id": "d3"}, rows[1]),
        hashed(rows[0]),
        hashed(*rows, task=Task("folder", "small", join_title=False)),
    ]
    assert len({first, *others}) == 6
    assert hashed(*rows) == first


def test_a_corpus_that_changes_while_it_is_in_use_is_refused(small: Path):
    documents = loaded(small).documents
    path = small / "corpus.jsonl"
    path.write_bytes(path.read_bytes().replace(b"moon", b"MOON!"))
    with pytest.raises(BenchError, match=r"corpus\.jsonl was changed while it was in use"):
        documents.texts(["d1"])


def test_a_corpus_is_open_only_while_it_is_read(small: Path):
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = open_files()
    kept = [loaded(small).documents for _ in range(20)]
    assert [each.texts(["d2"]) for each in kept] == [{"d2": "Onions make eyes water."}] * 20
    assert open_files() == before


def test_folders_that_may_not_be_entered_are_named(
    small: Path, environment: dict[str, str], without_override: list[str], tmp_path: Path
):
    (small / "qrels").chmod(0)
    try:
        command = [*without_override, sys.executable, "-m", "bench", "folder", str(small), "-r", "first-stage"]
        answer = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    finally:
        (small / "qrels").chmod(0o755)
    assert answer.returncode == 2
    assert f"Error: Cannot read {small}/qrels/test.tsv: Permission denied." in answer.stderr
    assert "Traceback" not in answer.stderr


def test_the_order_of_queries_and_judgements_is_no_part_of_the_version(beir_folder: BeirFolder):
    def backwards(text: str) -> str:
        return "\n".join(reversed(text.splitlines()))

    before = loaded(beir_folder(CORPUS, QUERIES, QRELS, name="before"))
    after = loaded(beir_folder(CORPUS, backwards(QUERIES), backwards(QRELS), name="after"))
    assert list(before.queries) != list(after.queries)
    assert before.version == after.version


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"qrels": "q2 absent 1"}, True),
        ({"qrels": "q2 absent 2"}, False),
        ({"queries": "q2 | why do onions hurt?"}, False),
    ],
)
def test_the_version_is_of_queries_and_judgements(beir_folder: BeirFolder, change: dict[str, str], same: bool):
    queries = QUERIES.replace("q2 | why do onions hurt", change.get("queries", "q2 | why do onions hurt"))
    qrels = QRELS.replace("q2 absent 1", change.get("qrels", "q2 absent 1"))
    before = loaded(beir_folder(CORPUS, QUERIES, QRELS, name="before"))
    after = loaded(beir_folder(CORPUS, queries, qrels, name="after"))
    assert (before.version == after.version) == same


def test_counts_are_compared_with_the_declaration(small: Path):
    assert len(loaded(small, Task("beir", "small", counts=Counts(3, 2, 4))).documents) == 3
    message = refusal(small, Task("beir", "small", counts=Counts(4_000, 2, 5)))
    assert "beir/small" in message
    assert "3 documents (expected 4,000), 4 judgements (expected 5)" in message
    assert "queries (" not in message


@pytest.mark.parametrize("missing", ["corpus.jsonl", "queries.jsonl"])
def test_a_missing_file_is_named(small: Path, missing: str):
    (small / missing).unlink()
    assert str(small / missing) in refusal(small)


def test_a_missing_split_is_named_with_those_that_are_there(beir_folder: BeirFolder):
    folder = beir_folder(CORPUS, QUERIES, QRELS, split="train")
    beir_folder(CORPUS, QUERIES, QRELS, split="dev")
    message = refusal(folder)
    assert str(folder / "qrels" / "test.tsv") in message
    assert "dev, train" in message
    assert len(loaded(folder, Task("folder", "small", split="dev")).queries) == 2


@pytest.mark.parametrize("file", ["corpus.jsonl", "queries.jsonl"])
@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{", "not JSON"),
        ("plain text", "not JSON"),
        ("[1]", "expected an object"),
        ("null", "expected an object"),
        ({"docid": "d2", "text": "x"}, "'_id' must be"),
        ({"id": "d 2", "text": "x"}, "'id' must be"),
        ({"_id": 7.0, "text": "x"}, "found 7.0"),
        ({"_id": True, "text": "x"}, "found True"),
        ({"_id": "d2", "contents": 7}, "'contents' must be a text"),
        ({"_id": "", "text": "x"}, "found ''"),
        ({"_id": "d 2", "text": "x"}, "found 'd 2'"),
        ({"_id": "d\u00a02", "text": "x"}, "'_id' must be"),
        ({"_id": "d2\u3000", "text": "x"}, "'_id' must be"),
        ({"_id": "d\n2", "text": "x"}, "'_id' must be"),
        ({"_id": "d\x00", "text": "x"}, "'_id' must be"),
        ({"_id": "d\x1b[31m", "text": "x"}, "'_id' must be"),
        ({"_id": "\ufeffd2", "text": "x"}, "'_id' must be"),
        ('{"_id": "\\ud800", "text": "x"}', "'_id' must be"),
        ({"_id": "d2"}, "'text' must be a text"),
        ({"_id": "d2", "text": None}, "'text' must be a text"),
        ({"_id": "d2", "text": ["x"]}, "'text' must be a text"),
        ({"_id": "d1", "text": "again"}, "'d1' occurs twice"),
    ],
)
def test_a_malformed_row_is_named(small: Path, file: str, row: object, reason: str):
    path = put(small, file, {"_id": "d1", "text": "x"}, "", row, {"_id": "d9", "text": "y"})
    message = refusal(small)
    assert f"{path}, line 3: " in message
    assert reason in message


@pytest.mark.parametrize(
    "row",
    [{"_id": 7, "text": "x"}, {"id": "7", "text": "x"}, {"id": 7, "contents": "x"}, {"_id": "7", "contents": "x"}],
)
def test_ids_may_be_whole_numbers_and_keys_anserinis(small: Path, row: dict[str, object]):
    put(small, "corpus.jsonl", row)
    put(small, "queries.jsonl", row)
    put(small, "qrels/test.tsv", "7\t7\t1")
    found = loaded(small)
    assert found.queries == {"7": "x"}
    assert found.documents.texts(["7"]) == {"7": "x"}


def test_a_title_that_is_no_text_is_named(small: Path):
    path = put(small, "corpus.jsonl", "", {"_id": "d1", "title": ["T"], "text": "x"})
    assert f"{path}, line 2: 'title' must be a text" in refusal(small)


@pytest.mark.parametrize(
    "identifier", ["<dbpedia:Curaçao_(país)>", "می\u200cخواهم", "क्\u200dष", "d\u00ad2", "MED-10", "🐘"]
)
def test_ids_in_any_script(small: Path, identifier: str):
    # Joiners without width belong to words of Persian and Hindi; a title in such a script may be a document's id.
    put(small, "corpus.jsonl", {"_id": identifier, "text": "x"})
    assert loaded(small).documents.texts([identifier]) == {identifier: "x"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("q1\td1", "expected 'query-id<TAB>corpus-id<TAB>score'"),
        ("q1 d1 1", "Separate the columns by tabs."),
        ("q1,d1,1", "Separate the columns by tabs."),
        ("q1\t0\td1\t1", "TREC's four columns and the lines before have three"),
        ("q1 0 d1 1", "TREC's four columns and the lines before have three"),
        ("q1\t\t1", "expected 'query-id<TAB>corpus-id<TAB>score'"),
        ("q1\td1 \t1", "white space"),
        (" q1\td1\t1", "white space"),
        ("q1\td8\thigh", "'high' is not a whole number"),
        ("q1\td8\t1.5", "'1.5' is not a whole number. Write it in digits"),
        ("q1\td8\t1_0", "'1_0' is not a whole number"),
        ("q1\td8\t١", "'١' is not a whole number"),
        ("q1\td8\t１", "'１' is not a whole number"),
        ("q1\td8\t 1", "' 1' is not a whole number"),
        ("q1\td8\t+1", "'+1' is not a whole number"),
        ("q1\td8\t²", "'²' is not a whole number"),
        ("q1\td8\t", "expected 'query-id<TAB>corpus-id<TAB>score'"),
        # The measure library keeps a counter for every grade up to the highest: this one would take 16 GB.
        ("q1\td8\t2147483647", "between"),
        ("q1\td8\t-99999999999999999999", "between"),
        ("q0\td0\t1", "'d0' is judged twice for query 'q0'"),
    ],
)
def test_a_malformed_judgement_is_named(small: Path, line: str, reason: str):
    path = put(small, "qrels/test.tsv", "query-id\tcorpus-id\tscore", "q0\td0\t1", "", line)
    message = refusal(small)
    assert f"{path}, line 4: " in message
    assert reason in message


@pytest.mark.parametrize(
    "text",
    ["query-id\tcorpus-id\tscore\nq\ta\t-1\nq\tb\t2\n", "q\ta\t-1\nq\tb\t2", "q\ta\t-1\r\n\r\nq\tb\t2\r\n",
     "\ufeffq\ta\t-1\nq\tb\t2"],
    ids=["header", "no header", "carriage returns", "byte order mark"],
)  # fmt: skip
def test_judgements_with_and_without_a_header(tmp_path: Path, text: str):
    path = tmp_path / "test.tsv"
    path.write_bytes(text.encode())
    assert read_judgements(path) == {"q": {"a": -1, "b": 2}}


@pytest.mark.parametrize(
    "text",
    ["q 0 a -1\nq 0 b 2\n", "q\t0\ta\t-1\nq\t0\tb\t2\n", "q Q0  a\t-1 \n\nq 1 b 2.0", "q\ta\t-1.0\nq\tb\t2.\n"],
    ids=["TREC, spaces", "TREC, tabs", "TREC, mixed", "whole-number floats"],
)
def test_trecs_columns_and_whole_number_floats(tmp_path: Path, text: str):
    path = tmp_path / "test.tsv"
    path.write_text(text)
    assert read_judgements(path) == {"q": {"a": -1, "b": 2}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("q 0 a 1\nq\tb\t1\n", "line 2: expected 'query 0 document grade', found 'q\\tb\\t1'"),
        ("q 0 two words 1\n", "line 1: expected 'query-id<TAB>corpus-id<TAB>score'"),
        ("q 0 a 1\nq 0 b 0.5\n", "line 2: the score '0.5' is not a whole number"),
        ("q 0 a 1\nq 0 a 1\n", "line 2: document 'a' is judged twice"),
        ("q q 0 1\n", "line 1: expected"),  # the second column is TREC's only if it is a number
    ],
)
def test_malformed_judgements_of_trec_are_named(tmp_path: Path, text: str, reason: str):
    path = tmp_path / "test.tsv"
    path.write_text(text)
    with pytest.raises(BenchError) as caught:
        read_judgements(path)
    assert f"{path}, {reason}" in str(caught.value)


def test_judgements_next_to_the_corpus_are_the_test_split(small: Path):
    (small / "qrels" / "test.tsv").rename(small / "qrels.tsv")
    (small / "qrels").rmdir()
    assert len(loaded(small).queries) == 2
    assert "qrels.tsv is its test split" in refusal(small, Task("folder", "small", split="dev"))
    (small / "qrels.tsv.gz").write_bytes(gzip.compress((small / "qrels.tsv").read_bytes()))
    (small / "qrels.tsv").unlink()
    assert len(loaded(small).queries) == 2


@pytest.mark.parametrize("content", ["", "query-id\tcorpus-id\tscore\n", "\n\n"])
def test_a_file_without_judgements_is_refused(small: Path, content: str):
    (small / "qrels" / "test.tsv").write_text(content)
    assert "test.tsv has no judgements" in refusal(small)


def test_an_empty_corpus_is_refused(small: Path):
    (small / "corpus.jsonl").write_text("\n")
    assert "corpus.jsonl has no documents" in refusal(small)


@pytest.mark.parametrize("file", ["corpus.jsonl", "queries.jsonl"])
def test_a_torn_packed_file_is_named(beir_folder: BeirFolder, file: str):
    folder = beir_folder(CORPUS, QUERIES, QRELS, packed=True)
    path = folder / f"{file}.gz"
    path.write_bytes(path.read_bytes()[:-9])
    assert f"{path} is a damaged gzip file" in refusal(folder)


@pytest.mark.parametrize("file", ["corpus.jsonl", "queries.jsonl"])
def test_a_file_that_is_not_utf8_is_named(small: Path, file: str):
    (small / file).write_bytes('{"_id": "d1", "text": "café"}\n'.encode("latin-1"))
    assert str(small / file) in refusal(small)


@pytest.mark.parametrize("file", ["corpus.jsonl", "queries.jsonl"])
@pytest.mark.parametrize("pack", [bz2.compress, lambda content: content.decode().encode("utf-16")])
def test_a_file_packed_or_encoded_otherwise_is_named_with_what_to_do(small: Path, file: str, pack):
    (small / file).write_bytes(pack((small / file).read_bytes()))
    message = refusal(small)
    assert str(small / file) in message
    assert "not UTF-8 text" in message
    assert "unpack it" in message


@pytest.mark.parametrize("file", ["corpus.jsonl", "queries.jsonl"])
def test_a_byte_order_mark_is_no_part_of_a_file(small: Path, file: str):
    path = small / file
    before = loaded(small)
    expected = before.version, list(before.documents)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    after = loaded(small)
    assert (after.version, list(after.documents)) == expected


def test_queries_keep_their_files_order_and_their_text_as_it_is(tmp_path: Path):
    path = put(tmp_path, "queries.jsonl", {"_id": "z", "text": " two  spaces\n"}, {"_id": "a", "text": ""})
    assert list(read_queries(path).items()) == [("z", " two  spaces\n"), ("a", "")]


def test_a_closed_corpus_leaves_nothing_behind(
    beir_folder: BeirFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    unpacked = tmp_path / "temporary"
    unpacked.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(unpacked))
    documents = loaded(beir_folder(CORPUS, QUERIES, QRELS, packed=True)).documents
    documents.close()
    assert list(unpacked.iterdir()) == []
