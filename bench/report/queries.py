"""A task's queries in full: the hardest and the most changed ones, each reranker's first documents, grades and texts.

Every run of the task is read once, and only what is shown of it is held.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from bench.collections.collection import Collection
from bench.comparison.agreement import TOP
from bench.comparison.stored import StoredResult
from bench.errors import BenchError
from bench.measures import Judgements, Measure, mean, per_query
from bench.report.rows import role
from bench.run import Run
from bench.statistics import NOISE

LETTERS = 500
"""A document's text is cut to so many characters: a page of hundreds of documents must open at once."""
DEPTHS = (5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True, slots=True)
class Listed:
    """A reranker's first documents for one query, with scores, and the rank of every shown document (0: not ranked)."""

    top: tuple[tuple[str, float], ...]
    ranks: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class QueryView:
    """One query under every reranker: figures 0 to 1 and lists by row name, and what is known of its documents.

    ``grades`` are of the shown documents that carry a judgement; None where no judgements were loaded.
    """

    query_id: str
    text: str
    why: str
    figures: Mapping[str, float]
    lists: Mapping[str, Listed]
    grades: Mapping[str, int] | None


@dataclass(frozen=True, slots=True)
class TaskQueries:
    """The queries shown of a task, their documents' texts, and (reranker, depth, figure 0 to 1) where it is known."""

    queries: tuple[QueryView, ...]
    texts: Mapping[str, str]
    depths: tuple[tuple[str, int, float], ...]


def task_queries(stored: Mapping[str, StoredResult], collection: Collection | None, count: int) -> TaskQueries:
    """Read a task's runs.

    Args:
        stored: Results of one protocol, by row name.
        collection: The task's, or None where it is not available.
        count: How many queries to show: half of them hard ones, half of them changed ones.

    Raises:
        BenchError: for a run that is missing or is not its result's, or a collection of another version.
    """
    one = next(iter(stored.values()))
    if collection and collection.version != one.result.protocol.data:
        raise BenchError(
            f"{collection.task.id} from {collection.source} is not the data that {one.path} was measured on: its "
            f"version is {collection.version}, the result's {one.result.protocol.data}. Give the data with --data."
        )
    chosen = _chosen(stored, count)
    first = next((each for each in stored.values() if role(each.result.reranker) == "first stage"), None)
    candidates = first.run() if first else None
    judgements = collection.judged(candidates) if collection and candidates else None
    orders: dict[str, dict[str, list[tuple[str, float]]]] = {}
    depths: list[tuple[str, int, float]] = []
    for name, each in stored.items():
        run = candidates if each is first and candidates else each.run()
        orders[name] = {key: list(run.rankings.get(key, ())) for key in chosen}
        if candidates and judgements:
            depths += [(name, *point) for point in _depths(each, run, candidates, judgements)]
    views = tuple(_view(key, why, stored, orders, collection, judgements) for key, why in chosen.items())
    shown = list(dict.fromkeys(document for view in views for each in view.lists.values() for document, _ in each.top))
    texts = collection.documents.texts(shown) if collection else {}
    return TaskQueries(views, {key: _cut(text) for key, text in texts.items()}, tuple(depths))


def _cut(text: str) -> str:
    return text if len(text) <= LETTERS else f"{text[:LETTERS].rstrip()} …"


def _chosen(stored: Mapping[str, StoredResult], count: int) -> dict[str, str]:
    """Query ids and why they are shown: ``changed`` most against the first stage by some reranker, or ``hard`` for all.

    A query for which even the best order of its candidates scores 0 is not hard but hopeless, and is not shown.
    """
    figures = {role(each.result.reranker): each.result.per_query for each in stored.values()}
    rerankers = [each.result.per_query for each in stored.values() if role(each.result.reranker) == "reranker"]
    first, ceiling = figures.get("first stage"), figures.get("ceiling")
    keys = list(next(iter(stored.values())).result.per_query)
    found = dict.fromkeys(_changed(rerankers, first, (count + 1) // 2) if first else (), "changed")
    best = {key: max((of[key] for of in rerankers or [first or {}] if key in of), default=0.0) for key in keys}
    hopeful = (key for key in keys if key not in found and (ceiling is None or ceiling[key] > 0))
    hard = sorted(hopeful, key=lambda key: (best[key] - (ceiling[key] if ceiling else 1.0), key))
    return found | dict.fromkeys(hard[: count - len(found)], "hard")


def _changed(rerankers: Sequence[Mapping[str, float]], first: Mapping[str, float], count: int) -> list[str]:
    """Each reranker's largest gains and losses in turn, until there are enough queries."""
    orders = []
    for figures in rerankers:
        change = {key: figures[key] - first[key] for key in figures}
        ordered = sorted(change, key=lambda key: (-change[key], key))
        orders.append([key for key in ordered if change[key] > NOISE])
        orders.append([key for key in reversed(ordered) if change[key] < -NOISE])
    found = dict.fromkeys(key for turn in zip_longest(*orders) for key in turn if key is not None)
    return list(found)[:count]


def _view(
    key: str,
    why: str,
    stored: Mapping[str, StoredResult],
    orders: Mapping[str, Mapping[str, list[tuple[str, float]]]],
    collection: Collection | None,
    judgements: Judgements | None,
) -> QueryView:
    tops = {name: of[key][:TOP] for name, of in orders.items()}
    shown = dict.fromkeys(document for top in tops.values() for document, _ in top)
    lists = {}
    for name, of in orders.items():
        ranks = {document: rank for rank, (document, _) in enumerate(of[key], start=1)}
        lists[name] = Listed(tuple(tops[name]), {document: ranks.get(document, 0) for document in shown})
    graded = None if judgements is None else judgements.get(key, {})
    return QueryView(
        query_id=key,
        text=collection.queries.get(key, "") if collection else "",
        why=why,
        figures={name: each.result.per_query[key] for name, each in stored.items()},
        lists=lists,
        grades=None if graded is None else {document: graded[document] for document in shown if document in graded},
    )


def _depths(stored: StoredResult, run: Run, candidates: Run, judgements: Judgements) -> list[tuple[int, float]]:
    """The main measure where only the first of the candidates are reranked: (depth, figure) for smaller depths.

    It follows from the run where a document's score does not depend on its list: for rerankers that are not listwise,
    for the ceiling, and for the first stage. Fusions depend on ranks, and random orders are made for a whole list.
    """
    card, protocol = stored.result.reranker, stored.result.protocol
    kind = role(card)
    if card.listwise or card.family == "fusion" or kind == "order":
        return []
    measure = Measure.parse(protocol.measure)
    graded = {key: judgements.get(key, {}) for key in stored.result.per_query}
    points = []
    for depth in [each for each in DEPTHS if each < protocol.depth] + [protocol.depth]:
        kept = {key: set(candidates.ids(key)[:depth]) for key in graded}
        orders = {key: [each for each in run.ids(key) if each in kept[key]] for key in graded}
        found = per_query(graded, orders, [measure])[measure]
        points.append((depth, mean({key: found.get(key, 0.0) for key in graded})))
    return points
