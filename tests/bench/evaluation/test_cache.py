"""Score cache: scores are found again bit for bit, only for the same lists and reranker, and never where damaged."""

import dataclasses
import errno
import fcntl
import hashlib
import math
import os
import random
import re
import resource
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from bench.collections.collection import Collection
from bench.errors import BenchError
from bench.evaluation import cache
from bench.evaluation.cache import CACHE, Log, ScoreCache, chunk_key, score_cache, scorer
from bench.evaluation.chunks import Answered, Chunk
from bench.evaluation.evaluate import evaluate
from bench.evaluation.prepare import prepare
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


def answer(scores: ScoreCache, reranker: Any, work: list[CandidateList]) -> Answered:
    """Have one chunk scored, from the cache or by the reranker."""
    score = scorer(scores, reranker, OPTIONS)
    assert score is not None
    (answered,) = score([Chunk(work, lambda: work)])
    return answered


def ask_all(folder: Path, work: list[list[CandidateList]]) -> tuple[list[list[Scored]], list[str]]:
    """Have all chunks scored as by one command; gives the answers and the lists that the reranker was asked for."""
    reranker = Made()
    with score_cache(folder) as scores:
        return [list(answer(scores, reranker, chunk).answers) for chunk in work], reranker.asked


def test_a_second_command_gets_the_same_answers_and_seconds_without_the_reranker(tmp_path: Path) -> None:
    work = chunks(1)[0]
    reranker = Made()
    with score_cache(tmp_path) as first:
        fresh = answer(first, reranker, work)
    with score_cache(tmp_path) as second:
        again = answer(second, reranker, work)
    assert reranker.asked == ["q0-2", "q0-1", "q0-0"]
    assert [each.query_id for each in again.answers] == ["q0-0", "q0-1", "q0-2"]
    assert repr(again.answers) == repr(fresh.answers)
    assert (fresh.cache, again.cache) == ("", CACHE)
    assert again.seconds == fresh.seconds
    assert (first.file.lists, second.file.lists) == (3, 3)


def test_numbers_of_other_types_are_the_same_at_once_and_later(tmp_path: Path) -> None:
    class Typed(Made):
        def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
            for each in lists:
                scores: Any = tuple(np.float32(0.1) for _ in each.ids)
                tokens: Any = np.int64(3)
                yield Scored(each.query_id, scores, tokens)

    with score_cache(tmp_path) as scores:
        first, second = (answer(scores, Typed(), chunks(1)[0]) for _ in range(2))
    assert repr(first.answers) == repr(second.answers)
    assert first.answers[0].scores[0] == float(np.float32(0.1))
    assert type(first.answers[0].scores[0]) is float


def test_every_finite_number_comes_back_bit_for_bit(tmp_path: Path) -> None:
    draw = random.Random(1)
    patterns = (struct.unpack("<d", draw.randbytes(8))[0] for _ in range(2_000))
    numbers = [-0.0, 0.1, 5e-324, 1.7976931348623157e308, *filter(math.isfinite, patterns)]

    class Extreme(Made):
        def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
            yield from (Scored(each.query_id, tuple(numbers), 2**63 - 1) for each in lists)

    for _ in range(2):
        with score_cache(tmp_path) as scores:
            (found,) = answer(scores, Extreme(), [made_list("q", len(numbers))]).answers
        assert [score.hex() for score in found.scores] == [number.hex() for number in numbers]
        assert found.tokens == 2**63 - 1


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
    monkeypatch.setattr(cache, "versions", lambda _: {"torch": "0"})
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
    with score_cache(tmp_path) as scores:
        assert scorer(scores, Made(dataclasses.replace(CARD, needs=frozenset())), OPTIONS) is None
        assert scorer(scores, Made(), OPTIONS) is not None


def test_a_fusion_takes_the_scores_cached_for_what_it_fuses(tmp_path: Path) -> None:
    work = chunks(2)
    truth, _ = ask_all(tmp_path, work)
    inner = Made()
    with score_cache(tmp_path) as scores:
        answered = answer(scores, Fusion(inner), work[0])
    assert inner.asked == []
    assert answered.cache
    assert [each.scores for each in answered.answers] == [fused(each.scores) for each in truth[0]]


