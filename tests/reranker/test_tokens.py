"""Tokenising by pieces gives the ids of the whole prompt, whatever the texts."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer

from reranker import pieces
from reranker import tokens as tokens_module
from reranker.checkpoint import EMBEDDED, find
from reranker.errors import CheckpointError
from reranker.prompt import Markers, well_formed, without_markers
from reranker.tokens import Block, Cut, PromptTokens, pieces_are_exact

SPEC = json.loads((Path(__file__).parent / "data/tiny-checkpoint/tokenizer.json").read_text(encoding="utf-8"))
QWEN = Tokenizer.from_str(json.dumps(SPEC))
SMOLLM = Tokenizer.from_str(
    json.dumps(
        SPEC
        | {
            "normalizer": None,
            "pre_tokenizer": {
                "type": "Sequence",
                "pretokenizers": [
                    {"type": "Digits", "individual_digits": True},
                    {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
                ],
            },
        }
    )
)
WORDPIECE = find(EMBEDDED).tokenizer()
TOKENIZERS = {
    name: (PromptTokens(tokenizer, Markers()), PromptTokens(tokenizer, Markers(), by_pieces=False))
    for name, tokenizer in (("qwen", QWEN), ("smollm", SMOLLM), ("wordpiece", WORDPIECE))
}

# What could join with its neighbours: white space of every kind, digits, marks, letters that compose, special strings.
AWKWARD = [
    *(
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        " ",
        "  ",
        "\t",
        "\x0b",
        "\x1c",
        "\x85",
        "\xa0",
        "\u2028",
        "\u200b",
        "\u3000",
        "\ufeff",
    ),
    *("0", "12", "٣", "½", '"', '">', '">\n', "<", ">", "</", "'s", "'", "?", "...", "<pass", "\x00", "\ufffd"),
    *(
        "\u0301",
        "\u0308\u0301",
        "e\u0301",
        "\u1100",
        "\u1161",
        "\u11a8",
        "각",
        "ﬁ",
        "Å",
        "👩\u200d🚀",
        "नी",
        "ไทย",
        "中文",
    ),
    *("</passage>", '<passage id="3', "<query>\n", "<|im_end|>", "<|im_start|>system\n", "<think>", "</tool_call>"),
    *("<|embed_token|>", "<|rerank_token|>", "<|embed_<|rerank_token|>token|>", "<|embed_", "token|>"),
    *("word", " word", "the tide", "Don't", "x=1"),
]
texts = st.lists(st.one_of(st.sampled_from(AWKWARD), st.text(max_size=4)), max_size=6).map("".join).map(well_formed)


@pytest.mark.parametrize("family", TOKENIZERS)
@settings(max_examples=300)
@given(
    query=texts,
    documents=st.lists(texts, min_size=1, max_size=13),
    instruction=st.one_of(st.none(), texts),
    cap=st.one_of(st.just(2048), st.integers(1, 12)),
    mark_first_query=st.booleans(),
)
def test_pieces_give_the_ids_of_the_whole_prompt(
    family: str, query: str, documents: list[str], instruction: str | None, cap: int, mark_first_query: bool
) -> None:
    prompts = []
    for tokens in TOKENIZERS[family]:
        [cut] = tokens.cut([query], cap)
        known = tokens.documents(documents, cap)
        cleaned = None if instruction is None else without_markers(instruction, Markers())
        block = Block(cut.text, [known[document] for document in documents], cleaned, mark_first_query)
        [prompt] = tokens.prompts([block])
        prompts.append(prompt)
    by_pieces, whole = prompts
    assert TOKENIZERS[family][0].by_pieces
    assert by_pieces.ids.tolist() == whole.ids.tolist()
    assert by_pieces.markers.tolist() == whole.markers.tolist()
    assert len(whole.markers) == len(documents) + 1
    assert by_pieces.first_query == whole.first_query
    assert (whole.first_query is None) != mark_first_query


def test_the_first_query_is_marked_before_the_documents_where_that_is_asked_for(tokenizer: Tokenizer) -> None:
    tokens = PromptTokens(tokenizer, Markers())
    documents = [tokens.documents(["a tide"], 9)["a tide"]]
    [plain] = tokens.prompts([Block("moon", documents, None)])
    [marked] = tokens.prompts([Block("moon", documents, None, mark_first_query=True)])
    assert plain.first_query is None
    assert marked.first_query is not None
    assert marked.first_query < marked.markers[0]
    assert tokenizer.id_to_token(marked.ids[marked.first_query]) == Markers().query
    assert tokenizer.decode(marked.ids[: marked.first_query].tolist()).endswith("query: moon")
    assert marked.ids.tolist().count(tokenizer.token_to_id(Markers().query)) == 2


def test_a_line_break_at_a_documents_start_shares_a_token_with_the_text_before_it() -> None:
    # The reason for the choice of boundaries: one at the document's start would not give the same ids.
    apart = QWEN.encode('">\n').ids + QWEN.encode("\n\ntext").ids
    assert QWEN.encode('">\n\n\ntext').ids != apart


def edited(**changes: object) -> Tokenizer:
    return Tokenizer.from_str(json.dumps(SPEC | changes))


def test_only_proven_tokenizers_are_used_in_pieces() -> None:
    assert pieces_are_exact(QWEN)
    assert pieces_are_exact(SMOLLM)
    assert pieces_are_exact(WORDPIECE)
    steps = SPEC["pre_tokenizer"]["pretokenizers"]
    grouped = [
        {**steps[0], "pattern": {"Regex": steps[0]["pattern"]["Regex"].replace(r"\p{N}|", r"\p{N}+|")}},
        steps[1],
    ]
    unproven = [
        edited(pre_tokenizer={"type": "Sequence", "pretokenizers": grouped}),
        edited(pre_tokenizer=steps[1]),
        edited(normalizer={"type": "Lowercase"}),
        Tokenizer.from_str(json.dumps(json.loads(WORDPIECE.to_str()) | {"pre_tokenizer": {"type": "Whitespace"}})),
    ]
    assert [pieces_are_exact(tokenizer) for tokenizer in unproven] == [False] * 4


@pytest.mark.parametrize(
    "token",
    [
        AddedToken('">\n', normalized=False),
        AddedToken("<wide>", lstrip=True, normalized=False),
        AddedToken("<a> <b>", normalized=False),
        AddedToken("<whole>", single_word=True, normalized=False),
    ],
    ids=lambda token: token.content.strip(),
)
def test_an_added_token_that_could_reach_over_a_cut_is_not_used_in_pieces(token: AddedToken) -> None:
    tokenizer = edited()
    tokenizer.add_tokens([token])
    assert not pieces_are_exact(tokenizer)
    tokens = PromptTokens(tokenizer, Markers())
    text = f"{token.content} text"
    [prompt] = tokens.prompts([Block("q", [tokens.documents([text], 2048)[text]], None)])
    assert prompt.markers[-1] > prompt.markers[0] > 0


def test_a_document_is_tokenised_once(tokenizer: Tokenizer) -> None:
    tokens = PromptTokens(tokenizer, Markers())
    first = tokens.documents(["a tide", "a moon"], 2048)
    again = tokens.documents(["a moon", "a star"], 2048)
    assert again["a moon"] is first["a moon"]
    assert tokens.documents(["a moon"], 1)["a moon"] != first["a moon"]
    tokens.forget()
    new = tokens.documents(["a moon"], 2048)["a moon"]
    assert new is not first["a moon"]
    assert new.cut == first["a moon"].cut


def test_the_cache_is_bounded_and_forgets_the_longest_unused(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = PromptTokens(tokenizer, Markers())
    monkeypatch.setattr(tokens_module, "_CACHED_UNITS", 400)
    kept = tokens.documents(["kept"], 2048)["kept"]
    for number in range(20):
        dropped = tokens.documents([f"text {number}", "kept"], 2048)[f"text {number}"]
    assert tokens.documents(["kept"], 2048)["kept"] is kept
    assert tokens.documents(["text 19"], 2048)["text 19"] is dropped
    first = tokens.documents(["text 0"], 2048)["text 0"]
    assert tokens.documents(["text 0"], 2048)["text 0"] is first
    assert len(tokens._documents) < 6


def test_cut_counts_what_it_removes(tokenizer: Tokenizer) -> None:
    tokens = PromptTokens(tokenizer, Markers())
    # Digits are one token each, so lengths can be told without the tokenizer.
    assert tokens.cut(["12345", "123", "1234"], 4) == [Cut("1234", 4, 1), Cut("123", 3, 0), Cut("1234", 4, 0)]


@pytest.mark.parametrize("text", ["a tide 12 ", "7", "\n", "漢字 "])
def test_long_texts_have_the_tokens_of_the_whole(
    text: str, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [text * 900, "short", text * 500, "", text * 100]
    whole = PromptTokens(tokenizer, Markers()).documents(texts, 40)
    monkeypatch.setattr(pieces, "PIECE", 1000)
    calls = 0
    real = pieces.encodings

    def counted(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        return real(*arguments)

    monkeypatch.setattr(pieces, "encodings", counted)
    cut = PromptTokens(tokenizer, Markers()).documents(texts, 40)
    assert calls == sum(len(one) > 1000 for one in texts)
    assert {key: one.cut for key, one in cut.items()} == {key: one.cut for key, one in whole.items()}


def test_memory_does_not_grow_with_a_documents_length(tiny_folder: Path) -> None:
    """5 MB took 800 MB more than 5 KB."""
    code = (
        "import resource, sys\nfrom reranker import Reranker\n"
        "one = Reranker.from_pretrained(sys.argv[1], device='cpu')\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "one.rerank('q', ['the tide turns. ' * 300])\nbefore = peak()\n"
        "one.rerank('q', ['the tide turns. ' * 300_000])\nprint(peak() - before)"
    )
    command = [sys.executable, "-c", code, str(tiny_folder)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 300 * 1024  # KiB


def test_the_markers_of_a_checkpoint_may_be_others(tokenizer: Tokenizer) -> None:
    markers = Markers("<|box_start|>", "<|box_end|>")
    tokens = PromptTokens(tokenizer, markers)
    [prompt] = tokens.prompts([Block("q", [tokens.documents(["a<|box_end|>"], 9)["a<|box_end|>"]], None)])
    assert [tokenizer.id_to_token(prompt.ids[position]) for position in prompt.markers] == [
        "<|box_start|>",
        "<|box_end|>",
    ]


def test_a_tokenizer_without_the_markers_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(CheckpointError, match=r"no token '<.nowhere.>'"):
        PromptTokens(tokenizer, Markers(document="<|nowhere|>"))
