"""The readers of other people's files: any bytes give a result or an error of ours, never a traceback."""

import gzip
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.collections.beir_folder import FolderDocuments, read_queries
from bench.collections.collection import Collection
from bench.collections.judgements import read_judgements
from bench.collections.mkqa import read_questions
from bench.errors import BenchError
from bench.evaluation.evaluate import evaluate
from bench.evaluation.prepare import prepare
from bench.first_stage.manifest import read_manifests
from bench.measures import STANDARD, per_query
from bench.rerankers import load
from bench.rerankers.base import Options
from bench.results import read_result, write_result
from bench.run import Run, read_run
from bench.task import Task

TASK = Task("folder", "fuzzed")
FUZZ = settings(max_examples=120, suppress_health_check=list(HealthCheck))


def whole_corpus(path: Path) -> None:
    documents = FolderDocuments(path, TASK)
    try:
        rows = list(documents)
        assert len(rows) == len(documents)
        assert documents.texts([document_id for document_id, _ in rows]) == dict(rows)
    finally:
        documents.close()


class AnyDocuments:
    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(())

    def texts(self, ids: Sequence[str]) -> dict[str, str]:
        return dict.fromkeys(ids, "text")

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def result_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    run = Run("made", {"q1": [("d1", 2.0), ("d2", 1.0)]})
    collection = Collection(TASK, {"q1": "text"}, {"q1": {"d1": 1}}, AnyDocuments(), "made")
    result, reranked = evaluate(prepare(collection, run, 100, Options()), load("random", Options()))
    return write_result(result, reranked, tmp_path_factory.mktemp("result")).read_bytes()


MANIFEST = {
    "beir/made": {
        "sha256": "0" * 64, "data": "0" * 16, "documents": 2, "queries": 1, "depth": 100, "analysis": "english",
        "k1": 0.9, "b": 0.4, "text_rule": "text", "identical_ids": "kept", "libraries": "none",
        "figures": {"nDCG@10": 0.5},
    }
}  # fmt: skip

QUESTION = (
    '{"example_id": -7, "queries": {"en": "where", "ja": "どこ"}, "answers": {"ja": [], "en": '
    '[{"type": "entity", "text": "Ottawa", "aliases": ["Bytown"], "entity": "Q1"}]}}\n'
).encode()
"""A line of MKQA's release."""

Read = Callable[[Path], object]
READERS: dict[str, tuple[str, Read, bytes]] = {
    "run": ("run.trec", read_run, b"q1 Q0 d1 1 2.5 made\nq1 Q0 d2 2 1e-3 made\nq2 Q0 d1 1 -0.0 made\n"),
    "queries": ("queries.jsonl", read_queries, '{"_id": "q1", "text": "größer"}\n{"_id": "q2", "text": ""}\n'.encode()),
    "judgements": ("test.tsv", read_judgements, b"query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t0\nq2\td1\t-1\n"),
    "corpus": (
        "corpus.jsonl",
        whole_corpus,
        b'{"_id": "d1", "title": "one", "text": "a \\ud83d\\ude00"}\n\n{"_id": "d2", "title": null, "text": "b"}\n',
    ),
    "questions": ("mkqa.jsonl", lambda path: read_questions(path, "ja"), QUESTION),
    "manifests": ("manifest.json", lambda path: read_manifests(path.parent), json.dumps(MANIFEST).encode()),
}
"""For each reader the name its file goes by, and a file that it accepts."""

PIECES = [
    b"", b"\0", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\r", b"\n", b"\t", b" ", b"\x1c", b"\x85",
    "\u2028".encode(), "\u0661".encode(), b"\\ud800", b"\x1b[2J", b'"', b"\\", b"{", b"}", b"[" * 100_000, b"nan",
    b"NaN", b"-Infinity", b"1e999", b"1_0", b"9" * 5_000, b"9" * 400, b"null", b"true", b"[]", b"{}", b'""', b"-0",
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, valid: bytes) -> bytes:
    """A valid file with some pieces cut out, doubled, overwritten or put in."""
    content = valid
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 30)))
        middle = draw(st.one_of(st.sampled_from(PIECES), st.binary(max_size=8), st.just(content[start:end] * 2)))
        content = content[:start] + middle + content[end:]
    return content