@pytest.mark.parametrize("scores", [(), (1.0,), (1.0, 2.0, 3.0, float("nan"))])
def test_an_answer_that_is_refused_is_not_cached(tmp_path: Path, scores: tuple[float, ...]) -> None:
    class Wrong(Made):
        def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
            good = list(super().score(lists))
            yield from (good[:-1] if not scores else [*good[:-1], Scored(good[-1].query_id, scores)])

    work = chunks(1)
    with score_cache(tmp_path) as cached:
        with pytest.raises(BenchError, match="made gave"):
            answer(cached, Wrong(), work[0])
        assert cached.file.lists == 0
    _, asked = ask_all(tmp_path, work)
    assert len(asked) == 3


def damage(folder: Path, content: bytes, work: list[list[CandidateList]], truth: list[list[Scored]]) -> list[str]:
    """The lists that are scored again where the log has this content. Every score is the right one, and the second
    time no list is scored again; what is in the file stays as it is.
    """
    folder.mkdir()
    (folder / CACHE).write_bytes(content)
    answers, asked = ask_all(folder, work)
    assert answers == truth
    assert ask_all(folder, work) == (truth, [])
    assert all(map(is_intact, (folder / CACHE).read_bytes().split(b"\n")))
    return asked


def is_intact(line: bytes) -> bool:
    checksum, _, record = line.partition(b" ")
    return not line or hashlib.sha256(record).hexdigest().encode() == checksum


def records(content: bytes) -> list[range]:
    """The places of the log's records, with the line breaks on either side."""
    found = [range(each.start(), each.end()) for each in re.finditer(rb"\n[^\n]+\n", content)]
    assert sum(map(len, found)) == len(content)
    return found


def test_a_file_cut_off_anywhere_loses_only_the_records_from_there_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = chunks(3, lists=2)
    truth, _ = ask_all(tmp_path, work)
    content = (tmp_path / CACHE).read_bytes()
    places = records(content)
    for length in range(len(content)):
        asked = damage(tmp_path / str(length), content[:length], work, truth)
        # The line break that ends a record may be missing.
        assert len(asked) == 2 * sum(length < place.stop - 1 for place in places), length
        cut = any(place.start + 1 < length < place.stop - 1 for place in places)
        assert ("Records ignored: 1" in capsys.readouterr().err) == cut


def test_a_changed_byte_loses_only_the_record_that_it_is_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work = chunks(3, lists=2)
    truth, _ = ask_all(tmp_path, work)
    content = (tmp_path / CACHE).read_bytes()
    draw = random.Random(7)
    for number, place in enumerate(records(content)):
        for at in place:
            changed = bytearray(content)
            changed[at] = draw.choice([*{*b"\n \0", changed[at] ^ 1 << draw.randrange(8)} - {changed[at]}])
            asked = damage(tmp_path / str(at), bytes(changed), work, truth)
            assert sorted(asked) == [each.query_id for each in work[number]], at
            assert "is damaged. Records ignored: " in capsys.readouterr().err


def test_damage_is_reported_once_and_the_intact_records_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = chunks(3, lists=2)
    truth, _ = ask_all(tmp_path, work)
    content = bytearray((tmp_path / CACHE).read_bytes())
    first, _, third = (bytes(content[place.start : place.stop]) for place in records(bytes(content)))
    content[records(bytes(content))[1].start + 5] ^= 1
    (tmp_path / CACHE).write_bytes(content)
    (tmp_path / f".{CACHE}").write_bytes(b"what a killed command left")
    Log(tmp_path / CACHE).close()
    assert "Records ignored: 1." in capsys.readouterr().err
    assert (tmp_path / CACHE).read_bytes() == first + third
    answers, asked = ask_all(tmp_path, work)
    assert (answers, sorted(asked)) == (truth, [each.query_id for each in work[1]])
    assert capsys.readouterr().err == ""
    assert (tmp_path / CACHE).read_bytes().startswith(first + third)
    assert not (tmp_path / f".{CACHE}").exists()


def test_overwritten_pieces_lose_only_the_records_that_they_touch(tmp_path: Path) -> None:
    work = chunks(12, lists=10)
    truth, _ = ask_all(tmp_path, work)
    content = (tmp_path / CACHE).read_bytes()
    draw = random.Random(11)
    for number in range(60):
        changed = bytearray(content)
        at, size = draw.randrange(len(content)), draw.choice([8, 64, 4096])
        piece = changed[at : at + size]
        changed[at : at + size] = draw.choice([draw.randbytes(len(piece)), bytes(len(piece)), b"\n" * len(piece), b""])
        asked = damage(tmp_path / str(number), bytes(changed), work, truth)
        touched = [place for place in records(content) if place.start < at + size and at < place.stop]
        assert len(asked) <= 10 * len(touched), (number, at, size)


