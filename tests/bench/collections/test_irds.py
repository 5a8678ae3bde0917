"""Collections by ir_datasets itself, from small archives laid where it keeps its downloads, and without any host."""

import json
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

LOAD = """
import json, sys
from bench.collections.irds import load_irds
from bench.collections.texts import hash_texts
from bench.task import Task

collection = load_irds(Task("beir", "scifact", source_id="beir/scifact/test", join_title=sys.argv[1] == "joined"))
documents = collection.documents
print(json.dumps({
    "queries": collection.queries,
    "judgements": collection.judgements,
    "count": len(documents),
    "all": list(documents),
    "some": documents.texts(["d3", "absent", "d1", "d3"]),
    "none": documents.texts([]),
    "version": collection.version,
    "lacking": documents.lacking(["d3", "absent", "d1"]),
    "hashes": [documents.texts_hash(), documents.texts_hash(), hash_texts(documents)],
}))
documents.close()
"""
DOCUMENTS = [
    {"_id": "d1", "title": "Tides", "text": "The moon pulls the sea.", "metadata": {}},
    {"_id": "d2", "title": "", "text": "Onions make eyes water.", "metadata": {}},
    {"_id": "d3", "title": "Émile", "text": "日本語", "metadata": {}},
]
QUERIES = [
    {"_id": "q2", "text": "onions?", "metadata": {}},
    {"_id": "q9", "text": "never judged", "metadata": {}},
    {"_id": "q1", "text": "tides?", "metadata": {}},
]
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq2\tabsent\t1\n"


@pytest.fixture
def archive(environment: dict[str, str]) -> Path:
    """A small collection in the place of BEIR's scifact archive."""
    path = Path(environment["IR_DATASETS_HOME"]) / "beir" / "scifact" / "source.zip"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, rows in (("corpus", DOCUMENTS), ("queries", QUERIES)):
            packed.writestr(f"scifact/{name}.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        packed.writestr("scifact/qrels/test.tsv", QRELS)
    return path


@pytest.fixture
def silent_host() -> Iterator[str]:
    """A host that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=take, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        for connection in taken:
            connection.close()


@pytest.mark.parametrize(
    ("rule", "text"), [("joined", "Tides The moon pulls the sea."), ("apart", "The moon pulls the sea.")]
)
def test_an_archive_becomes_a_collection(environment: dict[str, str], archive: Path, rule: str, text: str):
    command = [sys.executable, "-c", LOAD, rule]
    answer = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=60)
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert list(found["queries"].items()) == [("q2", "onions?"), ("q1", "tides?")]
    assert found["judgements"] == {"q1": {"d1": 2, "d2": 0}, "q2": {"absent": 1}}
    assert found["count"] == 3
    assert found["all"][0] == ["d1", text]
    assert [document_id for document_id, _ in found["all"]] == ["d1", "d2", "d3"]
    assert found["some"] == {"d3": "Émile 日本語" if rule == "joined" else "日本語", "d1": text}
    assert found["none"] == {}
    assert found["lacking"] == ["absent"]
    assert len(set(found["hashes"])) == 1
    assert len(list((Path(environment["RERANK_BENCH_CACHE"]) / "texts").iterdir())) == 1
    # Nothing is left to the interpreter's end, where the store would complain.
    assert "Exception" not in answer.stderr


def test_counts_are_compared_with_the_declaration(refused: Callable[..., str], archive: Path):
    message = refused("beir", "scifact", "-r", "first-stage")
    assert "beir/scifact from ir_datasets beir/scifact/test holds" in message
    assert "2 queries (expected 300), 3 judgements (expected 339)" in message


def flipped(whole: bytes) -> bytes:
    """The archive with damage in the judgements' bytes, which follow their name."""
    name = b"scifact/qrels/test.tsv"
    start = whole.index(name) + len(name)
    return whole[:start] + bytes(byte ^ 0xFF for byte in whole[start : start + 20]) + whole[start + 20 :]


@pytest.mark.parametrize(
    "tear",
    [lambda whole: whole[: len(whole) // 2], lambda whole: b"<html>", lambda whole: b"", flipped,
     lambda whole: whole.replace(b"scifact/qrels/test", b"scifact/other/test")],
    ids=["half", "a page", "empty", "flipped", "other files"],
)  # fmt: skip
def test_a_damaged_archive_is_named(
    refused: Callable[..., str], archive: Path, tear: Callable[[bytes], bytes], tmp_path: Path
):
    archive.write_bytes(tear(archive.read_bytes()))
    message = refused("beir", "scifact", "-r", "first-stage")
    assert "beir/scifact: ir_datasets could not get" in message
    assert str(archive.parents[2]) in message
    assert not list((tmp_path / "here").rglob("result.json"))


def test_an_unreachable_host_is_one_message(bench: Callable[..., Any], environment: dict[str, str], tmp_path: Path):
    started = time.monotonic()
    answer = bench("beir", "scifact", "-r", "first-stage")
    assert time.monotonic() - started < 20
    assert answer.returncode == 2
    # No line of ir_datasets' own log before it.
    assert not [line for line in answer.stderr.splitlines() if line.startswith("[")]
    message = answer.stderr.splitlines()[-1]
    for part in ("beir/scifact", environment["IR_DATASETS_HOME"], "--data DIR", "--embedded"):
        assert part in message
    assert not [path for path in (tmp_path / "here").rglob("*") if path.name in ("result.json", "run.trec.gz")]


def test_a_host_that_never_answers_is_given_up(refused: Callable[..., str], silent_host: str):
    # ir_datasets waits 15 seconds, three times; the setting that bounds it is its own.
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), silent_host)
    message = refused(
        "beir", "scifact", "-r", "first-stage", env=proxies | {"IR_DATASETS_DL_TIMEOUT": "0.5"}, timeout=30
    )
    assert "beir/scifact: ir_datasets could not get" in message
