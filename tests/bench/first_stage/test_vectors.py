"""A corpus' embeddings on disk: half precision, resumed after a kill, refused where the disk has no room."""

import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from bench.errors import BenchError
from bench.first_stage import dense
from bench.first_stage.dense import dense_run
from bench.first_stage.vectors import Store
from bench.run import read_run
from tests.bench.factories import HeldDocuments, toy_collection


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Every corpus is a large one; its embeddings go here."""
    monkeypatch.setenv("RERANK_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(dense, "_STORED", 0)
    return tmp_path / "cache" / "embeddings"


@pytest.fixture
def collection():
    """Sixty documents, some of the same text."""
    found = toy_collection()
    found.documents = HeldDocuments({f"d{number}": f"document about {number % 50} things" for number in range(60)})
    return found


class Counting:
    """Random embeddings of texts; counts the documents that it embeds."""

    def __init__(self, fails_after=10**9):
        self.card = SimpleNamespace(name="counting", fingerprint="f", device="cpu")
        self.embedded, self._fails_after = 0, fails_after

    def embed(self, texts, is_query, task=""):
        if not is_query:
            if self.embedded + len(texts) > self._fails_after:
                raise KeyboardInterrupt
            self.embedded += len(texts)
        made = np.array([np.random.default_rng(sum(text.encode())).normal(size=24) for text in texts])
        return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)

    def variant(self, task):
        return ""


@pytest.fixture
def counting(monkeypatch):
    def use(encoder):
        monkeypatch.setattr(dense, "load", lambda name, options: encoder)
        return encoder

    return use


def test_the_order_is_that_of_the_embeddings_in_half_precision(collection, counting, cache):
    encoder = counting(Counting())
    run = dense_run(collection, "any", 7)
    texts = dict(collection.documents)
    halved = encoder.embed(list(texts.values()), False).astype(np.float16).astype(np.float64)
    for query_id, query in collection.queries.items():
        cosines = (halved @ encoder.embed([query], True)[0].astype(np.float64)).astype(np.float32)
        order = np.argsort(-cosines, kind="stable")[:7]
        assert run.rankings[query_id] == [(list(texts)[place], float(cosines[place])) for place in order]
    (matrix,) = cache.rglob("documents.f16")
    assert matrix.stat().st_size == 60 * 24 * 2


def test_the_next_command_embeds_nothing_again(collection, counting, capsys):
    counting(Counting())
    first = dense_run(collection, "any", 7)
    assert "beir/toy: 60 documents are embedded by counting: 24 dimensions, 2.8 KiB in " in capsys.readouterr().err
    encoder, progress = counting(Counting()), []
    again = dense_run(collection, "any", 7, lambda units, restored=False: progress.append((units, restored)))
    assert again == first
    assert (encoder.embedded, progress) == (0, [(60, True)])
    assert "60 are stored already" in capsys.readouterr().err


def test_other_texts_or_another_encoder_are_other_embeddings(collection, counting):
    counting(Counting())
    dense_run(collection, "any", 7)
    other = counting(Counting())
    other.card.fingerprint = "g"
    dense_run(collection, "any", 7)
    assert other.embedded == 60
    edited = counting(Counting())
    collection.documents = HeldDocuments(dict(collection.documents) | {"d5": "another text"})
    dense_run(collection, "any", 7)
    assert edited.embedded == 60


@pytest.mark.parametrize("torn", [b"", b"half a row"])
def test_an_interrupted_command_resumes_at_the_block(collection, counting, cache, monkeypatch, torn):
    monkeypatch.setattr(dense, "_BLOCK", 8)
    whole = dense_run(collection, "any", 7) if counting(Counting()) else None
    shutil.rmtree(cache)
    counting(Counting(fails_after=30))
    with pytest.raises(KeyboardInterrupt):
        dense_run(collection, "any", 7)
    (matrix,) = cache.rglob("documents.f16")
    with matrix.open("ab") as stream:
        stream.write(torn)
    resumed = counting(Counting())
    assert dense_run(collection, "any", 7) == whole
    assert resumed.embedded == 60 - 24


def test_a_damaged_store_is_refused(collection, counting, cache):
    counting(Counting())
    dense_run(collection, "any", 7)
    (matrix,) = cache.rglob("documents.f16")
    matrix.write_bytes(matrix.read_bytes()[:-1])
    with pytest.raises(BenchError, match=r"is damaged: .* Remove the folder"):
        dense_run(collection, "any", 7)


def test_a_disk_without_room_is_refused_before_the_start(collection, counting, monkeypatch):
    encoder = counting(Counting())
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=2048))
    with pytest.raises(BenchError, match=r"need 2.8 KiB in .* its disk has 2.0 KiB.*RERANK_BENCH_CACHE"):
        dense_run(collection, "any", 7)
    assert encoder.embedded == 0


def test_a_disk_that_fills_up_keeps_what_is_stored(tmp_path):
    store = Store(tmp_path / "store", 4)
    store.append(np.ones((3, 4), np.float32))
    (tmp_path / "store" / "documents.f16").unlink()
    (tmp_path / "store" / "documents.f16").symlink_to("/dev/full")
    with pytest.raises(BenchError, match=r"Cannot write .*No space left.* 3 embeddings are stored"):
        store.append(np.ones((3, 4), np.float32))
    assert json.loads((tmp_path / "store" / "state.json").read_text())["rows"] == 3


CHILD = """
import sys
from pathlib import Path
from bench.first_stage import dense
from bench.run import write_run
from tests.bench.factories import HeldDocuments, toy_collection
from tests.bench.first_stage.test_vectors import Counting

class Waiting(Counting):
    def embed(self, texts, is_query, task=""):
        if not is_query and self.embedded >= int(sys.argv[2]):
            print("waiting", flush=True)
            sys.stdin.read()
        return super().embed(texts, is_query, task)

dense._STORED, dense._BLOCK, dense.load = 0, 8, lambda name, options: Waiting()
collection = toy_collection()
collection.documents = HeldDocuments({f"d{number}": f"document about {number % 190} things" for number in range(200)})
write_run(dense.dense_run(collection, "any", 20), Path(sys.argv[1]))
"""


def test_a_killed_process_resumes_with_the_same_run(environment, tmp_path, cache):
    def start(name, folder, wait_after):
        command = [sys.executable, "-c", CHILD, str(tmp_path / f"{name}.trec.gz"), str(wait_after)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, env=environment | {"RERANK_BENCH_CACHE": str(folder)}, **pipes)

    start("whole", tmp_path / "other", 1000).communicate(timeout=200)
    killed = start("killed", cache.parent, 80)
    assert killed.stdout.readline() == b"waiting\n"
    killed.kill()
    killed.communicate()
    _, said = start("resumed", cache.parent, 1000).communicate(timeout=200)
    assert b" 80 are stored already" in said
    whole, resumed = (read_run(tmp_path / f"{name}.trec.gz") for name in ("whole", "resumed"))
    assert whole == resumed
