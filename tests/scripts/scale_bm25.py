"""How BM25's memory and speed grow with the corpus: ``python -m tests.scripts.scale_bm25 PASSAGES QUERIES WORKERS``.

The corpus is generated into a temporary file: passages of about 60 words, drawn by Zipf's law from a vocabulary of a
million, and queries of 8 words (6,619 if not given). Prints one line of JSON: seconds are those of reading the file and
building the index, and the hash is of what 200 queries find. Run one size per process, since peak memory is measured
per process; it is this process's, without the workers'.
"""

import hashlib
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator

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


def read(corpus: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The (id, text) of a file's lines."""
    for line in corpus:
        document, _, text = line.rstrip("\n").partition("\t")
        yield document, text


def processor_seconds() -> tuple[float, float]:
    """Those of this process and of the processes that it started and that have ended."""
    times = os.times()
    return times.user + times.system, times.children_user + times.children_system


def main(passages: int, queries: int = 6_619, workers: int = 1) -> None:
    """Build the index, search some queries, print what it took."""
    language, analyse = Language(), analyser("english")
    asked = [analyse(" ".join(language.draw(QUERY_LENGTH))) for _ in range(queries)]
    with tempfile.TemporaryFile("w+") as corpus:
        corpus.writelines(f"{document}\t{text}\n" for document, text in language.passages(passages))
        corpus.seek(0)
        vocabulary = (token for query in asked for token in query)
        started, before = time.perf_counter(), sum(processor_seconds())
        index = Bm25Index(read(corpus), vocabulary, analyse, workers=workers)
        seconds = time.perf_counter() - started
        own, children = processor_seconds()
    found = hashlib.sha256(repr([index.search(query) for query in asked[:200]]).encode())
    figures = {
        "passages": passages,
        "queries": queries,
        "workers": workers,
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "seconds": round(seconds, 2),
        "documents_per_second": round(passages / seconds),
        "processor_seconds": round(own + children - before, 2),
        "processor_seconds_of_workers": round(children, 2),
        "sha256": found.hexdigest()[:16],
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
