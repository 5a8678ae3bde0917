"""The tokenizer of static token embeddings, and random texts of its words."""

import pytest
from tokenizers import Tokenizer

from reranker.checkpoint import EMBEDDED, find
from reranker.errors import RerankerError
from reranker.prompt import Markers
from reranker.train.static.wordpiece import NUMBERS, START, random_texts, uncased

PIECES = ["[PAD]", "[unused1]", "[UNK]", "[", "]", '"', "<", ">", *NUMBERS, "query", "tide", "##s", "sea", "a"]


@pytest.fixture
def small() -> Tokenizer:
    return uncased(PIECES, Markers())


def test_case_and_accents_make_no_difference(small: Tokenizer) -> None:
    assert small.encode("Tides [SEA] tídes").tokens == ["tide", "##s", "[", "sea", "]", "tide", "##s"]


def test_what_is_unknown_stays_so_when_a_cut_text_is_read_again(small: Tokenizer) -> None:
    ids = small.encode("sea glacier tides").ids
    text = small.decode(ids, skip_special_tokens=False)
    assert text == "sea [UNK] tides"
    assert small.encode(text).ids == ids


def test_special_tokens_of_the_prompt_are_one_token_each_and_those_of_the_source_are_gone(small: Tokenizer) -> None:
    text = f"{START}sea{Markers().document}{Markers().query}"
    assert small.encode(text).tokens == [START, "sea", Markers().document, Markers().query]
    assert (small.token_to_id("[UNK]"), small.token_to_id("["), small.token_to_id("[PAD]")) == (0, 1, None)


@pytest.mark.parametrize("piece", ["124", "<", "query"])
def test_a_vocabulary_without_what_the_prompt_is_read_by_is_refused(piece: str) -> None:
    with pytest.raises(RerankerError, match=f"lacks {piece!r}"):
        uncased([each for each in PIECES if each != piece], Markers())


def test_random_texts_are_of_whole_words_the_frequent_ones_more_often() -> None:
    tokenizer = find(EMBEDDED).tokenizer()
    texts = random_texts(tokenizer, 500, seed=3)
    assert texts == random_texts(tokenizer, 500, seed=3) != random_texts(tokenizer, 500, seed=4)
    words = [text.split() for text in texts]
    assert {len(each) for each in words} == set(range(3, 11))
    ids = [tokenizer.token_to_id(word) for each in words for word in each]
    assert None not in ids
    assert all(len(tokenizer.encode(text).ids) == len(each) for text, each in zip(texts, words, strict=True))
    half = tokenizer.get_vocab_size() / 2
    # With a word at the share u ** 1.5 of the vocabulary, a share of .5 ** (1 / 1.5) = .63 is in its first half.
    assert 0.6 < sum(token < half for token in ids) / len(ids) < 0.67
