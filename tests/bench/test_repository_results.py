"""The results stored in this repository: each is where its contents say, and any TREC tool gives its figures."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from bench.collections.load import load
from bench.measures import mean
from bench.results import read_result, result_paths
from bench.run import read_run
from bench.suites import find

ROOT = Path(__file__).resolve().parents[2] / "results"
STORED = [(kind, path) for kind in ("embedded", "collections") for path in result_paths([ROOT / kind])]
TREC_NAMES = {"nDCG": "ndcg_cut", "P": "P", "R": "recall", "Success": "success", "MAP": "map"}


def as_trec_eval_reads(path: Path) -> dict[str, dict[str, float]]:
    """A run's scores in single precision; lines and ranks do not count."""
    run: dict[str, dict[str, float]] = {}
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        query_id, _, document_id, _, score, _ = line.split(" ")
        run.setdefault(query_id, {})[document_id] = float(np.float32(score))
    return run


def figures_by_trec_eval(
    run: dict[str, dict[str, float]], judgements: dict[str, dict[str, int]], measures: list[str]
) -> dict[str, dict[str, float]]:
    """Each measure's figure of every judged query, as ``trec_eval -c`` counts them."""
    import pytrec_eval

    asked = {}
    for measure in measures:
        name, _, cut = measure.partition("@")
        if name in TREC_NAMES:
            asked[measure] = f"{TREC_NAMES[name]}.{cut}".rstrip(".")
    answers = pytrec_eval.RelevanceEvaluator(judgements, set(asked.values())).evaluate(run)
    return {
        measure: {key: answers.get(key, {}).get(name.replace(".", "_"), 0.0) for key in judgements}
        for measure, name in asked.items()
    }


def check_figures(path: Path, judgements: dict[str, dict[str, int]]) -> None:
    """Compare a result with all figures that trec_eval knows of its run, to the last digit."""
    result = read_result(path)
    run = as_trec_eval_reads(path.with_name("run.trec.gz"))
    judgements = {key: grades for key, grades in judgements.items() if key in result.per_query}
    figures = figures_by_trec_eval(run, judgements, list(result.measures))
    assert figures[result.protocol.measure] == result.per_query
    assert {measure: mean(of_query) for measure, of_query in figures.items()} == {
        measure: result.measures[measure] for measure in figures
    }


def test_there_are_results():
    assert {kind for kind, _ in STORED} == {"embedded", "collections"}


@pytest.mark.parametrize("kind", ["embedded", "collections"])
def test_every_result_is_where_its_contents_say(kind: str):
    for each, path in STORED:
        if each == kind:
            assert path == ROOT / kind / read_result(path).folder / "result.json"


@pytest.mark.parametrize("kind", ["embedded", "collections"])
def test_no_two_scores_of_a_run_are_equal_in_single_precision(kind: str):
    for each, path in STORED:
        if each == kind:
            fields = gzip.decompress(path.with_name("run.trec.gz").read_bytes()).split()
            singles = np.array(fields[4::6], float).astype(np.float32)
            same_query = np.array(fields[6::6]) == np.array(fields[:-6:6])
            assert (singles[1:] < singles[:-1])[same_query].all(), path


def test_trec_eval_gives_the_figures_of_the_embedded_tasks():
    by_task: dict[str, list[Path]] = {}
    for kind, path in STORED:
        if kind == "embedded":
            by_task.setdefault(read_result(path).task, []).append(path)
    for name, paths in by_task.items():
        task = find(name)
        assert task
        collection = load(task)
        try:
            for path in paths:
                run = read_run(path.with_name("run.trec.gz"), may_be_empty=True)
                check_figures(path, {key: dict(grades) for key, grades in collection.judged(run).items()})
        finally:
            collection.documents.close()
