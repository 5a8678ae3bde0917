"""The table after a run: rerankers by tasks, as on the leaderboard, and what a reader must know of the figures."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.evaluation.cache import CACHE
from bench.leaderboard import speed
from bench.leaderboard.board import competes, marks
from bench.leaderboard.columns import Column as TaskColumn
from bench.leaderboard.columns import Key, Table, arrange, headings, row_names, split, unit_of
from bench.render import page as pages
from bench.render.numbers import AT_LEAST, at_least, count, percent, score
from bench.render.page import Cell, Column, Notes, Page, rows, title
from bench.rerankers.base import Card
from bench.results import Generation, Result, mean_latency, most_workers, total
from bench.suites import SUITES, find
from bench.suites import tasks as tasks_of


def page(results: Sequence[Result], scores: Path | None = None) -> Page:
    """Rerankers by tasks, the mean, the candidates' ceiling and each reranker's speed.

    ``scores`` is where the score cache is, for the line that says what came from there.
    """
    table = Table(list(results))
    columns = arrange(results[0].task.partition("/")[0], table)
    cards = {key: result.reranker for (_, key), result in table.at.items()}
    ranked = [_figures(column, table, cards) for column in columns]
    timed = any(result.cost.latency for result in results)
    groups = [
        rows(
            (
                name,
                *(figures[key] for figures in ranked),
                *_speed([each for (_, row), each in table.at.items() if row == key], timed),
            )
            for key, name in row_names(cards).items()
        )
    ]
    if all(map(competes, cards.values())):
        blank = ("",) * (3 if timed else 1)
        groups.append(rows([("ceiling", *(score(column.candidates.ceiling) for column in columns), *blank)]))
    shown = pages.Table(
        columns=_columns(columns, timed),
        groups=tuple(groups),
        caption=_title(results),
        column="task column",
        hint="use a wider terminal or 'python -m bench leaderboard --format csv'",
    )
    return Page((shown, Notes((*_notes(results, columns), *_cached(results, scores)))))


_DROP = {"mean": 0, "group": 2, "task": 3}
"""What is left out first where the terminal is narrow: tasks, then groups, then the speed."""


def _columns(columns: Sequence[TaskColumn], timed: bool) -> tuple[Column, ...]:
    """The last line of each title says over how many queries the column is."""
    titled = []
    for column, lines in zip(columns, headings(columns), strict=True):
        name = lines[0].removeprefix("embedded-")
        queries = () if column.queries else ("",)
        shown = title(name, *lines[1:], *queries).removesuffix(" queries")
        titled.append(Column(shown, drop=_DROP[column.kind], called=name))
    speeds = ("documents/s\n", *(speed.COLUMNS if timed else ()))
    return (Column("reranker\nqueries", "name"), *titled, *(Column(each, drop=1) for each in speeds))


def _figures(column: TaskColumn, table: Table, cards: Mapping[Key, Card]) -> dict[Key, Cell]:
    """A column's figures by row, the best marked."""
    scores = {key: figure for key in cards if (figure := table.figure(column, key)) is not None}
    best = marks({key: figure for key, figure in scores.items() if competes(cards[key])})
    return {
        key: Cell(at_least(score(figure), table.failed(column, key)), best.get(key, ""))
        for key, figure in scores.items()
    }


def _title(results: Sequence[Result]) -> str:
    suite = results[0].task.partition("/")[0]
    depths = ", ".join(sorted({str(result.protocol.depth) for result in results}))
    stages = ", ".join(sorted({result.protocol.first_stage for result in results}))
    measures = ", ".join(sorted({result.protocol.measure for result in results}))
    task = find(results[0].task)
    sample = ", embedded sample" if task and task.embedded else ""
    return f"{suite}{sample}: {measures} x 100, top {depths} of {stages} reranked"


