"""The suites' tables: what is declared, that the declarations fit their source, and how names find their rows."""

import json
import subprocess
import sys
from dataclasses import astuple

import pytest

from bench.collections.load import EMBEDDED, load
from bench.errors import BenchError
from bench.first_stage.runs import build
from bench.measures import Measure, mean, per_query
from bench.suites import DECLARED, by_ids, choose, declared, find, measured_by, tasks, with_split
from bench.suites.beir import TASKS
from bench.suites.folder import folder_tasks

# Table 2 of arXiv 2104.08663, as the reranker papers average it
PAPER = [
    "trec-covid", "nfcorpus", "nq", "hotpotqa", "fiqa", "arguana", "webis-touche2020", "dbpedia-entity", "scidocs",
    "fever", "climate-fever", "scifact", "quora",
]  # fmt: skip
FORUMS = [
    "android", "english", "gaming", "gis", "mathematica", "physics", "programmers", "stats", "tex", "unix",
    "webmasters", "wordpress",
]  # fmt: skip

COUNT = """
import json, sys
import ir_datasets
found = {}
for name in sys.argv[1:]:
    dataset = ir_datasets.load(name)
    found[name] = [dataset.docs_count(), dataset.queries_count(), dataset.qrels_count()]
print(json.dumps(found))
"""


def names(suite: str, *chosen: str, embedded: bool = False) -> list[str]:
    return [task.name for task in choose(suite, list(chosen), embedded)]


def test_the_papers_13_tasks_are_run_by_default():
    assert names("beir") == PAPER


def test_the_other_public_tasks_are_declared():
    others = {task.name for task in TASKS if not task.default and not task.embedded}
    assert others == {"msmarco", *(f"cqadupstack-{forum}" for forum in FORUMS)}
    assert find("beir/msmarco").split == "dev"


def test_only_arguana_and_quora_drop_a_querys_own_document():
    assert {task.name for task in TASKS if task.drop_identical_ids and not task.embedded} == {"arguana", "quora"}


def test_beirs_rules_are_the_same_for_all_its_tasks():
    assert {(task.measure, task.join_title, task.analysis) for task in TASKS} == {("nDCG@10", True, "english")}


def test_ids_are_unique_and_found():
    everything = declared()
    assert len({task.id for task in everything}) == len(everything)
    assert all(find(task.id) is task for task in everything)
    assert {task.suite for task in everything} == set(DECLARED)
    for unknown in ("folder/nfcorpus", "beir/nothing", "nothing", ""):
        assert find(unknown) is None


def test_every_task_has_a_measure_that_parses():
    for task in declared():
        for text in (task.measure, *task.extra_measures):
            assert str(Measure.parse(text)) == text


def test_declared_counts_are_those_of_ir_datasets(environment: dict[str, str]):
    rows = {task.source_id: task for task in TASKS if task.source_id}
    assert rows
    command = [sys.executable, "-c", COUNT, *rows]
    answer = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=60, check=True)
    assert {name: tuple(found) for name, found in json.loads(answer.stdout).items()} == {
        name: astuple(task.counts) for name, task in rows.items()
    }


EMBEDDED_TASKS = [task for task in TASKS if task.embedded]


def test_three_collections_are_embedded():
    assert [task.name for task in EMBEDDED_TASKS] == ["embedded-claims", "embedded-questions", "embedded-arguments"]
    assert choose("beir", [], embedded=True) == EMBEDDED_TASKS


@pytest.mark.parametrize("task", EMBEDDED_TASKS, ids=lambda task: task.name)
def test_an_embedded_collection_is_large_enough_graded_and_neither_easy_nor_hopeless(task):
    collection = load(task)
    try:
        assert len(collection.documents) >= 80
        assert len(collection.queries) >= 25
        assert {grade for grades in collection.judgements.values() for grade in grades.values()} == {0, 1, 2}
        assert all(any(grade == 2 for grade in grades.values()) for grades in collection.judgements.values())
        known = dict(collection.documents)
        assert all(document in known for grades in collection.judgements.values() for document in grades)
        assert all(text.strip() for text in known.values())
        ndcg = Measure.parse("nDCG@10")
        run = build(collection)
        orders = {query: [document for document, _ in ranking] for query, ranking in run.rankings.items()}
        assert 0.40 < mean(per_query(collection.judgements, orders, [ndcg])[ndcg]) < 0.80
        best = {
            query: sorted(order, key=lambda document: -collection.judgements[query].get(document, 0))
            for query, order in orders.items()
        }
        assert mean(per_query(collection.judgements, best, [ndcg])[ndcg]) > 0.99
        if task.drop_identical_ids:
            assert set(collection.queries) & set(known)
            assert all(query not in order for query, order in orders.items())
    finally:
        collection.documents.close()


def test_all_that_is_embedded_is_declared():
    there = {path.parent.relative_to(EMBEDDED).as_posix() for path in EMBEDDED.glob("*/*/corpus.jsonl")}
    assert there == {task.id for suite in ("beir", "miracl", "coir") for task in tasks(suite) if task.embedded}


