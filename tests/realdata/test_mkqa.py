"""MKQA's real questions and answers in twelve languages: read in the release's format and matched."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.collections import mkqa
from bench.collections.collection import Collection
from bench.collections.mkqa import answer_judge, clean, load_mkqa
from bench.run import Run
from bench.suites import choose
from bench.suites.mkqa import LANGUAGES
from bench.task import Counts, Task
from tests.bench.factories import HeldDocuments

pytestmark = pytest.mark.realdata

SETS = ["ar", "en", "es", "fi", "ja", "km", "ko", "ms", "ru", "sv", "tr", "zh"]
ANSWERED, OTHERS = 1_758, 5_000


def rows(shared_data: Path, language: str) -> list[dict[str, object]]:
    with gzip.open(shared_data / "mkqa" / language / "queries.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def answers(shared_data: Path, language: str) -> dict[str, tuple[str, ...]]:
    return {row["_id"]: tuple(row["answers"]) for row in rows(shared_data, language) if "answers" in row}


@pytest.mark.parametrize("language", SETS)
def test_answers_are_found_in_their_own_passages(shared_data: Path, language: str) -> None:
    """In every script: a passage that quotes a question's answer holds it, the one without it does not.

    Answers with an en dash or a curly quote are the exception: the rule levels these out in passages alone.
    """
    wanted = answers(shared_data, language)
    assert len(wanted) == ANSWERED
    texts = {f"{key}-with": f"Some say ({each[-1]}), others not." for key, each in wanted.items()}
    texts |= {f"{key}-without": "Some say so, others not." for key in wanted}
    made = Collection(Task("mkqa", language), dict.fromkeys(wanted, ""), {}, HeldDocuments(texts), "", answers=wanted)
    run = Run("some", {key: [(f"{key}-with", 2.0), (f"{key}-without", 1.0)] for key in wanted})
    grades = answer_judge(made.answers)(run, made.documents)
    assert not any(grades[key][f"{key}-without"] for key in wanted)
    missed = [wanted[key][-1] for key in wanted if not grades[key][f"{key}-with"]]
    assert [answer for answer in missed if clean(answer) == answer] == []
    assert len(missed) <= 10


def test_the_sets_load_in_the_releases_form(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beir_folder
) -> None:
    english = answers(shared_data, "en")
    texts = {name: {row["_id"]: row["text"] for row in rows(shared_data, name)} for name in SETS}
    assert all(queries.keys() == texts["en"].keys() for queries in texts.values())
    none = {"type": "unanswerable", "text": None}
    with open(tmp_path / "mkqa.jsonl", "w", encoding="utf-8") as file:
        for key in texts["en"]:
            queries = {{"zh": "zh_cn"}.get(name, name): texts[name][key] for name in SETS}
            given = [{"type": "entity", "text": text} for text in english.get(key, ())] or [none]
            file.write(json.dumps({"example_id": int(key), "queries": queries, "answers": {"en": given}}) + "\n")
    passages = "d1 | Dave Edmunds | A Welsh singer.\n d2 | Glendale | State Farm Stadium is there."
    beir_folder(passages, "q | any", "q d1 1", name="nq")
    monkeypatch.setattr(mkqa, "SHA256", "")
    for language in (name for name in LANGUAGES if name in {*SETS, "zh_cn"}):
        task = replace(choose("mkqa", [language])[0], counts=Counts(2, ANSWERED, 0))
        loaded = load_mkqa(task, tmp_path)
        assert loaded.queries == {key: texts[language.removesuffix("_cn")][key] for key in english}
        run = Run("all", {key: [("d1", 2.0), ("d2", 1.0)] for key in loaded.queries})
        judged = loaded.judged(run)
        assert judged["563260143484355911"] == {"d1": 1, "d2": 0}
        assert judged["7818112641371223126"] == {"d1": 0, "d2": 1}
        loaded.documents.close()
