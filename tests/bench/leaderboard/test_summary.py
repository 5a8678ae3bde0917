"""What is printed: a table that loses nothing, and steps as lines where there is no terminal."""

import csv
import io
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bench.console import Bar
from bench.leaderboard.board import build
from bench.leaderboard.export import as_csv
from bench.leaderboard.summary import page
from bench.pace import Pace, in_words
from bench.protocol import Protocol
from bench.render.text import show
from bench.rerankers.base import Card
from bench.results import Candidates, Cost, Cut, Latency, Parallel, Result
from bench.suites import tasks


def result(task: str, name: str, figure: float, ceiling: float = 0.9, **changes: object) -> Result:
    protocol = Protocol(
        task=task, split="test", data=f"data of {task}", texts=f"texts of {task}", documents=3, queries=1234,
        query_subset="all", first_stage="bm25",
        first_stage_sha256="f", depth=100, candidate_order="first stage", text_rule="text", identical_ids="kept",
        judgements="given", max_query_length=512, max_doc_length=2048, measure="nDCG@10", measure_library="x",
    )  # fmt: skip
    family = "order-only" if name in ("first-stage", "oracle", "random") else "own"
    made = Result(
        task=task,
        reranker=Card(name, "f", family),
        protocol=protocol,
        measures={"nDCG@10": figure},
        per_query={"q": figure},
        candidates=Candidates(first_stage=0.3, ceiling=ceiling, recall=1.0),
        cut=Cut(),
        cost=Cost(
            seconds=2.0, harness_seconds=0.1, lists=1234, documents=500, tokens=1, peak_memory_bytes=1, device="cpu"
        ),
        run_sha256="r",
        provenance={},
    )
    return replace(made, **changes)


def shown(*results: Result, colour: bool = False, width: int = 160) -> str:
    console = Console(
        file=io.StringIO(), width=width, force_terminal=colour, color_system="standard" if colour else None
    )
    show(page(results), console)
    return console.file.getvalue()


def rows(text: str) -> list[list[str]]:
    """The cells of each line; two blanks or more part them."""
    return [re.split(" {2,}", line.strip()) for line in text.splitlines()]


def test_rerankers_by_tasks_with_mean_ceiling_and_speed():
    text = shown(
        result("beir/scifact", "first-stage", 0.25, 0.8),
        result("beir/fiqa", "first-stage", 0.5, 0.9),
        result("beir/scifact", "mine", 0.4, 0.8),
        result("beir/fiqa", "mine", 0.123456, 0.9, cost=Cost(1.0, 0, 1234, 1000, 1, 1, "cpu")),
    )
    assert rows(text)[1:3] == [
        ["reranker", "mean of 2", "fiqa", "scifact", "documents/s"],
        ["queries", "1,234", "1,234"],
    ]
    # (50 + 25) / 2, (12.3456 + 40) / 2, (90 + 80) / 2; 500 + 1000 documents in 2 + 1 seconds; an order has no speed
    assert ["first-stage", "37.50", "50.00", "25.00", "-"] in rows(text)
    assert ["mine", "26.17", "12.35", "40.00", "500"] in rows(text)
    assert ["ceiling", "85.00", "90.00", "80.00"] in rows(text)
    assert "beir: nDCG@10 x 100, top 100 of bm25 reranked" in text


def test_latency_and_workers_are_shown_where_there_are_any():
    plain = result("beir/scifact", "mine", 0.4)
    assert "s/list" not in shown(plain)
    assert "documents/s is" not in shown(plain, result("beir/scifact", "other", 0.4, cost=at(plain, workers=1)))
    text = shown(
        result("beir/scifact", "mine", 0.4, cost=at(plain, latency=Latency(50, 0.02, 0.5))),
        result("beir/fiqa", "mine", 0.4, cost=at(plain, latency=Latency(7, 0.04, 1.5))),
        result("beir/scifact", "other", 0.3, cost=at(plain, workers=4)),
        result("beir/fiqa", "other", 0.3, cost=at(plain, workers=2)),
    )
    assert [line[-3:] for line in rows(text)[1:3]] == [["documents/s", "s/list", "s/list"], ["1,234", "p50", "p95"]]
    # Of two tasks, the means; 500 documents twice in 2 + 2 seconds.
    assert ["mine", "40.00", "40.00", "40.00", "250", "0.0300", "1.00"] in rows(text)
    assert ["other", "30.00", "30.00", "30.00", "250", "–", "–"] in rows(text)
    assert "documents/s is per device, or on a CPU per worker. Scored by several workers: other by 4." in text
    assert "of several tasks their means. Lists timed: mine 57." in " ".join(text.split())