def survives(read: Read, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        read(path)
    except BenchError as error:
        assert str(path.name) in str(error)


@pytest.mark.parametrize("name", READERS)
def test_what_the_fuzzing_starts_from_is_accepted(name: str, tmp_path: Path) -> None:
    file, read, valid = READERS[name]
    (tmp_path / file).write_bytes(valid)
    read(tmp_path / file)


@pytest.mark.parametrize("name", READERS)
def test_each_hostile_piece_before_and_instead_of_each_field(name: str, tmp_path: Path) -> None:
    file, read, valid = READERS[name]
    for field in re.finditer(rb"[^\s:,{}]+", valid):
        for piece in PIECES:
            for rest in (field.start(), field.end()):
                survives(read, tmp_path / file, valid[: field.start()] + piece + valid[rest:])


@pytest.mark.parametrize("name", READERS)
@FUZZ
@given(data=st.data())
def test_any_bytes(name: str, tmp_path: Path, data: st.DataObject) -> None:
    file, read, _ = READERS[name]
    survives(read, tmp_path / file, data.draw(st.binary(max_size=200)))


@pytest.mark.parametrize("name", READERS)
@FUZZ
@given(data=st.data())
def test_a_valid_file_with_pieces_changed(name: str, tmp_path: Path, data: st.DataObject) -> None:
    file, read, valid = READERS[name]
    survives(read, tmp_path / file, data.draw(mutated(valid)))


TEXTS = [name for name in READERS if name != "manifests"]


@pytest.mark.parametrize("name", TEXTS)
@FUZZ
@given(data=st.data())
def test_a_gzipped_file_with_pieces_changed(name: str, tmp_path: Path, data: st.DataObject) -> None:
    file, read, valid = READERS[name]
    content = gzip.compress(data.draw(mutated(valid)) if data.draw(st.booleans()) else valid, mtime=0)
    survives(read, tmp_path / (f"{file}.gz" if data.draw(st.booleans()) else file), data.draw(mutated(content)))


@pytest.mark.fuzz
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", READERS)
@settings(FUZZ, max_examples=2_000)
@given(data=st.data())
def test_every_reader_for_long(name: str, tmp_path: Path, data: st.DataObject) -> None:
    file, read, valid = READERS[name]
    content = data.draw(st.one_of(mutated(valid), st.binary(max_size=500)))
    if name in TEXTS and data.draw(st.booleans()):
        content = data.draw(mutated(gzip.compress(content, mtime=0)))
    survives(read, tmp_path / file, content)


@FUZZ
@given(content=st.binary(max_size=200))
def test_any_bytes_as_a_result(tmp_path: Path, content: bytes) -> None:
    survives(read_result, tmp_path / "result.json", content)


@FUZZ
@given(data=st.data())
def test_a_result_with_pieces_changed(tmp_path: Path, result_bytes: bytes, data: st.DataObject) -> None:
    survives(read_result, tmp_path / "result.json", data.draw(mutated(result_bytes)))


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.just(10**400), st.just(-(10**400)), st.floats(), st.text(max_size=5)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=5,
)


def replace_somewhere(content: Any, value: object, draw: random.Random) -> Any:
    """The same JSON with one of its values, at any depth, replaced, or left out where it stood in an object."""
    if not isinstance(content, dict | list) or not content or draw.random() < 0.1:
        return value
    keys = list(content) if isinstance(content, dict) else range(len(content))
    key = draw.choice(keys)
    content[key] = replace_somewhere(content[key], value, draw)
    if isinstance(content, dict) and draw.random() < 0.1:
        del content[key]
    return content


@FUZZ
@given(value=JSON, seed=st.integers(0, 10**9))
def test_a_result_with_a_value_replaced(tmp_path: Path, result_bytes: bytes, value: object, seed: int) -> None:
    content = replace_somewhere(json.loads(result_bytes), value, random.Random(seed))
    survives(read_result, tmp_path / "result.json", json.dumps(content).encode())


@FUZZ
@given(value=JSON, seed=st.integers(0, 10**9))
def test_questions_with_a_value_replaced(tmp_path: Path, value: object, seed: int) -> None:
    content = replace_somewhere(json.loads(QUESTION), value, random.Random(seed))
    survives(lambda path: read_questions(path, "ja"), tmp_path / "mkqa.jsonl", json.dumps(content).encode())


@FUZZ
@given(
    judgements=st.dictionaries(
        st.text(max_size=3), st.dictionaries(st.text(max_size=3), st.integers() | st.integers(-3, 3), max_size=4)
    ),
    rankings=st.dictionaries(st.text(max_size=3), st.lists(st.text(max_size=3), unique=True, max_size=6)),
)
def test_the_measure_library_survives_any_judgements(
    judgements: dict[str, dict[str, int]], rankings: dict[str, list[str]]
) -> None:
    try:
        figures = per_query(judgements, rankings, STANDARD)
    except BenchError as error:
        assert "grade" in str(error)
    else:
        assert all(of_query.keys() == judgements.keys() for of_query in figures.values())
        assert all(0 <= figure <= 1 for of_query in figures.values() for figure in of_query.values())


@FUZZ
@given(value=JSON, seed=st.integers(0, 10**9))
def test_manifests_with_a_value_replaced(tmp_path: Path, value: object, seed: int) -> None:
    content = replace_somewhere(json.loads(json.dumps(MANIFEST)), value, random.Random(seed))
    survives(lambda path: read_manifests(path.parent), tmp_path / "manifest.json", json.dumps(content).encode())
