"""Kept scores: found again bit for bit, missed by whatever differs, and never trusted where damaged."""

import dataclasses
import fcntl
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.collections.collection import Collection
from bench.errors import BenchError, Stopped
from bench.evaluation import cache
from bench.evaluation import store as store_module
from bench.evaluation.cache import KeptScores, chunk_key, keeping, scorer
from bench.evaluation.evaluate import evaluate
from bench.evaluation.prepare import prepare
from bench.evaluation.store import STORE, Store
from bench.lock import LOCK, locked
from bench.rerankers.base import CandidateList, Card, Options, Scored
from bench.rerankers.fusion import Fusion, fused
from bench.run import Run
from bench.task import Task

CARD = Card("made", "f" * 64, "own")
OPTIONS = Options()


class Made:
    """Scores that depend on the whole chunk, and a count of the lists that were asked for."""

    def __init__(self, card: Card = CARD) -> None:
        self.card = card
        self.asked: list[str] = []

    def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
        company = ",".join(each.query_id for each in lists)
        for each in reversed(lists):
            self.asked.append(each.query_id)
            draw = random.Random(company + each.query)
            yield Scored(each.query_id, tuple(draw.random() for _ in each.ids), 7, 1, 2, 1)


def made_list(name: str, documents: int = 4) -> CandidateList:
    ids = tuple(f"d{number}" for number in range(documents))
    texts = tuple(f"text {number} of {name}" for number in range(documents))
    return CandidateList(name, f"query {name}", ids, tuple(map(float, range(documents, 0, -1))), texts)


def chunks(count: int, lists: int = 3) -> list[list[CandidateList]]:
    return [[made_list(f"q{chunk}-{each}") for each in range(lists)] for chunk in range(count)]


def ask_all(path: Path, work: list[list[CandidateList]]) -> tuple[list[list[Scored]], list[str]]:
    """Have all chunks answered as one command would; gives the answers and the lists that were scored for them."""
    reranker = Made()
    store = Store(path)
    try:
        kept = KeptScores(store, reranker, OPTIONS)
        return [list(kept(chunk).answers) for chunk in work], reranker.asked
    finally:
        store.close()


def test_a_second_command_gets_the_same_answers_and_seconds_without_the_reranker(tmp_path: Path) -> None:
    work = chunks(1)[0]
    reranker = Made()
    first = Store(tmp_path / STORE)
    fresh = KeptScores(first, reranker, OPTIONS)(work)
    first.close()
    second = Store(tmp_path / STORE)
    again = KeptScores(second, reranker, OPTIONS)(work)
    second.close()
    assert reranker.asked == ["q0-2", "q0-1", "q0-0"]
    assert [answer.query_id for answer in again.answers] == ["q0-0", "q0-1", "q0-2"]
    assert repr(again.answers) == repr(fresh.answers)
    assert (fresh.kept, again.kept) == ("", STORE)
    assert again.seconds == pytest.approx(fresh.seconds)
    assert (first.lists, second.lists) == (3, 3)


def test_numbers_of_other_types_are_the_same_at_once_and_later(tmp_path: Path) -> None:
    class Typed(Made):
        def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
            for each in lists:
                scores: Any = tuple(np.float32(0.1) for _ in each.ids)
                tokens: Any = np.int64(3)
                yield Scored(each.query_id, scores, tokens)

    store = Store(tmp_path / STORE)
    kept = KeptScores(store, Typed(), OPTIONS)
    first, second = kept(chunks(1)[0]), kept(chunks(1)[0])
    assert repr(first.answers) == repr(second.answers)
    assert first.answers[0].scores[0] == float(np.float32(0.1))
    assert type(first.answers[0].scores[0]) is float
    store.close()


OTHER_CARDS = [
    dataclasses.replace(CARD, fingerprint="0" * 64),
    dataclasses.replace(CARD, device="cuda"),
    dataclasses.replace(CARD, dtype="bfloat16"),
    dataclasses.replace(CARD, settings={"window": 2}),
]


