"""Collections through mteb's own classes, from folders laid out as the hub lays out its parquet files."""

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.collections.beir_folder import load_folder
from bench.collections.collection import Collection
from bench.collections.load import load
from bench.collections.mteb import check_sources, differences, load_mteb
from bench.collections.texts import hash_texts
from bench.errors import BenchError
from bench.suites import choose, declared, find
from bench.task import Counts, Task
from tests.bench.factories import HeldDocuments

CORPUS = [
    {"_id": "d1", "title": "Sorting", "text": "def sort(rows): ..."},
    {"_id": "d2", "title": "", "text": " def find(row): ...\n"},
    {"_id": "d3", "title": None, "text": ""},
]
QUERIES = [
    {"_id": "q2", "text": "how to find a row", "partition": "test"},
    {"_id": "q1", "text": "how to sort rows", "partition": "test"},
    {"_id": "q0", "text": "how to train", "partition": "train"},
]
QRELS = {
    "train": [{"query-id": "q0", "corpus-id": "d1", "score": 1}],
    "test": [
        {"query-id": "q1", "corpus-id": "d1", "score": 1},
        {"query-id": "q2", "corpus-id": "d2", "score": 1},
        {"query-id": "q2", "corpus-id": "d3", "score": 0},
    ],
}
COUNTS = Counts(3, 2, 3)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Stand a folder of parquet files, a configuration each with its splits, in for the hub's data set of a task."""
    import datasets
    import mteb

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setenv("RERANK_BENCH_CACHE", str(tmp_path / "rerank-bench"))

    def write(task: Task, configurations: dict[str, dict[str, list[dict[str, object]]]]) -> Task:
        folder = tmp_path / task.name
        card = ["---", "configs:"]
        for name, splits in configurations.items():
            card += [f"- config_name: {name}", "  data_files:"]
            for split, rows in splits.items():
                card += [f"  - split: {split}", f"    path: {name}/{split}-*"]
                (folder / name).mkdir(parents=True, exist_ok=True)
                datasets.Dataset.from_list(rows).to_parquet(folder / name / f"{split}-00000-of-00001.parquet")
        (folder / "README.md").write_text("\n".join([*card, "---", ""]))
        metadata = mteb.get_task(task.mteb.partition(":")[0]).metadata
        monkeypatch.setitem(metadata.dataset, "path", str(folder))
        return replace(task, counts=COUNTS)

    return write


def plain(corpus: list[dict[str, object]] = CORPUS) -> dict[str, dict[str, list[dict[str, object]]]]:
    return {"default": QRELS, "corpus": {"corpus": corpus}, "queries": {"queries": QUERIES}}


def of_language(language: str) -> dict[str, dict[str, list[dict[str, object]]]]:
    return {f"{language}-{'qrels' if name == 'default' else name}": splits for name, splits in plain().items()}


@pytest.mark.parametrize(
    ("suite", "name", "configurations"),
    [
        ("coir", "cosqa", plain()),
        ("coir", "codesearchnet-python", of_language("python")),
        ("coir", "codesearchnet-ccr-go", of_language("go")),
        ("beir", "nfcorpus", plain()),
    ],
)
def test_a_task_loads_through_mtebs_own_class(hub, suite: str, name: str, configurations) -> None:
    (task,) = choose(suite, [name])
    collection = load_mteb(hub(task, configurations))
    assert collection.queries == {"q2": "how to find a row", "q1": "how to sort rows"}
    assert collection.judgements == {"q1": {"d1": 1}, "q2": {"d2": 1, "d3": 0}}
    texts = {"d1": "Sorting def sort(rows): ...", "d2": " def find(row): ...\n", "d3": ""}
    assert dict(collection.documents) == texts
    assert len(collection.documents) == 3
    assert collection.documents.texts(["d3", "d9", "d1"]) == {"d3": "", "d1": texts["d1"]}
    assert collection.documents.texts([]) == {}
    assert collection.documents.lacking(["d3", "d9", "d1"]) == ["d9"]
    assert collection.documents.texts_hash() == collection.documents.texts_hash() == hash_texts(texts.items())
    assert collection.source.startswith("mteb ")
    assert task.mteb in collection.source
    collection.documents.close()


def test_titles_stay_out_where_the_task_says_so(hub) -> None:
    (task,) = choose("coir", ["cosqa"])
    collection = load_mteb(replace(hub(task, plain()), join_title=False))
    assert collection.documents.texts(["d1"]) == {"d1": "def sort(rows): ..."}


def test_changed_counts_are_noticed(hub) -> None:
    (task,) = choose("coir", ["cosqa"])
    hub(task, plain())
    with pytest.raises(BenchError, match=r"coir/cosqa from mteb .* holds 3 documents \(expected 20,604\)"):
        load_mteb(task)


def test_an_id_that_stands_twice_is_refused(hub) -> None:
    (task,) = choose("coir", ["cosqa"])
    with pytest.raises(BenchError, match="1 documents have the id of another"):
        load_mteb(hub(task, plain([*CORPUS, CORPUS[0]])))


def test_a_data_set_without_the_split_is_refused(hub) -> None:
    (task,) = choose("beir", ["nfcorpus"])
    with pytest.raises(BenchError, match=r"beir/nfcorpus: mteb could not get 'NFCorpus'.*--source ir_datasets"):
        load_mteb(replace(hub(task, plain()), split="dev"))


