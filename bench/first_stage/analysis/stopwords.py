"""Stop words: the words that an analyser drops, taken from the libraries that keep such lists."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version


@dataclass(frozen=True)
class StopList:
    """One list of a library: of bm25s (Lucene's for English, Snowball's for others), stop-words, or pythainlp."""

    library: str
    list_name: str

    def __str__(self) -> str:
        return f"{self.library} {version(self.library)}"

    def words(self, fold: Callable[[str], str]) -> frozenset[str]:
        """Give the list's words spelt as the analyser spells tokens; the punctuation and digits in some are left."""
        folded = (fold(word.strip()) for word in _READERS[self.library](self.list_name))
        return frozenset(word for word in folded if any(character.isalpha() for character in word))


def _read_bm25s(list_name: str) -> Iterable[str]:
    from bm25s import stopwords

    words: tuple[str, ...] = getattr(stopwords, list_name)
    return words


def _read_stop_words(list_name: str) -> Iterable[str]:
    from stop_words import get_stop_words  # type: ignore[import-untyped]

    words: list[str] = get_stop_words(list_name)
    return words


def _read_pythainlp(list_name: str) -> Iterable[str]:
    keep_pythainlp_from_writing()
    from pythainlp.corpus import thai_stopwords

    return thai_stopwords()


def keep_pythainlp_from_writing() -> None:
    """Stop pythainlp from making a data folder in the user's home; to be called before it is imported."""
    os.environ.setdefault("PYTHAINLP_READ_ONLY", "1")


_READERS: dict[str, Callable[[str], Iterable[str]]] = {
    "bm25s": _read_bm25s,
    "stop-words": _read_stop_words,
    "pythainlp": _read_pythainlp,
}
