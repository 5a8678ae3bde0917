"""MIRACL's table, and the embedded sample of each language."""

import pytest

from bench.collections.load import load
from bench.first_stage.analysis import NAMES
from bench.suites import choose
from bench.suites.miracl import TASKS

LANGUAGES = ["ar", "bn", "de", "en", "es", "fa", "fi", "fr", "hi", "id", "ja", "ko", "ru", "sw", "te", "th", "yo", "zh"]


def test_there_is_a_task_for_each_of_the_18_languages() -> None:
    tasks = choose("miracl", [])
    assert [task.id for task in tasks] == [f"miracl/{language}" for language in LANGUAGES]
    assert [task.source_id for task in tasks] == [f"miracl/{language}/dev" for language in LANGUAGES]
    assert {task.split for task in tasks} == {"dev"}
    assert {task.measure for task in tasks} == {"nDCG@10"}


def test_each_language_has_an_analyser_which_its_sample_shares() -> None:
    analyses = {task.name: task.analysis for task in TASKS}
    assert {analyses[language] for language in LANGUAGES} == set(NAMES) - {"code", "whitespace"}
    assert all(analyses[f"embedded-{language}"] == analyses[language] for language in LANGUAGES)
    assert (analyses["de"], analyses["sw"], analyses["zh"]) == ("german", "swahili", "chinese")


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_embedded_sample_holds_what_it_declares(language: str) -> None:
    (task,) = choose("miracl", [language], embedded=True)
    collection = load(task)
    collection.documents.close()
    assert len(collection.documents) >= 15
    assert len(collection.queries) >= 5
    assert all(any(grade > 0 for grade in grades.values()) for grades in collection.judgements.values())
