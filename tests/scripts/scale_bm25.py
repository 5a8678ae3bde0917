"""How BM25's memory and speed grow with the corpus: ``python -m tests.scripts.scale_bm25 PASSAGES [QUERIES]``.

The corpus is generated as it is read: passages of about 60 words, drawn by Zipf's law from a vocabulary of a million,
and queries of 8 words. Prints one line of JSON; the speed includes generating the text. Run one size per process, since
peak memory is measured per process.
"""

import json
import resource
import sys
import time
from collections.abc import Iterator

import numpy as np

from bench.first_stage.analysis import analyser
from bench.first_stage.bm25 import Bm25Index

VOCABULARY, LENGTH, QUERY_LENGTH, BLOCK = 1_000_000, 60, 8, 10_000


def word(number: int) -> str:
    """A word of letters for each number."""
    letters = ""
    number += 700
    while number:
        number, letter = divmod(number, 26)
        letters += chr(97 + letter)
    return letters


class Language:
    """Words by Zipf's law."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(7)
        self._words = [word(number) for number in range(VOCABULARY)]
        shares = np.cumsum(1 / np.arange(1, VOCABULARY + 1))
        self._shares = shares / shares[-1]

    def draw(self, count: int) -> list[str]:
        """So many words."""
        return [self._words[place] for place in np.searchsorted(self._shares, self._random.random(count)).tolist()]

    def passages(self, count: int) -> Iterator[tuple[str, str]]:
        """So many (id, text)."""
        for first in range(0, count, BLOCK):
            lengths = np.clip(self._random.poisson(LENGTH, min(BLOCK, count - first)), 5, None).tolist()
            words = iter(self.draw(sum(lengths)))
            for offset, length in enumerate(lengths):
                yield f"p{first + offset}", " ".join(next(words) for _ in range(length))


def main(passages: int, queries: int = 6_619) -> None:
    """Build the index, search some queries, print what it took."""
    language, analyse = Language(), analyser("english")
    asked = [analyse(" ".join(language.draw(QUERY_LENGTH))) for _ in range(queries)]
    started = time.perf_counter()
    index = Bm25Index(language.passages(passages), (token for query in asked for token in query), analyse)
    seconds = time.perf_counter() - started
    for query in asked[:200]:
        index.search(query)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "passages": passages,
        "queries": queries,
        "peak_megabytes": usage.ru_maxrss // 1024,
        "documents_per_second": round(passages / seconds),
        "processor_seconds": round(usage.ru_utime),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
