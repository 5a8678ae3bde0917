"""The hash of a corpus' texts, remembered in the user's cache folder where taking it costs a pass over the corpus."""

import os
import stat
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path

from bench.console import note
from bench.errors import BenchError
from bench.files import cache_folder, kind, text_lines, write_whole
from bench.protocol import digest


def hash_texts(documents: Iterable[tuple[str, str]]) -> str:
    """Hash of every id and text, in their order."""
    return digest(chain.from_iterable(documents))


def remembered(source: str, files: Sequence[Path], compute: Callable[[], str]) -> str:
    """A corpus' hash, computed once for as long as its files keep their sizes and times.

    The time of the last change of any kind is among them, which no program can set back: a corpus that was copied or
    unpacked with the old one's size and time of writing is another one.

    Args:
        source: What distinguishes the corpus and its text rule from others in the same files.
        files: The files that hold the corpus; with none of them nothing is remembered.
        compute: Takes the hash.
    """
    states = [(path, path.stat()) for path in files if path.is_file()]
    if not states:
        return compute()
    key = digest([source, *(f"{path} {_state(status)}" for path, status in sorted(states))])
    place = cache_folder() / "texts" / key
    found = _read(place)
    if not found:
        found = compute()
        try:
            write_whole(place, f"{found} {_vouched(place, found)}\n".encode())
        except BenchError as error:
            note(f"Note: the hash of the corpus' texts could not be cached for the next command. {error}")
    return found


def _state(status: os.stat_result) -> str:
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def _read(place: Path) -> str:
    """The remembered hash; empty where there is none, or another file's, or a damaged one."""
    try:
        content = "".join(text_lines(place)) if kind(place) == stat.S_IFREG else ""
    except BenchError:
        return ""
    found, _, vouched = content.strip().partition(" ")
    return found if vouched == _vouched(place, found) else ""


def _vouched(place: Path, found: str) -> str:
    """The checksum of a hash under its file's name, which tells what it was taken from."""
    return digest([place.name, found])
