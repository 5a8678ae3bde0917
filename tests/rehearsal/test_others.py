"""Tasks that no suite declares, and BEIR's from its second source, from the hosts of their data."""

import json
from pathlib import Path

import pytest

from tests.conftest import Call
from tests.hub import Hub
from tests.rehearsal.others import BEIR, INSTRUCTED, RERANKING, RETRIEVAL

ORDERS = ("-r", "first-stage", "-r", "oracle")
OFFLINE = {"HF_HUB_OFFLINE": "1"}


def figures(folder: Path) -> dict[tuple[str, str], float]:
    """The main measure's figures, by task and reranker."""
    found = [json.loads(path.read_text()) for path in folder.rglob("result.json")]
    return {(each["task"], each["reranker"]["name"]): each["measures"][each["protocol"]["measure"]] for each in found}


def test_data_sets_of_ir_datasets(bench: Call, hub: Hub, tmp_path: Path):
    """Two with archives of their own, and one of BEIR's; each archive is fetched once."""
    names = ("vaswani", "cranfield", "beir/scifact/test")
    answer = bench("irds", *names, *ORDERS)
    assert answer.returncode == 0, answer.stderr[-3000:]
    found = figures(tmp_path / "here" / "out")
    assert {task for task, _ in found} == {f"irds/{name}" for name in names}
    assert all(found[f"irds/{name}", "oracle"] == 1 > found[f"irds/{name}", "first-stage"] > 0 for name in names)
    assert [each.rpartition("/")[2] for each in hub.asked] == ["npl.tar.gz", "cran.tar.gz", "scifact.zip"]
    again = bench("irds", *names, *ORDERS)
    assert (again.returncode, again.stdout) == (0, answer.stdout)
    assert len(hub.asked) == len(names)


@pytest.mark.fuzz
def test_tasks_of_mteb(bench: Call, hub: Hub, tmp_path: Path):
    """Two retrieval tasks by BM25, one with instructions, and a reranking task by the candidates that come with it."""
    names = (RETRIEVAL, INSTRUCTED, RERANKING)
    command = ("mteb", *names, *ORDERS)
    answer = bench(*command)
    assert answer.returncode == 0, answer.stderr[-3000:]
    found = figures(tmp_path / "here" / "out")
    assert {task for task, _ in found} == {f"mteb/{name}" for name in names}
    assert "mteb: nDCG@10, nDCG@20 x 100, top 100 of bm25 reranked" in answer.stdout
    assert "MAP@1000 x 100, top 1000 of given reranked" in answer.stdout
    # The instructions name what is judged relevant; the words of the queries alone do not find it first.
    firsts = [found[f"mteb/{name}", "first-stage"] for name in names]
    assert firsts[1] > max(firsts[0], firsts[2])
    asked = len(hub.asked)
    again = bench(*command, env=OFFLINE)
    assert (again.returncode, again.stdout) == (0, answer.stdout), again.stderr[-3000:]
    assert hub.asked[asked:] == []


@pytest.mark.fuzz
def test_a_task_of_beir_from_both_sources(bench: Call, hub: Hub, tmp_path: Path):
    """mteb's data set of SciFact and BEIR's archive hold the same texts, so that all figures are the same."""
    both = [bench("beir", "scifact", *ORDERS, *more) for more in ((), ("--source", "mteb"))]
    assert [each.returncode for each in both] == [0, 0], both[1].stderr[-3000:]
    assert both[0].stdout == both[1].stdout
    assert any("/scifact.zip" in each for each in hub.asked)
    assert any(f"/datasets/mteb/{BEIR.lower()}/" in each for each in hub.asked)
    protocols = {path.parent.parent.name for path in (tmp_path / "here" / "out").rglob("result.json")}
    assert len(protocols) == 1
