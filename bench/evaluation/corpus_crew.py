"""A crew that embeds a dense first stage's corpus, block by block, in order."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.evaluation.chunks import Answered
from bench.evaluation.worker import EmbedCorpus, Request
from bench.evaluation.workers import IN_FLIGHT, Crew, Team
from bench.first_stage.dense import Block
from bench.rerankers.embeddings import Vectors


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A block and its place in the corpus."""

    place: int
    block: Block

    @property
    def about(self) -> str:
        return f"documents {self.block[0][0]!r} to {self.block[-1][0]!r}"

    def forget(self) -> None:
        """Do nothing: the corpus is read once."""


class CorpusCrew(Crew[_Part, Vectors]):
    """A crew whose workers embed documents of a task."""

    less_memory = "take fewer --workers"

    def __init__(self, name: str, start: Callable[[], Team], task: str) -> None:
        """See `Crew`; ``task`` is the task's id."""
        super().__init__(name, start, most_waiting=IN_FLIGHT)
        self._task = task

    def embedded(self, blocks: Iterator[Block]) -> Generator[tuple[Block, NDArray[np.float32]]]:
        """Each block, in their order, with embeddings of shape (documents, dimensions). The workers end with this.

        Raises:
            BenchError: no worker can be had, or a text cannot be embedded.
        """
        found: dict[int, tuple[Block, NDArray[np.float32]]] = {}
        place = 0
        with closing(self):
            for part, answered in self._answered(blocks):
                found[part.place] = part.block, np.stack(answered.answers)
                while place in found:
                    yield found.pop(place)
                    place += 1

    def _answered(self, blocks: Iterator[Block]) -> Iterator[tuple[_Part, Answered[Vectors]]]:
        for place, block in enumerate(blocks):
            yield from self._give(_Part(place, block))
        yield from self._left()

    def _request(self, item: _Part) -> Request[Vectors]:
        return EmbedCorpus([text for _, text in item.block], self._task)
