"""The leaderboard written down: what stands where, and that hostile names stay text in every format."""

import csv
import io
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.cells import cell_len

from bench import published
from bench.errors import BenchError
from bench.leaderboard.board import Leaderboard, build
from bench.leaderboard.export import as_csv
from bench.leaderboard.layout import page as page_of
from bench.render import FORMATS
from bench.render import render as written
from bench.render import text as texts
from bench.render.text import WIDTH
from bench.results import Candidates, Result
from bench.suites import tasks
from tests.bench.factories import figures_result, whole

HOSTILE = "<script>alert('x')</script>|&\"`[a](javascript:b) \x1b[31m\u202e\n@all =1+1 $x_1^2$ \\input{a} % # ~ **b** https://e.org"
VOID = {"meta", "br", "line", "circle"}


def render(board: Leaderboard, form: str, command: str = "") -> str:
    return as_csv(board) if form == "csv" else written(page_of(board, command), form)


def result(task: str = "beir/nfcorpus", reranker: str = "minilm", *figures: float, stage: str = "bm25") -> Result:
    made = figures_result(
        {f"q{n}": value for n, value in enumerate(figures or (0.5, 0.25))}, task, reranker, first_stage=stage
    )
    return replace(
        made,
        measures={**made.measures, "judged@10": 0.875},
        candidates=Candidates(0.25, 0.75, recall=0.5),
        provenance={"command": f"python -m bench beir --reranker {reranker}"},
    )


def hostile() -> Leaderboard:
    """Every text that comes from outside is hostile."""
    made = [result(f"folder/{HOSTILE}{n}", f"{HOSTILE} {name}", stage=HOSTILE) for n in (1, 2) for name in "ab"]
    card = {"model": HOSTILE, "revision": HOSTILE, "dtype": HOSTILE, "family": HOSTILE}
    return build(
        [
            replace(each, reranker=replace(each.reranker, **card), cost=replace(each.cost, device=HOSTILE))
            for each in made
        ]
    )


def thirteen() -> Leaderboard:
    names = [task.id for task in tasks("beir") if task.default and not task.embedded]
    long = "jina-reranker-v2-base-multilingual"
    return build(
        [whole(result(task, name, 0.5, 0.2 + n / 10)) for task in names for n, name in enumerate(("minilm", long))],
        figures=published.read_all(),
    )


