"""Tokenising a very long text piece by piece, in bounded memory, with the tokens of the whole text.

An encoding takes some 700 bytes a token, so a text of 50 MB would take 8 GB at once. A text is cut at the end of a
word: the text around a cut is tokenised both whole and in two, and a cut that changes the tokens is not used.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from tokenizers import Encoding, Tokenizer

PIECE = 200_000
"""The most characters that are tokenised at once: a text that is not longer is one piece."""

_AROUND = 300  # characters on either side of a cut that are compared
_SEARCHED = 20_000  # characters before a piece's end that are searched for a cut
_TRIES = 8
_CUTS = (re.compile(r"(?<=[^\W_])(?= [^\W_])"), re.compile(r"(?<=\n)(?=[^\W_])"), re.compile(r"(?<=[^\W_])(?=[^\W_])"))
"""Between words, between lines, and between letters for languages without spaces; tried in this order."""


def encodings(tokenizer: Tokenizer, text: str) -> Iterator[tuple[int, Encoding]]:
    """The pieces' encodings without special tokens, each with its offset in the text."""
    start = 0
    while start < len(text) or start == 0:
        end = _end(tokenizer, text, start)
        yield start, tokenizer.encode(text[start:end], add_special_tokens=False)
        start = max(end, 1)


def batches(texts: Sequence[str]) -> Iterator[list[str]]:
    """Texts in their order, in batches of at most `PIECE` characters in all, or of a single longer text."""
    batch: list[str] = []
    characters = 0
    for text in texts:
        if batch and characters + len(text) > PIECE:
            yield batch
            batch, characters = [], 0
        batch.append(text)
        characters += len(text)
    if batch:
        yield batch


def _end(tokenizer: Tokenizer, text: str, start: int) -> int:
    """The end of the piece that begins at `start`; a text that cannot be cut anywhere is a single piece."""
    size = PIECE
    while start + size < len(text):
        target = start + size
        for pattern in _CUTS:
            found = [match.start() for match in pattern.finditer(text, max(start + 1, target - _SEARCHED), target)]
            for cut in islice(reversed(found), _TRIES):
                if _changes_nothing(tokenizer, text, cut):
                    return cut
        size *= 2
    return len(text)


def _changes_nothing(tokenizer: Tokenizer, text: str, cut: int) -> bool:
    """Whether the text around a cut has the same tokens whole and in two."""
    before, after = text[max(0, cut - _AROUND) : cut], text[cut : cut + _AROUND]
    whole, first, second = (
        tokenizer.encode(part, add_special_tokens=False).ids for part in (before + after, before, after)
    )
    return bool(whole == first + second)
