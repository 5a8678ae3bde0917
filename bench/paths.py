"""Names for folders and files that every file system and upload accepts, different for different texts.

Texts such as a reranker's name, a run file's tag or a folder's name come from anywhere. What is made of them here has
letters of ASCII, digits, ``.``, ``_`` and ``-`` only, is at most ``LENGTH`` long, and is no name that Windows keeps for
devices.
"""

import hashlib
import os
import re

LENGTH = 64
"""The most characters of a name: five levels of it stay below the 260 characters of a whole path on Windows."""

_PLAIN = re.compile(r"[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_-])?")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE | re.ASCII)
_HASHED = re.compile(r"(?:.*-)?[0-9a-f]{8}")
_OURS = {"result.json", "run.trec.gz"}


def component(text: str) -> str:
    """One folder's name for a text: the text itself where it is a safe name already, else made safe, with its hash.

    Capitals count as unsafe, since many file systems take ``Base`` and ``base`` for one name; so does what looks as if
    it had a hash, so that no other text's safe name is ever taken.
    """
    plain = len(text) <= LENGTH and _PLAIN.fullmatch(text) and not _DEVICE.fullmatch(text)
    if plain and not _HASHED.fullmatch(text) and text not in _OURS:
        return text
    return with_hash(text, short_hash(text))


def with_hash(text: str, digits: str) -> str:
    """A safe name that begins as the text does and ends in a hash that tells it from all others."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip(".-")
    if _DEVICE.fullmatch(safe):
        safe = f"_{safe}"
    safe = safe[: LENGTH - 1 - len(digits)].rstrip(".-")
    return f"{safe}-{digits}" if safe else digits


def short_hash(text: str) -> str:
    """Eight hexadecimal digits of a text's hash."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def as_text(name: str) -> str:
    """A file's name as text that can be printed and written: bytes that are not UTF-8 read ``\\xe9``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