def test_records_in_another_order_or_twice_are_the_same_records(tmp_path: Path) -> None:
    work = chunks(4)
    truth, _ = ask_all(tmp_path, work)
    content = (tmp_path / CACHE).read_bytes()
    pieces = [content[place.start : place.stop] for place in records(content)]
    assert damage(tmp_path / "other", b"".join(pieces[::-1] + pieces[:2]), work, truth) == []


def test_a_record_under_another_records_key_is_damaged(tmp_path: Path) -> None:
    work = chunks(2)
    truth, _ = ask_all(tmp_path, work)
    content = (tmp_path / CACHE).read_bytes()
    first, second = (chunk_key(CARD, OPTIONS, chunk).encode() for chunk in work)
    assert content.count(first) == content.count(second) == 1
    swapped = content.replace(first, b"-").replace(second, first).replace(b"-", second)
    assert len(damage(tmp_path / "other", swapped, work, truth)) == 6


def test_a_file_of_another_kind_stays_as_it_is_at_the_beginning_of_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = chunks(2)
    truth, _ = ask_all(tmp_path, work)
    asked = damage(tmp_path / "other", b"not a score cache\n\xff\n" * 100, work, truth)
    assert len(asked) == 6
    assert "Records ignored: 200" in capsys.readouterr().err


def test_damage_while_a_command_runs_is_reported_and_scored_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = chunks(3)
    reranker = Made()
    with score_cache(tmp_path) as scores:
        truth = [list(answer(scores, reranker, chunk).answers) for chunk in work]
        with (tmp_path / CACHE).open("r+b") as stream:
            stream.seek(200)
            stream.write(b"?")
        for _ in range(2):
            assert [list(answer(scores, reranker, chunk).answers) for chunk in work] == truth
    assert len(reranker.asked) == 12
    assert capsys.readouterr().err.count("is damaged. The lists from query 'q0-0' on are scored again") == 1


@pytest.mark.parametrize("failure", ["write", "fsync"])
def test_a_chunk_that_cannot_be_written_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    work = chunks(3)
    truth, _ = ask_all(tmp_path, work[:1])
    content = (tmp_path / CACHE).read_bytes()
    with score_cache(tmp_path) as scores, monkeypatch.context() as patched:
        answer(scores, Made(), work[0])
        if failure == "fsync":
            patched.setattr(os, "fsync", Mock(side_effect=OSError(errno.EIO, "Input/output error")))
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        # Half of the record can be written, and then the rest cannot.
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(content) * (3 if failure == "fsync" else 1) + 100, limit[1]))
        try:
            with pytest.raises(BenchError, match=r"Cannot use .*: (Input|File too large).* 3 lists of this command"):
                answer(scores, Made(), work[1])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert (tmp_path / CACHE).read_bytes() == content
    answers, asked = ask_all(tmp_path, work)
    assert (answers[:1], len(asked)) == (truth, 6)


OTHER_KINDS: dict[str, Callable[[Path], object]] = {
    "a folder": Path.mkdir,
    "a named pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_what_is_no_file_in_the_files_place_is_refused(tmp_path: Path, kind: str) -> None:
    OTHER_KINDS[kind](tmp_path / CACHE)
    with pytest.raises(BenchError, match=r"scores\.cache is not a regular file\. Remove it"), score_cache(tmp_path):
        pass


def test_an_output_folder_that_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to("disk")
    truth = ask_all(tmp_path / "out", chunks(2))[0]
    assert ask_all(tmp_path / "disk", chunks(2)) == (truth, [])


def test_an_older_versions_cache_is_named_and_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = tmp_path / "scores.sqlite"
    old.write_text("old scores")
    assert len(ask_all(tmp_path, chunks(1))[1]) == 3
    assert old.read_text() == "old scores"
    said = capsys.readouterr().err
    assert (said.count("\n"), f"{old} is from an older version" in said) == (1, True)


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
    with refused, score_cache(tmp_path / "file" / "out"):
        pass


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
        with score_cache(tmp_path) as scores:
            results.append(evaluate(settled, Sleepy(), scorer(scores, Sleepy(), OPTIONS)))
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
