"""What a reranker is to the harness: one method, and a card that says who it is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class CandidateList:
    """One query's candidates, in the first stage's order: the unit of reranking.

    ``texts`` and ``grades`` stand beside ``ids`` only where the reranker's card asks for them, and are empty
    otherwise: order-only rerankers cost no reading, and nobody but the oracle sees a judgement.
    """

    query_id: str
    query: str
    ids: tuple[str, ...]
    first_stage_scores: tuple[float, ...]
    texts: tuple[str, ...] = ()
    grades: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Scored:
    """A reranker's answer for one list: a finite score for each candidate, in the candidates' order; higher is better.

    ``tokens`` were read by the model; ``documents_cut``, ``tokens_lost`` and ``queries_cut`` count what its caps took.
    """

    query_id: str
    scores: tuple[float, ...]
    tokens: int = 0
    documents_cut: int = 0
    tokens_lost: int = 0
    queries_cut: int = 0


@dataclass(frozen=True, slots=True)
class Card:
    """Who a reranker is, as a result states it.

    ``fingerprint`` changes with anything that can change a score: weights, tokeniser, prompt, precision, settings.
    ``needs`` is what a list must carry: of ``"texts"`` and ``"grades"``. ``listwise`` says that a document's score
    depends on the others in its list.
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
    """What the command line settles for every reranker. Lengths are in the reranker's own tokens."""

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
            BenchError: where a list cannot be scored, naming its query. No list is answered in part.
        """
        ...
