"""Whole commands with generative rerankers: against a real chat endpoint on loopback, and a tiny model of our own."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

import bench as package
from bench.cli import app
from bench.errors import BenchError
from bench.results import read_result, result_paths
from tests.bench.chat_server import ChatServer, reversing, said, sorting
from tests.bench.tiny_generators import write_model

DEPTH = 25
QUERIES = ("q1", "q2", "q3")


@pytest.fixture
def place(beir_folder, tmp_path):
    """Three queries over 25 documents in the order d0 to d24; d24 is right for all of them."""
    corpus = "\n".join(f"d{number} | | document {number} about tides" for number in range(DEPTH))
    queries = "\n".join(f"{query} | question {query}" for query in QUERIES)
    folder = beir_folder(corpus, queries, "\n".join(f"{query} d24 1" for query in QUERIES), name="tides")
    lines = [f"{query} Q0 d{n} {n + 1} {100 - n} made\n" for query in QUERIES for n in range(DEPTH)]
    (tmp_path / "run.trec").write_text("".join(lines))
    return folder, tmp_path / "run.trec"


@pytest.fixture
def bench(monkeypatch, tmp_path):
    """Run a command in this process, with the width of a terminal that shows everything; gives its answer."""
    for name in [name for name in os.environ if "proxy" in name.lower()]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        given = [str(each) for each in arguments]
        monkeypatch.setattr(sys, "argv", ["bench", *given])
        answer = CliRunner().invoke(app, given)
        if isinstance(answer.exception, BenchError):
            return 2, answer.stdout, f"{answer.stderr} {answer.exception}"
        assert answer.exception is None or isinstance(answer.exception, SystemExit), answer.exception
        return answer.exit_code, " ".join(answer.stdout.split()), answer.stderr

    return call


@pytest.fixture
def command(bench, place, tmp_path):
    """Run `folder` over the collection; gives the answer and the results by reranker."""
    folder, run = place

    def measure(*arguments):
        answer = bench("folder", folder, "--first-stage", run, "--output", tmp_path / "out", *arguments)
        paths = result_paths([tmp_path / "out"]) if any((tmp_path / "out").rglob("result.json")) else []
        return answer, {result.reranker.name: result for result in map(read_result, paths)}

    return measure


def number_of(text):
    return int(text.split()[1])


def test_a_right_answerer_from_the_command_line(command, bench, tmp_path):
    with ChatServer(sorting(lambda text: -number_of(text))).running() as server:
        name = f"chat:{server.url}#m"
        (status, shown, errors), results = command("-r", name, "-r", "first-stage", "--price", "1000:5000")
        assert status == 0, errors
        result = results[name]
        assert result.main == 1.0
        generation = result.generation
        assert (generation.calls, generation.answers, generation.failed) == (6, {"whole": 6}, 0)
        assert (generation.tokens_in, generation.tokens_out) == (600, 60)
        assert generation.money == pytest.approx(0.6 + 0.3)
        says = "6 windows answered (6 whole); 600 tokens in, 60 out, 0 of them thinking, 0.90 at the prices given"
        assert says in shown
        assert results["first-stage"].generation is None
        path = next(path for path in result_paths([tmp_path / "out"]) if "first-stage" in path.parent.name)
        assert "generation" not in json.loads(path.read_text())
        (status, _, _), again = command("-r", name)
        assert status == 0
        assert again[name].generation.answers == {"whole": 6}  # restored with its lists
        assert len(server.requests) == 6
    _, board, _ = bench("leaderboard", tmp_path / "out")
    assert "calls, tokens and answers of generative rerankers" in board
    bench("leaderboard", tmp_path / "out", "--format", "csv", "--output", tmp_path / "board.csv")
    rows = list(csv.DictReader((tmp_path / "board.csv").read_text().splitlines()))
    assert {(row["reranker"], row["calls"], row["queries_without_order"]) for row in rows} == {
        (name, "6", ""),
        ("first-stage", "", ""),
    }


def test_what_was_written_is_shown(command, bench, tmp_path):
    def answer(body):
        return said("I'm sorry.") if "question q2" in str(body) else reversing(body)

    with ChatServer(answer).running() as server:
        (_, shown, _), _ = command("-r", f"chat:{server.url}#m", "-r", "first-stage")
        assert "(4 whole, 2 refused)" in shown
    one, other = (
        next(path for path in result_paths([tmp_path / "out"]) if kind in path.parent.name)
        for kind in ("chat", "first-stage")
    )
    _, shown, _ = bench("compare", one, other, "--query", "q1")
    assert "A wrote: window 1 shows [1] d5 [2] d6" in shown
    assert "[20] > [19]" in shown
    assert "window 2 shows [1] d0 [2] d1" in shown
    assert "B wrote" not in shown
    assert "I'm sorry." in bench("compare", one, other, "--query", "q2")[1]


def test_a_query_without_an_order_counts_as_0_and_marks_the_figure(command, bench, place, tmp_path):
    right = sorting(lambda text: -number_of(text))

    def answer(body):
        return (400, {}, {"error": {"message": "no"}}) if "question q2" in str(body) else right(body)

    folder, run = place
    with ChatServer(answer).running() as server:
        name = f"chat:{server.url}#m"
        (status, _, errors), results = command("-r", name)
        assert status == 2
        assert "query 'q2'" in errors
        assert not results
        (status, shown, errors), results = command("-r", name, "--allow-failures")
        assert status == 0, errors
        # What was answered before the failure stopped the first command is not asked for again.
        asked = Counter(json.dumps(body["messages"]) for body, _, _ in server.requests)
        assert all(times == 1 for prompt, times in asked.items() if "question q2" not in prompt)
    result = results[name]
    assert result.main == pytest.approx(2 / 3)
    assert result.per_query == {"q1": 1.0, "q2": 0.0, "q3": 1.0}
    assert result.generation.failed == 1
    assert result.cost.lists == 2
    assert "≥66.67" in shown
    assert "1 of 3 queries got no order, since a call failed for good. They count as 0" in shown
    assert "≥66.67" in bench("leaderboard", tmp_path / "out")[1]
    assert (
        "queries of A without an order, which count as 0 since a call failed for good: 1."
        in bench("compare", tmp_path / "out", tmp_path / "out")[1]
    )
    assert (
        "queries without an order, which count as 0: 1."
        in bench("leaderboard", tmp_path / "out", "--format", "mteb")[2]
    )
    for more in (("--first-stage", run), ()):
        status, shown, _ = bench("verify", tmp_path / "out", "--data", f"folder/tides={folder}", *more)
        assert status == (0 if more else 2), shown
        assert "Different" not in shown


def test_a_dry_run_asks_nothing(command, tmp_path):
    def foreseen(*more):
        (status, shown, errors), results = command("-r", name, "--dry-run", *more)
        assert status == 0, errors
        assert "cached: lists whose scores are in the score cache." in shown
        return re.search(
            r"folder/tides chat:\S+ (\S+) (\S+) (\S+) (–|\d+ s) (\S+) (\S+) (\S+) (\S+) ", shown
        ).groups(), results

    with ChatServer(reversing).running() as server:
        name = f"chat:{server.url}#m"
        (lists, documents, kept, about, calls, tokens_in, tokens_out, money), results = foreseen("--price", "1:2")
        assert not results
        assert not server.requests
        assert not (tmp_path / "out").exists()
        assert (lists, documents, kept, about, calls) == ("3", "75", "0", "–", "6")
        # Two windows of 20 and 15 documents of four words each for three queries, and what surrounds them.
        read = int(tokens_in.replace(",", ""))
        assert 3 * 1.4 * 4 * 35 < read < 3 * 1.4 * 4 * 35 * 4
        assert tokens_out == f"{3 * 5 * 35}"
        assert money == f"{(read + 2 * 525) / 10**6:,.2f}"
        command("-r", name)
        (lists, _, kept, about, calls, tokens_in, tokens_out, money), _ = foreseen()
        assert (lists, kept, about, calls, tokens_in, tokens_out, money) == ("3", "3", "0 s", "0", "0", "0", "–")
        assert len(server.requests) == 6
        assert foreseen("--latency")[0][4] == "6"
        assert foreseen("--overwrite")[0][2:5] == ("0", "–", "6")


def test_latency_asks_again_and_changes_no_figure(command):
    with ChatServer(reversing).running() as server:
        name = f"chat:{server.url}#m"
        before = command("-r", name)[1][name]
        (status, shown, errors), results = command("-r", name, "--latency")
        assert status == 0, errors
        # All three lists of two windows, whose answers and scores are cached.
        assert len(server.requests) == 12
        assert f"{name}: 6 calls for --latency, which the result does not count." in errors
    after = results[name]
    assert 0 < after.cost.latency.p50 <= after.cost.latency.p95
    assert after.cost.latency.lists == 2
    assert f"Lists timed: {name} 2." in shown
    unmeasured = replace(after, cost=before.cost, provenance=before.provenance)
    assert unmeasured == before


def test_options_without_effect_are_refused(command):
    for option in (("--allow-failures",), ("--price", "1:2")):
        (status, _, errors), _ = command("-r", "first-stage", *option)
        assert status == 2
        assert "has no effect: none of the rerankers is generative" in errors
    (status, _, errors), _ = command("-r", "chat:http://127.0.0.1:9/v1#m", "--price", "cheap")
    assert status == 2
    assert "is no price" in errors


def test_a_paid_call_is_never_paid_twice(place, tmp_path):
    """The server kills the command before it answers a call: all answers given until then are on the disk."""
    folder, run = place
    command = [sys.executable, "-m", "bench", "folder", str(folder), "--first-stage", str(run), "--queries", "1"]
    command += ["--output", str(tmp_path / "out")]
    environment = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    environment["PYTHONPATH"] = str(Path(package.__file__).parents[1])
    answered, process = [], []
    started = threading.Event()

    def answer(body):
        started.wait(60)
        if len(answered) == 5 and len(process) == 1:
            os.kill(process[0].pid, signal.SIGKILL)
            process[0].wait()
            return said("")
        answered.append(json.dumps(body["messages"]))
        return reversing(body)

    with ChatServer(answer).running() as server:
        command += ["-r", f"chat:{server.url}#m#sliding,window=4,stride=2"]
        process.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))
        started.set()
        assert process[0].wait(120) == -signal.SIGKILL
        assert len(answered) == 5
        process.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        output, errors = process[1].communicate(timeout=120)
        assert process[1].returncode == 0, errors
        assert len(answered) == len(set(answered)) == 12  # 25 documents in windows of 4, a stride of 2
        assert b"12 windows answered" in output
    result = next(map(read_result, result_paths([tmp_path / "out"])))
    assert (result.generation.calls, result.generation.restored) == (12, 5)


def test_a_tiny_model_from_the_command_line(command, tmp_path):
    folder = write_model(tmp_path / "model", "llama")
    names = (f"generative:{folder}#first,window=10,stride=5", f"fusion:generative:{folder}#whole")
    (status, _, errors), results = command("-r", names[0], "-r", names[1], "--queries", "2")
    assert status == 0, errors
    first = results["generative:model#first,window=10,stride=5"].generation
    assert (first.calls, first.answers) == (8, {"whole": 8})
    assert results["fusion:generative:model#whole"].generation.calls == 2
