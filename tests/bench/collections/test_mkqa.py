"""MKQA: which questions are measured, and which passages hold an answer."""

import gzip
import hashlib
import json
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
import regex
from hypothesis import assume, given
from hypothesis import strategies as st

from bench.collections import mkqa
from bench.collections.collection import Collection
from bench.collections.load import load
from bench.collections.mkqa import answer_judge, clean, load_mkqa, read_questions
from bench.errors import BenchError
from bench.measures import Measure, mean, per_query
from bench.run import Run
from bench.suites import choose
from bench.task import Counts, Task
from tests.bench.factories import HeldDocuments


def collection(answers: dict[str, tuple[str, ...]], passages: dict[str, str]) -> Collection:
    queries = dict.fromkeys(answers, "a question")
    made = Collection(Task("mkqa", "some"), queries, {}, HeldDocuments(passages), "inline", answers=answers)
    made.judge = answer_judge(made.answers)
    return made


def holds(passage: str, *answers: str) -> bool:
    made = collection({"q": answers}, {"d": passage})
    return made.judged(Run("some", {"q": [("d", 1.0)]})) == {"q": {"d": 1}}


@pytest.mark.parametrize(
    ("passage", "answer", "held"),
    [
        ("The capital is Ottawa.", "Ottawa", True),
        ("The capital is OTTAWA.", "ottawa", True),
        ("Ottawans live there.", "Ottawa", False),
        ("It is Neil Armstrong's step.", "Neil Armstrong", True),
        ("It is Neil Alden Armstrong.", "Neil Armstrong", False),
        ("On 15 April 1912 it sank.", "15 April 1912", True),
        ("On 15 April, 1912 it sank.", "15 April 1912", False),
        ("It costs $42.50 a piece.", "42.50", True),
        ("It costs $42.50 a piece.", "42.5", False),
        ("It is 100m long.", "100", False),
        ("The U.S. voted.", "US", False),
        ("東京都の人口", "東京", False),
        ("the Gala\u0301pagos", "Gal\u00e1pagos", True),
        ("the Gal\u00e1pagos", "Galapagos", False),
        ("ΟΔΟΣ", "οδος", True),
    ],
)
def test_an_answer_stands_in_whole_tokens_in_a_row(passage: str, answer: str, held: bool) -> None:
    assert holds(passage, answer) == held


@pytest.mark.parametrize(
    ("passage", "answer"),
    [
        ("war of 1914\u20131918", "1914-1918"),
        ("minus \u22125 degrees", "-5"),
        ("Ot\u00adta\u0001wa", "Ottawa"),
        ("O\u2019Connor and O\u00b4Connor", "O'Connor"),
        ("\u201cGuernica\u201d", '"Guernica"'),
        ("5\u2032 6\u2033 7\u2034", "5' 6'' 7'''"),
        ("wait\u2026 what", "wait..."),
        ("9\u204410", "9/10"),
        ("New\u000bYork", "New York"),
    ],
)
def test_passages_are_cleaned(passage: str, answer: str) -> None:
    assert holds(passage, answer)


def test_answers_are_not_cleaned() -> None:
    assert not holds("war of 1914-1918", "1914\u20131918")


def test_any_answer_will_do_but_one_without_tokens() -> None:
    assert holds("It is Paris.", "London", "Paris")
    assert not holds("It is Paris.", "", " ", "\u200b")
    assert not holds("", "")
    assert not holds("It is Paris.")


# Letters that cleaning takes for apostrophes are left out: an answer keeps them, a passage does not.
WORD = st.text(
    st.characters(categories=["Lu", "Ll", "Lo", "Lm", "Nd"], exclude_characters="\ua78b\ua78c"), min_size=1, max_size=6
)


@given(st.lists(WORD, min_size=1, max_size=12), st.data())
def test_words_in_a_row_are_found(words: list[str], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(words) - 1))
    end = data.draw(st.integers(start + 1, len(words)))
    assert holds(" ".join(words), " ".join(words[start:end]))


@given(WORD, WORD, WORD, st.booleans())
def test_part_of_a_word_is_not_found(before: str, answer: str, after: str, first: bool) -> None:
    assert not holds(f"{before}{answer}{after}" if first else f"{before}{answer} {before}{after}{answer}", answer)


@given(st.text(max_size=60), st.text(min_size=1, max_size=4))
def test_matching_is_the_published_rule(passage: str, answer: str) -> None:
    def tokens(text: str) -> list[str]:
        found = regex.findall(r"[\p{L}\p{N}\p{M}]+|[^\p{Z}\p{C}]", unicodedata.normalize("NFD", text))
        return [token.lower() for token in found]

    there, wanted = tokens(clean(passage)), tokens(answer)
    assume(wanted)
    rows = (there[start : start + len(wanted)] for start in range(len(there)))
    assert holds(passage, answer) == (wanted in rows)


