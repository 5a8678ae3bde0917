from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import mark, raises
from tokenizers import Tokenizer, models, pre_tokenizers

from bench.errors import BenchError
from bench.rerankers.local.truncation import Cut, Cutter, longest_first


@mark.parametrize(
    ("query", "document", "room", "kept"),
    [
        (3, 4, 10, (3, 4)),
        (3, 9, 10, (3, 7)),
        (9, 3, 10, (7, 3)),
        (9, 9, 10, (5, 5)),
        (9, 8, 11, (6, 5)),
        (8, 9, 11, (5, 6)),
    ],
)
def test_longest_first(query, document, room, kept):
    assert longest_first(query, document, room) == kept


@given(query=st.integers(0, 40), document=st.integers(0, 40), room=st.integers(2, 40))
@settings(max_examples=200)
def test_longest_first_is_what_tokenizers_do(wordpiece, query, document, room):
    kept = wordpiece(["moon " * query], ["water " * document], truncation="longest_first", max_length=room + 3)
    ids = kept["input_ids"][0]
    moon, water = (wordpiece.convert_tokens_to_ids(word) for word in ("moon", "water"))
    assert longest_first(query, document, room) == (ids.count(moon), ids.count(water))


@given(text=st.text(), limit=st.integers(0, 12))
@settings(max_examples=200)
def test_cut_keeps_the_start(byte_level, text, limit):
    (cut,) = Cutter(byte_level, "tiny").cut([text], limit)
    whole = byte_level(text, add_special_tokens=False)["input_ids"]
    assert cut.tokens == min(limit, len(whole))
    assert cut.lost == len(whole) - cut.tokens
    assert text.startswith(cut.text)


@mark.parametrize("limit", [0, 1, 7, 100, 101, 2000, 10_000])
def test_a_long_text_is_cut_as_in_one_piece(byte_level, limit, monkeypatch):
    texts = ["the moon pulls the water. Bread is baked " * 20, "short", "le pain est cuit au four; " * 60, ""]
    expected = Cutter(byte_level, "tiny").cut(texts, limit)
    monkeypatch.setattr("bench.rerankers.local.truncation.PIECE", 150)
    monkeypatch.setattr("reranker.pieces.PIECE", 150)
    assert Cutter(byte_level, "tiny").cut(texts, limit) == expected


def test_the_models_own_tokenizer_settings_stay_out(wordpiece):
    cutter = Cutter(wordpiece, "tiny")
    wordpiece(["moon " * 100, "moon"], truncation=True, max_length=5, padding=True)
    assert [cut.tokens for cut in cutter.cut(["moon " * 100, "moon"], 1000)] == [100, 1]
    assert (cutter.special_tokens, cutter.special_tokens_of_pair) == (2, 3)


def test_within():
    assert Cut("a b c", 3, 2).within(2) == Cut("a b c", 2, 3)
    assert Cut("a b c", 3).within(None) == Cut("a b c", 3)
    assert Cut("a b c", 3).within(-1) == Cut("a b c", 0, 3)


def test_a_tokeniser_that_splits_by_python_code_is_refused():
    """As transformers' tokenisers for Chinese and Japanese are, which need packages of their own."""
    tokenizer = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    tokenizer.pre_tokenizer = pre_tokenizers.PreTokenizer.custom(object())
    with raises(BenchError, match="cannot be copied"):
        Cutter(tokenizer, "roformer")
