"""Stored results on real collections have the figures that any TREC tool computes from their runs."""

from pathlib import Path

import pytest

from bench.collections.beir_folder import read_judgements
from bench.results import read_result, result_paths
from tests.bench.test_repository_results import ROOT, check_figures

pytestmark = pytest.mark.realdata


def test_trec_eval_gives_the_kept_figures(shared_data: Path) -> None:
    places = {"beir": shared_data / "beir", "folder": shared_data / "msmarco-pool"}
    checked = set()
    for path in result_paths([ROOT / "collections"]):
        suite, _, name = read_result(path).task.partition("/")
        check_figures(path, read_judgements(places[suite] / name / "qrels" / "test.tsv"))
        checked.add(f"{suite}/{name}")
    assert checked == {"beir/arguana", "beir/nfcorpus", "beir/scifact", "folder/dl19"}
