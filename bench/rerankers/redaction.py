"""Removes secrets from text that others wrote, in whatever form they repeat them."""

import base64
import html
import json
import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import quote, quote_plus, unquote_plus

MARK = "***"
WITHHELD = "(not shown, since it repeats a part of the key)"
LONGEST = 4_000
"""Characters of a foreign text that are looked at; the rest is dropped."""
_TRACE = 8
"""Consecutive letters and digits of a secret that give it away."""
_SHORTEST = 4
"""Letters and digits below which a secret (``x``, ``no``) is part of any text, and only its exact forms are removed."""
_ROUNDS = 4
"""How often a text is unescaped: JSON inside JSON, percent signs that were themselves quoted."""
_CODE = re.compile(r"\\+(?:u\{?([0-9a-fA-F]{4})\}?|x([0-9a-fA-F]{2})|([0-7]{3})|[abfnrtv0])")
_TAG = re.compile(r"<[^<>]{0,100}>")
_BYTES = re.compile(r"\b[0-9]{2,3}(?:[\s,;]+[0-9]{2,3}){3,}\b")
"""Numbers in a row, which may be the bytes of a text."""


class Redaction:
    """Removes some secrets from texts.

    The usual forms of a secret (plain, as Python, JSON, HTML or a URL writes it, in base64) become ``***``. A text in
    which it is then still recognisable (broken by blanks or tags, escaped twice, encoded with other text, as a list of
    bytes, backwards, repeated in part) is withheld as a whole.
    """

    def __init__(self, *secrets: str) -> None:
        given = [secret for secret in secrets if secret]
        self._forms = sorted({form for secret in given for form in _forms(secret)}, key=len, reverse=True)
        self._traces = {trace for secret in given for trace in _traces(secret)}

    def __call__(self, text: str) -> str:
        """The start of a text, `LONGEST` characters, without the secrets."""
        text = text[:LONGEST]
        for form in self._forms:
            text = text.replace(form, MARK)
        shows = any(trace in view for view in _views(text) for trace in self._traces)
        return WITHHELD if shows else text


def _forms(secret: str) -> Iterator[str]:
    """A secret as common programs write it."""
    yield from (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], json.dumps(secret)[1:-1].replace("/", "\\/"))
    yield from (html.escape(secret), quote(secret), quote(secret, safe=""), quote_plus(secret))
    for content in (secret, f"Bearer {secret}"):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            encoded = encode(content.encode()).decode()
            yield from (encoded, encoded.rstrip("="))


def _traces(secret: str) -> Iterator[str]:
    """What gives a secret away in a squeezed text: its parts, as they are, backwards, in hexadecimal, in base64."""
    content = secret.encode()
    if len(_squeezed(secret)) < _SHORTEST:
        return
    yield from _windows(_squeezed(secret), _TRACE)
    yield from _windows(_squeezed(secret)[::-1], _TRACE)
    yield from _windows(content.hex(), 2 * _TRACE)
    for offset, start in enumerate((0, 2, 3)):
        # Each of three phases in which base64 can meet the secret, without the characters that its neighbours decide.
        encoded = base64.b64encode(bytes(offset) + content).decode()
        yield from _windows(_squeezed(encoded[start : (offset + len(content)) * 8 // 6]), _TRACE * 4 // 3)


def _windows(text: str, size: int) -> Iterator[str]:
    """All parts of a text of one size; the text itself where it is shorter."""
    return (text[start : start + size] for start in range(max(1, len(text) - size + 1)))


def _views(text: str) -> Iterator[str]:
    """A text squeezed, without its tags, its numbers read as bytes; then unescaped once, twice, and so on."""
    for _ in range(_ROUNDS):
        yield _squeezed(text)
        yield _squeezed(_TAG.sub("", text))
        yield _squeezed(_BYTES.sub(_decoded, text))
        text = html.unescape(unquote_plus(_CODE.sub(_character, text)))
    yield _squeezed(text)


def _character(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    if match[3]:
        return chr(int(match[3], 8))
    return chr(int(code, 16)) if code else " "


def _decoded(match: re.Match[str]) -> str:
    return "".join(chr(int(number)) for number in re.findall("[0-9]+", match[0]))


def _squeezed(text: str) -> str:
    """Letters and digits alone, in lower case."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))