def test_every_kept_question_counts_and_every_candidate_is_judged() -> None:
    answers = {"q1": ("Ottawa",), "q2": ("Ottawa", "Paris"), "q3": ("Ottawa",), "q4": ("Ottawa",)}
    made = collection(answers, {"d1": "Ottawa", "d2": "Paris", "d3": "Rome"})
    run = Run("some", {"q1": [("d2", 2.0), ("d1", 1.0)], "q2": [("d3", 2.0), ("d2", 1.0)], "q4": [("d1", 1.0)]})
    del made.queries["q4"]  # as where only some queries are measured
    judgements = made.judged(run)
    assert judgements == {"q1": {"d2": 0, "d1": 1}, "q2": {"d3": 0, "d2": 1}, "q3": {}}
    orders = {query_id: [document_id for document_id, _ in ranking] for query_id, ranking in run.rankings.items()}
    measures = [Measure.parse(text) for text in ("Success@1", "Success@10", "judged@10")]
    figures = per_query(judgements, orders, measures)
    assert [mean(figures[measure]) for measure in measures] == pytest.approx([0, 2 / 3, 2 / 3])


def test_each_passage_is_read_once() -> None:
    read: list[str] = []

    class Counted(HeldDocuments):
        def texts(self, ids):
            read.extend(ids)
            return super().texts(ids)

    made = collection({"q1": ("a",), "q2": ("b",)}, {})
    made.documents = Counted({f"d{number}": "a" for number in range(1_500)})
    ranking = [(f"d{number}", 1.0) for number in range(1_500)]
    assert sum(made.judged(Run("some", {"q1": ranking, "q2": ranking}))["q1"].values()) == 1_500
    assert len(read) == 1_500


def test_a_passage_that_is_not_there_cannot_be_judged() -> None:
    with pytest.raises(BenchError, match="1 documents that the passages lack, the first being 'd9'"):
        collection({"q": ("a",)}, {"d1": "a"}).judged(Run("some", {"q": [("d1", 2.0), ("d9", 1.0)]}))


def question(number: int, *answers: dict[str, object]) -> dict[str, object]:
    return {
        "example_id": number,
        "queries": {"en": f"question {number}", "ja": f"質問{number}"},
        "answers": {"en": answers},
    }


SHORT = {"type": "entity", "text": "Ottawa", "aliases": ["Bytown"]}
LONG = {"type": "long_answer", "text": None, "aliases": []}
RELEASE = [
    question(7, SHORT),
    question(-8, {"type": "unanswerable", "text": None}),
    question(9, {"type": "binary", "text": "yes"}),
    question(10, LONG),
    question(11, {"type": "number", "text": "2", "entity": ""}, {"type": "date", "text": "1912"}),
    question(-12, LONG, SHORT),
    question(13, SHORT, LONG),
]


def write(path: Path, rows: list[dict[str, object]]) -> bytes:
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path.read_bytes()


@pytest.mark.parametrize("name", ["mkqa.jsonl", "mkqa.jsonl.gz"])
def test_questions_whose_last_answer_is_short_are_kept(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, RELEASE)
    queries, answers = read_questions(tmp_path / name, "ja")
    assert queries == {"7": "質問7", "11": "質問11", "-12": "質問-12"}
    assert answers == {"7": ("Ottawa", "Bytown"), "11": ("2", "1912"), "-12": ("Ottawa", "Bytown")}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"example_id": 1}, "line 2: not a line of MKQA's release"),
        ([1], "line 2: not a line of MKQA's release"),
        (question(1, {"text": "Ottawa"}), "line 2: not a line of MKQA's release"),
        (
            question(1, SHORT | {"aliases": 7}),
            "line 2: not a line .*answers.en.0.aliases: Input should be a valid list",
        ),
        (question(1, SHORT | {"aliases": [7]}), "line 2: not a line .*answers.en.0.aliases.0: Input should be a valid"),
        (question(1, SHORT | {"text": 7}), "line 2: not a line .*answers.en.0.text: Input should be a valid string"),
        (question(1, SHORT) | {"example_id": 1.5}, "line 2: not a line .*example_id"),
        (question(1, SHORT) | {"example_id": "a b"}, "line 2: the id 'a b' contains white space"),
        (question(1, SHORT) | {"queries": {"ja": ["x"]}}, "line 2: not a line .*queries.ja"),
        (question(7, SHORT), "line 2: question '7' occurs twice"),
        (question(1, SHORT) | {"queries": {"en": "a"}}, r"line 2: no question in 'ja'. There: en\."),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, row: dict[str, object], message: str) -> None:
    write(tmp_path / "mkqa.jsonl", [RELEASE[0], row])
    with pytest.raises(BenchError, match=message):
        read_questions(tmp_path / "mkqa.jsonl", "ja")