@pytest.mark.parametrize("card", OTHER_CARDS)
def test_another_reranker_misses(card: Card) -> None:
    assert chunk_key(card, OPTIONS, chunks(1)[0]) != chunk_key(CARD, OPTIONS, chunks(1)[0])


@pytest.mark.parametrize("options", [Options(max_query_length=9), Options(max_doc_length=9), Options(seed=9)])
def test_other_options_miss(options: Options) -> None:
    assert chunk_key(CARD, options, chunks(1)[0]) != chunk_key(CARD, OPTIONS, chunks(1)[0])


def test_other_arithmetic_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    before = chunk_key(CARD, OPTIONS, chunks(1)[0])
    monkeypatch.setattr(cache, "_versions", lambda: ("torch 0",))
    assert chunk_key(CARD, OPTIONS, chunks(1)[0]) != before


def other_lists() -> dict[str, list[CandidateList]]:
    one, two, three = chunks(1)[0]

    def changed(**fields: object) -> list[CandidateList]:
        return [one, dataclasses.replace(two, **fields), three]  # type: ignore[arg-type]

    return {
        "query id": changed(query_id="other"),
        "query": changed(query="another query"),
        "order of candidates": changed(ids=two.ids[::-1], texts=two.texts[::-1]),
        "a text": changed(texts=("another", *two.texts[1:])),
        "an id": changed(ids=("another", *two.ids[1:])),
        "no texts": changed(texts=()),
        "first-stage scores": changed(first_stage_scores=(9.0, *two.first_stage_scores[1:])),
        "grades": changed(grades=(1, 0, 0, 0)),
        "order of lists": [two, one, three],
        "less company": [one, two],
        "halves of a character": changed(query="\ud83d\ude00"),
    }


@pytest.mark.parametrize("what", other_lists())
def test_other_lists_miss(what: str) -> None:
    assert chunk_key(CARD, OPTIONS, other_lists()[what]) != chunk_key(CARD, OPTIONS, chunks(1)[0])


def test_halves_of_a_character_are_not_the_character() -> None:
    halves, whole = (dataclasses.replace(made_list("q"), query=text) for text in ("\ud83d\ude00", "\U0001f600"))
    assert chunk_key(CARD, OPTIONS, [halves]) != chunk_key(CARD, OPTIONS, [whole])


def test_order_only_rerankers_are_asked_directly(tmp_path: Path) -> None:
    store = Store(tmp_path / STORE)
    assert scorer(store, Made(dataclasses.replace(CARD, needs=frozenset())), OPTIONS) is None
    assert scorer(store, Made(), OPTIONS) is not None
    store.close()


def test_a_fusion_takes_the_scores_kept_for_what_it_fuses(tmp_path: Path) -> None:
    work = chunks(2)
    _, _ = ask_all(tmp_path / STORE, work)
    store, inner = Store(tmp_path / STORE), Made()
    score = scorer(store, Fusion(inner), OPTIONS)
    assert score is not None
    answered = score(work[0])
    assert inner.asked == []
    assert answered.kept
    kept = KeptScores(store, inner, OPTIONS)(work[0]).answers
    assert [answer.scores for answer in answered.answers] == [fused(answer.scores) for answer in kept]
    store.close()


@pytest.mark.parametrize("scores", [(), (1.0,), (1.0, 2.0, 3.0, float("nan"))])
def test_an_answer_that_is_refused_is_not_kept(tmp_path: Path, scores: tuple[float, ...]) -> None:
    class Wrong(Made):
        def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
            good = list(super().score(lists))
            yield from (good[:-1] if not scores else [*good[:-1], Scored(good[-1].query_id, scores)])

    work = chunks(1)
    store = Store(tmp_path / STORE)
    with pytest.raises(BenchError, match="made gave"):
        KeptScores(store, Wrong(), OPTIONS)(work[0])
    assert store.lists == 0
    store.close()
    _, asked = ask_all(tmp_path / STORE, work)
    assert len(asked) == 3


