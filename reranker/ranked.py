"""What `Reranker.rerank` returns: results that are objects and mappings."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Embedding = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Ranked(Mapping[str, Any]):
    """One document of a ranked list.

    `index` is its position in the list as given, `score` the cosine of its embedding with the query's, in [-1, 1].
    `embedding` is the raw (not normalised) output of the projector, float32 [width], or None if it was not asked for.

    As a mapping it has the keys of Jina's and Cohere's results: `index`, `relevance_score`, `document`, and `embedding`
    where it was asked for.
    """

    index: int
    score: float
    document: str
    embedding: Embedding | None = field(default=None, repr=False, compare=False)

    @property
    def relevance_score(self) -> float:
        """The score, by the name that Jina and Cohere give it."""
        return self.score

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys():
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys())

    def __len__(self) -> int:
        return len(self._keys())

    def _keys(self) -> tuple[str, ...]:
        asked = ("embedding",) if self.embedding is not None else ()
        return ("index", "relevance_score", "document", *asked)


class RankedList(list[Ranked]):
    """The documents of one query, best first.

    `query_embedding` is the raw embedding that the documents' are compared with, float32 [width]: the mean over blocks
    for a list that was read in several. It is None if embeddings were not asked for, or there are no documents.
    """

    def __init__(self, results: Iterable[Ranked], query_embedding: Embedding | None = None) -> None:
        super().__init__(results)
        self.query_embedding = query_embedding
