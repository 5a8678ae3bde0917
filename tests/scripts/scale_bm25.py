"""How BM25's memory and speed grow with the corpus: ``python -m tests.scripts.scale_bm25 PASSAGES QUERIES WORKERS``.

The corpus is generated into a temporary file: passages of about 60 words, drawn by Zipf's law from a vocabulary of a
million, and queries of 8 words (6,619 if not given). Prints one line of JSON: seconds are those of reading the file and
building the index, seconds of analysis those until the last passage was analysed, and seconds of the search those of
all queries after that; the hash is of all that they find. Run one size per process, since peak memory is measured per
process; it is this process's, without the workers'.

``--rounds N`` compares 1 process with WORKERS: N times both in turn, each in a process of its own, and then one line
with the medians of the ratios of their seconds. Other load on the machine slows several processes more than one.
"""

import argparse
import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from typing import Any

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


def build(passages: int, queries: int, workers: int) -> dict[str, Any]:
    """Build the index, search for all queries, say what it took."""
    language, analyse = Language(), analyser("english")
    asked = [analyse(" ".join(language.draw(QUERY_LENGTH))) for _ in range(queries)]
    with tempfile.TemporaryFile("w+") as corpus:
        corpus.writelines(f"{document}\t{text}\n" for document, text in language.passages(passages))
        corpus.seek(0)
        vocabulary = (token for query in asked for token in query)
        started, before = time.perf_counter(), sum(processor_seconds())
        batches = [started]
        index = Bm25Index(
            read(corpus), vocabulary, analyse, workers=workers, progress=lambda _: batches.append(time.perf_counter())
        )
        seconds = time.perf_counter() - started
        own, children = processor_seconds()
    built = time.perf_counter()
    rankings = index.search_all({str(number): query for number, query in enumerate(asked)}, workers=workers)
    search_seconds = time.perf_counter() - built
    search_processor_seconds = sum(processor_seconds()) - own - children
    return {
        "passages": passages,
        "queries": queries,
        "workers": workers,
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "analysis_seconds": round(batches[-1] - started, 2),
        "seconds": round(seconds, 2),
        "documents_per_second": round(passages / seconds),
        "processor_seconds": round(own + children - before, 2),
        "processor_seconds_of_workers": round(children, 2),
        "search_seconds": round(search_seconds, 2),
        "search_processor_seconds": round(search_processor_seconds, 2),
        "sha256": hashlib.sha256(repr(rankings).encode()).hexdigest()[:16],
    }


def compare(passages: int, queries: int, workers: int, rounds: int) -> dict[str, Any]:
    """Build with 1 process and with several in turn, and say how many times faster several are."""
    pairs = [[built(passages, queries, each) for each in (1, workers)] for _ in range(rounds)]
    if len({each["sha256"] for pair in pairs for each in pair}) > 1:
        sys.exit("error: the builds found different documents.")
    parts = "analysis_seconds", "seconds", "search_seconds"
    ratios = {name: [one[name] / several[name] for one, several in pairs] for name in parts}
    return {
        "rounds": rounds,
        "workers": workers,
        "load_average": round(os.getloadavg()[0], 1),
        "times_faster": {name: round(statistics.median(each), 2) for name, each in ratios.items()},
        "from_to": {name: [round(min(each), 2), round(max(each), 2)] for name, each in ratios.items()},
    }


def built(passages: int, queries: int, workers: int) -> dict[str, Any]:
    """Build and search in a new process, and print what it prints."""
    command = [sys.executable, "-m", "tests.scripts.scale_bm25", *map(str, (passages, queries, workers))]
    line = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
    print(line, end="", flush=True)
    return dict(json.loads(line))


def main() -> None:
    """Print a line for each build, and one for the comparison."""
    parser = argparse.ArgumentParser(prog="python -m tests.scripts.scale_bm25", description=__doc__.split("\n")[0])
    parser.add_argument("passages", type=int)
    parser.add_argument("queries", type=int, nargs="?", default=6_619)
    parser.add_argument("workers", type=int, nargs="?", default=1)
    parser.add_argument("--rounds", type=int, default=0, help="compare 1 process with WORKERS, so many times")
    asked = parser.parse_args()
    size = asked.passages, asked.queries, asked.workers
    print(json.dumps(compare(*size, asked.rounds) if asked.rounds else build(*size)))


if __name__ == "__main__":
    main()