DAMAGE = {
    "answer": "UPDATE lists SET answer = CAST(x'5555555555555555' || substr(answer, 9) AS BLOB) WHERE place = 1",
    "shorter answer": "UPDATE lists SET answer = x'' WHERE place = 1",
    "a text for an answer": "UPDATE lists SET answer = 'text' WHERE place = 1",
    "checksum": "UPDATE lists SET checksum = x'00' WHERE place = 1",
    "missing row": "DELETE FROM lists WHERE place = 1",
    "a row from elsewhere": "UPDATE lists SET (answer, checksum) = "
    "(SELECT answer, checksum FROM lists AS other WHERE other.chunk = lists.chunk AND place = 2) WHERE place = 1",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_row_is_reported_and_its_chunk_scored_again(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path, work = tmp_path / STORE, chunks(2)
    truth, _ = ask_all(path, work)
    database = sqlite3.connect(path)
    of_first = chunk_key(CARD, OPTIONS, work[0])
    with database:
        database.execute(f"{DAMAGE[damage]} AND chunk = ?", (of_first,))
    database.close()
    answers, asked = ask_all(path, work)
    assert answers == truth
    assert sorted(asked) == ["q0-0", "q0-1", "q0-2"]
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "query 'q0-1'" in said
    assert ask_all(path, work) == (truth, [])


def damaged_copy(path: Path, folder: Path, content: bytes) -> Path:
    folder.mkdir()
    copy = folder / STORE
    copy.write_bytes(content)
    log = path.with_name(f"{STORE}-wal")
    if log.exists():
        shutil.copy(log, folder / log.name)
    return copy


def test_a_truncated_file_is_set_aside_and_what_is_whole_carried_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, work = tmp_path / STORE, chunks(12, lists=30)
    truth, _ = ask_all(path, work)
    content = path.read_bytes()
    draw = random.Random(5)
    lengths = [
        0,
        1,
        15,
        99,
        100,
        4095,
        4096,
        *(draw.randrange(9000, len(content)) for _ in range(10)),
        len(content) - 1,
    ]
    scored = {}
    for length in lengths:
        copy = damaged_copy(path, tmp_path / f"to-{length}", content[:length])
        answers, asked = ask_all(copy, work)
        assert answers == truth
        assert bool(capsys.readouterr().err) == (length > 1)  # SQLite takes a file of one byte for a new one
        assert ask_all(copy, work) == (truth, [])
        scored[length / len(content)] = len(asked)
    print("part of the file left: lists of 360 scored again:", {f"{part:.2f}": scored[part] for part in sorted(scored)})
    assert all(again <= 360 * (1 - part) + 90 for part, again in scored.items())


def test_flipped_bits_never_give_a_wrong_score_or_a_traceback(tmp_path: Path) -> None:
    path, work = tmp_path / STORE, chunks(12, lists=10)
    truth, _ = ask_all(path, work)
    content = path.read_bytes()
    draw = random.Random(7)
    scored = {}
    for place in [*range(100), *(draw.randrange(100, len(content)) for _ in range(100))]:
        flipped = bytearray(content)
        flipped[place] ^= 1 << draw.randrange(8)
        copy = damaged_copy(path, tmp_path / f"at-{place}", bytes(flipped))
        answers, asked = ask_all(copy, work)
        assert answers == truth, place
        scored[place] = len(asked)
    beyond = [again for place, again in scored.items() if place >= 100]
    print(f"one bit flipped: of 120 lists {sum(beyond) / len(beyond):.1f} are scored again, on average")
    assert sum(beyond) / len(beyond) < 15


def test_overwritten_pieces_never_give_a_wrong_score_or_a_traceback(tmp_path: Path) -> None:
    path, work = tmp_path / STORE, chunks(12, lists=10)
    truth, _ = ask_all(path, work)
    content = path.read_bytes()
    draw = random.Random(11)
    for number in range(30):
        torn = bytearray(content)
        at, size = draw.randrange(len(content)), draw.choice([8, 64, 4096])
        torn[at : at + size] = draw.randbytes(len(torn[at : at + size]))
        copy = damaged_copy(path, tmp_path / str(number), bytes(torn))
        assert ask_all(copy, work)[0] == truth, (number, at, size)


def test_a_schema_that_does_not_even_decode_is_damage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, work = tmp_path / STORE, chunks(2)
    truth, _ = ask_all(path, work)
    content = path.read_bytes()
    path.write_bytes(
        content.replace(b"listslists", b"\xaf" * 10).replace(b"CREATE TABLE", b"CREATE \xaf\xaf\xaf\xaf\xaf")
    )
    assert ask_all(path, work)[0] == truth
    assert "is damaged ('utf-8' codec can't decode" in capsys.readouterr().err


def test_a_full_disk_while_a_damaged_file_is_replaced_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, work = tmp_path / STORE, chunks(20, lists=10)
    truth, _ = ask_all(path, work)
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size * 9 // 10)
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL

    def no_space(*_: object) -> None:
        raise full

    with monkeypatch.context() as patched, pytest.raises(BenchError, match="disk is full"):
        patched.setattr(store_module, "_insert", no_space)
        Store(path)
    assert not path.with_name(f"{STORE}.damaged-1").exists()
    answers, asked = ask_all(path, work)
    assert answers == truth
    assert 0 < len(asked) < 100


KILLED = """
import os, sys
from pathlib import Path
from bench.evaluation import store

events = iter(range(int(sys.argv[2])))
KINDS = ("os.rename", "os.link", "os.remove", "sqlite3.connect", "shutil.copyfile", "insert", "inserted")

def kill_at_the_last(event, arguments):
    if event in KINDS and next(events, None) is None:
        os._exit(9)

def insert(database, rows, real=store._insert):
    sys.audit("insert")
    real(database, rows)
    sys.audit("inserted")

store._insert = insert
sys.addaudithook(kill_at_the_last)
store.Store(Path(sys.argv[1])).close()
"""
"""Opens a store, and is killed just before the event of a number: a rename, link, removal, connection or insertion."""


@pytest.mark.parametrize("damage", ["header", "earlier repair"])
def test_a_kill_at_any_step_of_a_repair_loses_no_row(tmp_path: Path, damage: str) -> None:
    path, work = tmp_path / STORE, chunks(6, lists=5)
    truth, _ = ask_all(path, work[:5])
    store = Store(path)
    truth.append(list(KeptScores(store, Made(), OPTIONS)(work[5]).answers))
    content, log = path.read_bytes(), path.with_name(f"{STORE}-wal").read_bytes()
    store.close()
    whole = path.read_bytes()
    path.with_name(f"{STORE}-wal").unlink(missing_ok=True)
    killed = 0
    for step in range(50):
        if damage == "header":
            copy = damaged_copy(path, tmp_path / str(step), whole[:60] + b"\xff" * 40 + whole[100:])
        else:  # of which a torn file is left; the last chunk is in the log alone
            copy = damaged_copy(path, tmp_path / str(step), content)
            copy.with_name(f"{STORE}-wal").write_bytes(log)
            copy.with_name(f"{STORE}.new").write_bytes(b"torn" * 1000)
        ended = opened_and_killed(copy, step)
        assert ask_all(copy, work) == (truth, []), f"killed at step {step}"
        assert not list(copy.parent.glob("*.new*"))
        if ended.returncode == 0:
            assert "30 kept lists were whole" in ended.stderr
            break
        assert ended.returncode == 9, ended.stderr
        killed += 1
    assert killed >= 8


def opened_and_killed(path: Path, step: int) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(Path(store_module.__file__).parents[2])}
    command = [sys.executable, "-c", KILLED, str(path), str(step)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)


def test_a_damaged_log_loses_at_most_what_stood_in_it(tmp_path: Path) -> None:
    path, work = tmp_path / STORE, chunks(30)
    truth, _ = ask_all(path, work[:20])
    store = Store(path)
    kept = KeptScores(store, Made(), OPTIONS)
    for chunk in work[20:]:
        truth.append(list(kept(chunk).answers))
    # What a kill leaves behind: the file and its log, as they are while the store is open.
    main, log = path.read_bytes(), path.with_name(f"{STORE}-wal").read_bytes()
    store.close()
    draw = random.Random(3)
    for number in range(40):
        folder = tmp_path / str(number)
        copy = damaged_copy(path, folder, main)
        torn = bytearray(log)
        torn[draw.randrange(len(log))] ^= 1 << draw.randrange(8)
        length = draw.choice([len(log), draw.randrange(len(log))])
        copy.with_name(f"{STORE}-wal").write_bytes(bytes(torn[:length]))
        answers, asked = ask_all(copy, work)
        assert answers == truth
        assert len(asked) <= 30


def test_a_file_of_another_kind_is_set_aside_under_a_free_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, work = tmp_path / STORE, chunks(2)
    for number in (1, 2):
        path.write_text("not a database, but long enough for one to be looked for in it" * 100)
        _, asked = ask_all(path, work)
        assert len(asked) == 6
        assert path.with_name(f"{STORE}.damaged-{number}").read_text().startswith("not a database")
    assert "0 kept lists were whole" in capsys.readouterr().err


def test_damage_that_shows_while_a_command_runs_is_set_aside_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / STORE)
    reranker = Made()
    kept = KeptScores(store, reranker, OPTIONS)
    work = chunks(3)
    truth = [list(kept(chunk).answers) for chunk in work]
    real, failures = store_module._insert, iter([sqlite3.DatabaseError("database disk image is malformed")])

    def fails_once(database: sqlite3.Connection, rows: object) -> None:
        for failure in failures:
            raise failure
        real(database, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(store_module, "_insert", fails_once)
    kept([made_list("new")])
    assert "9 kept lists were whole" in capsys.readouterr().err
    assert [list(kept(chunk).answers) for chunk in work] == truth
    assert len(reranker.asked) == 10
    store.close()


def test_a_folder_in_the_files_place_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / STORE).mkdir()
    with pytest.raises(BenchError, match=r"Cannot keep scores in .*scores.sqlite: unable to open.* choose another"):
        Store(tmp_path / STORE)