class Page(HTMLParser):
    """Checks that tags are closed in order, and collects elements, attributes and cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.append((self.open[-1], data))


def test_text_shows_scores_marks_and_notes():
    board = build(
        [
            result("beir/nfcorpus", "first", 0.5, 0.25),
            result("beir/nfcorpus", "second", 0.25, 0.25),
            result("beir/nfcorpus", "third", 0.125, 0.25),
            result("beir/scifact", "first", 1.0),
            result("beir/scifact", "second", 0.5),
        ]
    )
    lines = render(board, "text").splitlines()
    assert "BEIR: nDCG@10 x100" in lines
    assert [line.split() for line in lines if line[:1] in "abc" and line[1:3] == "  "][:3] == [
        ["a", "first", "37.50", "**", "100.00", "**"],
        ["b", "second", "25.00", "*", "50.00", "*"],
        ["c", "third", "18.75", "–"],
    ]
    assert [line.split()[-2:] for line in lines if line.startswith("   candidates as they came")] == [["25.00"] * 2]
    assert [line.split()[-2:] for line in lines if line.startswith("   ceiling")] == [["75.00"] * 2]
    points = [line.index(".") for line in lines if re.match("[abc ]  .*[.]", line)]
    assert len(set(points[:5])) == 1  # decimal points stand under each other, marked or not


def test_text_fits_its_width_and_every_piece_names_its_rows():
    text = render(thirteen(), "text", PAGE_COMMAND)
    lines = text.splitlines()
    assert max(map(cell_len, lines)) <= WIDTH
    for task in tasks("beir"):
        if task.default and not task.embedded:
            assert task.name in text
    scores = text.partition("BEIR: nDCG@10 x100")[2].partition("- mean of 13")[0]
    assert scores.count("b  minilm") == scores.count("   reranker  ") > 1


def test_a_column_wider_than_its_room_goes_on_below():
    board = build([result("folder/x", "名前" * 40, 0.5)])
    lines = render(board, "text").splitlines()
    assert max(map(cell_len, lines)) <= WIDTH
    assert "".join(re.findall("[名前]+", "".join(lines))).startswith("名前" * 40)


def test_markdown_marks_and_letters():
    low, high = [0.2] * 60, [0.7] * 60
    page = render(build([result("beir/nfcorpus", "low", *low), result("beir/nfcorpus", "high", *high)]), "markdown")
    assert "| a | high | **70.00** <sup>b</sup> |" in page
    assert "| b | low | *20.00* <sup>a</sup> |" in page
    assert "|  | ceiling | 75.00 |" in page
    assert "| a | high | 70.00 | 68.32–71.68 | +45.00 | – | b | 93.3% | 87.5% |" in page


PAGE_COMMAND = "python -m bench leaderboard results --format markdown --output results/README.md"


def markdown_page(results, mixed=False):
    return render(build(results, mixed=mixed, figures=published.read_all()), "markdown", PAGE_COMMAND)


def test_markdown_page_says_how_it_was_made_and_is_always_the_same():
    results = [whole(result("beir/nfcorpus", name)) for name in ("b", "a")]
    page = markdown_page(results)
    assert page.startswith(f"# Leaderboard of rerankers\n\nThis page is made by\n\n    {PAGE_COMMAND}\n")
    assert "    python -m bench beir --reranker a\n    python -m bench beir --reranker b\n" in page
    assert "https://arxiv.org/html/2509.25085v4" in page  # published figures of nfcorpus
    assert "first stage: bm25; depth: 100" in page
    assert page == markdown_page(results[::-1])


def test_a_page_of_several_protocols_must_be_asked_for():
    results = [result(stage=stage) for stage in ("bm25", "splade")]
    with pytest.raises(BenchError, match="2 protocols"):
        markdown_page(results)
    assert "nfcorpus<br>splade@100" in markdown_page(results, mixed=True)


def test_only_who_reads_texts_has_a_speed():
    free = result(reranker="free")
    free = replace(free, reranker=replace(free.reranker, needs=frozenset()))
    page = render(build([result(reranker="reader"), free]), "markdown")
    assert [line.split(" | ")[3] for line in page.splitlines() if line.endswith("| cpu | – | – |")] == ["–", "2.00"]


def test_csv_holds_every_figure_in_full():
    board = thirteen()
    (section,) = board.sections
    lines = list(csv.DictReader(io.StringIO(render(board, "csv"))))
    measured = {(line["reranker"], line["column"]): line for line in lines if line["block"] == "measured"}
    for row in section.rows:
        for column, cell in zip(section.columns, row.cells, strict=True):
            line = measured.pop((row.name, column.name))
            assert cell is not None
            assert float(line["score"]) == cell.score
            assert (float(line["interval_low"]), float(line["interval_high"])) == cell.interval
            assert line["difference_low"] == ""
            assert float(line["share_of_ceiling"]) == cell.share
            assert line["mark"] == cell.mark
            assert line["over"].split() == list(column.over)
    assert not measured
    theirs = [line for line in lines if line["block"] == "published"]
    paper = [line for line in theirs if line["reranker"] == "jina-reranker-v3 (D)" and line["column"] == "mean of 13"]
    assert [(line["score"], line["first_stage"], line["depth"]) for line in paper] == [
        ("0.6185", "jina-embeddings-v3", "100")
    ]
    assert all(line["source"] and not line["letter"] and not line["mark"] for line in theirs)


def test_csv_has_no_formula_and_no_line_end_inside_a_field():
    names = ("=1+1", "+x", "-x", "@x", "a\nb", '"quoted", and "so"', HOSTILE)
    board = build([result("folder/x", name) for name in names])
    text = render(board, "csv")
    lines = list(csv.DictReader(io.StringIO(text)))
    assert len(text.splitlines()) == len(lines) + 1 == len(names) + 1
    for line in lines:
        assert None not in line
        assert not str(line["reranker"]).startswith(tuple("=+-@"))
    assert {"'=1+1", "'+x", "'-x", "'@x", "a b", '"quoted", and "so"'} <= {line["reranker"] for line in lines}


@pytest.mark.parametrize("sign", list("=+-@") + list("＝＋－＠﹦﹢﹣﹫⁼⁺⁻−"))
@pytest.mark.parametrize("before", ["", " ", "\t", "\r", "\n", "\u00a0", "\u3000", " \t"])
def test_csv_neutralises_every_form_of_a_formulas_first_character(sign: str, before: str):
    text = render(build([result("folder/x", f"{before}{sign}1+1")]), "csv")
    (line,) = csv.DictReader(io.StringIO(text))
    assert line["reranker"].startswith("'")


def test_csv_keeps_negative_figures_numbers():
    made = replace(result(), candidates=Candidates(0.75, 1.0, 1.0))
    (line,) = csv.DictReader(io.StringIO(render(build([made]), "csv")))
    assert float(line["difference"]) == -0.375


def test_csv_says_how_many_queries_a_task_has():
    (line,) = csv.DictReader(io.StringIO(render(build([result()]), "csv")))
    assert (line["queries"], line["queries_declared"]) == ("2", "323")


def test_a_peak_memory_that_is_not_known_is_no_figure():
    made = replace(result(), cost=replace(result().cost, peak_memory_bytes=0))
    page = render(build([made]), "markdown")
    assert "| a | minilm | – | 2.00 | – | – | 0 | 0 | 0 | cpu |" in page
    (line,) = csv.DictReader(io.StringIO(render(build([made]), "csv")))
    assert line["peak_memory_bytes"] == ""


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "html"])
def test_a_part_of_the_queries_and_queries_without_candidates_are_told_in_every_format(form: str):
    part = replace(result("beir/scifact"), cost=replace(result().cost, lists=1))
    text = " ".join(render(build([part, whole(result())], figures=published.read_all()), form).split())
    assert "2 of 300 queries" in text
    assert "323 queries" in text
    assert "scifact (2 of 300 queries)" in text.replace("\\", "")
    assert "Queries without candidates, which count as 0: scifact 1 of 2." in text
    assert "nothing of mean of 2, scifact compares with them" in text


def test_text_continues_a_long_command_where_a_shell_does():
    board = build([result()])
    command = "python -m bench leaderboard " + " ".join(f"'a folder {n}'" for n in range(12))
    lines = texts.write(page_of(board, command), 60).splitlines()
    start = lines.index("This page is made by") + 2
    code = "\n".join(lines[start : lines.index("", start)])
    assert code.count("\\\n") > 1
    assert shlex.split(code.replace("\\\n", "")) == shlex.split(command)
    assert max(map(len, code.splitlines())) <= 60


def test_latex_escapes_what_comes_from_outside():
    text = render(hostile(), "latex", HOSTILE)
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    assert not any("\x1b" in line or "\u202e" in line for line in text.splitlines())
    rows = [line for line in lines if "script" in line]
    assert rows
    for line in rows:
        unescaped = re.sub(r"\\[\\{}$&#%_]|\\[a-zA-Z]+\{?\}?|\\multicolumn\{\d+\}\{l\}", "", line.removesuffix(r" \\"))
        assert not re.search(r"[$#%_^~\\]", unescaped), unescaped
    body = "\n".join(lines)
    assert body.count(r"\begin{table*}") == body.count(r"\end{tabular}") == body.count(r"\toprule") > 0
    plain = re.sub(r"\\[{}\\]", "", body)
    assert plain.count("{") == plain.count("}")


def test_latex_rows_have_as_many_cells_as_columns_and_never_begin_an_argument():
    text = render(build([result("folder/x", name) for name in ("[x]", "*y", "a & b")], figures=()), "latex")
    for table in re.findall(r"\\begin\{tabular\}\{(\w+)\}\n(.*?)\\end\{tabular\}", text, re.DOTALL):
        for line in table[1].splitlines():
            if line.endswith(r"\\") and "multicolumn" not in line:
                assert len(re.findall(r"(?<!\\)&", line)) == len(table[0]) - 1
                assert not line.startswith(("[", "*"))


def test_latex_cuts_what_does_not_fit_a_page():
    text = render(thirteen(), "latex")
    for aligned, rows in re.findall(r"\\begin\{tabular\}\{(\w+)\}\n(.*?)\\end\{tabular\}", text, re.DOTALL):
        assert len(aligned) <= 9
        assert rows.count("\\\\\n") <= 70


def test_html_is_one_closed_document_with_nothing_fetched():
    text = render(thirteen(), "html", PAGE_COMMAND)
    page = Page(text)
    tags = [tag for tag, _ in page.tags]
    assert not {"script", "img", "link", "iframe", "object", "form", "base"} & set(tags)
    assert not re.search(r"url\(|@import", text)
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        if tag == "a":
            assert re.match(r"#part\d+$|https://", attributes["href"] or "")
        if tag == "th":
            assert attributes.get("scope") in ("col", "row", "rowgroup")
    assert tags.count("table") == tags.count("caption")
    assert ("html", {"lang": "en"}) in page.tags
    assert "prefers-color-scheme: dark" in text


def test_html_draws_the_intervals_of_gains_within_their_picture():
    figures = [0.01 * n for n in range(40)]
    board = build(
        [
            result("beir/nfcorpus", "first-stage", *figures),
            result("beir/nfcorpus", "up", *(figure + 0.1 for figure in figures)),
            result("beir/nfcorpus", "down", *(figure / 2 for figure in figures)),
        ]
    )
    page = Page(render(board, "html"))
    drawn = [attributes for tag, attributes in page.tags if tag == "line" and "class" not in attributes]
    assert len(drawn) == 2
    for line in drawn:
        assert 0 <= float(line["x1"] or -1) <= float(line["x2"] or -1) <= 120


def test_html_shows_hostile_names_as_text():
    page = Page(render(hostile(), "html", HOSTILE))
    assert "script" not in [tag for tag, _ in page.tags]
    assert not any("\x1b" in data or "\u202e" in data for _, data in page.texts)
    names = [data for tag, data in page.texts if tag == "th" and "alert" in data]
    assert names
    assert all(name.startswith("<script>alert('x')</script>|&\"`[a](javascript:b) \\x1b[31m\\u202e") for name in names)


def test_markdown_shows_hostile_names_as_text():
    tokens = MarkdownIt("commonmark").enable("table").parse(render(hostile(), "markdown", HOSTILE))
    inline = [child for token in tokens for child in token.children or ()]
    assert {child.content for child in inline if child.type == "html_inline"} <= {"<br>", "<sup>", "</sup>"}
    assert not [child for child in inline if child.type in ("link_open", "image", "code_inline")]
    assert not [token for token in tokens if token.type == "html_block"]
    assert "<script>alert('x')</script>|&\"`[a](javascript:b)" in " ".join(
        "".join(child.content for child in token.children or ()) for token in tokens
    )


def test_text_shows_hostile_names_harmlessly():
    text = render(hostile(), "text", HOSTILE)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
    assert max(cell_len(line) for line in text.splitlines() if not line.startswith("    ")) <= WIDTH


@settings(max_examples=25)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=3, unique=True))
def test_any_name_leaves_every_format_whole(names: list[str]):
    board = build([result("folder/x", name) for name in names])
    Page(render(board, "html"))
    assert len(list(csv.DictReader(io.StringIO(render(board, "csv"))))) == len(names)
    assert max(map(cell_len, render(board, "text").splitlines())) <= WIDTH
    rows = [
        line for line in render(board, "markdown").splitlines() if line.startswith("|  | reranker | x<br>2 queries |")
    ]
    assert len(rows) == 1
    for form in (*FORMATS, "csv"):
        render(board, form).encode()


def test_a_mixed_board_marks_its_columns_in_every_format():
    board = build([result(stage=stage) for stage in ("bm25", "splade")], mixed=True)
    for form in (*FORMATS, "csv"):
        text = render(board, form)
        assert "splade@100" in text or form == "csv"
    lines = list(csv.DictReader(io.StringIO(render(board, "csv"))))
    assert {line["first_stage"] for line in lines} == {"bm25", "splade"}


def test_an_unknown_format_is_refused():
    with pytest.raises(BenchError, match=r"'pdf'\. Known: text, markdown, latex, html"):
        render(build([result()]), "pdf")


@pytest.mark.parametrize(("queries", "few"), [(29, True), (30, False)])
def test_few_queries_are_said_to_be_few(queries: int, few: bool):
    page = render(build([result("beir/nfcorpus", "a", *[0.5] * queries)]), "markdown")
    assert (", few queries" in page) == few
