"""Any data set of ir_datasets: what its source states is what is measured."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.results import read_result, result_paths
from bench.suites import by_ids, find
from bench.suites.irds import irds_tasks

DOCUMENTS = [
    {"_id": "d1", "title": "Tides", "text": "The moon pulls the sea.", "metadata": {}},
    {"_id": "d2", "title": "", "text": "Onions make eyes water, as the sea does.", "metadata": {}},
]
QUERIES = [{"_id": "q1", "text": "sea tides", "metadata": {}}, {"_id": "q2", "text": "onions", "metadata": {}}]
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td2\t1\n"


@pytest.mark.parametrize(
    ("name", "measure", "extra"),
    [
        ("msmarco-passage/trec-dl-2019/judged", "nDCG@10", ("MRR(rel=2)", "MAP(rel=2)")),
        ("irds/lotte/lifestyle/test/search", "Success@5", ()),
        ("msmarco-passage/dev/small", "MRR@10", ()),
        ("vaswani", "nDCG@10", ()),
        ("cranfield", "nDCG@10", ()),
    ],
)
def test_the_measures_are_the_sources(
    name: str, measure: str, extra: tuple[str, ...], capsys: pytest.CaptureFixture[str]
):
    (task,) = irds_tasks([name])
    assert task.id == f"irds/{name.removeprefix('irds/')}"
    assert (task.measure, task.extra_measures, task.analysis) == (measure, extra, "english")
    assert not task.drop_identical_ids  # no rule of BEIR's
    stated = name not in ("vaswani", "cranfield")
    assert ("states no measure that is known here" not in capsys.readouterr().err) == stated


def test_the_analysis_is_that_of_the_language(capsys: pytest.CaptureFixture[str]):
    german, english, unknown = irds_tasks(["mmarco/v2/de/dev", "wikir/en1k/test", "mmarco/v2/vi/dev"])
    assert german.analysis == "german"
    assert english.analysis == "english"
    assert unknown.analysis == "whitespace"
    assert "the documents' language, 'vi', has no analysis" in capsys.readouterr().err
    (named,) = irds_tasks(["mmarco/v2/vi/dev"], "code")
    assert named.analysis == "code"


def test_deep_learning_is_declared_as_the_source_has_it():
    import ir_datasets

    for year in (2019, 2020):
        (task,) = irds_tasks([f"trec-dl-{year}"])
        assert find(f"irds/trec-dl-{year}") == task
        assert by_ids([f"irds/trec-dl-{year}"]) == [task]
        (source,) = irds_tasks([task.source_id])
        assert (task.measure, task.extra_measures) == (source.measure, source.extra_measures)
        about = ir_datasets.load(task.source_id).metadata()
        counts = task.counts.documents, task.counts.queries, task.counts.judgements
        assert counts == tuple(about[part]["count"] for part in ("docs", "queries", "qrels"))


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("vaswanni", ["ir_datasets has no 'vaswanni'", "Did you mean vaswani"]),
        ("zzz", ["ir_datasets has no 'zzz'", "https://ir-datasets.com"]),
        ("msmarco-passage", ["has no queries and no judgements", "msmarco-passage/test"]),
    ],
)
def test_what_cannot_be_measured_is_named(name: str, parts: list[str]):
    with pytest.raises(BenchError) as caught:
        irds_tasks([name])
    assert [part for part in parts if part not in str(caught.value)] == []


def test_a_data_set_is_measured_and_verified_offline(
    bench: Callable[..., object], environment: dict[str, str], tmp_path: Path
):
    path = Path(environment["IR_DATASETS_HOME"]) / "beir" / "scifact" / "source.zip"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as packed:
        for name, rows in (("corpus", DOCUMENTS), ("queries", QUERIES)):
            packed.writestr(f"scifact/{name}.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        packed.writestr("scifact/qrels/test.tsv", QRELS)
    answer = bench("irds", "beir/scifact/test", "-r", "first-stage", "--dry-run")
    assert "Dry run" in answer.stdout, answer.stderr
    assert not (tmp_path / "here" / "out").exists()
    answer = bench("irds", "beir/scifact/test", "-r", "first-stage", "--measure", "RR")
    assert answer.returncode == 0, answer.stderr
    (result,) = map(read_result, result_paths([tmp_path / "here" / "out"]))
    # The id says whose task it is: no figure of it is BEIR's.
    assert (result.task, result.protocol.text_rule) == ("irds/beir/scifact/test", "ir_datasets' default text")
    assert (result.main, result.protocol.measure) == (1.0, "MRR")
    assert result.measures["nDCG@10"] == 1
    answer = bench("verify", "out")
    assert (answer.returncode, answer.stdout.strip()) == (0, "1 of 1 results verified."), answer.stderr
    answer = bench("sensitivity", "irds/beir/scifact/test", "-r", "first-stage", "--orders", "1", "--json")
    assert answer.returncode == 0, answer.stderr
    varied = json.loads(answer.stdout)
    assert (varied["task"], varied["base"]) == ("irds/beir/scifact/test", result.measures["nDCG@10"])
    answer = bench("leaderboard", "out")
    assert "BEIR" not in answer.stdout.replace("beir/scifact", "")


def test_without_network_it_ends_in_one_message(refused: Callable[..., str], environment: dict[str, str]):
    message = refused("irds", "trec-dl-2019", "-r", "first-stage")
    for part in ("irds/trec-dl-2019: ir_datasets could not get", "check the network", environment["IR_DATASETS_HOME"]):
        assert part in message
    assert "--embedded" not in message