def at(made: Result, workers: int = 0, latency: Latency | None = None) -> Cost:
    return replace(made.cost, latency=latency, parallel=Parallel(workers, 1.0, 2.0) if workers else None)


def test_one_task_has_no_mean():
    assert "mean" not in shown(result("beir/scifact", "mine", 0.5))


def test_a_group_counts_once_in_the_mean():
    # The two forums' mean is 20, so the mean of the two units is (60 + 20) / 2 = 40, not (60 + 10 + 30) / 3 = 33.33
    text = shown(
        result("beir/scifact", "mine", 0.6),
        result("beir/cqadupstack-android", "mine", 0.1),
        result("beir/cqadupstack-english", "mine", 0.3),
    )
    heads = ["reranker", "mean of 2", "scifact", "cqadupstack (2 of 12)", "cqadupstack-android", "cqadupstack-english"]
    assert rows(text)[1][:-1] == heads
    assert ["mine", "40.00", "60.00", "20.00", "10.00", "30.00", "250"] in rows(text)


def test_the_mean_is_the_leaderboards_to_the_last_digit():
    values = {"scifact": 0.123456789, "fiqa": 0.3333333333, "cqadupstack-gis": 0.7, "cqadupstack-tex": 0.1234}
    results = [
        result(f"beir/{task}", name, value / n) for task, value in values.items() for n, name in ((1, "a"), (3, "b"))
    ]
    table = list(csv.DictReader(io.StringIO(as_csv(build(results)))))
    means = {line["reranker"]: float(line["score"]) for line in table if line["kind"] == "mean"}
    # ((70 + 12.34) / 2 + 12.3456789 + 33.33333333) / 3
    assert means["a"] == pytest.approx((0.41170 + 0.123456789 + 0.3333333333) / 3)
    assert {row[0]: row[1] for row in rows(shown(*results)) if row[0] in means} == {
        name: f"{100 * mean:.2f}" for name, mean in means.items()
    }


def test_a_part_of_the_queries_is_told_in_the_heading():
    made = result("beir/scifact", "mine", 0.5)
    made = replace(made, protocol=replace(made.protocol, queries=50, query_subset="by hash of the id"))
    assert rows(shown(made))[2] == ["queries", "50 of 300"]
    mine = replace(made, task="folder/x", protocol=replace(made.protocol, task="folder/x"))
    assert rows(shown(mine))[2] == ["queries", "a subset of 50"]


def test_queries_without_candidates_are_told():
    made = result("beir/scifact", "mine", 0.5)
    text = shown(replace(made, cost=replace(made.cost, lists=1230)), result("beir/fiqa", "mine", 0.5))
    assert "Queries without candidates, which count as 0: scifact 4 of 1,234." in text
    assert "without candidates" not in shown(made)


def test_a_narrow_terminal_drops_tasks_and_says_which():
    results = [result(task.id, "jina-reranker-v3", 0.5) for task in tasks("beir") if task.default and not task.embedded]
    lines = shown(*results, width=80).splitlines()
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    assert "mean of 13" in text and "documents/s" in text
    dropped = re.search(r"(\d+) task columns not shown at 80 columns: ([^.]*)\.", text)
    assert dropped and int(dropped[1]) == len(dropped[2].split(", ")) > 3
    assert "--format csv" in text
    assert "not shown" not in shown(*results, width=400)


def test_the_best_is_bold_and_the_oracle_does_not_compete():
    oracle = result("t/a", "oracle", 0.75)
    oracle = replace(oracle, reranker=replace(oracle.reranker, needs=frozenset({"grades"})))
    text = shown(result("t/a", "mine", 0.5), result("t/a", "other", 0.25), oracle, colour=True)
    bold = "\x1b[1m"
    assert f"{bold}50.00" in text
    assert f"{bold}25.00" not in text
    assert f"{bold}75.00" not in text
    assert "ceiling  " not in text  # the oracle's row is the ceiling


def test_names_from_elsewhere_act_on_nothing():
    text = shown(result("folder/[red]x[/red]", "a[bold]b\x1b[2J", 0.5))
    assert "[red]x[/red]" in text
    assert "a[bold]b" in text
    assert "\x1b" not in text


def test_what_was_cut_is_told():
    # 30 of 1000 documents: 3.0%
    cost = Cost(1.0, 0, 1, 1000, 1, 1, "cpu")
    text = shown(
        result("t/a", "mine", 0.5, cost=cost, cut=Cut(documents=30, queries=2, tokens=9)), result("t/a", "b", 0.5)
    )
    assert "mine truncated 3.0% of documents and 2 queries to its token limit." in text
    assert "b: " not in text


