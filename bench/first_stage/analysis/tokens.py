"""Tokenisers: ways to cut a text into tokens.

The patterns are the package regex's, since the standard library's re does not count vowel signs and other marks as
parts of a word, which most scripts of Asia need.
"""

import os
from functools import cache
from itertools import pairwise
from typing import Any

import regex

# Letters, digits and underscores with their marks, joined by an apostrophe or full stop between letters and by
# separators between digits: the word bounds of UAX 29 (rules WB5 to WB13) as far as texts show them.
_WORD = regex.compile(
    r"[\p{L}\p{N}][\p{L}\p{N}\p{M}_]*"
    r"(?:(?:(?<=[\p{L}\p{M}])['’.·](?=\p{L})|(?<=\p{N})[.,;'](?=\p{N}))[\p{L}\p{N}\p{M}_]+)*"
)
_LONG_WORD = regex.compile(r"[\p{L}\p{N}][\p{L}\p{N}\p{M}]+")
_ASCII_BOUNDS = bytes(code if chr(code).isalnum() else ord(" ") for code in range(128)).ljust(256)

_CJK = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}ー]"
_CJK_RUN_OR_WORD = regex.compile(rf"({_CJK}+)|((?:(?!{_CJK})[\p{{L}}\p{{N}}\p{{M}}])+)")
_SCRIPT_RUN = regex.compile(r"\p{Han}+|\p{Katakana}[\p{Katakana}ー]*")
_THAI = regex.compile(r"\p{Thai}")

_IDENTIFIER = regex.compile(r"[\p{L}_][\p{L}\p{M}\p{N}_]*|\p{N}+")
# HTTPServer2_url is HTTP, Server, 2, url; letters without case stay together
_IDENTIFIER_WORD = regex.compile(r"\p{Lu}+(?!\p{Ll})|\p{Lu}?\p{Ll}+|[\p{Lo}\p{Lm}\p{Lt}\p{M}]+|\p{N}+")


def white_space(text: str) -> list[str]:
    """Cut at white space only."""
    return text.split()


def words(text: str) -> list[str]:
    """Cut into words as Lucene's StandardTokenizer does, save that a run of ideographs is one word."""
    found: list[str] = _WORD.findall(text)
    return found


def long_words(text: str) -> list[str]:
    """Cut into runs of letters and digits, leaving out those of one character."""
    if text.isascii():  # the same runs, in a third of the time
        runs = text.encode("ascii").translate(_ASCII_BOUNDS).decode("ascii").split()
        return [run for run in runs if len(run) > 1]
    found: list[str] = _LONG_WORD.findall(text)
    return found


def cjk_bigrams(text: str) -> list[str]:
    """Cut runs of Chinese, Japanese and Korean characters into overlapping pairs, as Lucene's CJKBigramFilter does.

    A lone character is a token; words of other scripts stay whole.
    """
    found: list[str] = []
    for run, word in _CJK_RUN_OR_WORD.findall(text):
        if len(run) > 1:
            found.extend(first + second for first, second in pairwise(run))
        else:
            found.append(run or word)
    return found


def script_runs(text: str) -> list[str]:
    """Find the runs of Chinese characters and of katakana; in Japanese most words begin where the script changes."""
    found: list[str] = _SCRIPT_RUN.findall(text)
    return found


def thai_words(text: str) -> list[str]:
    """Cut Thai, which has no spaces between words, with pythainlp's newmm segmenter and ICU's word list.

    pythainlp's default word list has compounds that Java's BreakIterator, and so Lucene, cuts into their parts.
    """
    segment, dictionary = _newmm()
    found: list[str] = []
    for word in words(text):
        if _THAI.search(word):
            found.extend(part for piece in segment(word, dictionary) for part in words(piece))
        else:
            found.append(word)
    return found


@cache
def _newmm() -> tuple[Any, Any]:
    """The segmenter, and ICU's word list as a trie."""
    os.environ.setdefault("PYTHAINLP_READ_ONLY", "1")  # else the import makes a data folder in the user's home
    from pythainlp.corpus import thai_icu_words
    from pythainlp.tokenize.newmm import segment
    from pythainlp.util import Trie

    return segment, Trie(thai_icu_words())


def identifiers(code: str) -> list[str]:
    """Find the identifiers made of several words, whole and lower-cased."""
    found = (identifier for identifier in _IDENTIFIER.findall(code) if len(_IDENTIFIER_WORD.findall(identifier)) > 1)
    return [identifier.lower().strip("_") for identifier in found]


def identifier_words(code: str) -> list[str]:
    """Find the words in code and prose, cut at changes of case, underscores and digits, lower-cased."""
    return [word.lower() for word in _IDENTIFIER_WORD.findall(code)]
