"""The check that every reranker's answers pass before anything is ranked, stored or measured."""

import math
import operator
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from itertools import islice

from bench.errors import BenchError
from bench.rerankers.base import CandidateList, Scored

_CONTRACT = (
    "'score(lists)' must yield one bench.rerankers.base.Scored(query_id, scores) for each list, with a finite number "
    "for each of the list's ids, in their order."
)
_COUNTS = ("tokens", "documents_cut", "tokens_lost", "queries_cut")


def checked(reranker: str, answers: object, lists: Sequence[CandidateList]) -> list[Scored]:
    """A reranker's answers in the lists' order, their numbers as Python's own.

    Args:
        reranker: The reranker's name, for messages.
        answers: What its ``score`` gave, in any order. Numbers may be NumPy's or torch's.
        lists: What it was asked.

    Raises:
        BenchError: naming the reranker and the query, where an answer is missing, extra, given twice, of another type,
            or is not a finite number for each candidate.
    """
    asked = {each.query_id: each for each in lists}
    found: dict[str, Scored] = {}
    # One answer more than the lists is enough to refuse a generator that never ends.
    for answer in islice(_iterated(reranker, answers), len(lists) + 1):
        if not isinstance(answer, Scored):
            raise BenchError(f"{reranker} answered {_shown(answer)}, which is not a Scored: {_CONTRACT}")
        if not isinstance(answer.query_id, str) or answer.query_id not in asked:
            raise BenchError(f"{reranker} answered query {_shown(answer.query_id)}, which was not asked: {_CONTRACT}")
        if answer.query_id in found:
            raise BenchError(f"{reranker} answered query {answer.query_id!r} twice: {_CONTRACT}")
        found[answer.query_id] = _answer(reranker, answer, asked[answer.query_id])
    for query_id, candidates in asked.items():
        if query_id not in found:
            raise BenchError(f"{reranker} gave no answer for {_query(candidates)}. {_CONTRACT}")
    return [found[query_id] for query_id in asked]


def _iterated(reranker: str, answers: object) -> Iterable[object]:
    if not isinstance(answers, Iterable):
        raise BenchError(f"{reranker} answered {_shown(answers)}, which cannot be iterated: {_CONTRACT}")
    return answers


def _answer(reranker: str, answer: Scored, candidates: CandidateList) -> Scored:
    """One answer with its numbers converted and checked."""
    if answer.failure:
        return Scored(candidates.query_id, (), failure=str(answer.failure))
    scores = _scores(reranker, answer.scores, candidates)
    if len(scores) != len(candidates.ids):
        raise BenchError(
            f"{reranker} gave {len(scores)} scores for {len(candidates.ids)} candidates of {_query(candidates)}."
        )
    if not all(map(math.isfinite, scores)):
        raise BenchError(f"{reranker} gave a score that is not finite for {_query(candidates)}; it is not ranked.")
    counts = {name: _count(reranker, answer, name, candidates) for name in _COUNTS}
    return replace(answer, query_id=candidates.query_id, scores=scores, **counts)  # type: ignore[arg-type]


def _scores(reranker: str, scores: object, candidates: CandidateList) -> tuple[float, ...]:
    # A mapping's keys and a set's order are not scores, and the characters of a text may pass for numbers.
    iterable = isinstance(scores, Iterable) and not isinstance(scores, Mapping | Set | str | bytes)
    numbers = list(scores) if iterable else None  # type: ignore[call-overload]
    if numbers is None or any(isinstance(number, str | bytes) for number in numbers):
        raise BenchError(f"{reranker} gave {_shown(scores)} as the scores of {_query(candidates)}: {_CONTRACT}")
    try:
        return tuple(map(float, numbers))
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:  # torch says RuntimeError
        raise BenchError(
            f"{reranker} gave {_shown(scores)} as the scores of {_query(candidates)} ({error}): {_CONTRACT}"
        ) from error


def _count(reranker: str, answer: Scored, name: str, candidates: CandidateList) -> int:
    value = getattr(answer, name)
    try:
        count = operator.index(value)
    except (TypeError, RuntimeError):
        count = -1
    if not 0 <= count < 2**63:
        raise BenchError(
            f"{reranker} gave {_shown(value)} as '{name}' of {_query(candidates)}: it must be a whole number from 0."
        )
    return count


def _query(candidates: CandidateList) -> str:
    return f"query {candidates.query_id!r} ({candidates.query[:60]!r})"


def _shown(value: object) -> str:
    return f"{value!r:.100} ({type(value).__name__})"