def test_tasks_that_a_mean_leaves_out_are_told():
    text = shown(result("beir/scifact", "mine", 0.5), result("beir/fiqa", "mine", 0.5))
    assert "mean over 2 of 13 tasks; left out: trec-covid, nfcorpus" in text


def test_a_group_with_a_task_left_out_still_counts_once():
    names = [task.name for task in tasks("coir") if not task.embedded]
    text = shown(*(result(f"coir/{name}", "mine", 0.5) for name in names if name != "codesearchnet-go"), width=600)
    assert "mean of 10" in text
    assert "mean over 10 of 10 tasks and groups; left out: codesearchnet-go." in text


def test_time_too_short_to_tell_is_no_speed():
    text = shown(result("t/a", "mine", 0.5, cost=Cost(0.0, 0, 1, 10, 1, 1, "cpu")))
    assert ["mine", "50.00", "-"] in rows(text)


def test_steps_are_lines_where_there_is_no_terminal():
    console = Console(file=io.StringIO(), width=80)
    with Bar(console).step("beir/[x]  reading", 10) as advance:
        advance(10)
    assert console.file.getvalue().startswith("beir/[x]  reading  0.")
    with pytest.raises(KeyError), Bar(console).step("broken", None):
        raise KeyError
    assert "broken" not in console.file.getvalue()


def test_a_terminal_sees_a_bar_with_the_time_left():
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    with Bar(console).step("beir/[x]  reading", 1000) as advance:
        time.sleep(0.02)
        advance(5)
    text = console.file.getvalue()
    assert "5/1000" in text
    assert re.search(r"0:00:00\S* \d+ s left", text)
    assert "beir/[x]  reading" in text


def test_on_a_narrow_terminal_the_bar_gives_way_and_not_the_figures():
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    with Bar(console).step("beir/embedded-arguments  embedded  task 3 of 3", 12) as advance:
        time.sleep(0.01)
        advance(12, workers=1)
    assert re.search(r"12/12\S* \S*0:00:00\S* \d+\.\d/s, 1 worker", console.file.getvalue())


def test_a_long_step_says_how_far_it_is_where_there_is_no_terminal():
    console = Console(file=io.StringIO(), width=80)
    with Bar(console, interval=0.05).step("beir/scifact  minilm", 3000) as advance:
        time.sleep(0.07)
        advance(20)
        time.sleep(0.1)
    lines = console.file.getvalue().splitlines()
    assert lines[0] == "beir/scifact  minilm  0 of 3,000, 0 s so far"
    assert re.fullmatch(r"beir/scifact  minilm  20 of 3,000, \d+ s left", lines[1])
    assert re.fullmatch(r"beir/scifact  minilm  0\.\d s", lines[-1])


def test_restored_lists_say_nothing_about_the_time_left():
    # 280 of 300 are restored at once; then 4 lists take 60 s each, so the other 16 take 16 minutes.
    now = [0.0]
    pace = Pace(300, lambda: now[0])
    pace.advance(280, restored=True)
    assert pace.left == ""
    now[0] += 240
    pace.advance(4, restored=False)
    assert pace.left == "16 min left"
    now[0] += 60
    assert pace.left == "15 min left"
    now[0] += 86_400
    assert pace.left == "0 s left"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (3599, "1 h 00 min"), (7500, "2 h 05 min")]
)
def test_times_in_words(seconds: float, words: str):
    assert in_words(seconds) == words


def test_what_comes_from_the_score_cache_is_told():
    answered = {"kept_lists": 1, "kept_in": "scores.cache"}
    console = Console(file=io.StringIO(), width=160)
    results = [
        result("t/a", "mine", 0.5, provenance=answered),
        result("t/b", "mine", 0.5, provenance={"kept_lists": 0, "kept_in": ""}),
        result("t/a", "fusion:http:x", 0.5, provenance={"kept_lists": 1, "kept_in": "this command"}),
        result("t/b", "fusion:http:x", 0.5),
        result("t/a", "new", 0.5),
        result("t/b", "new", 0.5),
    ]
    show(page(results, Path("out/scores.cache")), console)
    text = console.file.getvalue()
    assert "mine: 1 of 2,468 lists from the score cache in out/scores.cache" in text
    assert "fusion:http:x: 1 of 2,468 lists from the score cache of this command" in text
    assert "new:" not in text
