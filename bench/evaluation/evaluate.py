"""The pipeline: rerank a prepared task's candidates, measure the new order."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.collections.collection import Collection
from bench.console import Advance
from bench.evaluation import memory
from bench.evaluation.prepare import PreparedTask
from bench.measures import STANDARD, Measure, mean, per_query
from bench.provenance import provenance
from bench.rerankers.answers import checked
from bench.rerankers.base import CandidateList, Lazy, Reranker, Scored
from bench.rerankers.generative.parsing import CLASSES
from bench.results import Cost, Cut, Generation, Result, check_writable
from bench.run import Ranking, Run, rank_by_score, strictly_decreasing

CHUNK_CHARACTERS = 100_000
CHUNK_LISTS = 256


def evaluate(
    prepared: PreparedTask,
    reranker: Reranker,
    score: "ScoreLists | None" = None,
    progress: Advance | None = None,
) -> tuple[Result, Run]:
    """Rerank a prepared task's candidates and measure the new order.

    Args:
        prepared: The task, with its candidates and protocol.
        reranker: Scores the candidates.
        score: How a chunk of lists gets its scores; None asks the reranker itself, without a score cache.
        progress: Called with the number of lists finished since the last call, and whether they were restored.

    Raises:
        BenchError: where the reranker leaves a list out, or gives a score that is not finite; nothing is half-ranked.
    """
    check_writable(reranker.card, prepared.protocol)
    memory.reset(reranker.card)
    started = time.perf_counter()
    rankings: dict[str, Ranking] = {}
    answers: list[Scored] = []
    seconds = cached_seconds = loading_seconds = 0.0
    cached_lists, cached_in = 0, ""
    for chunk in chunks(prepared, reranker):
        answered = score(chunk) if score else ask(reranker, chunk)
        seconds += answered.seconds
        loading_seconds += answered.loading_seconds
        if answered.cache:
            cached_seconds += answered.seconds
            cached_lists, cached_in = cached_lists + len(chunk), answered.cache
        for candidates, answer in zip(chunk, answered.answers, strict=True):
            answers.append(answer)
            if not answer.failure:
                rankings[candidates.query_id] = rank_by_score(candidates.ids, answer.scores)
        if progress:
            progress(len(chunk), restored=bool(answered.cache))
    run = strictly_decreasing(Run("_".join(reranker.card.name.split()), rankings))
    figures = _measured(prepared, run)
    harness_seconds = time.perf_counter() - started - (seconds - cached_seconds) - loading_seconds
    # Restored lists took no memory now, and the longest may be among them.
    peak_memory = 0 if cached_lists else memory.peak(reranker.card)
    result = Result(
        task=prepared.protocol.task,
        reranker=reranker.card,
        protocol=prepared.protocol,
        measures={str(measure): mean(of_query) for measure, of_query in figures.items()},
        per_query=figures[Measure.parse(prepared.protocol.measure)],
        candidates=prepared.about,
        cut=_cut(answers),
        cost=_cost(answers, seconds, harness_seconds, peak_memory, reranker.card.device),
        run_sha256=run.sha256,
        provenance=provenance(prepared.collection.source)
        | {"analysis": prepared.collection.task.analysis, "kept_lists": cached_lists, "kept_in": cached_in},
        generation=_generation(answers),
    )
    return result, run


@dataclass(frozen=True, slots=True)
class Answered:
    """A chunk's checked answers, in the lists' order, and the seconds that the reranker took for them.

    ``loading_seconds`` were spent on loading the model before that. ``cache`` names the score cache that the answers
    come from; it is empty where the reranker scored them now.
    """

    answers: Sequence[Scored]
    seconds: float
    cache: str = ""
    loading_seconds: float = 0.0


ScoreLists = Callable[[Sequence[CandidateList]], Answered]


def ask(reranker: Reranker, lists: Sequence[CandidateList]) -> Answered:
    """Score a chunk and time it. A model that is not loaded yet is loaded first.

    Raises:
        BenchError: for answers that are not one finite score for each candidate of each list.
    """
    asked = time.perf_counter()
    if isinstance(reranker, Lazy) and not reranker.is_loaded:
        reranker.load()
        memory.reset(reranker.card)
    started = time.perf_counter()
    answers = checked(reranker.card.name, reranker.score(lists), lists)
    return Answered(answers, time.perf_counter() - started, loading_seconds=started - asked)


def chunks(prepared: PreparedTask, reranker: Reranker) -> Iterator[list[CandidateList]]:
    """A task's lists in the groups that are scored and cached together."""
    return _chunks(_lists(prepared, reranker), getattr(reranker, "chunk_characters", CHUNK_CHARACTERS))


