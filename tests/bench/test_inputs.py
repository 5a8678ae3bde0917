"""Inputs as users give them, through the command line: pipes, other corpora, other names, folders of their own."""

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.results import read_result, result_paths

Call = Callable[..., "subprocess.CompletedProcess[str]"]
BeirFolder = Callable[..., Path]

QUERIES = 120
RUN = "".join(f"q{number} Q0 d{number} 1 1.5 mine\n" for number in range(QUERIES))
"""Longer than the 4,096 bytes that a reader's buffer takes at once; every query's document is first."""


@pytest.fixture
def folder(beir_folder: BeirFolder) -> Path:
    """Queries and documents that share no word, so that the figure is the run's alone."""
    numbers = range(QUERIES)
    return beir_folder(
        "\n".join(f"d{number} | | text {number}" for number in numbers),
        "\n".join(f"q{number} | question" for number in numbers),
        "\n".join(f"q{number} d{number} 1" for number in numbers),
    )


@pytest.fixture
def shell(environment: dict[str, str], tmp_path: Path) -> Call:
    """Run a line of bash in which ``bench`` is the command."""

    def call(line: str) -> "subprocess.CompletedProcess[str]":
        script = f'bench() {{ "{sys.executable}" -m bench "$@"; }}; {line}'
        return subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", timeout=60
        )

    return call


def figures(output: Path) -> list[float]:
    return [read_result(path).main for path in result_paths([output])]


@pytest.mark.parametrize(
    "line",
    [
        "cat run.trec | bench folder small --first-stage /dev/stdin",
        "bench folder small --first-stage <(cat run.trec)",
        "bench folder small --first-stage <(gzip -c run.trec)",
        "mkfifo pipe; cat run.trec > pipe & bench folder small --first-stage pipe",
    ],
)
def test_a_run_may_come_through_a_pipe(shell: Call, folder: Path, tmp_path: Path, line: str):
    (tmp_path / "run.trec").write_text(RUN)
    answer = shell(f"{line} -r first-stage --output out")
    assert answer.returncode == 0, answer.stderr
    assert figures(tmp_path / "out") == [1]


def test_a_pipe_serves_several_tasks_and_a_verification(shell: Call, folder: Path, tmp_path: Path):
    (tmp_path / "run.trec").write_text(RUN)
    answer = shell("cp -r small other; cat run.trec | bench folder small other -r oracle --first-stage /dev/stdin")
    assert answer.returncode == 0, answer.stderr
    assert figures(tmp_path / "out") == [1, 1]
    answer = shell("bench verify out --first-stage <(cat run.trec)")
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("closed", ["<&-", "<&- >&-", "<&- >&- 2>&-"])
def test_a_closed_standard_stream_is_no_other_file(shell: Call, folder: Path, closed: str):
    answer = shell(f"bench folder small --first-stage /dev/stdin {closed}")
    assert answer.returncode == 2
    if "2>&-" not in closed:
        assert "Error: /dev/stdin: the run is empty" in answer.stderr


@pytest.mark.parametrize("number", range(3, 10))
def test_a_descriptor_that_was_not_given_is_named(shell: Call, folder: Path, number: int):
    answer = shell(f"bench folder small --first-stage /dev/fd/{number}")
    assert answer.returncode == 2
    assert f"Cannot read /dev/fd/{number}: no such file" in answer.stderr


def test_notes_about_data_are_given_once_a_command(bench: Call, beir_folder: BeirFolder):
    folder = beir_folder("d1 | | sea\n d2 | | land", "q1 | sea\n q2 | zebra", "q1 d1 1\n q1 gone 1\n q2 d2 1")
    for command in (["folder", folder, "-r", "first-stage", "-r", "oracle"], ["verify", "out"]):
        answer = bench(*command)
        assert answer.returncode == 0, answer.stderr
        assert answer.stderr.count("1 of 3 judged documents are not in the corpus") == 1
        assert "the first being 'gone'" in answer.stderr
    answer = bench("folder", folder, "-r", "first-stage")
    assert answer.stderr.count("1 of 2 judged queries have no candidates and count as 0.") == 1


