"""MKQA's table, and the embedded sample in each language."""

from contextlib import closing

import pytest

from bench.collections.load import load
from bench.errors import BenchError
from bench.evaluation.prepare import prepare
from bench.first_stage.runs import first_stage
from bench.measures import Measure
from bench.rerankers.base import Options
from bench.suites import choose
from bench.suites.mkqa import LANGUAGES, OTHER_SCRIPTS, TASKS


def test_there_is_a_task_for_each_of_the_26_languages() -> None:
    assert len(set(LANGUAGES)) == 26
    assert [task.name for task in choose("mkqa", [])] == list(LANGUAGES)
    assert [task.name for task in choose("mkqa", [], embedded=True)] == [f"embedded-{name}" for name in LANGUAGES]


def test_papers_recall_is_a_share_of_questions_with_a_hit() -> None:
    for task in TASKS:
        assert Measure.parse(task.measure) == Measure("Success", 10)
        assert [str(Measure.parse(measure)) for measure in task.extra_measures] == ["Success@20", "Success@100"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_embedded_sample_asks_in_every_language(language: str) -> None:
    (task,) = choose("mkqa", [language], embedded=True)
    (english,) = choose("mkqa", ["en"], embedded=True)
    collection, in_english = load(task), load(english)
    for each in (collection, in_english):
        each.documents.close()
    assert len(collection.documents) >= 60
    assert len(collection.queries) >= 20
    assert collection.queries.keys() == in_english.queries.keys()
    assert collection.answers == in_english.answers
    assert all(collection.answers.values())
    assert (collection.queries == in_english.queries) == (language == "en")
    assert collection.judgement_rule == "answer-matched in the candidates (DPR)"


SAME_WORDS = ("da", "de", "en", "es", "fi", "fr", "hu", "it", "ms", "nl", "no", "pl", "pt", "sv", "tr", "vi")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_reranker_can_improve_on_the_samples_first_stage(language: str) -> None:
    """The first ten are not all that can be had, in any language."""
    assert set(SAME_WORDS) | set(OTHER_SCRIPTS) == set(LANGUAGES)
    (task,) = choose("mkqa", [language], embedded=True)
    with closing((collection := load(task)).documents):
        prepared = prepare(collection, first_stage(collection, "", 100), 100, Options())
    assert prepared.protocol.first_stage == ("bm25" if language in SAME_WORDS else "bm25-english")
    assert prepared.about.ceiling - prepared.about.first_stage > 0.1


def test_the_english_question_finds_what_english_does() -> None:
    (japanese,), (english,) = (choose("mkqa", [name], embedded=True) for name in ("ja", "en"))
    with closing((asked := load(japanese)).documents), closing((in_english := load(english)).documents):
        found = first_stage(asked, "bm25-english", 100)
        assert found.rankings == first_stage(in_english, "bm25", 100).rankings
        assert not any(first_stage(asked, "bm25", 100).rankings.values())
    assert found.name == "bm25-english"


def test_only_mkqa_has_english_questions() -> None:
    (task,) = choose("miracl", ["sw"], embedded=True)
    with closing((collection := load(task)).documents), pytest.raises(BenchError, match="no English queries"):
        first_stage(collection, "bm25-english", 100)
