"""The numbers of documents' tokens, found in this process or, for large collections, on all cores.

Analysis is most of BM25's work, and each document's is its own. Texts go out in batches and numbers come back, so that
little travels; answers are taken in corpus order, so that an index is the same whoever analysed.
"""

from array import array
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from bench.errors import BenchError
from bench.first_stage.ordered import in_order
from bench.spawn import cores

Analyse = Callable[[str], list[str]]

PAYS_FROM = 50_000
"""Documents from which processes pay: to start one takes .1 CPU seconds, to analyse 10,000 passages .3."""
_MOST = 6
"""Processes that one reader of the corpus can keep busy."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Some documents in a row: their lengths in tokens, and the numbers of those tokens that have one.

    ``sizes`` says how many of ``tokens`` each document has.
    """

    lengths: "array[int]"
    sizes: "array[int]"
    tokens: "array[int]"


@dataclass(frozen=True, slots=True)
class Count:
    """Counts a batch of texts; ``numbers`` are those of the tokens that are kept."""

    analyser: Analyse
    numbers: Mapping[str, int]

    def __call__(self, texts: Sequence[str]) -> Counted:
        """Analyse texts, in the order given."""
        counted = Counted(array("i"), array("i"), array("i"))
        for text in texts:
            tokens = self.analyser(text)
            known = [number for number in map(self.numbers.get, tokens) if number is not None]
            counted.lengths.append(len(tokens))
            counted.sizes.append(len(known))
            counted.tokens.fromlist(known)
        return counted


def workers_for(documents: int) -> int:
    """The number of processes that analyse so many documents; 1 is this one."""
    return min(cores(), _MOST) if documents >= PAYS_FROM else 1


def count_all(batches: Iterable[Sequence[str]], count: Count, workers: int = 1) -> Generator[Counted]:
    """Count batches of texts, in the order given; with several workers, some batches are read ahead.

    Raises:
        BenchError: a process was killed.
    """
    if workers == 1:
        yield from map(count, batches)
    else:
        with closing(in_order(count, batches, environments=[{}] * workers, lost=_lost)) as counted:
            yield from counted


def _lost(how: str) -> BenchError:
    return BenchError(
        f"BM25 was not built: a process that analysed documents ended, {how}. Free memory and run the command again; "
        "on one core ('taskset -c 0') it analyses in one process."
    )
