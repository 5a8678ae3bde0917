"""BEIR's real collections: from the official archives by ir_datasets, from folders, and the bundled runs."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path

import pytest

from bench.collections.beir_folder import load_folder, read_queries
from bench.collections.collection import Collection
from bench.collections.judgements import read_judgements
from bench.first_stage.manifest import BUNDLED, bundled_path, read_manifests
from bench.results import read_result, result_paths
from bench.run import read_run
from bench.suites import choose, find
from bench.task import Counts
from tests.scripts import compare_bm25
from tests.scripts.bundle_public_runs import bundle

pytestmark = pytest.mark.realdata

Call = Callable[..., "subprocess.CompletedProcess[str]"]

TEXTS = """
import json, sys
from bench.collections.irds import load_irds
from bench.suites import find

collection = load_irds(find(sys.argv[1]))
documents = collection.documents
try:
    ids = sorted({document for grades in collection.judgements.values() for document in grades})
    print(json.dumps({
        "version": collection.version,
        "queries": collection.queries,
        "judgements": collection.judgements,
        "documents": list(documents),
        "judged": documents.texts(ids),
    }))
finally:
    documents.close()
"""


@pytest.fixture
def archives(shared_data: Path, environment: dict[str, str]) -> Path:
    """The official archives in the place where ir_datasets keeps its downloads; gives that place."""
    home = Path(environment["IR_DATASETS_HOME"])
    for name in ("nfcorpus", "arguana"):
        (home / "beir" / name).mkdir(parents=True)
        shutil.copy(shared_data / "official-zips" / f"{name}.zip", home / "beir" / name / "source.zip")
    return home


def from_folder(shared_data: Path, name: str) -> Collection:
    return load_folder(find(f"beir/{name}"), shared_data / "beir" / name)


# nDCG@10 of BM25 as published (Lucene's variant with k1 .9, b .4 over title and text joined), times 100
PUBLISHED = {"nfcorpus": 31.8, "scifact": 67.6, "arguana": 40.8}
SIZES = {
    "nfcorpus": Counts(3_633, 323, 12_334),
    "scifact": Counts(5_183, 300, 339),
    "arguana": Counts(8_674, 1_406, 1_406),
}


def test_nfcorpus_and_arguana_by_ir_datasets_from_the_official_archives(bench: Call, archives: Path, tmp_path: Path):
    answer = bench("beir", "nfcorpus", "arguana", "--reranker", "first-stage", "--reranker", "oracle")
    assert answer.returncode == 0, answer.stderr
    assert "Exception" not in answer.stderr
    results = [read_result(path) for path in result_paths([tmp_path / "here" / "out"])]
    assert {each.provenance["source"] for each in results} == {
        "ir_datasets beir/nfcorpus/test",
        "ir_datasets beir/arguana",
    }
    figures = {(each.task, each.reranker.name): each for each in results}
    for name in ("nfcorpus", "arguana"):
        first, oracle = figures[f"beir/{name}", "first-stage"], figures[f"beir/{name}", "oracle"]
        assert 100 * first.main == pytest.approx(PUBLISHED[name], abs=0.3)
        assert first.main < oracle.main == oracle.candidates.ceiling < 1
        assert first.protocol == oracle.protocol
        assert (first.protocol.documents, first.protocol.queries) == (SIZES[name].documents, SIZES[name].queries)
        # The run is the bundled one, and the data are those that it was built from.
        manifest = read_manifests()[f"beir/{name}"]
        assert (first.protocol.data, first.protocol.first_stage_sha256) == (manifest.data, manifest.sha256)
        assert first.measures["R@100"] == pytest.approx(manifest.figures["R@100"], abs=1e-6)
    # No query of ArguAna has itself among its candidates.
    (run,) = (tmp_path / "here" / "out" / "beir" / "arguana").rglob("oracle-*/run.trec.gz")
    rankings = read_run(run).rankings
    assert len(rankings) == 1_406
    assert not [query for query, ranking in rankings.items() if query in dict(ranking)]


@pytest.mark.parametrize("name", ["nfcorpus", "arguana"])
def test_a_folder_and_ir_datasets_hold_the_same(
    shared_data: Path, archives: Path, environment: dict[str, str], name: str
):
    command = [sys.executable, "-c", TEXTS, f"beir/{name}"]
    answer = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=120, check=True)
    found = json.loads(answer.stdout)
    folder = from_folder(shared_data, name)
    try:
        assert found["queries"] == folder.queries
        assert found["judgements"] == folder.judgements
        assert found["version"] == folder.version
        assert [tuple(pair) for pair in found["documents"]] == list(folder.documents)
        assert found["judged"] == folder.documents.texts(sorted({d for g in folder.judgements.values() for d in g}))
    finally:
        folder.documents.close()


@pytest.mark.parametrize("name", SIZES)
def test_a_folder_holds_what_is_declared(shared_data: Path, name: str):
    folder = from_folder(shared_data, name)
    try:
        assert find(f"beir/{name}").counts == SIZES[name]
        assert len(folder.documents) == SIZES[name].documents
        absent = {d for g in folder.judgements.values() for d in g} - {document for document, _ in folder.documents}
        assert len(absent) == (5 if name == "arguana" else 0)
    finally:
        folder.documents.close()


# What the copies beside the checkout lack of the official judgements, which the declared rows count: trec-covid's two
# judgements of -1, and Touché's 1,282 of 0.
LACKING = {"trec-covid": 2, "webis-touche2020": 1_282}
QUERIES_ONLY = [task.name for task in choose("beir", []) if task.name not in SIZES] + [
    task.name for task in choose("beir", ["cqadupstack"])
]


def test_the_queries_of_22_tasks_can_be_counted(shared_data: Path):
    there = {path.name for path in (shared_data / "beir-queries-only").iterdir()}
    assert set(QUERIES_ONLY) <= there
    assert len(QUERIES_ONLY) == 22


@pytest.mark.parametrize("name", QUERIES_ONLY)
def test_queries_and_judgements_are_as_many_as_declared(shared_data: Path, name: str):
    folder = shared_data / "beir-queries-only" / name
    counts = find(f"beir/{name}").counts
    judgements = read_judgements(folder / "qrels" / "test.tsv")
    judged = [query for query in read_queries(folder / "queries.jsonl.gz") if query in judgements]
    assert len(judged) == len(judgements) == counts.queries
    assert sum(map(len, judgements.values())) + LACKING.get(name, 0) == counts.judgements


def test_bundled_runs_fit_their_rows(bench: Call, shared_data: Path):
    ids = [f"beir/{name}" for name in SIZES]
    answer = bench("runs", "check", *ids, "--data", shared_data / "beir")
    assert (answer.returncode, answer.stdout) == (0, "3 bundled runs fit their manifest rows.\n"), answer.stderr


def test_bundled_runs_are_made_again_byte_for_byte(bench: Call, shared_data: Path, tmp_path: Path):
    ids = [f"beir/{name}" for name in SIZES]
    answer = bench("runs", "build", *ids, "--data", shared_data / "beir", "--into", tmp_path / "again")
    assert answer.returncode == 0, answer.stderr
    for name in SIZES:
        task = find(f"beir/{name}")
        assert bundled_path(task, tmp_path / "again").read_bytes() == bundled_path(task).read_bytes()
        assert f"{task.id}: nDCG@10 {100 * read_manifests()[task.id].figures['nDCG@10']:.2f}" in answer.stdout
    again, bundled = (json.loads((folder / "manifest.json").read_bytes()) for folder in (tmp_path / "again", BUNDLED))
    assert again == {task: bundled[task] for task in ids}


def test_bundled_runs_score_what_is_published(shared_data: Path):
    for name, points in PUBLISHED.items():
        assert 100 * read_manifests()[f"beir/{name}"].figures["nDCG@10"] == pytest.approx(points, abs=0.3)


@pytest.mark.parametrize("name", SIZES)
def test_declared_counts_are_checked_on_real_data(bench: Call, shared_data: Path, tmp_path: Path, name: str):
    # One judgement more than declared.
    copy = tmp_path / "data" / name
    shutil.copytree(shared_data / "beir" / name, copy, copy_function=shutil.copyfile)
    qrels = copy / "qrels" / "test.tsv"
    qrels.parent.chmod(0o755)
    first = qrels.read_text().splitlines()[1].split("\t")[0]
    with open(qrels, "a") as stream:
        stream.write(f"{first}\tone-more\t1\n")
    answer = bench("beir", name, "-r", "first-stage", "--data", tmp_path / "data")
    assert answer.returncode == 2
    expected = astuple(SIZES[name])[2]
    assert f"{expected + 1:,} judgements (expected {expected:,})" in answer.stderr


# Anserini's BM25 flat, https://github.com/castorini/pyserini pyserini/2cr/beir.yaml @02c4e7fa: nDCG@10 and R@100
PUBLIC_RUNS = {"beir/trec-covid": (59.47, 10.91), "beir/webis-touche2020": (44.22, 58.22)}


@pytest.mark.parametrize("task_id", PUBLIC_RUNS)
def test_public_runs_are_bundled_again_byte_for_byte(shared_data: Path, tmp_path: Path, task_id: str):
    row = bundle(task_id, tmp_path, shared_data)
    task = find(task_id)
    assert row == read_manifests()[task_id]
    assert bundled_path(task, tmp_path).read_bytes() == bundled_path(task).read_bytes()
    assert tuple(round(100 * row.figures[name], 2) for name in ("nDCG@10", "R@100")) == PUBLIC_RUNS[task_id]


def test_the_table_against_published_bm25_is_what_the_script_prints(shared_data: Path):
    page = (Path(__file__).parents[2] / "results" / "first_stage.md").read_text()
    ours, by_their_ties = (compare_bm25.figures("nfcorpus", ties=ties) for ties in ("ours", "trec_eval"))
    table, by_query = page.split("## Against published BM25")[1].split("query, by")
    for figures, row in ((ours, "| ours |"), (by_their_ties, "| ours, by trec\\_eval's ties |")):
        ndcg, recall = (100 * sum(each.values()) / len(each) for each in figures)
        assert f"{row} {ndcg:.2f} / {recall:.2f} |" in table
    theirs = compare_bm25.pyserini("nfcorpus")
    same = sum(abs(theirs[query] - figure) <= 0.00005 for query, figure in by_their_ties[0].items())
    assert f"| nfcorpus | 323 | {same} |" in by_query
