"""Scores of another command, in real commands: used only where they are known to be the same model's, and told."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

HELPER = "def points(text): return float(len(text))\n"
MINE = """
from bench.rerankers.base import Scored
from helper import points
class Mine:
    def score(self, lists):
        for each in lists:
            with open("asked", "a") as log:
                log.write(each.query_id + "\\n")
            yield Scored(each.query_id, tuple(map(points, each.texts)))
class Vouched(Mine):
    def fingerprint(self):
        return open("weights").read()
"""
Command = Callable[..., str]


@pytest.fixture
def place(tmp_path: Path, beir_folder: Callable[..., Path]) -> Path:
    """Two queries whose relevant document is the longer of two: nDCG is 1 by length, else 1/log2(3) = 0.6309."""
    beir_folder(
        """
        a | | sea
        b | | the sea and more of it
        """,
        """
        q1 | sea
        q2 | the sea
        """,
        """
        q1 b 1
        q2 b 1
        """,
        name="data",
    )
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "helper.py").write_text(HELPER)
    (tmp_path / "weights").write_text("1")
    return tmp_path


@pytest.fixture
def command(place: Path, environment: dict[str, str]) -> Command:
    """Measure with some arguments; gives what was printed."""

    def call(*arguments: str, status: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "bench", "folder", "data", *arguments],
            cwd=place, env=environment | {"no_proxy": "127.0.0.1"}, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == status, done.stderr
        return done.stdout + done.stderr

    return call


def figure(printed: str) -> str:
    found = re.search(r"^\S+ +([0-9]+\.[0-9]{2}) ", printed, re.MULTILINE)  # the only reranker's row
    assert found, printed
    return found[1]


def asked(place: Path) -> int:
    return (place / "asked").read_text().count("\n")


def test_a_class_whose_helper_was_edited_is_measured_anew(place: Path, command: Command) -> None:
    assert figure(command("-r", "mine:Mine")) == "100.00"
    (place / "helper.py").write_text(HELPER.replace("float", "-float"))
    assert figure(command("-r", "mine:Mine")) == "63.09"
    assert asked(place) == 4
    for _ in range(2):
        assert "score cache" not in command("-r", "fusion:mine:Mine")
    assert asked(place) == 8


def test_a_class_without_a_fingerprint_is_asked_again_and_with_one_it_is_not(place: Path, command: Command) -> None:
    for _ in range(2):
        assert "score cache" not in command("-r", "mine:Mine")
    assert asked(place) == 4
    assert "score cache" not in command("-r", "mine:Vouched")
    assert "mine:Vouched: 2 of 2 lists from the score cache in out/scores.cache" in command("-r", "mine:Vouched")
    assert asked(place) == 6
    (place / "helper.py").write_text(HELPER.replace("float", "-float"))
    assert figure(command("-r", "mine:Vouched")) == "63.09"
    (place / "weights").write_text("2")
    assert "score cache" not in command("-r", "mine:Vouched")
    assert asked(place) == 10


def test_a_cache_id_is_the_users_word(place: Path, command: Command) -> None:
    assert figure(command("-r", "mine:Mine", "--cache-id", "A")) == "100.00"
    (place / "weights").write_text("what the class cannot say")
    for _ in range(2):
        assert "mine:Mine: 2 of 2 lists from the score cache" in command("-r", "mine:Mine", "--cache-id", "A")
    assert "score cache" not in command("-r", "mine:Mine", "--cache-id", "B")
    assert "score cache" not in command("-r", "mine:Mine")
    # The class's source counts in spite of the user's word.
    (place / "helper.py").write_text(HELPER.replace("float", "-float"))
    assert figure(command("-r", "mine:Mine", "--cache-id", "A")) == "63.09"


@contextmanager
def server(sign: int, port: int = 0) -> Iterator[ThreadingHTTPServer]:
    """A reranking server that scores by length; ``calls`` counts what it was asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            serving.calls += 1  # type: ignore[attr-defined]
            rows = [
                {"index": index, "relevance_score": sign * len(text)} for index, text in enumerate(body["documents"])
            ]
            content = json.dumps({"results": rows}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            pass

    serving = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    serving.calls = 0  # type: ignore[attr-defined]
    thread = threading.Thread(target=serving.serve_forever)
    thread.start()
    try:
        yield serving
    finally:
        serving.shutdown()
        thread.join()
        serving.server_close()


def test_another_model_behind_one_url_is_measured_anew(command: Command) -> None:
    with server(1) as first:
        port = first.server_port
        url = f"http://127.0.0.1:{port}/rerank"
        printed = command("-r", url, "-r", f"fusion:http:{url}")
        # Within one command, a fusion takes the scores of what it fuses.
        assert first.calls == 2  # type: ignore[attr-defined]
        assert f"fusion:http:{url}: 2 of 2 lists from the score cache of this command" in printed
        assert figure(printed) == "100.00"
    with server(-1, port):
        assert figure(command("-r", url)) == "63.09"
        assert figure(command("-r", url, "--cache-id", "B")) == "63.09"
    assert figure(command("-r", url, "--cache-id", "B")) == "63.09"


@pytest.mark.parametrize("option", ["--depth", "--queries", "--max-query-length", "--max-doc-length", "--seed"])
@pytest.mark.parametrize("value", [str(2**63), str(2**31), "1" + "0" * 400])
def test_numbers_that_no_result_could_hold_are_refused(command: Command, option: str, value: str) -> None:
    printed = command("-r", "random", option, value, status=2)
    assert "Traceback" not in printed
    assert option in printed


@pytest.mark.parametrize("mode", [0o000, 0o500])
def test_an_output_folder_without_rights_is_refused(
    place: Path, environment: dict[str, str], without_override: list[str], mode: int
) -> None:
    out = place / "out"
    (out / "folder").mkdir(parents=True)
    for folder in (out, out / "folder"):
        folder.chmod(mode)
        done = subprocess.run(
            [*without_override, sys.executable, "-m", "bench", "folder", "data", "-r", "random"],
            cwd=place, env=environment, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        folder.chmod(0o700)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        assert re.search(r"Error: .*(Cannot write .*: Permission denied\. Choose another|is not readable)", done.stderr)
