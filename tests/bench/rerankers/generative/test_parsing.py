import pytest

from bench.rerankers.generative import prompts, texts
from bench.rerankers.generative.parsing import Rules, read

NUMBERS = ["1", "2", "3", "4"]
LETTERS = ["A", "B", "C", "D"]


@pytest.mark.parametrize(
    ("text", "order", "kind"),
    [
        ("[2] > [1] > [4] > [3]", (1, 0, 3, 2), "whole"),
        ("2, 1, 4, 3", (1, 0, 3, 2), "whole"),
        ("Here are the 4 passages sorted: [2] > [1] > [4] > [3]", (1, 0, 3, 2), "whole"),
        ("[2] > [2] > [1] > [4] > [3] > [1]", (1, 0, 3, 2), "repeated"),
        ("[2] > [1]", (1, 0, 2, 3), "missing"),
        ("[4] > [4]", (3, 0, 1, 2), "repeated"),
        ("[2] > [9] > [1] > [4] > [3]", (1, 0, 3, 2), "out of range"),
        ("[0] > [2] > [1] > [4] > [3]", (1, 0, 3, 2), "out of range"),
        ("[99999999] [2]", (1, 0, 2, 3), "out of range"),
        ("All are about the moon.", (0, 1, 2, 3), "no list"),
        ("", (0, 1, 2, 3), "no list"),
        ("I'm sorry, I cannot rank these 4 passages.", (0, 1, 2, 3), "refused"),
        ("<think>[1] > [2]? No.</think>[4] > [3] > [2] > [1]", (3, 2, 1, 0), "whole"),
        ("<think>first [1], then", (0, 1, 2, 3), "no list"),
        ("［２］＞［１］＞［４］＞［３］", (1, 0, 3, 2), "whole"),
        ("② ① ④ ③", (1, 0, 3, 2), "whole"),
        ("[²] > [¹] > [⁴] > [₃]", (1, 0, 3, 2), "whole"),
        ("[02] > [01] > [04] > [03]", (1, 0, 3, 2), "whole"),
        ("[A] > [2] > [1] > [4] > [3]", (1, 0, 3, 2), "whole"),
    ],
)
def test_numbers(text, order, kind):
    reading = read(text, "stop", NUMBERS, Rules())
    assert (reading.order, reading.kind) == (order, kind)


@pytest.mark.parametrize(
    ("text", "finish", "order", "kind"),
    [
        ("[2] > [1", "length", (1, 0, 2, 3), "cut off"),
        ("<think>and so on", "length", (0, 1, 2, 3), "cut off"),
        ("[2] > [1] > [4] > [3] and then", "length", (1, 0, 3, 2), "whole"),
        ("[2] > [1] > [4] > [3]", "refused", (0, 1, 2, 3), "refused"),
    ],
)
def test_how_an_answer_ends(text, finish, order, kind):
    reading = read(text, finish, NUMBERS, Rules())
    assert (reading.order, reading.kind) == (order, kind)


@pytest.mark.parametrize(
    ("text", "order", "kind"),
    [
        ("[B] > [A] > [D] > [C]", (1, 0, 3, 2), "whole"),
        ("B > A > D > C", (1, 0, 3, 2), "whole"),
        ("[B] > [Z]", (1, 0, 2, 3), "out of range"),
        ("I cannot do that.", (0, 1, 2, 3), "refused"),
    ],
)
def test_letters(text, order, kind):
    reading = read(text, "stop", LETTERS, Rules())
    assert (reading.order, reading.kind) == (order, kind)


def test_an_answer_between_tags():
    text = "<think> [1] </think> so <answer> [3] > [1] > [2] > [4] </answer> as of [4]"
    assert read(text, "stop", NUMBERS, Rules(tag="answer")).order == (2, 0, 1, 3)
    assert read("[3] > [1]", "stop", NUMBERS, Rules(tag="answer")).order == (2, 0, 1, 3)  # no tags at all


def test_ties_on_the_last_line_stop_at_the_first_repeat():
    text = "Of 4 passages:\n[3] > [1] = [4] > [3] > [2]\n"
    reading = read(text, "stop", NUMBERS, Rules(last_line=True, stop_at_repeat=True))
    assert (reading.order, reading.kind) == ((2, 0, 3, 1), "repeated")


@pytest.mark.parametrize(
    ("text", "order", "kind"),
    [
        ("[3]", (2, 0, 1, 3), "whole"),
        ("Passage 3 is best", (2, 0, 1, 3), "whole"),
        ("[3], since [1] is off", (2, 0, 1, 3), "whole"),
        ("[7]", (0, 1, 2, 3), "out of range"),
        ("none", (0, 1, 2, 3), "no list"),
    ],
)
def test_the_best_alone(text, order, kind):
    reading = read(text, "stop", NUMBERS, Rules(), best_only=True)
    assert (reading.order, reading.kind) == (order, kind)


def test_a_number_in_a_passage_is_no_identifier():
    assert texts.clean("as shown [3] and [ 12 ],\n[A] but not [abc]") == "as shown (3) and ( 12 ), (A) but not [abc]"


@pytest.mark.parametrize(
    ("text", "limit", "first", "units"),
    [
        ("one two three", 2, "one two", 3),
        ("one two three", 3, "one two three", 3),
        ("一二三四五", 2, "一二", 5),
        ("東京 is くに", 3, "東京 is", 5),
        ("ประเทศ", 3, "ประ", 6),
        ("", 1, "", 0),
    ],
)
def test_words_are_cut_at_white_space_and_chinese_japanese_and_thai_by_characters(text, limit, first, units):
    assert texts.first(text, limit) == first
    assert texts.units(text) == units


def test_every_prompt_is_whole():
    names = sorted(path.stem for path in prompts.FOLDER.glob("*.toml"))
    assert {"zero-shot", "rank-zephyr", "rank-vicuna", "first-mistral", "reason-rank", "rank-k"} <= set(names)
    for name in names:
        prompt = prompts.read(name)
        turns = prompt.turns("why {passages} [q]", ["one {query}", "two", "three"])
        everything = "\n".join(turn["content"] for turn in turns)
        # What a passage or query says in braces is not filled in.
        assert everything.count("why {passages} [q]") >= 1
        assert f"[{prompt.names(3)[0]}] one {{query}}" in everything
        assert f"[{prompt.names(3)[2]}] three" in everything
        assert [turn["role"] for turn in turns].count("system") <= 1
        assert turns[-1]["role"] == "user"


def test_a_turn_for_each_passage():
    turns = prompts.read("zero-shot-turns").turns("q", ["one", "two"])
    assert [turn["role"] for turn in turns] == ["system", *["user", "assistant"] * 3, "user"]
    assert [turn["content"] for turn in turns[3:7]] == [
        "[1] one",
        "I have read passage [1].",
        "[2] two",
        "I have read passage [2].",
    ]