def test_a_file_that_another_program_holds_is_an_error_and_not_damage(tmp_path: Path) -> None:
    ask_all(tmp_path / STORE, chunks(1))
    other = sqlite3.connect(tmp_path / STORE, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(BenchError, match=r"database is locked.*End the program that has the file open"):
        Store(tmp_path / STORE)
    other.close()
    assert ask_all(tmp_path / STORE, chunks(1))[1] == []


def test_the_second_command_names_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused = pytest.raises(BenchError, match=rf"being written by another command \(process {os.getpid()}\)")
    with locked(tmp_path), refused, locked(tmp_path, patience=0.3):
        pass
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "waiting" in said


def test_the_second_command_goes_on_when_the_first_lets_go(tmp_path: Path) -> None:
    held, ended = threading.Event(), []

    def first() -> None:
        with locked(tmp_path):
            held.set()
            time.sleep(0.3)
            ended.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    held.wait()
    with locked(tmp_path, patience=10):
        ended.append("second")
    thread.join()
    assert ended == ["first", "second"]
    assert (tmp_path / LOCK).read_text() == f"{os.getpid()}\n"


def test_a_file_system_without_locks_is_said_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with locked(tmp_path):
        assert "cannot be locked (No locks available)" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = pytest.raises(BenchError, match=r"Cannot write results to .*Choose another folder with --output")
    with refused, keeping(tmp_path / "file" / "out"):
        pass


def test_ctrl_c_says_what_is_kept_and_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["bench", "folder", "my data", "--output", "out"])
    with pytest.raises(Stopped) as stopped, keeping(tmp_path) as store:
        KeptScores(store, Made(), OPTIONS)(chunks(1)[0])
        raise KeyboardInterrupt
    assert "3 lists are kept in" in str(stopped.value)
    assert str(stopped.value).endswith("python -m bench folder 'my data' --output out")
    with pytest.raises(Stopped, match="No list is kept"), keeping(tmp_path):
        raise KeyboardInterrupt


