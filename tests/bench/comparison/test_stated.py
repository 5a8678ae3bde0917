"""What a result states without its data: right results are not accused, wrong ones are named by key."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.comparison.stated import differing_card, differing_command, misplaced
from bench.rerankers import ROWS, load
from bench.rerankers.base import Card, Options
from bench.rerankers.fusion import Fusion
from bench.results import Result, read_result, result_paths
from tests.bench.factories import figures_result

RESULTS = Path(__file__).resolve().parents[3] / "results"


def asked(command: str, task: str = "folder/mine", analysis: str = "", **protocol: str | int) -> Result:
    result = figures_result({"q1": 0.5}, task, **protocol)
    return replace(result, provenance={"command": command, "analysis": analysis})


def test_no_kept_result_is_accused() -> None:
    for path in result_paths([RESULTS]):
        result = read_result(path)
        found = misplaced(path, RESULTS, result) | differing_card(result.reranker) | differing_command(result)
        assert found == {}, path


@pytest.mark.parametrize(
    "result",
    [
        asked("python -m bench folder mine"),
        asked("python -m bench folder mine --depth 50", depth=50),
        asked("python -m bench folder mine --depth=50", depth=50),
        asked("python -m bench folder mine --depth 7 --depth 0050", depth=50),
        asked("python -m bench folder mine --max-doc-length 64", max_doc_length=64),
        asked("python -m bench folder mine --max-query-length 8", max_query_length=8),
        asked("python -m bench folder mine --first-stage my.trec", first_stage="anything"),
        asked("python -m bench folder mine --first-stage bm25.trec", first_stage="bm25"),
        asked("python -m bench folder mine --first-stage my.trec --first-stage bm25", first_stage="anything"),
        asked("python -m bench folder mine --analysis japanese", analysis="japanese"),
        asked("python -m bench beir toy", "beir/toy"),
        # A script's or a test's own arguments are no command of ours, and a quote may be open.
        asked("python -m bench tests/bench -q", depth=50),
        asked("python -m bench", depth=50),
        asked("", depth=50),
        asked("python -m bench folder 'mine", depth=50),
        asked("python -m bench folder mine --depth many", depth=50),
    ],
)  # fmt: skip
def test_what_was_asked_for_is_right(result: Result) -> None:
    assert differing_command(result) == {}


@pytest.mark.parametrize(
    ("result", "key"),
    [
        (asked("python -m bench folder mine", depth=50), "protocol.depth"),
        (asked("python -m bench folder mine --depth 100", depth=50), "protocol.depth"),
        (asked("python -m bench folder mine", max_doc_length=64), "protocol.max_doc_length"),
        (asked("python -m bench folder mine", max_query_length=64), "protocol.max_query_length"),
        (asked("python -m bench folder mine", first_stage="dense:evil"), "protocol.first_stage"),
        (asked("python -m bench folder mine", analysis="german"), "provenance.analysis"),
        (asked("", "beir/nfcorpus", analysis="german"), "provenance.analysis"),
    ],
)
def test_what_was_not_asked_for_is_named(result: Result, key: str) -> None:
    assert list(differing_command(result)) == [key]


def test_cards_that_the_harness_makes_are_right() -> None:
    made = [load(name, Options(seed=7)).card for name, row in ROWS.items() if row.family == "order-only"]
    made += [Fusion(load(name, Options())).card for name in ("oracle", "random")]
    made += [
        load("http://127.0.0.1:9/rerank#some", Options()).card,
        load("http:http://127.0.0.1:9/rerank", Options()).card,
    ]
    for card in made:
        assert differing_card(card) == {}, card.name


def test_a_reranker_of_ones_own_says_what_it_is() -> None:
    assert differing_card(Card("module:Class", "1", "of my own", needs=frozenset({"grades"}))) == {}
    assert list(differing_card(Card("module:Class", "1", "own", needs=frozenset({"luck"})))) == ["reranker.needs"]
