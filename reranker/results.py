"""What comes out: a ranked document, and the scores of a list with what was cut from it."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Ranked:
    """One document of a ranked list.

    `index` is its place in the list as given, `score` the cosine of its embedding with the query's, in [-1, 1].
    `embedding` is the raw (not normalised) output of the projector, float32 [width], or None if it was not asked for.
    """

    index: int
    score: float
    document: str
    embedding: npt.NDArray[np.float32] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ListScores:
    """The scores of one list, in its documents' order, and what they cost and left out.

    `index` is the list's place in the input. `tokens` counts all prompts that the list took. `documents_cut` and
    `tokens_lost` count what the cap on a document removed; `query_cut` says whether the cap on the query did.
    """

    index: int
    scores: list[float]
    tokens: int
    documents_cut: int
    tokens_lost: int
    query_cut: bool
