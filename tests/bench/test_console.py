"""Nothing from outside acts on the terminal, whatever a command prints and wherever."""

import fcntl
import io
import json
import logging
import os
import re
import shutil
import struct
import subprocess
import sys
import termios
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bench import cli, console
from bench.escape import shell_word, terminal

STORED = Path(__file__).parents[2] / "results" / "embedded"
EVIL = "a\x1b]0;title\x07\x9b31m\u202eb\x7f"
"""A window's title, red, writing from right to left; as an argument, a file's name, a reranker's, a task's."""
ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

BeirFolder = Callable[..., Path]


def test_lines(capsys: pytest.CaptureFixture[str]) -> None:
    console.note(f"to err {EVIL}\nmore")
    console.say(f"to out [red]{EVIL}\nmore " + "x" * 300)
    console.note_lines("one\n\x1b[2Jtwo\n")
    shown = capsys.readouterr()
    assert shown.err == f"to err {terminal(EVIL)} more\none\n\\x1b[2Jtwo\n"
    assert shown.out == f"to out [red]{terminal(EVIL)} more {'x' * 300}\n"


@pytest.mark.parametrize("url", ["http://me:{}@host/x", "HTTPS://{}@host", "http:/me:{}@host", "dense:ftp://a:{}@h"])
def test_a_login_in_a_url_is_not_printed(capsys: pytest.CaptureFixture[str], url: str) -> None:
    console.note(f"Cannot read {url.format('s3cret')}: no such file; ask me@host.")
    printed = capsys.readouterr().err
    assert "s3cret" not in printed
    assert "***@h" in printed
    assert "me@host." in printed


def test_log_records_and_warnings(tmp_path: Path) -> None:
    script = (
        "import logging, warnings; from bench.console import log_to_stderr; log_to_stderr()\n"
        f"evil = {EVIL!r}\n"
        "logging.getLogger('some.library').warning('%s is damaged\\n', evil)\n"
        "warnings.warn(evil)\n"
        "try: 1 / 0\n"
        "except ZeroDivisionError: logging.getLogger('x').exception(evil)\n"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", timeout=60)
    assert not ACTS.search(answer.stderr)
    assert answer.stderr.startswith(f"{terminal(EVIL)} is damaged \n")
    assert f"UserWarning: {terminal(EVIL)}" in answer.stderr
    assert "ZeroDivisionError: division by zero" in answer.stderr


@pytest.mark.parametrize(
    "name", ["plain", "two words", EVIL, "it's", "back\\slash\x1b'", "\udcff\x01", "new\nline", "\u200d", ""]
)
def test_a_shell_reads_what_is_shown(name: str) -> None:
    word = shell_word(name)
    assert terminal(word) == word
    read = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, timeout=10).stdout
    assert os.fsdecode(read) == name


@given(st.text())
def test_words_for_a_shell_do_not_act(text: str) -> None:
    assert terminal(shell_word(text)) == shell_word(text)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results, collections and files whose names and contents act on a terminal."""
    place = tmp_path_factory.mktemp("evil")
    for name in ("one", "two"):
        shutil.copytree(STORED, place / EVIL / name)
        for path in (place / EVIL / name).rglob("result.json"):
            content = json.loads(path.read_text(encoding="utf-8"))
            content["reranker"]["name"] += EVIL
            content["reranker"]["model"] += EVIL
            path.write_text(json.dumps(content), encoding="utf-8")
    (place / "damaged" / EVIL).mkdir(parents=True)
    (place / "damaged" / EVIL / "result.json").write_text('{"\x1b[2J": 1}')
    (place / f"{EVIL}.trec").write_text("q1 Q0 \x1b[2J 1 not-a-number mine\n")
    (place / "own.py").write_text(OWN)
    data = place / f"data{EVIL}"
    (data / "qrels").mkdir(parents=True)
    (data / "corpus.jsonl").write_text(json.dumps({"_id": f"d{EVIL}", "text": f"sea {EVIL}"}) + "\n")
    (data / "queries.jsonl").write_text(json.dumps({"_id": f"q{EVIL}", "text": f"sea {EVIL}"}) + "\n")
    (data / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\nq{EVIL}\td{EVIL}\t1\n")
    return place


OWN = f"""
import logging
from bench.errors import BenchError
from bench.rerankers.base import Card, Scored

class Named:
    card = Card(name={"own" + EVIL!r}, fingerprint="f", family="own")
    def score(self, lists):
        logging.getLogger("own").warning({EVIL!r})
        for each in lists:
            yield Scored(each.query_id, tuple(1.0 for _ in each.ids))

class Failing(Named):
    def score(self, lists):
        raise BenchError({EVIL!r})