def test_a_folder_in_another_language_is_refused_and_measured_with_its_analysis(
    bench: Call, refused: Callable[..., str], beir_folder: BeirFolder, tmp_path: Path
):
    folder = beir_folder("d1 | | 東京は日本の首都である。\n d2 | | 京都", "q1 | 日本の首都はどこ", "q1 d1 1", name="ja")
    message = refused("folder", folder, "-r", "first-stage")
    assert "for any of the 1 judged queries by its english analysis" in message
    assert "--analysis" in message
    assert bench("folder", folder, "-r", "first-stage", "--analysis", "japanese").returncode == 0
    assert figures(tmp_path / "here" / "out") == [1]


@pytest.mark.realdata
def test_a_bundled_run_is_not_used_for_other_texts(copied_task: Path, bench: Call, tmp_path: Path):
    answer = bench("beir", "scifact", "-r", "first-stage", "--data", copied_task)
    assert answer.returncode == 0, answer.stderr
    assert "beir/scifact: the bundled run was made from other texts" in answer.stderr
    assert "300 of 300 judged queries have no candidates" in answer.stderr
    assert figures(tmp_path / "here" / "out") == [0]


@pytest.fixture
def copied_task(shared_data: Path, tmp_path: Path) -> Path:
    """SciFact's queries and judgements over its documents' ids, with other texts."""
    source, target = shared_data / "beir" / "scifact", tmp_path / "data" / "scifact"
    (target / "qrels").mkdir(parents=True)
    for name in ("queries.jsonl.gz", "qrels/test.tsv"):
        (target / name).write_bytes((source / name).read_bytes())
    rows = map(json.loads, gzip.decompress((source / "corpus.jsonl.gz").read_bytes()).splitlines())
    (target / "corpus.jsonl").write_text(
        "".join(json.dumps({"_id": row["_id"], "text": "qqqq"}) + "\n" for row in rows)
    )
    return target.parent


def test_a_querys_own_document_can_be_left_out_of_a_folder(bench: Call, beir_folder: BeirFolder, tmp_path: Path):
    folder = beir_folder("a | | sea sea\n b | | sea salt", "a | sea", "a b 1")
    for arguments, output in (([], "kept"), (["--drop-identical-ids"], "dropped")):
        assert bench("folder", folder, "-r", "first-stage", *arguments, "--output", output).returncode == 0
    here = tmp_path / "here"
    # Itself first, its document second (1/log2(3)); without itself, first.
    assert figures(here / "kept") == [pytest.approx(0.6309297536)]
    assert figures(here / "dropped") == [1]
    assert bench("verify", "dropped").returncode == 0


