"""Collections as parquet, as save_to_disk writes them, and packed as zip archives: the same collection as the lines."""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest

from bench.collections.beir_folder import load_folder, place_of
from bench.collections.collection import Collection
from bench.collections.texts import hash_texts
from bench.errors import BenchError
from bench.task import Task

CORPUS = [
    {"_id": "d1", "title": "Tides", "text": "The moon pulls the sea."},
    {"_id": "d2", "title": None, "text": " Onions make eyes water.\n"},
    {"_id": "d3", "title": "", "text": ""},
]
QUERIES = [{"_id": "q2", "text": "onion"}, {"_id": "q1", "text": "sea"}, {"_id": "q0", "text": "train"}]
TEST = [
    {"query-id": "q1", "corpus-id": "d1", "score": 2},
    {"query-id": "q2", "corpus-id": "d2", "score": 1},
    {"query-id": "q2", "corpus-id": "d3", "score": 0},
]
TRAIN = [{"query-id": "q0", "corpus-id": "d1", "score": 1}]
TASK = Task("folder", "small")


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setenv("RERANK_BENCH_CACHE", str(tmp_path / "rerank-bench"))


def table(rows: list[dict[str, object]]) -> datasets.Dataset:
    return datasets.Dataset.from_list(rows)


def to_parquet(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table(rows).to_parquet(path)


def as_hub(folder: Path) -> None:
    to_parquet(folder / "corpus" / "corpus-00000-of-00002.parquet", CORPUS[:2])
    to_parquet(folder / "corpus" / "corpus-00001-of-00002.parquet", CORPUS[2:])
    to_parquet(folder / "queries" / "queries-00000-of-00001.parquet", QUERIES)
    to_parquet(folder / "default" / "test-00000-of-00001.parquet", TEST)
    to_parquet(folder / "default" / "train-00000-of-00001.parquet", TRAIN)


def as_files(folder: Path) -> None:
    to_parquet(
        folder / "corpus.parquet",
        [{"id": row["_id"], "title": row["title"], "contents": row["text"]} for row in CORPUS],
    )
    to_parquet(folder / "queries.parquet", QUERIES)
    to_parquet(folder / "qrels" / "test.parquet", [row | {"score": float(row["score"])} for row in TEST])


def as_saved(folder: Path) -> None:
    table(CORPUS).save_to_disk(folder / "corpus")
    datasets.DatasetDict({"queries": table(QUERIES)}).save_to_disk(folder / "queries")
    datasets.DatasetDict({"test": table(TEST), "train": table(TRAIN)}).save_to_disk(folder / "qrels")


def as_one_saved(folder: Path) -> None:
    parts = {"corpus": table(CORPUS), "queries": table(QUERIES), "qrels": table(TEST)}
    datasets.DatasetDict(parts).save_to_disk(folder)


def mixed(folder: Path) -> None:
    as_hub(folder)
    shutil.rmtree(folder / "default")
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text("q1\td1\t2\nq2\td2\t1\nq2\td3\t0\n")


@pytest.mark.parametrize("write", [as_hub, as_files, as_saved, as_one_saved, mixed])
def test_every_form_is_the_same_collection(tmp_path: Path, write: Callable[[Path], None]):
    write(tmp_path / "small")
    found = load_folder(TASK, tmp_path / "small")
    assert_small(found)
    found.documents.close()


def assert_small(found: Collection) -> None:
    assert found.queries == {"q2": "onion", "q1": "sea"}
    assert found.judgements == {"q1": {"d1": 2}, "q2": {"d2": 1, "d3": 0}}
    texts = {"d1": "Tides The moon pulls the sea.", "d2": " Onions make eyes water.\n", "d3": ""}
    assert dict(found.documents) == texts
    assert found.documents.texts(["d3", "d9", "d1"]) == {"d3": "", "d1": texts["d1"]}
    assert found.documents.lacking(["d9", "d2"]) == ["d9"]
    assert found.documents.texts_hash() == hash_texts(texts.items())


def test_ids_may_be_whole_numbers(tmp_path: Path):
    to_parquet(tmp_path / "corpus.parquet", [{"_id": 7, "text": "x"}])
    to_parquet(tmp_path / "queries.parquet", [{"_id": 1, "text": "y"}])
    to_parquet(tmp_path / "qrels.parquet", [{"query_id": 1, "corpus_id": 7, "score": 1}])
    found = load_folder(TASK, tmp_path)
    assert (found.queries, found.judgements) == ({"1": "y"}, {"1": {"7": 1}})
    assert dict(found.documents) == found.documents.texts(["7"]) == {"7": "x"}


def test_another_split_is_measured(tmp_path: Path):
    for name, write in (("hub", as_hub), ("saved", as_saved)):
        write(tmp_path / name)
        assert load_folder(Task("folder", "small", split="train"), tmp_path / name).judgements == {"q0": {"d1": 1}}
        with pytest.raises(BenchError, match=r"has no split 'dev'.*test, train"):
            load_folder(Task("folder", "small", split="dev"), tmp_path / name)


def changed(part: list[dict[str, object]], **changes: object) -> list[dict[str, object]]:
    return [*part[:-1], part[-1] | changes]


@pytest.mark.parametrize(
    ("file", "rows", "reason"),
    [
        ("corpus", [{"name": "d1", "text": "x"}], r"no column '_id' or 'id'; it has 'name', 'text'"),
        ("corpus", changed(CORPUS, _id="d 3"), "the id 'd 3' is not a text without white space"),
        ("corpus", changed(CORPUS, text=None), "1 rows have no text"),
        ("corpus", changed(CORPUS, _id="d1"), "1 documents have the id of another"),
        ("queries", changed(QUERIES, _id="q1"), "1 queries have the id of another"),
        ("queries", [{"_id": "q1", "text": 5}], "all rows have no text"),
        ("qrels/test", [row | {"score": row["score"] / 2} for row in TEST], "the score 0.5 of document 'd2'"),
        ("qrels/test", [*TEST, TEST[0]], "document 'd1' is judged twice for query 'q1'"),
    ],
)  # fmt: skip
def test_a_malformed_table_is_named(tmp_path: Path, file: str, rows: list[dict[str, object]], reason: str):
    as_files(tmp_path)
    to_parquet(tmp_path / f"{file}.parquet", rows)
    with pytest.raises(BenchError, match=reason) as caught:
        load_folder(TASK, tmp_path)
    assert str(tmp_path / file.partition("/")[0]) in str(caught.value)


def test_a_damaged_table_is_named(tmp_path: Path):
    as_files(tmp_path)
    (tmp_path / "queries.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(BenchError, match=r"queries\.parquet cannot be read as a table"):
        load_folder(TASK, tmp_path)


def packed(folder: Path, archive: Path, inside: str) -> Path:
    with zipfile.ZipFile(archive, "w") as stream:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                stream.write(path, f"{inside}{path.relative_to(folder)}")
    return archive


@pytest.mark.parametrize("inside", ["", "small/", "any/other/"])
def test_a_zip_archive_is_its_folder(
    beir_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str
):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    folder = beir_folder(
        "d1 | Tides | The moon pulls the sea.\n d2 | | Onions.", "q2 | onion\n q1 | sea", "q1 d1 2\n q2 d2 1"
    )
    archive = packed(folder, tmp_path / "packed.zip", inside)
    found = load_folder(TASK, archive)
    assert found.source == str(archive)
    assert found.queries == {"q2": "onion", "q1": "sea"}
    assert found.documents.texts(["d1"]) == {"d1": "Tides The moon pulls the sea."}
    assert len(list((tmp_path / "tmp").iterdir())) == 1
    found.documents.close()
    del found
    assert list((tmp_path / "tmp").iterdir()) == []


def test_an_archive_is_found_by_the_tasks_name(tmp_path: Path):
    (tmp_path / "small.zip").touch()
    assert place_of(tmp_path, "small") == tmp_path / "small.zip"
    (tmp_path / "small").mkdir()
    assert place_of(tmp_path, "small") == tmp_path / "small"
    assert place_of(tmp_path, "other") == tmp_path / "other"


@pytest.mark.parametrize(
    ("content", "reason"), [(b"no archive", "cannot be unpacked as a zip archive"), (None, "has no corpus.jsonl in it")]
)
def test_an_unfit_archive_is_named(tmp_path: Path, content: bytes | None, reason: str):
    archive = tmp_path / "some.zip"
    if content is None:
        (tmp_path / "empty").mkdir()
        packed(tmp_path / "empty", archive, "")
    else:
        archive.write_bytes(content)
    with pytest.raises(BenchError, match=reason):
        load_folder(TASK, archive)


def test_an_archive_is_measured_and_read_again(
    bench: Callable[..., object], beir_folder: Callable[..., Path], tmp_path: Path
):
    folder = beir_folder("d1 | | sea\n d2 | | land", "q1 | sea", "q1 d1 1", name="mine")
    archive = packed(folder, tmp_path / "mine.zip", "mine/")
    shutil.rmtree(folder)
    answer = bench("folder", archive, "-r", "first-stage")
    assert answer.returncode == 0, answer.stderr
    assert "mine" in answer.stdout and "100.00" in answer.stdout
    answer = bench("verify", "out")
    assert answer.returncode == 0, answer.stdout + answer.stderr
