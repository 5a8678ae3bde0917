import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bench.comparison.stored import StoredResult, missing_queries, pair, read_results, read_sound, read_stored
from bench.errors import BenchError
from bench.rerankers.base import Card
from bench.results import Result
from tests.bench.factories import figures_result, keep, measure


def test_reads_every_result_and_its_run(tmp_path: Path) -> None:
    measure(tmp_path, {"q1": ["d1", "d3"], "q2": ["d2"]})
    keep(tmp_path, figures_result({"q1": 0.5}, task="beir/other"))
    stored, problems = read_stored(tmp_path)
    assert problems == []
    assert [one.label for one in stored] == ["beir/other by model", "beir/toy by model"]
    assert [document_id for document_id, _ in stored[1].run().rankings["q2"][:2]] == ["d2", "d1"]


def test_a_run_that_is_not_the_results_own_is_refused(tmp_path: Path) -> None:
    path = measure(tmp_path / "one", {"q1": ["d1"]})
    other = measure(tmp_path / "two", {"q1": ["d3"]})
    path.with_name("run.trec.gz").write_bytes(other.with_name("run.trec.gz").read_bytes())
    (stored,), _ = read_stored(path)
    with pytest.raises(BenchError, match="is not the run"):
        stored.run()
    stored.run_path.unlink()
    with pytest.raises(BenchError, match="Cannot read"):
        stored.run()


@pytest.mark.parametrize(
    ("keys", "value", "fault"),
    [
        (("task",), "beir/else", "the task is 'beir/else', the protocol's 'beir/toy'"),
        (("per_query", "q1"), 1.5, "'per_query.q1' is 1.5, not from 0 to 1"),
        (("measures", "nDCG@10"), -1, "'measures.nDCG@10' is -1.0"),
        (("per_query", "q1"), 0.6, "the mean of 'per_query' is 0.55, 'measures' says 0.5"),
        (("per_query",), {"q1": 0.5}, "'per_query' has 1 queries, the protocol 2"),
        (("per_query",), {}, "'per_query' is empty"),
    ],
)
def test_a_well_formed_file_can_still_be_wrong(
    tmp_path: Path, keys: tuple[str, ...], value: object, fault: str
) -> None:
    path = keep(tmp_path, figures_result({"q1": 0.5, "q2": 0.5}))
    content = json.loads(path.read_text())
    place = content
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.write_text(json.dumps(content))
    stored, problems = read_stored(tmp_path)
    assert stored == []
    assert any(fault in problem and str(path) in problem for problem in problems), problems
    with pytest.raises(BenchError, match=re.escape(fault)):
        read_sound(path)


def test_the_same_result_twice_is_a_problem(tmp_path: Path) -> None:
    first = keep(tmp_path / "a", figures_result({"q1": 0.5}))
    second = keep(tmp_path / "b", figures_result({"q1": 0.7}))
    stored, problems = read_stored(tmp_path)
    assert [one.path for one in stored] == [first]
    assert problems == [f"{second}: it is the same task, reranker and protocol as {first}: keep one of them."]


def test_a_missing_place_is_a_problem_not_an_exception(tmp_path: Path) -> None:
    assert "does not exist" in read_stored(tmp_path / "nowhere")[1][0]
    assert "holds no result.json" in read_stored(tmp_path)[1][0]


def test_pairs_share_name_and_protocol(tmp_path: Path) -> None:
    for depth in (50, 100):
        keep(tmp_path / "a", figures_result({"q1": 0.5}, depth=depth))
        keep(tmp_path / "b", figures_result({"q1": 0.5}, depth=depth))
    keep(tmp_path / "a", figures_result({"q1": 0.5}, task="beir/first"))
    keep(tmp_path / "b", figures_result({"q1": 0.5}, task="beir/second"))
    keep(tmp_path / "a", figures_result({"q1": 0.5}, reranker="other", depth=20, text_rule="joined"))
    keep(tmp_path / "b", figures_result({"q1": 0.5}, reranker="other", depth=10, text_rule="title"))
    keep(tmp_path / "b", figures_result({"q1": 0.5}, reranker="other", depth=30, text_rule="joined"))
    a, b = read_stored(tmp_path / "a")[0], read_stored(tmp_path / "b")[0]
    pairing = pair(a, b, lambda stored: stored.task_and_reranker)
    assert [(x.result.protocol.depth, y.result.protocol.depth) for x, y in pairing.pairs] == [(100, 100), (50, 50)]
    assert [stored.label for stored in pairing.only_a] == ["beir/first by model"]
    assert [stored.label for stored in pairing.only_b] == ["beir/second by model"]
    (clash,) = pairing.clashes
    assert clash.endswith("different protocols: depth: 20 and 30.")  # the nearest of the two