def test_sensitivity_takes_a_folder_of_the_users(bench: Call, beir_folder: BeirFolder, tmp_path: Path):
    folder = beir_folder("d1 | | running far\n d2 | | runs", "q1 | runs", "q1 d1 1", split="dev")
    options = ["--split", "dev", "--analysis", "english", "--drop-identical-ids", "--orders", "2"]
    answer = bench("sensitivity", folder, "-r", "first-stage", *options)
    assert answer.returncode == 0, answer.stderr
    (path,) = (tmp_path / "here" / "out" / "folder" / "small").rglob("sensitivity-*.json")
    protocol = json.loads(path.read_text())["protocol"]
    assert (protocol["task"], protocol["split"], protocol["identical_ids"]) == ("folder/small", "dev", "dropped")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["beir", "claims", "--embedded", "--data", "."], "--data and --source do not fit it"),
        (["miracl", "--embedded", "--source", "mteb"], "--data and --source do not fit it"),
        (["sensitivity", "beir/embedded-claims", "-r", "oracle", "--data", "."], "--data and --source do not fit it"),
        (["sensitivity", "beir/embedded-claims", "-r", "oracle", "--split", "dev"], "so that --split does not fit it"),
        (["sensitivity", "x" * 300, "-r", "oracle"], "File name too long"),
        (["folder", "x" * 300], "File name too long"),
        (["beir", "scifact", "--data", "x" * 300, "-r", "oracle"], "File name too long"),
        (["mkqa", "ja", "--data", "x" * 300, "-r", "oracle"], "File name too long"),
        (["beir", "claims", "--embedded", "--first-stage", "x" * 300], "File name too long"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_what_does_not_fit_is_refused(refused: Callable[..., str], arguments: list[str], part: str):
    assert part in refused(*arguments)


def test_a_folder_may_be_called_like_a_result(bench: Call, beir_folder: BeirFolder):
    folder = beir_folder("d1 | | sea", "q1 | sea", "q1 d1 1", name="result.json")
    assert bench("folder", folder, "-r", "first-stage").returncode == 0
    answer = bench("verify", "out")
    assert (answer.returncode, answer.stderr) == (0, "")


FEW_FILES = """
import resource, sys
from pathlib import Path
from bench.evaluation.plan import Plan, run
from bench.suites.folder import folder_tasks
from tests.bench.evaluation.test_plan import Steps

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
folders = sorted(Path(sys.argv[1]).iterdir())
print(len(run(Plan(folder_tasks(folders, "test"), ["first-stage"], Path("out")), Steps())))
"""


def test_more_tasks_than_files_may_be_open(environment: dict[str, str], beir_folder: BeirFolder, tmp_path: Path):
    for number in range(80):
        beir_folder("d1 | | sea", "q1 | sea", "q1 d1 1", name=f"many/{number}")
    command = [sys.executable, "-c", FEW_FILES, str(tmp_path / "many")]
    answer = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert (answer.returncode, answer.stdout) == (0, "80\n"), answer.stderr


def test_a_pipe_that_serves_only_one_language_is_refused(refused: Callable[..., str], tmp_path: Path):
    os.mkfifo(tmp_path / "mkqa.jsonl")
    assert "mkqa.jsonl is not a regular file" in refused("mkqa", "ja", "de", "--data", tmp_path, "-r", "oracle")


def test_a_corpus_may_be_a_pipe(bench: Call, folder: Path, tmp_path: Path):
    path = folder / "corpus.jsonl"
    content = path.read_bytes().replace(b'"text 7"', b'"question"')
    path.unlink()
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(content,), daemon=True)
    writer.start()
    answer = bench("folder", folder, "-r", "first-stage", "--queries", "3")
    assert answer.returncode == 0, answer.stderr


def test_another_split_and_measure_are_measured_and_verified(bench: Call, beir_folder: BeirFolder, tmp_path: Path):
    corpus = "d1 | | sea\n d2 | | sea land"
    beir_folder(corpus, "q1 | sea\n q2 | land", "q1 d2 2\n q1 d1 1\n q2 d2 1", name="data/nfcorpus", split="dev")
    options = ["--data", tmp_path / "data", "-r", "first-stage", "--measure", "RR(rel=2)@10", "--measure", "nDCG@5"]
    answer = bench("beir", "nfcorpus", "--split", "dev", *options)
    assert answer.returncode == 0, answer.stderr
    (path,) = result_paths([tmp_path / "here" / "out"])
    found = read_result(path)
    assert (found.task, found.protocol.split, found.protocol.measure) == ("beir/nfcorpus@dev", "dev", "MRR(rel=2)@10")
    # d1, the shorter document, comes first for q1, whose only document of grade 2 is d2; q2 has none of grade 2.
    assert found.per_query == {"q1": 0.5, "q2": 0.0}
    assert {"nDCG@5", "nDCG@10", "MRR@10"} <= found.measures.keys()
    answer = bench("verify", "out", "--data", tmp_path / "data")
    assert (answer.returncode, answer.stdout.strip()) == (0, "1 of 1 results verified."), answer.stderr
    # The paper's nfcorpus is the test split: nothing published is shown with this one.
    answer = bench("leaderboard", "out")
    assert "nfcorpus@dev" in answer.stdout
    assert "pyserini" not in answer.stdout
