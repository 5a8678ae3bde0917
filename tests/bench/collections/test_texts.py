"""A corpus' hash is taken again whenever its files are not those it was taken of, and only then."""

import os
from pathlib import Path

import pytest

from bench.collections.texts import hash_texts, remembered
from bench.protocol import digest

ROWS = [("d1", "one"), ("d2", "two")]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RERANK_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize(
    "rows",
    [
        [("d1", "one"), ("d2", "twO")],
        [("d1", "one"), ("d3", "two")],
        [("d2", "two"), ("d1", "one")],
        [("d1", "one")],
        [("d1o", "ne"), ("d2", "two")],
        [("d1", "one"), ("d2", "two"), ("", "")],
    ],
    ids=["text", "id", "order", "fewer", "border", "empty document"],
)
def test_every_id_text_and_place_is_part_of_the_hash(rows: list[tuple[str, str]]):
    assert hash_texts(rows) != hash_texts(ROWS)
    assert hash_texts(iter(ROWS)) == hash_texts(ROWS)


def test_a_hash_is_remembered_for_as_long_as_the_files_stay_as_they_are(tmp_path: Path, cache: Path):
    path = tmp_path / "store"
    path.write_text("content")
    taken: list[int] = []

    def compute() -> str:
        taken.append(1)
        return hash_texts(ROWS)

    def ask(source: str = "source") -> int:
        assert remembered(source, [path], compute) == hash_texts(ROWS)
        return len(taken)

    assert [ask(), ask()] == [1, 1]
    assert [ask("another text rule"), ask("another text rule")] == [2, 2]
    path.write_text("content!")
    assert [ask(), ask()] == [3, 3]
    os.utime(path, (1, 1))
    assert [ask(), ask()] == [4, 4]
    for kept in (cache / "texts").iterdir():
        kept.write_bytes(b"\xff")
    assert [ask(), ask()] == [5, 5]


def test_a_hash_is_not_remembered_for_other_content_of_the_same_size_and_time(tmp_path: Path, cache: Path):
    path = tmp_path / "store"
    for text in ("one", "two"):
        path.write_text(text)
        os.utime(path, (1, 1))
        assert remembered("source", [path], lambda: digest([path.read_text()])) == digest([text])


@pytest.mark.parametrize("change", ["edited", "renamed", "pipe"])
def test_a_remembered_hash_that_was_changed_is_taken_again(tmp_path: Path, cache: Path, change: str):
    path = tmp_path / "store"
    path.touch()
    wrong, right = digest(["wrong"]), digest(["right"])
    remembered("other", [path], lambda: wrong)
    (other,) = (cache / "texts").iterdir()
    remembered("source", [path], lambda: right)
    (kept,) = set((cache / "texts").iterdir()) - {other}
    if change == "edited":
        kept.write_text(kept.read_text().replace(right, wrong))
    elif change == "renamed":
        other.replace(kept)
    else:
        kept.unlink()
        os.mkfifo(kept)
    assert remembered("source", [path], lambda: right) == right


def test_without_files_nothing_is_remembered(tmp_path: Path, cache: Path):
    assert remembered("source", [tmp_path / "missing"], lambda: hash_texts(ROWS)) == hash_texts(ROWS)
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "file"
    path.touch()
    monkeypatch.setenv("RERANK_BENCH_CACHE", str(path))
    assert remembered("source", [path], lambda: hash_texts(ROWS)) == hash_texts(ROWS)
    assert "could not be cached" in capsys.readouterr().err
