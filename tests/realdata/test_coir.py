"""mteb's classes on real collections in the hub's layout, compared with the same collections in BEIR format."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.collections.beir_folder import load_folder
from bench.collections.judgements import read_judgements
from bench.collections.mteb import differences, load_mteb
from bench.suites import choose

pytestmark = pytest.mark.realdata

FOLDERS = [
    ("beir/nfcorpus", "beir/nfcorpus"),
    ("coir/cosqa", "coir-like/cosqa"),
    ("coir/codetrans-contest", "coir-like/codetrans-java-cs"),
    ("coir/synthetic-text2sql", "coir-like/text2sql-classic"),
]


def rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [{key: row.get(key) or "" for key in ("_id", "title", "text")} for row in map(json.loads, lines)]


@pytest.mark.parametrize(("task_id", "folder"), FOLDERS)
def test_mteb_and_a_folder_give_the_same_collection(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task_id: str, folder: str
) -> None:
    import datasets
    import mteb

    source = shared_data / folder
    qrels = [
        {"query-id": query_id, "corpus-id": document_id, "score": grade}
        for query_id, grades in read_judgements(source / "qrels" / "test.tsv").items()
        for document_id, grade in grades.items()
    ]
    tables = {
        "default": ("test", qrels),
        "corpus": ("corpus", rows(source / "corpus.jsonl.gz")),
        "queries": ("queries", rows(source / "queries.jsonl.gz")),
    }
    card = ["---", "configs:"]
    for name, (split, table) in tables.items():
        card += [f"- config_name: {name}", "  data_files:", f"  - split: {split}", f"    path: {name}/*.parquet"]
        (tmp_path / name).mkdir()
        datasets.Dataset.from_list(table).to_parquet(tmp_path / name / f"{split}-00000-of-00001.parquet")
    (tmp_path / "README.md").write_text("\n".join([*card, "---", ""]))

    suite, _, name = task_id.partition("/")
    (task,) = choose(suite, [name])
    if suite == "coir":
        task = replace(task, counts=None)  # like CoIR's sets, and not the same ones
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setitem(mteb.get_task(task.mteb).metadata.dataset, "path", str(tmp_path))
    by_mteb, by_folder = load_mteb(task), load_folder(task, source)
    assert differences(by_folder, by_mteb) == []
    assert by_mteb.version == by_folder.version
    by_folder.documents.close()
