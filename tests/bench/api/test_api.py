"""The Python API measures what the command line measures, and its data frames have figures worked out by hand."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

import bench
from bench.rerankers.base import CandidateList, Scored
from bench.results import read_result, result_paths
from tests.conftest import InProcess

CORPUS = """
    d1 | | the sea is deep
    d2 | | the sea is salt
    d3 | | onions are sharp
"""
QUERIES = """
    q1 | deep sea
    q2 | sharp onions
"""
QRELS = """
    q1 d2 1
    q2 d3 2
"""


@pytest.fixture
def toy(beir_folder: Callable[..., Path]) -> Path:
    return beir_folder(CORPUS, QUERIES, QRELS, name="toy")


def by_salt(query: str, texts: Sequence[str]) -> list[float]:
    return [float("salt" in text) for text in texts]


class Longest:
    def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
        for each in lists:
            yield Scored(each.query_id, tuple(float(len(text)) for text in each.texts))


def test_importing_bench_loads_nothing_heavy() -> None:
    code = "import bench, sys; print([x for x in ('torch', 'pandas', 'mteb', 'bench.results') if x in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_tasks_are_the_declared_ones() -> None:
    assert len(bench.tasks("beir", embedded=True)) == 3
    assert "beir/scifact" in {task.id for task in bench.tasks("beir", embedded=False)}
    assert not {task.id for task in bench.tasks(embedded=True)} & {task.id for task in bench.tasks(embedded=False)}
    with pytest.raises(bench.BenchError, match="Did you mean beir"):
        bench.tasks("bier")


def test_loaded_data_has_queries_documents_judgements_and_candidates(toy: Path) -> None:
    with bench.load(toy) as data:
        assert data.queries == {"q1": "deep sea", "q2": "sharp onions"}
        assert dict(data.documents.items())["d3"] == data.documents["d3"] == "onions are sharp"
        assert list(data.documents) == ["d1", "d2", "d3"]
        assert data.judgements == {"q1": {"d2": 1}, "q2": {"d3": 2}}
        assert [key for key, _ in data.candidates["q1"]] == ["d1", "d2"]
        assert data.protocol.depth == 100
        with pytest.raises(KeyError):
            data.documents["d9"]


def test_answers_in_the_candidates_are_mkqas_judgements() -> None:
    with bench.load("mkqa/embedded-en", depth=10) as data:
        assert data.judgements.keys() <= data.queries.keys()
        assert {grade for grades in data.judgements.values() for grade in grades.values()} >= {1}


def test_a_suite_is_no_single_task() -> None:
    with pytest.raises(bench.BenchError, match=r"'beir' names \d+ tasks\. Load one"):
        bench.load("beir")


def test_functions_objects_and_names_are_measured_on_the_same_candidates(toy: Path, tmp_path: Path) -> None:
    rerankers = {"salt": by_salt, "longest": Longest(), "as given": "first-stage"}
    with pytest.raises(bench.BenchError, match="is a name already"):
        bench.measure(toy, rerankers, output=tmp_path, progress=False)
    results = bench.measure(toy, ["first-stage", by_salt, Longest()], output=tmp_path, progress=False)
    frame = results.to_frame().set_index("reranker")
    # q1: d1 then d2, of which d2 is relevant: 1 / log2(3) = .6309; q2: d3 alone.
    assert frame.loc["first-stage", "score"] == pytest.approx((0.63093 + 1) / 2, abs=1e-5)
    assert frame.loc["by_salt", "score"] == 1.0
    # "the sea is deep" is as long as "the sea is salt": the candidates' order stays.
    assert frame.loc["Longest", "score"] == frame.loc["first-stage", "score"]
    assert set(frame["protocol"]) == {results[0].protocol.id}
    assert len(bench.read_results(tmp_path)) == 3
    assert list(results.per_query().query("reranker == 'by_salt'")["score"]) == [1.0, 1.0]
    assert repr(results) == "<Results: 3 (1 tasks, 3 rerankers)>"
    assert "by_salt" in results._repr_html_()


def test_two_rerankers_are_compared_and_tabulated(toy: Path, tmp_path: Path) -> None:
    results = bench.measure(toy, {"salt": by_salt, "long": Longest()}, output=tmp_path, progress=False)
    (line,) = results.compare("long", "salt").to_dict("records")
    assert line["difference"] == pytest.approx((1 - 0.63093) / 2, abs=1e-5)
    assert (line["wins"], line["ties"], line["losses"]) == (1, 1, 0)
    assert line["p"] == 1.0  # one query that differs: either sign is as likely
    board = results.leaderboard()
    assert list(board.index) == ["salt", "long"]
    assert board.loc["salt"].tolist() == [1.0]
    with pytest.raises(bench.BenchError, match="Known: salt, long"):
        results.compare("salt", "short")


def test_protocols_are_never_compared_with_one_another(toy: Path, tmp_path: Path) -> None:
    deep = bench.measure(toy, {"salt": by_salt}, output=tmp_path, progress=False)
    short = bench.measure(toy, {"long": Longest()}, output=tmp_path, depth=1, progress=False)
    both = bench.Results([*deep, *short])
    with pytest.raises(bench.BenchError, match=r"different protocols: .*depth: 100 and 1"):
        both.compare("salt", "long")
    with pytest.raises(bench.BenchError, match="2 protocols"):
        both.leaderboard()


def test_a_first_stage_may_be_given_as_scores(toy: Path, tmp_path: Path) -> None:
    scores = {"q1": {"d3": 1, "d2": 2.5}, "q2": {"d1": 1.0}}
    (result,) = bench.measure(toy, "first-stage", first_stage=scores, output=tmp_path, progress=False)
    assert result.per_query == {"q1": 1.0, "q2": 0.0}
    assert (result.protocol.first_stage, result.candidates.recall) == ("given", 0.5)


def test_the_command_line_and_the_api_share_protocol_cache_and_results(in_process: InProcess, tmp_path: Path) -> None:
    from reranker import Reranker

    task, output = "beir/embedded-claims", tmp_path / "out"
    options = ["--embedded", "-r", "embedded", "--queries", "2", "--depth", "5", "--output", str(output)]
    status, _, messages = in_process("beir", "claims", *options)
    assert status == 0, messages
    (path,) = result_paths([output])
    before = read_result(path)
    model = Reranker.from_pretrained("embedded")
    (again,) = bench.measure(task, model, queries=2, depth=5, output=output, progress=False)
    assert result_paths([output]) == [path]
    assert again.per_query == before.per_query
    assert again.provenance["kept_lists"] == 2
    assert again.provenance["command"] == "bench.measure(['beir/embedded-claims'], ['embedded'], depth=5, queries=2)"
    assert (again.folder, again.protocol) == (before.folder, before.protocol)
    assert (again.reranker.fingerprint, again.reranker.parameters) == (
        before.reranker.fingerprint,
        before.reranker.parameters,
    )


def test_mistakes_are_one_message_before_anything_is_measured(toy: Path, tmp_path: Path) -> None:
    def refused(match: str, tasks: object = toy, rerankers: object = "minilm", **options: object) -> None:
        with pytest.raises(bench.BenchError, match=match):
            bench.measure(tasks, rerankers, output=tmp_path / "out", progress=False, **options)

    refused("Unknown task", tasks="beir/scifakt")
    refused("Did you mean 'minilm'", rerankers="minlm")
    refused("is a class, not a reranker. Give an object of it: Longest", rerankers=Longest)
    refused("A int is not a reranker", rerankers=3)
    refused("Two rerankers are called 'Longest'", rerankers=[Longest(), Longest()])
    refused("depth is 0", depth=0)
    refused("queries is 0", queries=0)
    refused("no rerankers", rerankers=[])
    refused("gave 1 scores? for", rerankers={"short": lambda query, texts: [1.0]})
    refused("TypeError", rerankers={"wrong": lambda query: [1.0]})
    assert not result_paths_or_none(tmp_path / "out")


def result_paths_or_none(folder: Path) -> list[str]:
    return [name for _, _, names in os.walk(folder) for name in names if name == "result.json"]


def test_a_function_is_scored_again_unless_it_has_a_fingerprint(toy: Path, tmp_path: Path) -> None:
    calls = []

    def counted(query: str, texts: Sequence[str]) -> list[float]:
        calls.append(query)
        return [0.0] * len(texts)

    def measured() -> int:
        calls.clear()
        bench.measure(toy, counted, output=tmp_path, progress=False)
        return len(calls)

    assert [measured(), measured()] == [2, 2]
    counted.fingerprint = "1"  # type: ignore[attr-defined]
    assert [measured(), measured()] == [2, 0]


def test_results_are_the_files_of_the_command_line(toy: Path, in_process: InProcess, tmp_path: Path) -> None:
    bench.measure(toy, {"salt": by_salt}, output=tmp_path, progress=False)
    status, verdict, messages = in_process("verify", tmp_path)
    assert status == 0, verdict + messages
    (path,) = result_paths([tmp_path])
    assert json.loads(path.read_text())["reranker"]["family"] == "own"
