"""The hash of a corpus' texts, remembered in the user's cache folder where taking it costs a pass over the corpus."""

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path

from bench.console import note
from bench.errors import BenchError
from bench.files import cache_folder, text_lines, write_whole
from bench.protocol import digest

_HASH = re.compile(r"[0-9a-f]{16}\n")


def hash_texts(documents: Iterable[tuple[str, str]]) -> str:
    """Hash of every id and text, in their order."""
    return digest(chain.from_iterable(documents))


def remembered(source: str, files: Sequence[Path], compute: Callable[[], str]) -> str:
    """A corpus' hash, computed once for as long as its files keep their sizes and times.

    Args:
        source: What tells the corpus and its text rule apart from others in the same files.
        files: The files that hold the corpus; with none of them nothing is remembered.
        compute: Takes the hash.
    """
    states = [(path, path.stat()) for path in files if path.is_file()]
    if not states:
        return compute()
    key = digest([source, *(f"{path} {status.st_size} {status.st_mtime_ns}" for path, status in sorted(states))])
    place = cache_folder() / "texts" / key
    found = _read(place)
    if not found:
        found = compute()
        try:
            write_whole(place, f"{found}\n".encode())
        except BenchError as error:
            note(f"Note: the hash of the corpus' texts could not be kept for the next command. {error}")
    return found


def _read(place: Path) -> str:
    """The remembered hash; empty where there is none or it is damaged."""
    try:
        content = "".join(text_lines(place))
    except BenchError:
        return ""
    return content.strip() if _HASH.fullmatch(content) else ""
