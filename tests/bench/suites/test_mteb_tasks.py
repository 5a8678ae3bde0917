"""Any retrieval or reranking task of mteb, by mteb's measure and rules."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.collections.load import load
from bench.console import Silent
from bench.errors import BenchError
from bench.evaluation.evaluate import evaluate
from bench.evaluation.plan import Plan
from bench.evaluation.prepare import prepare
from bench.evaluation.sensitivity import measure
from bench.evaluation.stages import Staged, named
from bench.first_stage.runs import GIVEN, first_stage
from bench.rerankers import load as load_reranker
from bench.rerankers.base import Options
from bench.suites import find, undeclared
from bench.suites.mteb import mteb_tasks
from bench.task import Task

DOCUMENTS = [{"_id": f"d{number}", "text": f"text {number}"} for number in range(1, 6)]
QUERIES = [
    {"_id": "q1", "text": "one", "instruction": "Find the first."},
    {"_id": "q2", "text": "two", "instruction": None},
    {"_id": "q3", "text": "nothing is relevant to this", "instruction": None},
]
QRELS = [
    {"query-id": "q1", "corpus-id": "d1", "score": 1},
    {"query-id": "q2", "corpus-id": "d2", "score": 1},
    {"query-id": "q2", "corpus-id": "d1", "score": 0},
    {"query-id": "q3", "corpus-id": "d3", "score": 0},
]
# as mteb's data sets have them: the relevant ones first
GIVEN_LISTS = [
    {"query-id": "q1", "corpus-ids": ["d1", "d3", "d4", "d5"]},
    {"query-id": "q2", "corpus-ids": ["d2", "d1", "d5"]},
    {"query-id": "q3", "corpus-ids": ["d3"]},
]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    """AskUbuntuDupQuestions over a folder that is laid out as the hub lays out mteb's data sets."""
    import datasets
    import mteb

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setenv("RERANK_BENCH_CACHE", str(tmp_path / "rerank-bench"))
    parts = {"corpus": DOCUMENTS, "queries": QUERIES, "default": QRELS, "top_ranked": GIVEN_LISTS}
    card = ["---", "configs:"]
    for name, rows in parts.items():
        card += [f"- config_name: {name}", "  data_files:", "  - split: test", f"    path: {name}/test-*"]
        path = tmp_path / "data" / name / "test-00000-of-00001.parquet"
        path.parent.mkdir(parents=True)
        datasets.Dataset.from_list(rows).to_parquet(path)
    (tmp_path / "data" / "README.md").write_text("\n".join([*card, "---", ""]))
    monkeypatch.setitem(mteb.get_task("AskUbuntuDupQuestions").metadata.dataset, "path", str(tmp_path / "data"))
    _, (task,) = mteb_tasks(["AskUbuntuDupQuestions"])
    return task


@pytest.mark.parametrize(
    ("name", "is_reranking", "expected"),
    [
        ("NanoNFCorpusRetrieval", False, ("mteb/NanoNFCorpusRetrieval", "train", "nDCG@10", False, "english")),
        ("mteb/ArguAna", False, ("mteb/ArguAna", "test", "nDCG@10", True, "english")),
        ("MIRACLRetrieval:sw", False, ("mteb/MIRACLRetrieval:sw", "dev", "nDCG@10", False, "swahili")),
        ("BrightRetrieval:biology", False, ("mteb/BrightRetrieval:biology", "standard", "nDCG@10", False, "english")),
        ("AskUbuntuDupQuestions", True, ("mteb/AskUbuntuDupQuestions", "test", "MAP@1000", False, "english")),
    ],
)
def test_measure_and_rules_are_mtebs(name: str, is_reranking: bool, expected: tuple[object, ...]):
    found = mteb_tasks([name])
    (task,) = found[is_reranking]
    assert found[not is_reranking] == []
    assert (task.id, task.split, task.measure, task.drop_identical_ids, task.analysis) == expected
    assert find(task.id) is None
    stored = undeclared(task.id, task.split, task.drop_identical_ids, task.analysis)
    assert (stored.mteb, stored.split) == (task.mteb, task.split)


def test_languages_are_tasks_of_their_own():
    found, _ = mteb_tasks(["MIRACLRetrieval"])
    assert len(found) == 18
    assert {(task.name, task.analysis) for task in found} >= {
        ("MIRACLRetrieval:ja", "japanese"),
        ("MIRACLRetrieval:te", "telugu"),
    }
    # CQADupstack is made of twelve tasks
    found, _ = mteb_tasks(["CQADupstackRetrieval"])
    assert len(found) == 12


@pytest.mark.parametrize(
    ("name", "split", "message"),
    [
        ("NFCorpsu", "", r"has no task 'NFCorpsu'\. Did you mean NFCorpus"),
        ("MIRACLRetrieval:klingon", "", "'MIRACLRetrieval' with a subset 'klingon'"),
        ("Banking77Classification", "", "is a Classification task of text"),
        ("CUB200I2IRetrieval", "", "of image"),
        ("NevIR", "", "is measured by paired_accuracy, which is not known here"),
        ("NFCorpus", "dev", r"has no split 'dev' to evaluate\. It has: test"),
    ],
)
def test_what_cannot_be_measured_is_named(name: str, split: str, message: str):
    with pytest.raises(BenchError, match=message):
        mteb_tasks([name], split)