def test_missing_queries_are_named(tmp_path: Path) -> None:
    full = {f"q{number}": 0.5 for number in range(8)}
    keep(tmp_path / "a", figures_result(full))
    keep(tmp_path / "b", figures_result({"q0": 0.5, "q9": 0.5}))
    (a,), (b,) = read_stored(tmp_path / "a")[0], read_stored(tmp_path / "b")[0]
    assert missing_queries(a, a) == ""
    assert missing_queries(a, b) == f"{b.path} lacks 7 of the queries of {a.path}: 'q1', 'q2', 'q3', 'q4', 'q5', …."
    assert missing_queries(b, a) == f"{a.path} lacks 1 of the queries of {b.path}: 'q9'."


def test_copies_of_one_result_count_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = figures_result({"q1": 0.5})
    first = keep(tmp_path / "a", result)
    again = replace(result, provenance={"time": "later"}, cost=replace(result.cost, seconds=2.0))
    second = keep(tmp_path / "b", again)
    assert [one.path for one in read_stored(tmp_path)[0]] == [first]
    assert read_stored(tmp_path)[1] == []
    assert read_results([tmp_path / "a", tmp_path / "b"]) == [result]
    assert f"{second} is a copy of {first} and counts once." in capsys.readouterr().err
    keep(tmp_path / "c", result)
    assert read_results([tmp_path]) == [result]
    assert (
        capsys.readouterr().err
        == f"2 results are copies of others and count once, such as {second}, a copy of {first}.\n"
    )
    keep(tmp_path / "b", figures_result({"q1": 0.7}))
    assert len(read_results([tmp_path])) == 2  # for the table to refuse: which of the two is meant?


def test_a_result_named_twice_is_no_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = keep(tmp_path, figures_result({"q1": 0.5}))
    assert len(read_results([tmp_path, path, path.parent])) == 1
    assert capsys.readouterr().err == ""


def test_rerankers_of_one_name_are_paired_by_fingerprint(tmp_path: Path) -> None:
    def seeds(side: str, *fingerprints: str) -> list[StoredResult]:
        for number, fingerprint in enumerate(fingerprints):
            result = figures_result({"q1": 0.5, "q2": number / 10})
            keep(tmp_path / side / str(number), replace(result, reranker=Card("random", fingerprint, "order-only")))
        stored, problems = read_stored(tmp_path / side)
        assert problems == []
        return stored

    one, two, other = seeds("one", "seed 0"), seeds("two", "seed 1", "seed 0"), seeds("other", "seed 7")

    def paired(a: list[StoredResult], b: list[StoredResult]) -> tuple[list[str], int, int]:
        found = pair(a, b, lambda stored: stored.task_and_reranker)
        fingerprints = [y.result.reranker.fingerprint for _, y in found.pairs]
        return fingerprints, len(found.clashes), len(found.only_b)

    assert paired(one, two) == (["seed 0"], 0, 1)
    assert paired(two, two) == (["seed 1", "seed 0"], 0, 0)
    assert paired(one, other) == (["seed 7"], 0, 0)  # the code of one reranker has changed
    assert paired(other, two) == ([], 1, 2)  # which of the two is it?
    # One state on two devices: each goes with its own; on a third device there is none to prefer.
    both = [replace(one[0], result=_on(one[0].result, device)) for device in ("cpu", "cuda")]
    assert [y.identity[1] for _, y in pair(both, both[::-1], lambda stored: stored.task_and_reranker).pairs] == [
        "cpu",
        "cuda",
    ]
    third = [replace(one[0], result=_on(one[0].result, "mps"))]
    assert len(pair(third, both, lambda stored: stored.task_and_reranker).clashes) == 1
    # No result stands for two: neither for one that has a partner of its own, nor for two that have none.
    for there, pairs, clashes in ((both[:1], 1, 1), (third, 0, 2)):
        found = pair(both, there, lambda stored: stored.task_and_reranker)
        assert (len(found.pairs), len(found.clashes)) == (pairs, clashes)


def _on(result: Result, device: str) -> Result:
    return replace(result, reranker=replace(result.reranker, device=device))