class AnyDocuments:
    """A corpus whose texts are its ids."""

    def __len__(self) -> int:
        return 9

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(())

    def texts(self, ids: Sequence[str]) -> dict[str, str]:
        return {each: each for each in ids}

    def close(self) -> None:
        pass


def test_a_resumed_results_cost_is_the_whole_cost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Sleepy(Made):
        def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
            time.sleep(0.05)
            yield from super().score(lists)

    queries = {f"q{number}": f"query {number}" for number in range(300)}
    judgements = {query_id: {"d1": 1} for query_id in queries}
    run = Run("made", {query_id: [("d0", 2.0), ("d1", 1.0)] for query_id in queries})
    collection = Collection(Task("folder", "made"), queries, judgements, AnyDocuments(), "made")
    settled = prepare(collection, run, 100, OPTIONS)
    results = []
    for _ in range(2):
        with keeping(tmp_path) as store:
            results.append(evaluate(settled, Sleepy(), scorer(store, Sleepy(), OPTIONS)))
    (fresh, first_run), (resumed, second_run) = results
    assert (fresh.provenance["kept_lists"], resumed.provenance["kept_lists"]) == (0, 300)
    assert resumed.cost.seconds == pytest.approx(fresh.cost.seconds)
    assert fresh.cost.seconds > 0.1
    assert 0 <= resumed.cost.harness_seconds < 5
    assert resumed.cost.tokens == fresh.cost.tokens == 2100
    assert second_run.rankings == first_run.rankings
    assert (resumed.measures, resumed.cut) == (fresh.measures, fresh.cut)
    assert capsys.readouterr().err == ""