def test_a_reranking_task_comes_with_its_candidates(hub: Task):
    collection = load(hub)
    assert collection.queries == {"q1": "one Find the first.", "q2": "two"}
    assert collection.judgement_rule == "given, queries without a relevant document left out"
    run = first_stage(collection, GIVEN, 1_000)
    assert {query: set(ids) for query, ids in run.orders.items()} == {
        "q1": {"d1", "d3", "d4", "d5"},
        "q2": {"d1", "d2", "d5"},
    }
    # The order is no secret of the judgements: another order in the data gives the same one.
    collection.given = {query: list(reversed(ids)) for query, ids in collection.given.items()}
    assert first_stage(collection, GIVEN, 1_000) == run
    with pytest.raises(BenchError, match=r"a query comes with 4 candidates\. Take them all with --depth 4"):
        first_stage(collection, GIVEN, 3)
    collection.given = {}
    with pytest.raises(BenchError, match="mteb/AskUbuntuDupQuestions comes without candidates"):
        first_stage(collection, GIVEN, 3)


def test_a_reranking_task_is_measured(hub: Task):
    collection = load(hub)
    prepared = prepare(collection, first_stage(collection, GIVEN, 1_000), 1_000, Options())
    assert (prepared.protocol.first_stage, prepared.protocol.measure) == ("given", "MAP@1000")
    result, _ = evaluate(prepared, load_reranker("oracle", Options()))
    assert result.main == 1
    assert result.per_query.keys() == {"q1", "q2"}


def test_sensitivity_takes_a_task_by_its_id(hub: Task, tmp_path: Path):
    staged = named("mteb/AskUbuntuDupQuestions", {})
    assert staged == Staged([hub], GIVEN, 1_000)
    plan = Plan(staged.tasks, ["first-stage"], tmp_path / "out", first_stage=staged.first_stage, depth=staged.depth)
    found, _ = measure(plan, 1, Silent())
    prepared = prepare(load(hub), first_stage(load(hub), GIVEN, 1_000), 1_000, Options())
    assert found.base == evaluate(prepared, load_reranker("first-stage", Options()))[0].main
    assert found.protocol == prepared.protocol


def test_a_name_means_a_task_with_its_usual_candidates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    retrieval = named("mteb/MIRACLRetrieval:sw", {"--analysis": "whitespace"})
    assert [task.id for task in retrieval.tasks] == ["mteb/MIRACLRetrieval:sw"]
    assert (retrieval.tasks[0].analysis, retrieval.first_stage, retrieval.depth) == ("whitespace", "bm25", 100)
    # A split is an option, or a part of the id as results have it.
    splits = [named("mteb/MLQuestions", {"--split": "dev"}), named("mteb/MLQuestions@dev", {})]
    assert [[(task.id, task.split) for task in each.tasks] for each in splits] == [
        [("mteb/MLQuestions@dev", "dev")]
    ] * 2
    assert len(named("mteb/MLQuestions", {}).tasks) == 2
    (vaswani,) = named("irds/vaswani", {}).tasks
    assert (vaswani.id, vaswani.source_id) == ("irds/vaswani", "vaswani")
    assert named("beir/nfcorpus@dev", {}).tasks == [find("beir/nfcorpus@dev")]
    (tmp_path / "irds" / "vaswani").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    (own,) = named("irds/vaswani", {"--split": "dev", "--drop-identical-ids": "yes"}).tasks
    assert (own.id, own.split, own.analysis, own.drop_identical_ids) == ("folder/vaswani", "dev", "english", True)


@pytest.mark.parametrize(
    ("name", "option", "message"),
    [
        ("mteb/ArguAna", "--drop-identical-ids", "mteb/ArguAna is a task of mteb, so that --drop-identical-ids"),
        ("irds/vaswani", "--source", "irds/vaswani is a data set of ir_datasets, so that --source does not fit it."),
        ("beir/scifact", "--analysis", "beir/scifact is a declared task, so that --analysis does not fit it."),
        ("beir/zzz", "", "Unknown task 'zzz' in suite beir."),
    ],
)
def test_an_option_that_does_not_fit_a_name_is_refused(name: str, option: str, message: str):
    with pytest.raises(BenchError, match=message):
        named(name, {option: "x"} if option else {})


def test_without_network_it_ends_in_one_message(refused: Callable[..., str]):
    message = refused("mteb", "NanoNFCorpusRetrieval", "-r", "first-stage")
    assert "mteb could not get 'NanoNFCorpusRetrieval' from the Hugging Face hub" in message
    assert "check the network and the hub's cache" in message
    assert "--data" not in message
