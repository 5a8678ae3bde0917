"""The interface of a reranker: one method, and a card that identifies it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class CandidateList:
    """One query's candidates, in the first stage's order: the unit of reranking.

    ``texts`` and ``grades``, one for each of ``ids``, and ``task``, the task's id, are filled only if the reranker's
    card asks for them: order-only rerankers cost no reading, and only the oracle sees judgements.
    """

    query_id: str
    query: str
    ids: tuple[str, ...]
    first_stage_scores: tuple[float, ...]
    texts: tuple[str, ...] = ()
    grades: tuple[int, ...] = ()
    task: str = ""


NEEDS = frozenset({"texts", "grades", "task"})
"""The fields of a list that a reranker may ask for."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A reranker's answer for one list: a finite score for each candidate, in the candidates' order; higher is better.

    ``tokens`` is how many the model read; ``documents_cut``, ``tokens_lost`` and ``queries_cut`` count what its caps
    removed. ``counts`` are a generative reranker's (`bench.rerankers.generative.ranker`). A list that got no order has
    no scores, and ``failure`` says why.
    """

    query_id: str
    scores: tuple[float, ...]
    tokens: int = 0
    documents_cut: int = 0
    tokens_lost: int = 0
    queries_cut: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """A reranker's identity, as stored in a result.

    ``fingerprint`` changes with anything that can change a score: weights, tokeniser, prompt, precision, settings.
    ``needs`` names the fields that a list must have, out of `NEEDS`. ``listwise``: a document's score depends on the
    others in its list.
    """

    name: str
    fingerprint: str
    family: str
    model: str = ""
    revision: str = ""
    parameters: int = 0
    device: str = "cpu"
    dtype: str = ""
    listwise: bool = False
    needs: frozenset[str] = frozenset({"texts"})
    settings: Mapping[str, str | int | float | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Options:
    """The command line's options for every reranker. Lengths are in the reranker's own tokens."""

    device: str = "auto"
    dtype: str = "auto"
    max_query_length: int = 512
    max_doc_length: int = 2048
    seed: int = 0
    http_options: tuple[tuple[str, str], ...] = ()
    """Fields that an HTTP reranker adds to its requests: names, and values as JSON text."""


class Reranker(Protocol):
    """Anything that gives each of a query's candidates a score."""

    @property
    def card(self) -> Card: ...

    def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
        """Score some lists; answers may come in any order, one for each list.

        Raises:
            BenchError: a list cannot be scored; the message names its query. No list is answered in part.
        """
        ...


@runtime_checkable
class Remembers(Protocol):
    """A reranker that keeps what it computed from texts, such as their embeddings or token ids, for later lists."""

    def forget(self) -> None:
        """Drop it, so that the next list takes as long as one of new texts."""
        ...


@runtime_checkable
class VariesBlocks(Protocol):
    """A listwise reranker that can read its lists in smaller blocks than it is used to."""

    def with_block_size(self, documents: int) -> Reranker:
        """The same model, reading at most so many documents together; its card has another fingerprint."""
        ...


Step = Callable[[], AbstractContextManager[object]]
"""Opens a step of the command's progress."""


class Lazy:
    """A reranker whose card comes from its files, and whose model is loaded when the first list must be scored."""

    def __init__(self, card: Card, make: Callable[[], Reranker], step: Step = nullcontext) -> None:
        """``make`` loads the model, while ``step`` is open."""
        self.card = card
        self.step = step
        self._make = make
        self._loaded: Reranker | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._loaded is not None

    def load(self) -> Reranker:
        """The reranker with its model, loaded once.

        Raises:
            BenchError: the files are damaged, or are not those of such a model.
        """
        if self._loaded is None:
            with self.step():
                self._loaded = self._make()
        return self._loaded

    def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
        """See `Reranker`."""
        return self.load().score(lists)