def test_tasks_are_named_in_several_ways_and_come_in_the_tables_order():
    assert names("beir", "scifact", "nfcorpus") == ["nfcorpus", "scifact"]
    assert names("beir", "beir/scifact", "scifact") == ["scifact"]
    assert names("beir", "cqadupstack") == [f"cqadupstack-{forum}" for forum in FORUMS]
    assert names("beir", "claims", "embedded-arguments", embedded=True) == ["embedded-claims", "embedded-arguments"]


@pytest.mark.parametrize(
    ("name", "near"),
    [("nfcorpuss", "nfcorpus"), ("beir/scifct", "scifact"), ("trec_covid", "trec-covid"), ("NFCorpus", "nfcorpus"),
     ("FIQA", "fiqa"), ("cqadupstack-andorid", "cqadupstack-android"), ("cqadupstak", "cqadupstack")],
)  # fmt: skip
def test_the_nearest_task_is_suggested(name: str, near: str):
    with pytest.raises(BenchError, match="Unknown task") as caught:
        choose("beir", [name])
    assert repr(name) in str(caught.value)
    assert near in str(caught.value).partition("Did you mean ")[2]


def test_unknown_tasks_are_named_all_at_once():
    with pytest.raises(BenchError) as caught:
        choose("beir", ["nfcorpus", "scifct", "ωωω"])
    assert "'scifct'" in str(caught.value)
    assert "'ωωω' in suite beir. See 'python -m bench tasks beir'" in str(caught.value)
    assert "'nfcorpus'" not in str(caught.value)


def test_a_task_without_an_embedded_sample_is_told_which_have_one():
    samples = "embedded-claims, embedded-questions, embedded-arguments"
    with pytest.raises(BenchError, match=f"No embedded sample in beir: nfcorpus.*{samples}"):
        choose("beir", ["claims", "nfcorpus"], embedded=True)


def test_tasks_are_found_by_suite_and_name():
    assert [task.id for task in by_ids(["beir/scifact", "beir/embedded-claims"])] == [
        "beir/scifact",
        "beir/embedded-claims",
    ]
    assert by_ids(["beir"]) == list(TASKS)
    assert len(by_ids(["beir/cqadupstack"])) == 12
    with pytest.raises(BenchError, match=r"Unknown suite 'bier'\. Did you mean beir\?"):
        by_ids(["bier/scifact"])
    with pytest.raises(BenchError, match=r"Unknown suite 'xyz'\. Known: beir, "):
        declared("xyz")


def test_a_folder_is_a_task_of_its_own(tmp_path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    (task,) = folder_tasks([tmp_path / "mine" / "."], "dev", "german")
    assert (task.id, task.split, task.analysis, task.counts) == ("folder/mine", "dev", "german", None)
    assert task.source_id == str(tmp_path / "mine")
    with pytest.raises(BenchError, match="nowhere is not a folder"):
        folder_tasks([tmp_path / "nowhere"], "test")


def test_two_folders_of_one_name_are_refused(tmp_path):
    # In the table and in the results they would pass for one task.
    for name in ("en", "fr"):
        (tmp_path / name / "dev").mkdir(parents=True)
    with pytest.raises(BenchError, match="folder/dev"):
        folder_tasks([tmp_path / "en" / "dev", tmp_path / "fr" / "dev"], "test")


@pytest.mark.parametrize(
    ("task_id", "split", "source_id"),
    [
        ("beir/nfcorpus", "dev", "beir/nfcorpus/dev"),
        ("miracl/sw", "train", "miracl/sw/train"),
        ("beir/msmarco", "train", "beir/msmarco/train"),
        ("beir/scidocs", "dev", ""),  # ir_datasets has a single split, and names none
        ("coir/cosqa", "train", ""),
    ],
)
def test_another_split_is_another_task(task_id: str, split: str, source_id: str):
    declared = find(task_id)
    other = with_split(declared, split)
    assert (other.id, other.split, other.source_id) == (f"{task_id}@{split}", split, source_id)
    assert other.folder == declared.name
    # No declared count, and no place among a suite's usual tasks, is that of other questions.
    assert (other.counts, other.default) == (None, False)
    assert (other.analysis, other.drop_identical_ids) == (declared.analysis, declared.drop_identical_ids)
    assert find(other.id) == other
    assert with_split(declared, declared.split) == declared


@pytest.mark.parametrize("task_id", ["beir/embedded-claims", "mkqa/ja"])
def test_a_task_of_one_split_has_no_other(task_id: str):
    with pytest.raises(BenchError, match=rf"{task_id} is .* so that --split does not fit it"):
        with_split(find(task_id), "dev")
    assert find(f"{task_id}@dev") is None


@pytest.mark.parametrize("task_id", ["beir/nowhere@dev", "beir/nfcorpus@test", "folder/nfcorpus@dev"])
def test_no_other_split_of_what_is_not_declared(task_id: str):
    assert find(task_id) is None


def test_the_first_measure_named_is_the_main_one():
    task = find("mkqa/ja")
    assert measured_by(task, []) == task
    changed = measured_by(task, ["RR(rel=2)@10", "Success@20", "AP"])
    assert changed.measure == "MRR(rel=2)@10"
    assert changed.extra_measures == ("Success@20", "MAP", "Success@10", "Success@100")
    with pytest.raises(BenchError, match="Unknown measure 'ERR@20'"):
        measured_by(task, ["ERR@20"])