"""

COMMANDS: list[list[str]] = [
    [EVIL],
    ["tasks", EVIL],
    ["tasks", f"--{EVIL}"],
    ["folder", EVIL],
    ["folder", f"data{EVIL}", "-r", "oracle", "--output", f"out{EVIL}"],
    ["folder", f"data{EVIL}", "-r", "own:Named", "--output", f"out{EVIL}"],
    ["folder", f"data{EVIL}", "-r", "own:Failing"],
    ["folder", f"data{EVIL}", "-r", EVIL],
    ["folder", f"data{EVIL}", "-r", f"core:{EVIL}"],
    ["folder", f"data{EVIL}", "-r", f"http://{EVIL}/"],
    ["folder", f"data{EVIL}", "-r", f"own:{EVIL}"],
    ["folder", f"data{EVIL}", "-r", "oracle", "--first-stage", EVIL],
    ["folder", f"data{EVIL}", "-r", "oracle", "--first-stage", f"{EVIL}.trec"],
    ["folder", f"data{EVIL}", "-r", "oracle", "--split", EVIL],
    ["folder", f"data{EVIL}", "-r", "oracle", "--analysis", EVIL],
    ["folder", f"data{EVIL}", "-r", "oracle", "--depth", EVIL],
    ["folder", f"data{EVIL}", "-r", "oracle", "--http-option", EVIL],
    ["beir", EVIL],
    ["beir", "scifact", "--source", EVIL],
    ["beir", "scifact", "--data", EVIL, "-r", "oracle"],
    ["sensitivity", EVIL, "-r", "oracle"],
    ["leaderboard", EVIL, "--format", "text"],
    ["leaderboard", f"{EVIL}/one"],
    ["leaderboard", f"{EVIL}/one", "--format", "markdown"],
    ["leaderboard", f"{EVIL}/one", "--format", "latex"],
    ["leaderboard", f"{EVIL}/one", "--format", "html"],
    ["leaderboard", f"{EVIL}/one", "--format", EVIL],
    ["leaderboard", f"{EVIL}/one", "--format", "mteb", "--output", f"mteb{EVIL}"],
    ["leaderboard", f"{EVIL}/one", "--first-stage", EVIL],
    ["leaderboard", "damaged"],
    ["reproduce", EVIL],
    ["reproduce", "paper", f"{EVIL}/one"],
    ["compare", EVIL, f"{EVIL}/one"],
    ["compare", f"{EVIL}/one", f"{EVIL}/two", "--query", EVIL],
    ["gate", "--baseline", f"{EVIL}/one", "--candidate", f"{EVIL}/two"],
    ["gate", "--baseline", f"{EVIL}/one", "--candidate", "damaged"],
    ["gate", "--baseline", f"{EVIL}/one", "--candidate", f"{EVIL}/two", "--format", "html"],
    ["compare", f"{EVIL}/one", f"{EVIL}/two", "--format", "markdown"],
    ["verify", "damaged", "--format", "latex"],
    ["verify", f"{EVIL}/one", "--data", EVIL],
    ["verify", "damaged"],
    ["runs", "build", EVIL],
    ["runs", "check", EVIL],
    ["sources", EVIL],
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: terminal(" ".join(arguments))[:60])
def test_no_command_prints_what_acts(
    place: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setenv("RERANK_BENCH_CACHE", str(place / "cache"))
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    monkeypatch.delitem(sys.modules, "own", raising=False)
    root = logging.getLogger()
    handlers = root.handlers[:]
    root.handlers.clear()
    shown_before = warnings.showwarning
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main()
    finally:
        root.handlers[:] = handlers
        logging.captureWarnings(False)
        warnings.showwarning = shown_before
    shown = capsys.readouterr()
    assert ended.value.code in (0, 1, 2)
    assert "Traceback" not in shown.err
    assert shown.out + shown.err
    assert not ACTS.search(shown.err), shown.err
    assert not ACTS.search(shown.out), shown.out


def test_paths_that_are_printed_can_be_used(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    for output in ("mteb plain", f"mteb{EVIL}"):
        monkeypatch.setattr(
            sys, "argv", ["bench", "leaderboard", f"{EVIL}/one", "--format", "mteb", "--output", output]
        )
        with pytest.raises(SystemExit):
            cli.main()
        lines = capsys.readouterr().out.splitlines()
        assert lines
        for line in lines:
            path = line if output == "mteb plain" else os.fsdecode(_read_by_bash(line))
            assert Path(path).is_file()


def _read_by_bash(word: str) -> bytes:
    return subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, timeout=10).stdout


def screen(written: str) -> list[str]:
    """What a terminal shows in the end: of rich's codes those that go up a line and empty it."""
    lines, row, column = [""], 0, 0
    for code, text in re.findall(r"(\x1b\[[0-9;?]*[A-Za-z]|\r|\n)|([^\x1b\r\n]+)", written):
        if text:
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
            column += len(text)
        elif code == "\r":
            column = 0
        elif code == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif code.endswith("A"):
            row -= int(code[2:-1])
        elif code.endswith("K"):
            lines[row] = ""
    return [line.rstrip() for line in lines if line.strip()]


def test_a_note_leaves_no_bar_on_the_screen() -> None:
    written = io.StringIO()
    bar = console.Bar(Console(file=written, force_terminal=True, width=80, color_system=None))
    for number in range(2):
        with bar.step("reading", 2) as advance:
            advance(1)
            console.note(f"Note {number}: " + "x" * 100)
    assert [line[:8] for line in screen(written.getvalue())] == ["Note 0: ", "Note 1: "]


LOGS = """
import logging, subprocess, sys
from bench.console import Bar, log_to_stderr
log_to_stderr()
worker = "import logging; from bench import console; console.log_to_stderr(of_worker=True); logging.warning('b' * 90)"
with Bar().step("reading", 2) as advance:
    advance(1)
    logging.warning("a" * 90)
    subprocess.run([sys.executable, "-c", worker], check=True)
    advance(1)
logging.warning("c" * 90)
"""


def test_a_log_record_leaves_no_bar_on_the_screen() -> None:
    terminal_end, its_end = os.openpty()
    fcntl.ioctl(its_end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"TERM": "xterm"}
    process = subprocess.Popen([sys.executable, "-c", LOGS], stdin=its_end, stderr=its_end, env=environment)
    os.close(its_end)
    written = bytearray()
    with suppress(OSError):  # at the end
        while part := os.read(terminal_end, 65536):
            written += part
    os.close(terminal_end)
    assert process.wait() == 0
    assert "reading" in written.decode()
    assert screen(written.decode()) == ["a" * 90, "b" * 90, "c" * 90]
