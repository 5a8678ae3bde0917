"""Texts as a prompt may show them: no identifiers of their own, and cut at white space."""

import re

from reranker.prompt import well_formed

_SPACELESS = "぀-ヿ㐀-䶿一-鿿豈-﫿฀-๿຀-໿ក-៿က-႟𠀀-𯨟"
"""Characters of scripts without spaces: Japanese, Chinese, Thai, Lao, Khmer, Burmese."""
_UNIT = re.compile(rf"[{_SPACELESS}]|[^\s{_SPACELESS}]+")
_IDENTIFIER = re.compile(r"\[(\s*(?:\d+|[A-Za-z])\s*)\]")


def clean(text: str) -> str:
    """A text on one line, with brackets around a number or letter turned into round ones: ``[3]`` is an identifier."""
    return _IDENTIFIER.sub(r"(\1)", " ".join(well_formed(text).split()))


def units(text: str) -> int:
    """How many words a text has; in scripts without spaces, each character counts."""
    return sum(1 for _ in _UNIT.finditer(text))


def first(text: str, limit: int) -> str:
    """The first ``limit`` words of a text, 1 or more."""
    for number, unit in enumerate(_UNIT.finditer(text), start=1):
        if number == limit:
            return text[: unit.end()]
    return text
