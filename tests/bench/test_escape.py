import re
import unicodedata
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console
from rich.text import Text

from bench.escape import latex, markdown_cell, terminal
from bench.render import render
from bench.render.page import Notes, Page, Table, columns, rows

anything = st.text(
    st.characters(exclude_categories=()) | st.sampled_from("\x1b|`*_[]()<>&$\\{}#%^~\"'@:/!\n\r\t\u202e\ud800 w.")
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("\x9b31mred", r"\x9b31mred"),  # the one-byte form of the same sequence
        ("a\r\nb\tc\u2028d", "a b c d"),
        ("back\x08space\x7f", r"back\x08space\x7f"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2066isolated\u2069", r"\u2066isolated\u2069"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("half \ud83d pair", r"half \ud83d pair"),
        ("tag \U000e0041", r"tag \U000e0041"),
        ("می\u200cخواهم", "می\u200cخواهم"),  # Persian is written with the non-joiner
        ("क्\u200dष 日本語 😀", "क्\u200dष 日本語 😀"),
    ],
)
def test_terminal(text: str, shown: str) -> None:
    assert terminal(text) == shown


@given(anything)
def test_terminal_leaves_nothing_that_acts(text: str) -> None:
    shown = terminal(text)
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in shown)
    assert not any(unicodedata.bidirectional(character) in BIDI_CONTROLS for character in shown)
    assert terminal(shown) == shown
    shown.encode()


BIDI_CONTROLS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@given(anything)
def test_terminal_text_is_printed_by_rich_as_it_is(text: str) -> None:
    console = Console(file=StringIO(), width=10_000, force_terminal=True, color_system="truecolor")
    console.print(Text(terminal(f"x{text}x")), soft_wrap=True)
    assert isinstance(console.file, StringIO)
    assert console.file.getvalue() == terminal(f"x{text}x") + "\n"


@given(anything)
def test_terminal_text_is_legal_xml(text: str) -> None:
    element = ElementTree.Element("a", b=terminal(text))
    element.text = terminal(text)
    read = ElementTree.fromstring(ElementTree.tostring(element, encoding="utf-8"))
    assert (read.text or "") == read.get("b") == terminal(text)


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("beir/nfcorpus nDCG@10", "beir/nfcorpus nDCG@10"),
        ("a | b", r"a \| b"),
        ("a \\| b", r"a \\\| b"),
        ("two\nlines", "two lines"),
        ("<script>alert(1)</script>", r"&lt;script&gt;alert\(1\)&lt;/script&gt;"),
        ("[click](javascript:x)", r"\[click\]\(javascript:x\)"),
        ("**bold** `code` $x$", r"\*\*bold\*\* \`code\` \$x\$"),
        ("https://example.org www.example.org", "https&#58;//example.org www&#46;example.org"),
        ("@somebody, a@b", "&#64;somebody, a@b"),
        ("&amp;", "&amp;amp;"),
    ],
)
def test_markdown_cell(text: str, cell: str) -> None:
    assert markdown_cell(text) == cell


@given(anything)
def test_markdown_cell_is_one_cell_of_plain_text(text: str) -> None:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = parser.parse(f"| x{markdown_cell(text)}x | end |\n|---|---|\n| x{markdown_cell(text)}x | end |\n")
    cells = [token for token in tokens if token.type == "inline"]
    assert len(cells) == 4
    for cell in cells[::2]:
        assert {child.type for child in cell.children or []} == {"text"}
        assert "".join(child.content for child in cell.children or []) == f"x{terminal(text)}x"


class Reader(HTMLParser):
    """Gathers the text, and fails at any tag but the one that was meant."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.attributes: list[tuple[str, list[tuple[str, str | None]]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(anything)
def test_html_is_text_and_attribute(text: str) -> None:
    table = Table(columns(("",)), (rows([(text,)]),), caption=f"x{text}x")
    plain, reader = Reader(), Reader()
    plain.feed(render(Page((replace(table, groups=(rows([("",)]),), caption="xx"),), title="xx"), "html"))
    reader.feed(render(Page((table,), title=f"x{text}x"), "html"))
    reader.close()
    assert [tag for tag, _ in reader.attributes] == [tag for tag, _ in plain.attributes]
    assert ("aria-label", terminal(f"x{text}x")) in [pair for _, pairs in reader.attributes for pair in pairs]
    assert terminal(text) in reader.text


def test_html() -> None:
    page = render(Page((Notes(("<img src=x onerror=\"alert('1')\">",)),)), "html")
    assert "<li>&lt;img src=x onerror=&#34;alert(&#39;1&#39;)&#34;&gt;</li>" in page


def test_latex() -> None:
    assert latex(r"50% of R&D_1 #2 {x} $y$") == r"50\% of R\&D\_1 \#2 \{x\} \$y\$"
    assert latex(r"\input{/etc/passwd}") == r"\textbackslash{}input\{/etc/passwd\}"
    assert latex("a~b^^41 <c> |d|") == (
        r"a\textasciitilde{}b\textasciicircum{}\textasciicircum{}41 \textless{}c\textgreater{} \textbar{}d\textbar{}"
    )


@given(anything)
def test_latex_leaves_no_special_character_alone(text: str) -> None:
    known = r"\\(text(backslash|asciitilde|asciicircum|less|greater|bar|quotedbl|asciigrave)\{\}|[{}$&#%_])"
    assert not re.search(r"[\\{}$&#%_~^\n]", re.sub(known, "", latex(text)))
