"""Listwise reranking by last but not late interaction, the method of jina-reranker-v3 (arXiv 2509.25085).

    from reranker import Reranker

    reranker = Reranker.from_pretrained("jinaai/jina-reranker-v3")
    best = reranker.rerank("how do tides work?", documents, top_n=10)

Importing the package loads neither torch nor transformers; using `Reranker` does.
"""

from importlib import import_module

from reranker.errors import CheckpointError, ListTooLongError, NonFiniteScoreError, RerankerError

TYPE_CHECKING = False  # not from typing, for which `python -m` looks in the working folder first
if TYPE_CHECKING:
    from reranker.engine import ListScores
    from reranker.ranked import Ranked, RankedList
    from reranker.rerank import Reranker

_HOMES = {
    "ListScores": "reranker.engine",
    "Ranked": "reranker.ranked",
    "RankedList": "reranker.ranked",
    "Reranker": "reranker.rerank",
}

__all__ = [
    "CheckpointError",
    "ListScores",
    "ListTooLongError",
    "NonFiniteScoreError",
    "Ranked",
    "RankedList",
    "Reranker",
    "RerankerError",
]


def __getattr__(name: str) -> object:
    """Load the heavy parts when they are first named."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