FOREIGN: dict[str, Callable[[Path, Path], object]] = {
    "a symbolic link": lambda lock, valuable: lock.symlink_to(valuable),
    "a link to nothing": lambda lock, valuable: lock.symlink_to("nothing"),
    "another name of a file": lambda lock, valuable: lock.hardlink_to(valuable),
    "a file of the user's": lambda lock, valuable: lock.write_text("mine"),
    "a named pipe": lambda lock, valuable: os.mkfifo(lock),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_lock_that_is_something_else_is_refused_and_not_written(tmp_path: Path, kind: str) -> None:
    valuable = tmp_path / "valuable"
    valuable.write_text("my only copy")
    (tmp_path / "out").mkdir()
    lock = tmp_path / "out" / LOCK
    FOREIGN[kind](lock, valuable)
    with pytest.raises(BenchError, match=r"\.lock is not a lock file of this program\. Remove it"), locked(lock.parent):
        pass
    assert valuable.read_text() == "my only copy"
    assert kind != "a file of the user's" or lock.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "valuable"]


def test_what_a_kill_left_half_written_is_removed_at_the_next_start(tmp_path: Path) -> None:
    result = tmp_path / "beir" / "scifact" / "bm25@100-12345678" / "random"
    result.mkdir(parents=True)
    names = ("result.json", "run.trec.gz", "sensitivity.json", "sensitivity-10--5.json")
    left = [result / f".{name}.4711" for name in names]
    mine = [result / "result.json", result / ".result.json.old", tmp_path / ".result.json.4711", tmp_path / "notes.1"]
    for path in (*left, *mine):
        path.touch()
    with locked(tmp_path):
        assert not any(path.exists() for path in left)
        assert all(path.exists() for path in mine)
