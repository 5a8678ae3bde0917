"""MIRACL's official queries and judgements through ir_datasets, and parts of its corpora."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.collections.beir_folder import load_folder
from bench.collections.judgements import read_judgements
from bench.suites import choose

pytestmark = pytest.mark.realdata

LOAD_ALL = """
import json
from bench.collections import irds
from bench.suites import choose

class Declared:  # in place of the corpora, which are a thousand times larger
    def __init__(self, task, dataset):
        self.count = task.counts.documents

    def __len__(self):
        return self.count

irds.IrdsDocuments = Declared
found = {}
for task in choose("miracl", []):
    loaded = irds.load_irds(task)
    grades = [grade for grades in loaded.judgements.values() for grade in grades.values()]
    found[task.name] = [len(loaded.queries), len(grades), sorted(set(grades))]
print(json.dumps(found))
"""


@pytest.fixture
def official(shared_data: Path, environment: dict[str, str]) -> Path:
    """The official files where ir_datasets would have downloaded them to."""
    folder = Path(environment["IR_DATASETS_HOME"]) / "miracl"
    shutil.copytree(shared_data / "miracl-official", folder, copy_function=shutil.copyfile)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755)
    return folder / "v1.0"


def test_all_18_dev_sets_hold_what_is_declared(official: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-c", LOAD_ALL]
    answer = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=120)
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    declared = {task.name: task.counts for task in choose("miracl", [])}
    assert {name: tuple(row[:2]) for name, row in found.items()} == {
        name: (counts.queries, counts.judgements) for name, counts in declared.items()
    }
    assert all(row[2] == [0, 1] for row in found.values())


def test_a_changed_file_is_refused(official: Path, refused) -> None:
    judgements = official / "sw" / "dev" / "qrels.tsv"
    judgements.write_text("".join(judgements.read_text().splitlines(keepends=True)[:-1]))
    message = refused("miracl", "sw", "--reranker", "first-stage")
    assert "miracl/sw from ir_datasets miracl/sw/dev holds 5,091 judgements (expected 5,092)" in message


@pytest.mark.parametrize("language", ["ar", "de", "en", "fi", "ja", "sw", "te", "zh"])
def test_partial_corpora_load_with_official_judgements(shared_data: Path, language: str) -> None:
    (task,) = choose("miracl", [language])
    part = load_folder(replace(task, counts=None), shared_data / "miracl-partial" / language)
    official = shared_data / "miracl-official" / "v1.0" / language / "dev" / "qrels.tsv"
    grades: dict[str, dict[str, int]] = {}
    for line in official.read_text().splitlines():
        query_id, _, document_id, grade = line.split()
        grades.setdefault(query_id, {})[document_id] = int(grade)
    assert part.judgements == read_judgements(shared_data / "miracl-partial" / language / "qrels" / "dev.tsv")
    for query_id, judged in part.judgements.items():
        assert judged.items() <= grades[query_id].items()
        assert part.documents.texts(list(judged)).keys() == judged.keys()
    part.documents.close()