def _lists(prepared: PreparedTask, reranker: Reranker) -> Iterator[CandidateList]:
    """The candidates as lists that carry what the reranker's card asks for."""
    needs = reranker.card.needs
    for query_id, ranking in prepared.candidates.rankings.items():
        ids = tuple(prepared.candidates.ids(query_id))
        grades = prepared.judgements.get(query_id, {})
        yield CandidateList(
            query_id=query_id,
            query=prepared.collection.queries[query_id],
            ids=ids,
            first_stage_scores=tuple(value for _, value in ranking),
            texts=_texts(prepared.collection, ids) if "texts" in needs else (),
            grades=tuple(grades.get(document_id, 0) for document_id in ids) if "grades" in needs else (),
            task=prepared.protocol.task if "task" in needs else "",
        )


def _texts(collection: Collection, ids: tuple[str, ...]) -> tuple[str, ...]:
    texts = collection.documents.texts(ids)
    return tuple(texts[document_id] for document_id in ids)


def _chunks(lists: Iterator[CandidateList], most_characters: int) -> Iterator[list[CandidateList]]:
    """Group the lists by the length of their texts: a long list alone, many short ones together.

    A chunk is scored and cached as a whole, and its borders depend on the lists alone: a command that resumes batches
    every list with the same others, and so gives the same scores to the last bit.
    """
    chunk: list[CandidateList] = []
    characters = 0
    for candidates in lists:
        chunk.append(candidates)
        characters += sum(map(len, candidates.texts))
        if characters >= most_characters or len(chunk) == CHUNK_LISTS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def _measured(prepared: PreparedTask, run: Run) -> dict[Measure, dict[str, float]]:
    main = Measure.parse(prepared.protocol.measure)
    extra = map(Measure.parse, prepared.collection.task.extra_measures)
    measures = list(dict.fromkeys((main, *extra, *STANDARD)))
    return per_query(prepared.judgements, run.orders, measures)


def _cost(answers: Sequence[Scored], seconds: float, harness_seconds: float, peak_memory: int, device: str) -> Cost:
    return Cost(
        seconds=seconds,
        harness_seconds=harness_seconds,
        lists=sum(not answer.failure for answer in answers),
        documents=sum(len(answer.scores) for answer in answers),
        tokens=sum(answer.tokens for answer in answers),
        peak_memory_bytes=peak_memory,
        device=device,
    )


def _generation(answers: Sequence[Scored]) -> Generation | None:
    """What a generative reranker's windows took; None for every other reranker."""
    counts: Counter[str] = Counter()
    for answer in answers:
        counts.update(answer.counts)
    failed = sum(bool(answer.failure) for answer in answers)
    if not counts and not failed:
        return None
    return Generation(
        calls=counts["calls"],
        restored=counts["restored"],
        unmetered=counts["unmetered"],
        tokens_in=counts["tokens in"],
        tokens_out=counts["tokens out"],
        tokens_thinking=counts["tokens thinking"],
        seconds=counts["milliseconds"] / 1000,
        answers={kind: counts[kind] for kind in CLASSES if counts[kind]},
        failed=failed,
    )


def _cut(answers: Sequence[Scored]) -> Cut:
    return Cut(
        documents=sum(answer.documents_cut for answer in answers),
        queries=sum(answer.queries_cut for answer in answers),
        tokens=sum(answer.tokens_lost for answer in answers),
    )
