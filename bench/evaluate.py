"""The pipeline: rerank a contest's candidates, measure the new order."""

import math
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.collections.collection import Collection
from bench.contest import Contest
from bench.errors import BenchError
from bench.measures import STANDARD, Measure, mean, per_query
from bench.provenance import provenance
from bench.rerankers.base import CandidateList, Reranker, Scored
from bench.results import Cost, Cut, Result, check_writable
from bench.run import Ranking, Run, rank_by_score, strictly_decreasing

CHUNK_CHARACTERS = 100_000
CHUNK_LISTS = 256


def evaluate(
    contest: Contest,
    reranker: Reranker,
    score: "ScoreLists | None" = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[Result, Run]:
    """Rerank a contest's candidates and measure the new order.

    Args:
        contest: What is reranked, and under which protocol.
        reranker: Who reranks.
        score: How a chunk of lists gets its scores; the reranker itself unless kept scores stand before it.
        progress: Called with the number of lists finished since the last call.

    Raises:
        BenchError: where the reranker leaves a list out, or gives a score that is not finite; nothing is half-ranked.
    """
    check_writable(reranker.card, contest.protocol)
    started = time.perf_counter()
    rankings: dict[str, Ranking] = {}
    answers: list[Scored] = []
    seconds = kept_seconds = 0.0
    kept_lists = 0
    for chunk in _chunks(_lists(contest, reranker)):
        answered = score(chunk) if score else ask(reranker, chunk)
        scored = {answer.query_id: answer for answer in answered.answers}
        seconds += answered.seconds
        if answered.kept:
            kept_seconds += answered.seconds
            kept_lists += len(chunk)
        for candidates in chunk:
            answer = _checked(scored.get(candidates.query_id), candidates, reranker.card.name)
            answers.append(answer)
            rankings[candidates.query_id] = rank_by_score(candidates.ids, map(float, answer.scores))
        if progress:
            progress(len(chunk))
    run = strictly_decreasing(Run("_".join(reranker.card.name.split()), rankings))
    figures = _measured(contest, run)
    cost = Cost(
        seconds=seconds,
        harness_seconds=time.perf_counter() - started - (seconds - kept_seconds),
        lists=len(answers),
        documents=sum(len(answer.scores) for answer in answers),
        tokens=sum(answer.tokens for answer in answers),
        peak_memory_bytes=_peak_memory(),
        device=reranker.card.device,
    )
    result = Result(
        task=contest.protocol.task,
        reranker=reranker.card,
        protocol=contest.protocol,
        measures={str(measure): mean(of_query) for measure, of_query in figures.items()},
        per_query=figures[Measure.parse(contest.protocol.measure)],
        candidates=contest.about,
        cut=_cut(answers),
        cost=cost,
        run_sha256=run.sha256,
        provenance=provenance(contest.collection.source)
        | {"analysis": contest.collection.task.analysis, "kept_lists": kept_lists},
    )
    return result, run


@dataclass(frozen=True, slots=True)
class Answered:
    """A chunk's answers and the seconds that the reranker took for them; ``kept`` if in an earlier command."""

    answers: Sequence[Scored]
    seconds: float
    kept: bool = False


ScoreLists = Callable[[Sequence[CandidateList]], Answered]


def ask(reranker: Reranker, lists: Sequence[CandidateList]) -> Answered:
    """Have the reranker itself answer a chunk, by the clock."""
    started = time.perf_counter()
    answers = list(reranker.score(lists))
    return Answered(answers, time.perf_counter() - started)


def _lists(contest: Contest, reranker: Reranker) -> Iterator[CandidateList]:
    """The candidates as lists that carry what the reranker's card asks for."""
    needs = reranker.card.needs
    for query_id, ranking in contest.candidates.rankings.items():
        ids = tuple(document_id for document_id, _ in ranking)
        grades = contest.judgements.get(query_id, {})
        yield CandidateList(
            query_id=query_id,
            query=contest.collection.queries[query_id],
            ids=ids,
            first_stage_scores=tuple(value for _, value in ranking),
            texts=_texts(contest.collection, ids) if "texts" in needs else (),
            grades=tuple(grades.get(document_id, 0) for document_id in ids) if "grades" in needs else (),
        )


def _texts(collection: Collection, ids: tuple[str, ...]) -> tuple[str, ...]:
    texts = collection.documents.texts(ids)
    return tuple(texts[document_id] for document_id in ids)


def _chunks(lists: Iterator[CandidateList]) -> Iterator[list[CandidateList]]:
    """Cut the work where texts add up: a long list alone, many short ones together.

    A chunk is what is scored at once and kept at once, so its borders depend on the lists alone: a command that was
    stopped and takes up again gives every list the same company, and so the same scores to the last bit.
    """
    chunk: list[CandidateList] = []
    characters = 0
    for candidates in lists:
        chunk.append(candidates)
        characters += sum(map(len, candidates.texts))
        if characters >= CHUNK_CHARACTERS or len(chunk) == CHUNK_LISTS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def _checked(answer: Scored | None, candidates: CandidateList, reranker: str) -> Scored:
    shown = f"query {candidates.query_id!r} ({candidates.query[:60]!r})"
    if answer is None:
        raise BenchError(f"{reranker} gave no answer for {shown}.")
    if len(answer.scores) != len(candidates.ids):
        raise BenchError(
            f"{reranker} gave {len(answer.scores)} scores for {len(candidates.ids)} candidates of {shown}."
        )
    if not all(map(math.isfinite, answer.scores)):
        raise BenchError(f"{reranker} gave a score that is not finite for {shown}; it is not ranked.")
    return answer


def _measured(contest: Contest, run: Run) -> dict[Measure, dict[str, float]]:
    main = Measure.parse(contest.protocol.measure)
    extra = map(Measure.parse, contest.collection.task.extra_measures)
    measures = list(dict.fromkeys((main, *extra, *STANDARD)))
    orders = {query_id: [document_id for document_id, _ in ranking] for query_id, ranking in run.rankings.items()}
    return per_query(contest.judgements, orders, measures)


def _cut(answers: Sequence[Scored]) -> Cut:
    return Cut(
        documents=sum(answer.documents_cut for answer in answers),
        queries=sum(answer.queries_cut for answer in answers),
        tokens=sum(answer.tokens_lost for answer in answers),
    )


def _peak_memory() -> int:
    """The largest resident size of this process so far, in bytes (Linux counts kibibytes, macOS bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
