"""The pipeline: rerank a prepared task's candidates, measure the new order."""

import time
from collections import Counter
from collections.abc import Sequence

from bench.console import Advance
from bench.evaluation.chunks import Answered, ScoreChunks, chunks
from bench.evaluation.prepare import PreparedTask
from bench.evaluation.workers import in_process
from bench.measures import STANDARD, Measure, mean, per_query
from bench.provenance import provenance
from bench.rerankers.base import Reranker, Scored
from bench.rerankers.generative.parsing import CLASSES
from bench.results import Cost, Cut, Generation, Parallel, Result, check_writable
from bench.run import Ranking, Run, rank_by_score, strictly_decreasing


def evaluate(
    prepared: PreparedTask,
    reranker: Reranker,
    score: ScoreChunks | None = None,
    progress: Advance | None = None,
) -> tuple[Result, Run]:
    """Rerank a prepared task's candidates and measure the new order.

    Args:
        prepared: The task, with its candidates and protocol.
        reranker: Scores the candidates.
        score: How chunks of lists get their scores; None asks the reranker itself, without a score cache.
        progress: Called with the number of lists finished since the last call, and whether they were restored.

    Raises:
        BenchError: where the reranker leaves a list out, or gives a score that is not finite; nothing is half-ranked.
    """
    check_writable(reranker.card, prepared.protocol)
    started = time.perf_counter()
    spent = _Spent()
    found: dict[str, Scored] = {}
    ranked: dict[str, Ranking] = {}
    for answered in (score or in_process(reranker))(chunks(prepared, reranker)):
        spent.add(answered)
        for answer in answered.answers:  # ranked at once: while workers score, this process has time
            found[answer.query_id] = answer
            if not answer.failure:
                ids = prepared.candidates.ids(answer.query_id)
                ranked[answer.query_id] = rank_by_score(ids, answer.scores)
        if progress:
            progress(len(answered.answers), restored=bool(answered.cache), workers=answered.workers)
    # Answers come in any order; everything from here on is in the candidates' own.
    rankings = {query_id: ranked[query_id] for query_id in prepared.candidates.rankings if not found[query_id].failure}
    run = strictly_decreasing(Run("_".join(reranker.card.name.split()), rankings))
    figures = _measured(prepared, run)
    answers = list(found.values())
    result = Result(
        task=prepared.protocol.task,
        reranker=reranker.card,
        protocol=prepared.protocol,
        measures={str(measure): mean(of_query) for measure, of_query in figures.items()},
        per_query=figures[Measure.parse(prepared.protocol.measure)],
        candidates=prepared.about,
        cut=_cut(answers),
        cost=spent.cost(answers, time.perf_counter() - started, reranker.card.device),
        run_sha256=run.sha256,
        provenance=provenance(prepared.collection.source)
        | {
            "analysis": prepared.collection.task.analysis,
            "kept_lists": spent.cached_lists,
            "kept_in": spent.cached_in,
        },
        generation=_generation(answers),
    )
    return result, run


class _Spent:
    """What the chunks took until now. ``seconds`` count cached chunks too, ``fresh`` only those scored now."""

    def __init__(self) -> None:
        self.seconds = self.fresh = self.waited = 0.0
        self.cached_lists = self.peak_memory = self.workers = 0
        self.cached_in = ""

    def add(self, answered: Answered) -> None:
        self.seconds += answered.seconds
        self.waited += answered.waited
        self.workers = max(self.workers, answered.workers)
        self.peak_memory = max(self.peak_memory, answered.peak_memory_bytes)
        if answered.cache:
            self.cached_lists, self.cached_in = self.cached_lists + len(answered.answers), answered.cache
        else:
            self.fresh += answered.seconds

    def cost(self, answers: Sequence[Scored], wall_seconds: float, device: str) -> Cost:
        return Cost(
            seconds=self.seconds,
            harness_seconds=wall_seconds - self.waited,
            lists=sum(not answer.failure for answer in answers),
            documents=sum(len(answer.scores) for answer in answers),
            tokens=sum(answer.tokens for answer in answers),
            # Restored lists took no memory now, and the longest may be among them.
            peak_memory_bytes=0 if self.cached_lists else self.peak_memory,
            device=device,
            parallel=Parallel(self.workers, wall_seconds, self.fresh) if self.workers else None,
        )


def _measured(prepared: PreparedTask, run: Run) -> dict[Measure, dict[str, float]]:
    main = Measure.parse(prepared.protocol.measure)
    extra = map(Measure.parse, prepared.collection.task.extra_measures)
    measures = list(dict.fromkeys((main, *extra, *STANDARD)))
    return per_query(prepared.judgements, run.orders, measures)


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
