"""Tables in a narrow terminal: no figure is broken, no line is too long, and what is left out is told."""

import io
import re
from collections.abc import Callable, Iterator
from functools import cache, partial

import pytest
from rich.cells import cell_len
from rich.console import Console

from bench import published
from bench.cli.overview import rerankers_page, runs_page, tasks_page
from bench.comparison import compare, gate, power
from bench.comparison.agreement import Disagreement
from bench.evaluation import sensitivity
from bench.evaluation.sensitivity import Sensitivity, Spread, Variant
from bench.first_stage.manifest import read_manifests
from bench.leaderboard import layout, reproduce, reproduce_page, summary
from bench.leaderboard.board import build
from bench.render import FORMATS, render, text
from bench.render.page import Column, Notes, Page, Table, rows
from bench.results import Result, read_result, result_paths
from bench.suites import declared
from tests.bench.factories import figures_result, whole
from tests.conftest import ROOT

STORED = ROOT / "results"


def printed(table: Table, width: int, *notes: str) -> list[str]:
    return text.write(Page((table, Notes(notes))), width).splitlines()


Show = Callable[[Console], object]
COLUMNS = (
    Column("name\nof it", "name"), Column("kept"), Column("soon gone", drop=1), Column("first gone", drop=2)
)  # fmt: skip
GROUPS = (
    rows([("a-rather-long-name-1", "1.00", "22.50", "+3.00 to +4.00")]),
    rows([("b", "10.00", "2.50", "-3.00 to -4.00")]),
)


def test_all_is_shown_where_there_is_room():
    assert printed(Table(COLUMNS, GROUPS, "T"), 80, "C") == [
        "T",
        "name",
        "of it                  kept  soon gone      first gone",
        "──────────────────────────────────────────────────────",
        "a-rather-long-name-1   1.00      22.50  +3.00 to +4.00",
        "",
        "b                     10.00       2.50  -3.00 to -4.00",
        "C",
    ]


def test_names_lose_their_middle_before_a_column_goes():
    assert printed(Table(COLUMNS, GROUPS), 46)[3:] == [
        "a-r…g-name-1   1.00      22.50  +3.00 to +4.00",
        "",
        "b             10.00       2.50  -3.00 to -4.00",
    ]


def test_the_least_telling_column_goes_first_and_is_named():
    lines = printed(Table(COLUMNS, GROUPS), 36)
    assert lines[1:6] == [
        "of it                kept  soon gone",
        "────────────────────────────────────",
        "a-rat…-long-name-1   1.00      22.50",
        "",
        "b                   10.00       2.50",
    ]
    assert " ".join(lines[6:]) == "1 column not shown at 36 columns: first gone. To see more, use a wider terminal."


def test_prose_goes_on_below_and_a_key_stays_whole():
    columns = (Column("key", "key"), Column("note", "prose"))
    lines = printed(Table(columns, (rows([("core:checkpoint", "one two three four five six")]),)), 41)
    assert lines[2:] == ["core:checkpoint  one two three four five", "                 six"]


def test_texts_act_on_nothing():
    shown = "\n".join(printed(Table((Column("a\x1b[2J", "name"),), (rows([("[red]x\x1b[2J",)]),), "\x1b]0;t\x07"), 80))
    assert "\x1b" not in shown and "[red]x" in shown


def stored(suite: str) -> list[Result]:
    return [read_result(path) for path in result_paths([STORED]) if read_result(path).task.startswith(suite)]


def thirteen() -> list[Result]:
    names = ("jina-reranker-v2-base-multilingual", "cross-encoder:BAAI/bge-reranker-v2-m3", "fusion:minilm")
    ids = [task.id for task in declared("beir") if not task.embedded]
    return [whole(figures_result({"a": 0.1, "b": n / 10}, task, name)) for n, name in enumerate(names) for task in ids]


def of_sensitivity() -> Sensitivity:
    made = figures_result({"a": 0.5})
    disagreement = Disagreement(0.123, 0.045, 1.0)
    variants = [Variant(group, f"{group} {n}", 0.5 + n / 10, disagreement, {"a": 0.5}, 0.25)
                for group in ("random order", "depth", "block size", "distractor") for n in range(3)]  # fmt: skip
    spreads = [Spread("random order", 3, 0.6, 0.1, 0.5, 0.7, 0.123, disagreement)]
    return Sensitivity("beir/nfcorpus", made.reranker, made.protocol, 0, 0.55, variants, spreads, ("A note.",))


@cache
def pages() -> dict[str, Page]:
    paths = {(one.task, one.reranker.name): path for path in result_paths([STORED]) for one in [read_result(path)]}
    two = [paths["beir/embedded-claims", name] for name in ("minilm", "embedded")]
    folder = two[0].parents[3]  # results of BEIR's embedded sample
    board = build([*stored("beir"), *stored("mkqa"), *thirteen()], mixed=True, figures=published.read_all())
    made = {f"run {suite}": summary.page(stored(suite)) for suite in ("beir/embedded", "miracl", "mkqa", "coir")}
    made |= {
        "run beir": summary.page(thirteen()),
        "leaderboard": layout.page(board),
        "reproduce": reproduce_page.page(reproduce.paper(stored("beir"))),
        "gate": gate.page(gate.gate(folder, folder)),
        "compare two": compare.page(compare.compare(*two)),
        "compare all": compare.page(compare.compare(folder, folder)),
        "sensitivity": sensitivity.page(of_sensitivity()),
        "tasks": tasks_page(declared()),
        "rerankers": rerankers_page(),
        "runs": runs_page(read_manifests()),
    }
    return made


def outputs() -> Iterator[tuple[str, Show]]:
    for name, page in pages().items():
        yield name, partial(text.show, page)
    two = [str(path) for path in result_paths([STORED]) if read_result(path).task == "beir/embedded-claims"][:2]
    yield "power", lambda console: power.main([*two, "--trials", "20"], console)


def lines_of(show: Show, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    show(console)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def figures(lines: list[str]) -> set[str]:
    """The words that are numbers, whole, without those that say what was left out."""
    joined = re.sub(r"\d+ [a-z ]*not shown at \d+ columns: .*? To see more", "", " ".join(" ".join(lines).split()))
    return {word for word in joined.split() if re.fullmatch(r"[+-]?\d[\d,]*(\.\d+)?%?[.,;]?", word)}


@pytest.mark.parametrize("width", [80, 60])
@pytest.mark.parametrize(("name", "show"), [pytest.param(name, show, id=name) for name, show in outputs()])
def test_no_line_is_longer_than_the_terminal_and_no_figure_is_broken(name: str, show: Show, width: int):
    narrow = lines_of(show, width)
    # A command is not broken inside a word: it could not be copied.
    long = [line for line in narrow if cell_len(line) > width and len(line.removesuffix("\\").split()) > 1]
    assert long == []
    assert figures(narrow)
    assert figures(narrow) <= figures(lines_of(show, 400))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", list(pages()))
def test_every_format_writes_every_page(name: str, form: str):
    written = render(pages()[name], form)
    assert written.endswith("\n") and "<built-in" not in written
    tables = [block for block in pages()[name].blocks if isinstance(block, Table)]
    for cell in (cell for table in tables for row in table.rows for cell in row):
        if re.fullmatch(r"[+-]?\d+\.\d+", cell.text):
            assert cell.text in written
