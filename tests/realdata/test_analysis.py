"""BM25 on real collections: published BEIR figures, and each language's analysis against a plain one."""

from contextlib import closing
from functools import cache
from pathlib import Path

import pytest

from bench.collections.beir_folder import load_folder
from bench.first_stage.runs import build
from bench.measures import Measure, mean, per_query
from bench.suites import choose
from bench.task import Task

pytestmark = pytest.mark.realdata

LANGUAGES = ["ar", "de", "en", "fi", "ja", "sw", "te", "zh"]
CODE_SETS = ["cosqa", "codetrans-java-cs", "text2sql-classic"]


@cache
def figures(folder: Path, split: str, analysis: str, identical_ids: bool = False) -> tuple[float, float]:
    """BM25's nDCG@10 and R@100 in points, over all judged queries."""
    task = Task("folder", folder.name, split=split, analysis=analysis, drop_identical_ids=identical_ids)
    collection = load_folder(task, folder)
    with closing(collection.documents):
        run = build(collection)
    orders = {query: [document for document, _ in ranking] for query, ranking in run.rankings.items()}
    measures = [Measure.parse("nDCG@10"), Measure.parse("R@100")]
    ndcg, recall = per_query(collection.judgements, orders, measures).values()
    return 100 * mean(ndcg), 100 * mean(recall)


@pytest.mark.parametrize(("task", "published"), [("nfcorpus", 31.8), ("scifact", 67.6), ("arguana", 40.8)])
def test_english_lands_on_the_published_figures(shared_data: Path, task: str, published: float) -> None:
    ndcg, _ = figures(shared_data / "beir" / task, "test", "english", identical_ids=True)
    assert ndcg == pytest.approx(published, abs=0.3)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_languages_own_analysis_does_not_lose(shared_data: Path, language: str) -> None:
    folder = shared_data / "miracl-partial" / language
    own, own_recall = figures(folder, "dev", choose("miracl", [language])[0].analysis)
    plain, plain_recall = figures(folder, "dev", "whitespace")
    print(f"{language}: own {own:.2f} / {own_recall:.2f}, white space {plain:.2f} / {plain_recall:.2f}")
    assert own >= plain
    assert own_recall >= plain_recall


@pytest.mark.parametrize("split", ["dev", "train"])
def test_runs_of_one_script_help_japanese(shared_data: Path, split: str) -> None:
    folder = shared_data / "miracl-partial" / "ja"
    pairs_alone, _ = figures(folder, split, "chinese")
    assert figures(folder, split, "japanese")[0] > pairs_alone + 4


@pytest.mark.parametrize("task", CODE_SETS)
def test_code_analysis_keeps_up_with_english(shared_data: Path, task: str) -> None:
    folder = shared_data / "coir-like" / task
    code, code_recall = figures(folder, "test", "code")
    english, english_recall = figures(folder, "test", "english")
    print(f"{task}: code {code:.2f} / {code_recall:.2f}, English {english:.2f} / {english_recall:.2f}")
    assert code >= english - 1  # ahead on prose queries, half a point behind on Java to C#


def test_code_analysis_is_ahead_on_average(shared_data: Path) -> None:
    folders = [shared_data / "coir-like" / task for task in CODE_SETS]
    code, english = (sum(figures(folder, "test", name)[0] for folder in folders) for name in ("code", "english"))
    assert code > english
