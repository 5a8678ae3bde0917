"""A long text's pieces have the tokens of the whole, for tokenizers of every make."""

import random
import subprocess
import sys
from collections.abc import Callable

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from reranker import checkpoint, pieces
from reranker.pieces import batches, encodings

WORDS = [
    *(
        "the moon pulls water don't 3.14 co-operate naïve Straße Ελλάδα вода 2,000 <b> </s> [SEP] e.g. U.S.A. x" * 1
    ).split(),
    *("月は水を引く。", "水", "한국어 문장", "ไทยไม่มีช่องว่าง", "عربي", "👩‍👩‍👧", "e\u0301", "ﬁ", "a" * 250, "\u200b"),
]
GAPS = [" ", " ", " ", " ", "  ", "\n", "\n\n", "\t", " \n ", ". ", ", ", "", "\r\n", "\u00a0", "\u3000"]


def text_of(seed: int, words: int) -> str:
    chance = random.Random(seed)
    return "".join(chance.choice(WORDS) + chance.choice(GAPS) for _ in range(words))


def wordpiece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return trained(tokenizer, trainers.WordPieceTrainer(vocab_size=400, special_tokens=["[UNK]", "[SEP]"]))


def byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return trained(tokenizer, trainers.BpeTrainer(vocab_size=500, initial_alphabet=alphabet, special_tokens=["</s>"]))


def unigram() -> Tokenizer:
    """As XLM-RoBERTa's is."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(" {2,}", " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return trained(
        tokenizer, trainers.UnigramTrainer(vocab_size=300, unk_token="<unk>", special_tokens=["<unk>", "</s>"])
    )


def one_long_word() -> Tokenizer:
    """As Llama 2's is: the text is one word, to which a space is added."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return trained(tokenizer, trainers.BpeTrainer(vocab_size=400, special_tokens=["<unk>", "</s>"]))


def trained(tokenizer: Tokenizer, trainer: object) -> Tokenizer:
    tokenizer.train_from_iterator([text_of(seed, 60) for seed in range(20)], trainer)
    return tokenizer


def embedded() -> Tokenizer:
    return checkpoint.find(checkpoint.EMBEDDED).tokenizer()


@pytest.mark.parametrize("make", [wordpiece, byte_level, unigram, one_long_word, embedded])
def test_pieces_are_the_whole(make: Callable[[], Tokenizer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", 400)
    tokenizer = make()
    for seed in range(100, 140):
        text = text_of(seed, 300)
        whole = tokenizer.encode(text, add_special_tokens=False)
        found = list(encodings(tokenizer, text))
        assert [token for _, piece in found for token in piece.ids] == whole.ids
        offsets = [(start + a, start + b) for start, piece in found for a, b in piece.offsets]
        assert [end for _, end in offsets] == [end for _, end in whole.offsets]


def test_a_long_text_is_more_than_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", 400)
    tokenizer = wordpiece()
    found = list(encodings(tokenizer, "the moon pulls water " * 500))
    assert len(found) == 27
    assert max(len(piece.ids) for _, piece in found) <= 100


@pytest.mark.parametrize("text", ["", "x" * 1000, " " * 1000, "\n" * 1000, "月" * 1000])
def test_texts_without_words(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", 100)
    tokenizer = wordpiece()
    found = list(encodings(tokenizer, text))
    whole = tokenizer.encode(text, add_special_tokens=False).ids
    assert [token for _, piece in found for token in piece.ids] == whole


def test_batches_hold_a_pieces_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", 10)
    assert list(batches(["aaaa", "bbbb", "cccc", "d" * 30, "", "e"])) == [
        ["aaaa", "bbbb"],
        ["cccc"],
        ["d" * 30],
        ["", "e"],
    ]
    assert list(batches([])) == []


def test_memory_does_not_grow_with_the_text() -> None:
    """The encoding of the whole text takes 170 MB."""
    code = (
        "import resource\nfrom reranker import checkpoint\nfrom reranker.pieces import encodings\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "tokenizer = checkpoint.find('embedded').tokenizer()\nbefore = peak()\n"
        "count = sum(len(piece.ids) for _, piece in encodings(tokenizer, 'the moon pulls the water. ' * 40_000))\n"
        "print(count, peak() - before)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    count, megabytes = map(int, answer.stdout.split())
    assert count == 240_000
    assert megabytes < 80
