"""What a command would do, without doing it: lists, documents, what is cached; calls, tokens and money."""

from collections import Counter
from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass

from bench.console import Progress
from bench.evaluation.cache import Log, ScoreCache, cached
from bench.evaluation.chunks import chunks, grouped
from bench.evaluation.latency import timed
from bench.evaluation.overwrite import cache_name
from bench.evaluation.plan import Plan, check, settled
from bench.evaluation.prepare import PreparedTask
from bench.evaluation.prices import price_of
from bench.first_stage.runs import opened
from bench.pace import in_words
from bench.render.numbers import BLANK, count
from bench.render.page import Column, Notes, Page, Table, rows
from bench.rerankers import load as load_reranker
from bench.rerankers import row_of
from bench.rerankers.generative import texts
from bench.rerankers.generative.spec import Spec, spec_of
from bench.rerankers.generative.strategies import spread
from bench.rerankers.local.checkpoint import folder
from bench.rerankers.rows import Row
from reranker.packages import PACKAGE

_TOKENS_A_WORD = 1.4
"""Tokens of a word, or of a character of a script without spaces: about, and more in other languages than English."""
_TOKENS_A_NAME = 5
"""Tokens of an answer for each passage, about."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What one reranker would do on one task.

    ``cached`` counts lists; None where it is not known, since the model is not here. ``seconds`` is what the others
    will take at the pace of the cached ones; None without any. ``calls`` and what follows are estimates over lists that
    are not cached, and over those that ``--latency`` scores again; None for a reranker that is not generative.
    ``tokens_out`` has all that the model may think. ``money`` is in the user's currency, None without a price.
    """

    task: str
    reranker: str
    lists: int
    documents: int
    cached: int | None
    seconds: float | None
    calls: int | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    money: float | None = None


def foresee(plan: Plan, progress: Progress) -> list[Foreseen]:
    """Settle every task and count what is left to do; nothing is scored, written or fetched from a model hub.

    Raises:
        BenchError: as the command itself would before it scores.
    """
    names = check(plan)
    candidates = opened(plan.first_stage)
    path = plan.output / cache_name(plan.overwrite)
    found = []
    with closing(Log(path if path.is_file() else None)) as log:
        for task in plan.tasks:
            with settled(plan, task, progress, candidates) as prepared:
                found += [_foreseen(plan, name, called, prepared, ScoreCache(log)) for name, called in names.items()]
    return found


def _foreseen(plan: Plan, name: str, called: str, prepared: PreparedTask, scores: ScoreCache) -> Foreseen:
    row = row_of(name)
    reranker = load_reranker(name, plan.options, nullcontext) if row and _is_here(row) else None
    spec = spec_of(row) if row else None
    # Without the model's own card, its lists are read with their texts where calls are to be counted.
    needs = frozenset({"texts"}) if spec else frozenset[str]()
    every = chunks(prepared, reranker) if reranker else grouped(prepared, needs)
    again = Counter(timed(prepared) if plan.latency else ())
    lists = documents = found = found_documents = calls = 0
    tokens_in = tokens_out = seconds = 0.0
    for chunk in (each.lists() for each in every):
        lists += len(chunk)
        documents += sum(len(each.ids) for each in chunk)
        answered = cached(scores, reranker, plan.options, plan.cache_id, chunk) if reranker else None
        if answered:
            found += len(chunk)
            found_documents += sum(len(each.ids) for each in chunk)
            seconds += answered.seconds
        for each in chunk:
            times = again[each.query_id] + (not answered)
            if spec and times:
                asked, read, written = _tokens(spec, each.query, each.texts)
                calls += times * asked
                tokens_in, tokens_out = tokens_in + times * read, tokens_out + times * written
    price = price_of(name, plan.prices) if spec else None
    return Foreseen(
        task=prepared.protocol.task,
        reranker=called,
        lists=lists,
        documents=documents,
        cached=found if reranker else None,
        seconds=seconds / found_documents * (documents - found_documents) if found_documents else None,
        calls=calls if spec else None,
        tokens_in=round(tokens_in),
        tokens_out=round(tokens_out),
        money=(tokens_in * price.read + tokens_out * price.written) / 10**6 if price else None,
    )


def _tokens(spec: Spec, query: str, passages: Sequence[str]) -> tuple[int, float, float]:
    """Calls of a list, and about how many tokens they read and write, with passages of the list's mean length."""
    calls, shown = spread(spec.walk(len(passages)))
    around = texts.units(" ".join(turn["content"] for turn in spec.prompt.turns(query, ["", ""])))
    words = [min(texts.units(texts.clean(passage)), spec.prompt.passage) for passage in passages]
    mean = sum(words) / max(1, len(words))
    read = _TOKENS_A_WORD * (calls * around + shown * mean) + _TOKENS_A_NAME * shown
    names = calls if spec.best_only or spec.first_token else shown
    return calls, read, _TOKENS_A_NAME * names + spec.thinking * calls


def _is_here(row: Row) -> bool:
    """Whether a reranker's card can be made without asking a model hub."""
    model = row.model.partition("#")[0]
    return row.family in ("order-only", "http", "chat") or model.startswith(PACKAGE) or folder(model) is not None


def page(found: Sequence[Foreseen]) -> Page:
    """A row for each task and reranker, and what the figures leave open."""
    generates = any(each.calls is not None for each in found)
    columns = [
        Column("task", "name"),
        Column("reranker", "name"),
        Column("lists"),
        Column("documents", drop=1),
        Column("cached"),
        Column("about", drop=1),
    ]
    if generates:
        columns += [Column("calls"), Column("tokens\nin"), Column("tokens\nout"), Column("money")]
    cells = (_cells(each, generates) for each in found)
    return Page(
        (
            Table(tuple(columns), (rows(cells),), caption="Dry run: nothing is scored"),
            Notes(("cached: lists whose scores are in the score cache.",), explains="cached"),
            Notes(("about: time for the other lists, at the pace of the cached ones.",), explains="about"),
            Notes(tuple(_notes(found))),
        )
    )


def _cells(each: Foreseen, generates: bool) -> tuple[str, ...]:
    generated = (BLANK,) * 4
    if each.calls is not None:
        money = BLANK if each.money is None else f"{each.money:,.2f}"
        generated = (count(each.calls), count(each.tokens_in), count(each.tokens_out), money)
    return (
        each.task,
        each.reranker,
        count(each.lists),
        count(each.documents),
        BLANK if each.cached is None else count(each.cached),
        BLANK if each.seconds is None else in_words(each.seconds),
        *(generated if generates else ()),
    )


def _notes(found: Sequence[Foreseen]) -> list[str]:
    notes = []
    if any(each.cached is None for each in found):
        notes.append("A model of the hub is not fetched for a dry run, so what is cached of it is not known (–).")
    if any(each.calls is not None for each in found):
        notes.append(
            "Calls are exact for sliding windows and close to the most for setwise and pairwise; tokens are estimated "
            "from words, with all that a model may think. Answers to single windows that an interrupted list left are "
            "not asked for again and not subtracted here."
        )
    if any(each.money is not None for each in found):
        total = sum(each.money or 0.0 for each in found)
        notes.append(f"Money in all, at the prices given: about {total:,.2f}.")
    return notes
