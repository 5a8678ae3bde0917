"""Results in mteb's JSON, read back by mteb's own classes."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.leaderboard.export import write_mteb
from bench.results import Result
from tests.bench.factories import figures_result


def result(task: str, figure: float = 0.25, reranker: str = "mine", **protocol: str | int) -> Result:
    made = figures_result({"q1": figure}, task, reranker, **protocol)
    measure = made.protocol.measure
    measures = {measure: figure, "MRR@10": 0.5, "MAP": 0.125, "P@10": 0.1, "R@100": 0.75, "judged@10": 1.0}
    return replace(made, measures=measures, provenance={"source": "here", "time": "2026-01-02T03:04:05+00:00"})


def test_mteb_reads_a_task_it_knows(tmp_path: Path):
    from mteb.results import TaskResult

    made = result("beir/nfcorpus")
    (path,) = write_mteb([made], tmp_path)
    assert path == tmp_path / "results" / "mine" / f"fingerprint_-{made.reranker_id}_bm25@100" / "NFCorpus.json"
    read = TaskResult.from_disk(path, load_historic_data=False)
    assert (read.task_name, read.get_score(), read.languages) == ("NFCorpus", 0.25, ["eng"])
    assert read.dataset_revision == read.task.metadata.revision
    assert read.validate_and_filter_scores().get_score() == 0.25
    assert read.date == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    (scores,) = read.scores["test"]
    wanted = {"ndcg_at_10": 0.25, "mrr_at_10": 0.5, "map_at_100": 0.125, "precision_at_10": 0.1, "recall_at_100": 0.75}
    assert {name: scores[name] for name in wanted} == wanted
    assert scores["protocol"]["first_stage"] == "bm25"


def test_languages_share_their_tasks_file(tmp_path: Path):
    from mteb.results import TaskResult

    results = [result(f"miracl/{code}", figure, split="dev") for code, figure in (("sw", 0.5), ("ko", 0.25))]
    (path,) = write_mteb(results, tmp_path)
    read = TaskResult.from_disk(path)
    assert read.task_name == "MIRACLRetrieval"
    assert read.get_score(languages=["swa"]) == 0.5
    assert read.get_score(languages=["kor"]) == 0.25
    assert read.get_score() == 0.375


def test_code_languages_are_subsets(tmp_path: Path):
    (path,) = write_mteb([result("coir/codesearchnet-ccr-php")], tmp_path)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert (content["task_name"], content["scores"]["test"][0]["hf_subset"]) == ("CodeSearchNetCCRetrieval", "php")


def test_success_is_mtebs_hit_rate(tmp_path: Path):
    (path,) = write_mteb([result("mkqa/ja", measure="Success@10")], tmp_path)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["scores"]["test"][0]["hit_rate_at_10"] == content["scores"]["test"][0]["main_score"] == 0.25


def test_a_task_that_mteb_does_not_have_keeps_its_own_name(tmp_path: Path):
    from mteb.results import TaskResult

    made = result("folder/../../mine <x>")
    (path,) = write_mteb([made], tmp_path)
    assert path.parent == tmp_path / "results" / "mine" / f"fingerprint_-{made.reranker_id}_bm25@100"
    read = TaskResult.from_disk(path)
    assert read.get_score() == 0.25
    assert "/" not in read.task_name
    assert read.dataset_revision == "data of folder/../../mine <x>"


def test_mtebs_cache_finds_the_models(tmp_path: Path):
    import mteb

    hub = result("beir/nfcorpus", 0.5)
    hub = replace(hub, reranker=replace(hub.reranker, model="org/model", revision="0a1b"))
    write_mteb([result("beir/nfcorpus"), hub, result("beir/scifact")], tmp_path)
    loaded = mteb.ResultCache(cache_path=tmp_path).load_results(include_remote=False)
    found = {
        (model.model_name, model.model_revision): sorted(task.task_name for task in model.task_results)
        for model in loaded.model_results
    }
    assert found == {
        ("mine", f"fingerprint_-{hub.reranker_id}_bm25@100"): ["NFCorpus", "SciFact"],
        ("org/model", f"0a1b-{hub.reranker_id}_bm25@100"): ["NFCorpus"],
    }


def test_first_stages_lie_apart_and_other_protocols_are_refused(tmp_path: Path):
    stages = [result("beir/nfcorpus", first_stage=name) for name in ("bm25", "dense:a_b")]
    assert len(write_mteb(stages, tmp_path)) == 2
    caps = [result("beir/nfcorpus", max_doc_length=cap) for cap in (512, 2048)]
    with pytest.raises(BenchError, match="mine on beir/nfcorpus is there under two protocols, bm25@100-"):
        write_mteb(caps, tmp_path)


def test_rerankers_of_one_model_have_files_of_their_own(tmp_path: Path):
    made = result("beir/nfcorpus", reranker="minilm")
    card = replace(made.reranker, model="org/model", revision="0a1b")
    cards = [
        card,
        replace(card, name="fusion:minilm", family="fusion", fingerprint="other"),
        replace(card, fingerprint="another window"),
        replace(card, dtype="bfloat16"),
        replace(card, device="cuda"),
        replace(card, settings={"window": 128}),
    ]
    paths = write_mteb([replace(made, reranker=each) for each in cards], tmp_path)
    assert len(set(paths)) == len(cards)
    assert [path.parent.parent.name for path in paths] == ["org__model", "fusion_minilm", *["org__model"] * 4]


def test_what_cannot_be_told_apart_is_named(tmp_path: Path):
    with pytest.raises(BenchError, match="mine on folder/a b and mine on folder/a_b would be one mteb file"):
        write_mteb([result("folder/a_b"), result("folder/a b")], tmp_path)
    with pytest.raises(BenchError, match="mine on folder/a is there twice under the protocol bm25@100-"):
        write_mteb([result("folder/a"), result("folder/a")], tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["x" * 300, "模型" * 100, "caf\udce9"])
def test_names_of_any_length_and_script_are_written(tmp_path: Path, name: str):
    made = [result(f"folder/{task}", reranker=name, first_stage=name) for task in (name, f"{name}'")]
    paths = write_mteb(made, tmp_path)
    assert len(set(paths)) == 2
    assert all(len(part.encode()) <= 140 for path in paths for part in path.relative_to(tmp_path).parts)


def test_a_result_without_a_time_has_no_date(tmp_path: Path):
    (path,) = write_mteb([replace(result("beir/nfcorpus"), provenance={})], tmp_path)
    assert json.loads(path.read_text(encoding="utf-8"))["date"] is None


def test_a_source_that_is_not_utf8_is_written(tmp_path: Path):
    (path,) = write_mteb([replace(result("beir/nfcorpus"), provenance={"source": "data/\udcff"})], tmp_path)
    (scores,) = json.loads(path.read_bytes())["scores"]["test"]
    assert scores["source"] == "data/\udcff"