def _notes(results: Sequence[Result], columns: Sequence[TaskColumn]) -> Iterator[str]:
    """What a reader must know to read the figures: what was left out, what was cut."""
    if any(result.reranker.needs == {"grades"} for result in results):
        yield "oracle: the candidates in the best order, the ceiling of what a reranker can reach."
    else:
        yield "ceiling: the candidates in the best order, what a perfect reranker would reach."
    yield from _left_out(results)
    empty = [
        f"{column.title.removeprefix('embedded-')} "
        f"{count(column.without_candidates)} of {count(column.protocol.queries)}"
        for column in columns
        if column.protocol and column.without_candidates
    ]
    if empty:
        yield f"Queries without candidates, which count as 0: {', '.join(empty)}."
    of = _by_reranker(results)
    yield from speed.notes(
        {name: most_workers(own) for name, own in of.items()}, {name: mean_latency(own) for name, own in of.items()}
    )
    for name, own in of.items():
        documents, queries = sum(result.cut.documents for result in own), sum(result.cut.queries for result in own)
        if documents or queries:
            share = documents / sum(result.cost.documents for result in own)
            yield f"{name} truncated {percent(share)} of documents and {count(queries)} queries to its token limit."
        if generation := total(result.generation for result in own):
            yield from _generated(name, generation, sum(result.protocol.queries for result in own))


def _by_reranker(results: Sequence[Result]) -> dict[str, list[Result]]:
    return split(results, lambda result: result.reranker.name)


def _generated(name: str, generation: Generation, queries: int) -> Iterator[str]:
    """What a generative reranker's answers were, and what they took."""
    classes = ", ".join(f"{count(number)} {kind}" for kind, number in generation.answers.items())
    money = f", {generation.money:,.2f} at the prices given" if generation.money else ""
    yield (
        f"{name}: {count(generation.calls)} windows answered ({classes}); {count(generation.tokens_in)} tokens in, "
        f"{count(generation.tokens_out)} out, {count(generation.tokens_thinking)} of them thinking{money}."
    )
    if generation.unmetered:
        yield f"{name}: the server did not say how many tokens {count(generation.unmetered)} of the calls took."
    if generation.failed:
        yield (
            f"{name}: {count(generation.failed)} of {count(queries)} queries got no order, since a call failed for "
            f"good. They count as 0, so figures marked {AT_LEAST} are lower bounds."
        )


def _cached(results: Sequence[Result], scores: Path | None) -> Iterator[str]:
    """Which rerankers' scores come from the score cache, and how many of them."""
    for name, own in _by_reranker(results).items():
        cached = sum(result.provenance.get("kept_lists", 0) for result in own)
        if cached:
            in_file = any(result.provenance.get("kept_in") == CACHE for result in own)
            lists = sum(result.cost.lists for result in own)
            where = f"in {scores or CACHE}" if in_file else "of this command"
            yield f"{name}: {count(cached)} of {count(lists)} lists from the score cache {where}"


def _left_out(results: Sequence[Result]) -> Iterator[str]:
    """The suite's tasks that a mean of these results does not cover."""
    run = {result.task for result in results}
    suite = results[0].task.partition("/")[0]
    declared = [task for task in tasks_of(suite) if task.default] if suite in SUITES else []
    embedded = any(task.embedded for task in declared if task.id in run)
    rows = [task for task in declared if task.embedded == embedded]
    missing = [task.name.removeprefix("embedded-") for task in rows if task.id not in run]
    if missing and len(run) > 1:
        units = split((task.id for task in rows), unit_of)
        over = sum(not run.isdisjoint(members) for members in units.values())
        what = "tasks" if len(units) == len(rows) else "tasks and groups"
        yield f"mean over {over} of {len(units)} {what}; left out: {', '.join(missing)}."


def _speed(results: Sequence[Result], timed: bool) -> tuple[str, ...]:
    """Documents a second, and the latency; an order that needs no model has no speed worth a figure."""
    seconds = sum(result.cost.seconds for result in results)
    documents = sum(result.cost.documents for result in results)
    is_order = results[0].reranker.family == "order-only"
    throughput = "-" if is_order or not seconds else f"{documents / seconds:,.0f}"
    return (throughput, *(speed.cells(mean_latency(results)) if timed else ()))