PASSAGES = "d1 | Canada | Its capital is Ottawa.\n d2 | | 1912"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, beir_folder) -> tuple[Task, Path]:
    """A task of three questions and two passages, and the folder that holds them."""
    content = write(tmp_path / "data" / "mkqa.jsonl.gz", RELEASE)
    beir_folder(PASSAGES, "q | any", "q d1 1", name="data/nq", packed=True)
    monkeypatch.setattr(mkqa, "SHA256", hashlib.sha256(content).hexdigest())
    (task,) = choose("mkqa", ["ja"])
    return _with_counts(task, 2, 3), tmp_path / "data"


def _with_counts(task: Task, documents: int, queries: int) -> Task:
    return replace(task, counts=Counts(documents, queries, 0))


def test_questions_and_passages_from_the_users_folder(small: tuple[Task, Path]) -> None:
    task, data = small
    loaded = load(task, data)
    assert loaded.documents.texts(["d1"]) == {"d1": "Canada Its capital is Ottawa."}
    run = Run("some", {query_id: [("d1", 2.0), ("d2", 1.0)] for query_id in loaded.queries})
    assert loaded.judged(run) == {"7": {"d1": 1, "d2": 0}, "11": {"d1": 0, "d2": 1}, "-12": {"d1": 1, "d2": 0}}
    loaded.documents.close()


def test_another_file_than_the_release_is_refused(small: tuple[Task, Path]) -> None:
    task, data = small
    write(data / "mkqa.jsonl.gz", RELEASE[:-1])
    with pytest.raises(BenchError, match=r"mkqa\.jsonl\.gz is not MKQA's release: its sha256 is .* download it again"):
        load_mkqa(task, data)


def test_a_torn_file_is_refused(small: tuple[Task, Path]) -> None:
    task, data = small
    path = data / "mkqa.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BenchError, match="is not MKQA's release"):
        load_mkqa(task, data)


def test_a_missing_file_says_where_to_get_it(tmp_path: Path) -> None:
    (task,) = choose("mkqa", ["ja"])
    with pytest.raises(
        BenchError, match=r"mkqa\.jsonl\.gz does not exist\. Get MKQA's release from https://github\.com"
    ):
        load_mkqa(task, tmp_path)


@pytest.mark.parametrize(("documents", "queries", "wrong"), [(2, 6_619, "3 queries"), (3, 3, "2 documents")])
def test_changed_counts_are_noticed(small: tuple[Task, Path], documents: int, queries: int, wrong: str) -> None:
    task, data = small
    with pytest.raises(BenchError, match=wrong):
        load_mkqa(_with_counts(task, documents, queries), data)


def test_the_release_is_fetched_once_and_checked(
    small: tuple[Task, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    task, data = small
    home = tmp_path / "home"
    monkeypatch.setenv("IR_DATASETS_HOME", str(home))
    monkeypatch.setattr(mkqa, "URL", (data / "mkqa.jsonl.gz").as_uri())
    monkeypatch.setattr(mkqa, "_documents", lambda *_: (HeldDocuments({"d1": "Ottawa", "d2": "1912"}), "inline"))
    first = load_mkqa(task, None)
    assert (home / "mkqa" / "mkqa.jsonl.gz").read_bytes() == (data / "mkqa.jsonl.gz").read_bytes()
    monkeypatch.setattr(mkqa, "URL", "file:///nowhere")
    assert load_mkqa(task, None).version == first.version

    write(data / "mkqa.jsonl.gz", RELEASE[:2])
    monkeypatch.setattr(mkqa, "URL", (data / "mkqa.jsonl.gz").as_uri())
    (home / "mkqa" / "mkqa.jsonl.gz").unlink()
    with pytest.raises(BenchError, match=r"^file://.* is not MKQA's release"):
        load_mkqa(task, None)
    assert not (home / "mkqa" / "mkqa.jsonl.gz").exists()


def test_an_unreachable_host_names_the_other_ways(
    small: tuple[Task, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("IR_DATASETS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(mkqa, "URL", "http://127.0.0.1:9/mkqa.jsonl.gz")
    with pytest.raises(BenchError, match=r"could not be fetched from http://127.*--data DIR.*--embedded"):
        load_mkqa(small[0], None)


@pytest.mark.parametrize("deep", ['{"a":' * 100_000, "[" * 100_000, '{"example_id": ' + "9" * 5_000])
def test_a_line_beyond_what_json_can_hold_is_named(tmp_path: Path, deep: str) -> None:
    (tmp_path / "mkqa.jsonl").write_text(f"{json.dumps(RELEASE[0])}\n{deep}\n")
    with pytest.raises(BenchError, match="line 2: not a line of MKQA's release; it is not valid JSON"):
        read_questions(tmp_path / "mkqa.jsonl", "ja")


def test_a_file_of_questions_without_any_to_measure_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "mkqa.jsonl", [question(9, {"type": "binary", "text": "yes"})])
    with pytest.raises(BenchError, match="no question with a short English answer"):
        read_questions(tmp_path / "mkqa.jsonl", "ja")
