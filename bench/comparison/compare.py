"""Compares two rerankers: the difference, its uncertainty, how far their orders agree, and the most changed queries.

All differences are B minus A. The p-value is the paired randomisation test's, the interval a t-interval of the
paired differences (`bench.statistics`); with several tasks the p-value corrected by Holm is shown too.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

from bench import statistics
from bench.collections.collection import Collection
from bench.comparison.agreement import SAME, TOP, Disagreement, disagreement
from bench.comparison.raw import raw_answers
from bench.comparison.stored import Pairing, StoredResult, missing_queries, pair, read_stored
from bench.errors import BenchError
from bench.render.numbers import difference, interval, p_value, percent, score
from bench.render.page import Block, Cell, Column, Notes, Page, Paragraph, Table, Tone, rows, title
from bench.results import Result
from bench.run import Run

LoadCollection = Callable[[Result], Collection | None]
"""Gives the whole collection that a result was measured on, or None where it is not available. The caller closes it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A document in a top ten. ``grade`` is None where it carries no judgement, or none were loaded."""

    document_id: str
    grade: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class QueryComparison:
    """One query under both rerankers: figures in the main measure, 0 to 1, and the first ten documents of each.

    ``raw_a`` and ``raw_b`` are what generative rerankers wrote, a text a window; only for a query that was asked for.
    """

    query_id: str
    text: str
    a: float
    b: float
    top_a: tuple[Entry, ...]
    top_b: tuple[Entry, ...]
    raw_a: tuple[str, ...] = ()
    raw_b: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskComparison:
    """One task under both rerankers, figures 0 to 1.

    ``low`` and ``high`` bound the difference's 95% interval; ``p`` is of the task alone, ``p_holm`` corrected over the
    tasks compared with it. ``wins`` counts the queries on which B is better.
    ``disagreement`` is how B's orders differ from A's; None where no runs were compared.
    """

    task: str
    measure: str
    reranker_a: str
    reranker_b: str
    a: float
    b: float
    low: float
    high: float
    p: float
    p_holm: float
    wins: int
    ties: int
    losses: int
    disagreement: Disagreement | None
    changed: tuple[QueryComparison, ...]
    failed_a: int = 0
    failed_b: int = 0

    @property
    def difference(self) -> float:
        """B's mean less A's."""
        return self.b - self.a

    @property
    def is_small(self) -> bool:
        """Whether it has few queries."""
        return self.wins + self.ties + self.losses < statistics.FEW_QUERIES


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that two places have in common, and what only one of them has. ``query`` is the one asked for."""

    tasks: tuple[TaskComparison, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    query: str | None


def compare(
    a: Path,
    b: Path,
    load_collection: LoadCollection | None = None,
    *,
    query: str | None = None,
    changes: int = 3,
    resamples: int = statistics.RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare two result files, or two folders of them.

    Results belong together when task, reranker and protocol agree. Where each side holds results of a single reranker
    its name does not matter, and where each side is a single result nothing but the protocol does.

    Args:
        a: A result.json or a folder.
        b: Another.
        load_collection: Where queries, texts and judgements come from; without it only ids are known.
        query: The one query to look at, instead of those that changed most.
        changes: How many of the most changed queries of each task to look at; 0 looks at no runs.
        resamples: Of the test.
        seed: Of the test.

    Raises:
        BenchError: for damaged files, different protocols (naming their fields), nothing in common, or a query that
            no task has. Everything wrong is in the one message.
    """
    pairing = _paired(a, b)
    tasks = []
    compared = figures([(x.result, y.result) for x, y in pairing.pairs], resamples=resamples, seed=seed)
    for (x, y), task in zip(pairing.pairs, compared, strict=True):
        if changes or query is not None:
            runs = x.run(), y.run()
            chosen = _chosen(x.result, y.result, query, changes)
            changed = _queries(x, y, runs, chosen, load_collection) if chosen else []
            if query is not None:
                changed = [_with_raw(each, (x, y), runs) for each in changed]
            task = replace(task, disagreement=disagreement(*runs), changed=tuple(changed))
        tasks.append(task)
    if query is not None and not any(task.changed for task in tasks):
        raise BenchError(f"No task of {a} and {b} has a query {query!r}.")
    only_a, only_b = (tuple(stored.label for stored in side) for side in (pairing.only_a, pairing.only_b))
    return Comparison(tuple(tasks), only_a, only_b, query)


def figures(
    pairs: Sequence[tuple[Result, Result]], *, resamples: int = statistics.RESAMPLES, seed: int = 0
) -> list[TaskComparison]:
    """Compare results that share a protocol by their figures alone; p-values are corrected over all pairs."""
    differences = [statistics.differences(a.per_query, b.per_query) for a, b in pairs]
    p_values = [statistics.p_value(values, resamples=resamples, seed=seed) for values in differences]
    return [
        _compared(a, b, values, statistics.interval(values), (p, p_holm))
        for (a, b), values, p, p_holm in zip(pairs, differences, p_values, statistics.holm(p_values), strict=True)
    ]


def _compared(
    a: Result,
    b: Result,
    values: statistics.Array,
    interval: tuple[float, float],
    p_values: tuple[float, float],
) -> TaskComparison:
    return TaskComparison(
        task=a.task,
        measure=a.protocol.measure,
        reranker_a=a.reranker.name,
        reranker_b=b.reranker.name,
        a=a.main,
        b=b.main,
        low=interval[0],
        high=interval[1],
        p=p_values[0],
        p_holm=p_values[1],
        wins=int((values > 0).sum()),
        ties=int((values == 0).sum()),
        losses=int((values < 0).sum()),
        disagreement=None,
        changed=(),
        failed_a=a.generation.failed if a.generation else 0,
        failed_b=b.generation.failed if b.generation else 0,
    )


def _paired(a: Path, b: Path) -> Pairing:
    """Read both places and put their results together; everything that is wrong is one error."""
    (stored_a, problems_a), (stored_b, problems_b) = read_stored(a), read_stored(b)
    if problems_a or problems_b:
        raise BenchError("\n".join(problems_a + problems_b))
    pairing = pair(stored_a, stored_b, _name(stored_a, stored_b))
    problems = list(pairing.clashes)
    for x, y in pairing.pairs:
        problems += filter(None, (missing_queries(x, y), missing_queries(y, x)))
    if problems:
        raise BenchError("\n".join(problems))
    if not pairing.pairs:
        raise BenchError(
            f"{a} and {b} have nothing in common. A holds {', '.join(stored.label for stored in stored_a)}; "
            f"B holds {', '.join(stored.label for stored in stored_b)}."
        )
    return pairing


def _name(a: Sequence[StoredResult], b: Sequence[StoredResult]) -> Callable[[StoredResult], tuple[str, ...]]:
    """What results of two sides must share, in addition to their protocol, to be paired."""
    if len(a) == len(b) == 1:
        return lambda stored: ()
    if all(len({stored.result.reranker.name for stored in side}) == 1 for side in (a, b)):
        return lambda stored: (stored.result.task,)
    return lambda stored: stored.task_and_reranker


def _chosen(a: Result, b: Result, query: str | None, changes: int) -> list[str]:
    """The query asked for, or those that changed most; equal changes keep the order of their ids."""
    if query is not None:
        return [query] if query in a.per_query else []
    values = statistics.differences(a.per_query, b.per_query)
    size = dict(zip(a.per_query, abs(values).tolist(), strict=True))
    changed = sorted((key for key in size if size[key] > 0), key=lambda key: (-size[key], key))
    return changed[:changes]


def _queries(
    a: StoredResult,
    b: StoredResult,
    runs: tuple[Run, Run],
    chosen: Sequence[str],
    load_collection: LoadCollection | None,
) -> list[QueryComparison]:
    tops = [_tops(run, chosen) for run in runs]
    collection = load_collection(a.result) if load_collection else None
    if collection and collection.version != a.result.protocol.data:
        raise BenchError(
            f"{collection.task.id} from {collection.source} is not the data that {a.path} was measured on: its version "
            f"is {collection.version}, the result's {a.result.protocol.data}."
        )
    entries = _entries(collection, tops, chosen)
    return [
        QueryComparison(
            query_id=key,
            text=collection.queries.get(key, "") if collection else "",
            a=a.result.per_query[key],
            b=b.result.per_query[key],
            top_a=tuple(entries[key][document_id] for document_id in tops[0][key]),
            top_b=tuple(entries[key][document_id] for document_id in tops[1][key]),
        )
        for key in chosen
    ]


def _with_raw(
    query: QueryComparison, kept: tuple[StoredResult, StoredResult], runs: tuple[Run, Run]
) -> QueryComparison:
    raw_a, raw_b = (raw_answers(*each, query.query_id) for each in zip(kept, runs, strict=True))
    return replace(query, raw_a=raw_a, raw_b=raw_b)


def _tops(run: Run, chosen: Sequence[str]) -> dict[str, list[str]]:
    return {key: run.ids(key)[:TOP] for key in chosen}


def _entries(
    collection: Collection | None, tops: Sequence[dict[str, list[str]]], chosen: Sequence[str]
) -> dict[str, dict[str, Entry]]:
    """What is known of every document that is shown: ``entries[query id][document id]``."""
    shown = {key: list(dict.fromkeys(document_id for top in tops for document_id in top[key])) for key in chosen}
    if collection is None:
        return {key: {document_id: Entry(document_id) for document_id in ids} for key, ids in shown.items()}
    judgements = collection.judged(Run("shown", {key: [(each, 0.0) for each in ids] for key, ids in shown.items()}))
    entries = {}
    for key, ids in shown.items():
        texts, grades = collection.documents.texts(ids), judgements.get(key, {})
        entries[key] = {each: Entry(each, grades.get(each), texts.get(each, "")) for each in ids}
    return entries


def page(comparison: Comparison) -> Page:
    """Who is A and B, the table of tasks, then the chosen queries of each."""
    tasks, labels = comparison.tasks, _labels(comparison.tasks)
    sides = [
        f"{name}: {', '.join(sorted(rerankers))}"
        for name, rerankers in (("A", {task.reranker_a for task in tasks}), ("B", {task.reranker_b for task in tasks}))
    ]
    notes = _agreements(labels, tasks)
    for label, task in zip(labels, tasks, strict=True):
        notes += [
            f"{label}: queries of {name} without an order, which count as 0 since a call failed for good: {failed}."
            for name, failed in (("A", task.failed_a), ("B", task.failed_b))
            if failed
        ]
    few = [label for label, task in zip(labels, tasks, strict=True) if task.is_small]
    if few:
        few_queries = f"Few queries (fewer than {statistics.FEW_QUERIES}), so that intervals are wide"
        more = f" and {len(few) - 5} more" if len(few) > 5 else ""
        notes.append(f"{few_queries}: {', '.join(few[:5])}{more}.")
    for name, only in (("A", comparison.only_a), ("B", comparison.only_b)):
        if only:
            notes.append(f"Only in {name}: {', '.join(only)}.")
    blocks: list[Block] = [Notes(tuple(sides)), _tasks_table(tasks), Notes(tuple(notes))]
    for task in tasks:
        for query in task.changed:
            blocks += _query(task, query, whole=comparison.query is not None)
    return Page(tuple(blocks))


def _agreements(labels: Sequence[str], tasks: Sequence[TaskComparison]) -> list[str]:
    """A line for each pair whose top tens differ, and how many do not."""
    looked = [(label, task.disagreement) for label, task in zip(labels, tasks, strict=True) if task.disagreement]
    lines = [_agreement(label, found) for label, found in looked if found != SAME]
    same = len(looked) - len(lines)
    if not lines and looked:
        return ["A and B have the same top tens in the same order."]
    return [*lines, f"{same} of {len(looked)} pairs have the same top tens in the same order."] if same else lines


def _agreement(label: str, found: Disagreement) -> str:
    """A line such as ``beir/scifact: B replaces 1.0% of A's top ten, …``."""
    return (
        f"{label}: B replaces {percent(found.replaced)} of A's top ten, reverses {percent(found.reversed)} of the "
        f"pairs in both, and puts another document first for {percent(found.first)} of the queries."
    )


def _labels(tasks: Sequence[TaskComparison]) -> list[str]:
    """The tasks' names, with the reranker where there are several."""
    several = len({(task.reranker_a, task.reranker_b) for task in tasks}) > 1
    return [f"{task.task} by {task.reranker_b}" if several else task.task for task in tasks]


def _tasks_table(tasks: Sequence[TaskComparison]) -> Table:
    several = len(tasks) > 1
    measures = ", ".join(sorted({task.measure for task in tasks}))
    named = len({(task.reranker_a, task.reranker_b) for task in tasks}) > 1
    columns = (
        Column("task", "key"),
        *((Column("reranker", "prose"),) if named else ()),
        *map(Column, ("A", "B", "B - A")),
        Column("95%\ninterval", drop=2),
        Column("p", drop=1),
        *((Column("p,\nHolm", drop=0),) if several else ()),
        Column("wins/\nties/\nlosses", drop=3, called="wins/ties/losses"),
    )
    cells = (
        (
            task.task,
            *((task.reranker_b,) if named else ()),
            score(task.a),
            score(task.b),
            difference(task.difference),
            interval(task.low, task.high),
            p_value(task.p),
            *((p_value(task.p_holm),) if several else ()),
            f"{task.wins}/{task.ties}/{task.losses}",
        )
        for task in tasks
    )
    return Table(columns, (rows(cells),), caption=f"{measures} x 100, B - A")


def _query(task: TaskComparison, query: QueryComparison, whole: bool) -> Iterator[Block]:
    """Both top tens side by side: one line a document, or the whole texts."""
    change = f"{score(query.a)} -> {score(query.b)} ({difference(query.b - query.a)})"
    yield Paragraph(f"{task.task}  query {query.query_id}  {change}")
    if query.text:
        yield Notes((query.text,))
    ranks = [
        (str(rank), _cell(a), _cell(b)) for rank, (a, b) in enumerate(zip_longest(query.top_a, query.top_b), start=1)
    ]
    sides = [
        Column(title(f"{side}: {reranker}"), "prose" if whole else "line")
        for side, reranker in (("A", task.reranker_a), ("B", task.reranker_b))
    ]
    # A line between whole texts makes them easier to distinguish.
    groups = [rows([rank]) for rank in ranks] if whole else [rows(ranks)]
    yield Table((Column("rank"), *sides), tuple(groups))
    for side, raw in (("A", query.raw_a), ("B", query.raw_b)):
        if raw:
            windows = (f"window {number} {text}" for number, text in enumerate(raw, start=1))
            yield Notes((f"{side} wrote:", *windows))


def _cell(entry: Entry | None) -> Cell:
    """``id [grade] text``; an unjudged document has no grade."""
    if entry is None:
        return Cell("")
    grade = "" if entry.grade is None else f"[{entry.grade}]"
    tone: Tone = "" if entry.grade is None else "good" if entry.grade > 0 else "bad"
    return Cell(" ".join(filter(None, (entry.document_id, grade, entry.text))), tone=tone)
