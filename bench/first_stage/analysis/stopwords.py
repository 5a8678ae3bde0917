"""Stop words: the words that an analyser drops, from this package's `lists/` or a library that maintains such lists."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

LISTS = Path(__file__).parent / "lists"
"""Lucene's English and Thai lists and Snowball's others; its licence file names the sources."""

_COPIED_FROM = {"bm25s": "bm25s 0.3.16", "lucene": "Lucene 9.9.1"}


@dataclass(frozen=True)
class StopList:
    """The list of one language from one source."""

    source: Literal["bm25s", "lucene", "stop-words"]
    language: str

    def __str__(self) -> str:
        # In the manifest of the bundled runs, and among what a cached run is found by.
        return _COPIED_FROM.get(self.source) or f"{self.source} {version(self.source)}"

    def words(self, fold: Callable[[str], str]) -> frozenset[str]:
        """The list's words, folded as the analyser folds texts; entries without a letter are left out."""
        folded = (fold(word.strip()) for word in self._read())
        return frozenset(word for word in folded if any(character.isalpha() for character in word))

    def _read(self) -> list[str]:
        if self.source in _COPIED_FROM:
            return (LISTS / f"{self.language}.txt").read_text(encoding="utf-8").splitlines()
        from stop_words import get_stop_words  # type: ignore[import-untyped]

        words: list[str] = get_stop_words(self.language)
        return words