def test_an_unreachable_hub_names_the_other_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    import huggingface_hub.constants

    for config in (datasets.config, huggingface_hub.constants):
        monkeypatch.setattr(config, "HF_HUB_OFFLINE", True)
    with pytest.raises(BenchError, match=r"'NFCorpus' from the Hugging Face hub, mteb/nfcorpus at ec0.*ir_datasets;"):
        load_mteb(choose("beir", ["nfcorpus"])[0])
    with pytest.raises(
        BenchError, match=r"hub's cache; or give a BEIR-format folder that holds cosqa/ with --data DIR"
    ):
        load_mteb(choose("coir", ["cosqa"])[0])


@pytest.mark.parametrize("name", ["NoSuchTask", "COIRCodeSearchNetRetrieval:klingon", ""])
def test_a_task_that_mteb_lacks_is_named(name: str) -> None:
    with pytest.raises(BenchError, match=f"some/task: mteb [0-9.]+ has no task '{name}'"):
        load_mteb(Task("some", "task", mteb=name))


def in_mteb() -> list[Task]:
    return [task for task in declared() if task.mteb]


def test_every_declared_name_is_one_of_mtebs_with_its_split_and_subset() -> None:
    import mteb

    tasks = in_mteb()
    assert {task.suite for task in tasks} == {"beir", "miracl", "coir"}
    for task in tasks:
        name, _, subset = task.mteb.partition(":")
        found = mteb.get_task(name, hf_subsets=[subset] if subset else None)
        assert task.split in found.metadata.eval_splits, task.id
        assert found.hf_subsets == [subset or "default"], task.id
        assert found.metadata.revision, task.id


@pytest.mark.parametrize("task", in_mteb(), ids=lambda task: task.id)
def test_declared_counts_are_those_of_mtebs_statistics(task: Task) -> None:
    name, _, subset = task.mteb.partition(":")
    (package,) = find_spec("mteb").submodule_search_locations
    text = (Path(package) / "descriptive_stats" / "Retrieval" / f"{name}.json").read_text(encoding="utf-8")
    found = json.loads(text)[task.split]
    found = found["hf_subset_descriptive_stats"][subset] if subset else found
    if "num_documents" in found:  # Touché's statistics are in an older form
        assert (found["num_documents"], found["num_queries"]) == (task.counts.documents, task.counts.queries)
    relevant = found["relevant_docs_statistics"]["num_relevant_docs"]
    assert relevant == task.counts.judgements if task.suite == "coir" else relevant <= task.counts.judgements


def held(**changed) -> Collection:
    parts = {
        "queries": {"q1": "one", "q2": "two"},
        "judgements": {"q1": {"d1": 1}, "q2": {"d2": 1}},
        "documents": {"d1": "first", "d2": "second", "{d3}": "third"},
        "source": "here",
    } | changed
    return Collection(
        Task("some", "task"), parts["queries"], parts["judgements"], HeldDocuments(parts["documents"]), parts["source"]
    )


def test_differences_between_sources_are_listed() -> None:
    assert differences(held(), held(source="there")) == []
    other = held(
        queries={"q1": "one", "q3": "three"},
        judgements={"q1": {"d1": 2}, "q2": {"d2": 1}},
        documents={"d1": "changed", "d2": "second", "d4": "fourth"},
        source="there",
    )
    assert differences(held(), other) == [
        "1 queries only in here, such as 'q2'",
        "1 queries only in there, such as 'q3'",
        "1 queries' judgements not the same in here and there, such as 'q1'",
        "1 documents only in here, such as '{d3}'",
        "1 documents only in there, such as 'd4'",
        "1 documents not the same in here and there, such as 'd1'",
    ]


def test_a_folder_and_mteb_agree_on_the_same_data(hub, beir_folder) -> None:
    corpus = "d1 | Sorting | def sort(rows): ...\n d2 | | def find(row): ...\n d3 | | def go(): ..."
    rows = [
        dict(zip(("_id", "title", "text"), map(str.strip, line.split("|")), strict=True))
        for line in corpus.splitlines()
    ]
    folder = beir_folder(corpus, "q1 | how to sort rows\n q2 | how to find a row", "q1 d1 1\n q2 d2 1\n q2 d3 0")
    task = hub(choose("beir", ["nfcorpus"])[0], plain(rows))
    one, other = load_folder(task, folder), load_mteb(task)
    assert differences(one, other) == []
    assert one.version == other.version
    one.documents.close()


@pytest.mark.parametrize("name", ["beir/embedded-claims", "coir/cosqa", "mkqa/en"])
def test_a_task_with_one_source_has_nothing_to_compare(name: str) -> None:
    with pytest.raises(BenchError, match=f"{name} has a single source"):
        check_sources(find(name))


def test_a_source_is_refused_where_it_would_not_be_used() -> None:
    with pytest.raises(BenchError, match="MKQARetrieval is another task"):
        load(find("mkqa/en"), source="mteb")
    with pytest.raises(BenchError, match="Unknown source 'nope'"):
        load(find("beir/embedded-claims"), source="nope")
