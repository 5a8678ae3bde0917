"""What the suite commands show: a progress bar while they work, a table when they are done."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from bench.console import Terminal
from bench.escape import terminal
from bench.evaluation.store import STORE
from bench.leaderboard.board import competes, marks
from bench.leaderboard.columns import Column, Key, Table, arrange, headings, row_names, split, unit_of
from bench.progress import Advance, Pace, in_words
from bench.render.fitted import Fitted, Head
from bench.rerankers.base import Card
from bench.results import Result
from bench.suites import SUITES, find
from bench.suites import tasks as tasks_of

INTERVAL = 30.0
"""Seconds between two lines about one step, where standard error is no terminal."""
WIDE = 400
"""Columns of an output that is no terminal: enough for a suite of 26 tasks."""


class Bar:
    """A progress bar a step, on standard error, so that the table on standard output can be piped.

    Where standard error is no terminal, as in a CI log, each step is one line when it is done, and a long one says
    every ``interval`` seconds how far it is.
    """

    def __init__(self, console: Console, interval: float = INTERVAL) -> None:
        self._console = console
        self._interval = interval

    @contextmanager
    def step(self, label: str, total: int | None) -> Iterator[Advance]:
        """See `bench.progress.Progress`."""
        pace = Pace(total)
        with (self._bar if self._console.is_terminal else self._lines)(label, pace) as shown:

            def advance(units: int, /, *, restored: bool = False) -> None:
                pace.advance(units, restored)
                shown()

            yield advance

    @contextmanager
    def _bar(self, label: str, pace: Pace) -> Iterator[Callable[[], None]]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            _Left(pace),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(escape(terminal(label)), total=pace.total)
            yield lambda: progress.update(task, completed=pace.done)

    @contextmanager
    def _lines(self, label: str, pace: Pace) -> Iterator[Callable[[], None]]:
        over = threading.Event()

        def tell() -> None:
            while not over.wait(self._interval):
                self._line(f"{label}  {_so_far(pace)}")

        thread = threading.Thread(target=tell, daemon=True)
        thread.start()
        try:
            yield lambda: None
        finally:
            over.set()
            thread.join()
        self._line(f"{label}  {pace.elapsed:.1f} s")

    def _line(self, text: str) -> None:
        self._console.print(Text(terminal(text)), soft_wrap=True)


class _Left(ProgressColumn):
    """The time left, as far as it is known."""

    def __init__(self, pace: Pace) -> None:
        super().__init__()
        self._pace = pace

    def render(self, task: Task) -> Text:
        return Text(self._pace.left)


def _so_far(pace: Pace) -> str:
    """How far a step is: ``120 of 300, 4 min left``, or only how long it takes already."""
    counted = f"{pace.done:,} of {pace.total:,}" if pace.total is not None else ""
    return ", ".join(filter(None, (counted, pace.left or f"{in_words(pace.elapsed)} so far")))


def stdout() -> Console:
    """Standard output; wide where it is no terminal, so that a table in a file or pipe loses no column."""
    console = Terminal()
    return console if console.is_terminal else Terminal(width=WIDE)


def terminal_width() -> int | None:
    """Standard output's columns; None where it is no terminal."""
    console = Terminal()
    return console.width if console.is_terminal else None


def show(results: Sequence[Result], console: Console, scores: Path | None = None) -> None:
    """Print rerankers by tasks, the mean, the candidates' ceiling and each reranker's speed.

    ``scores`` is where the score cache is, for the line that says what came from there.
    """
    table = Table(list(results))
    columns = arrange(results[0].task.partition("/")[0], table)
    cards = {key: result.reranker for (_, key), result in table.at.items()}
    ranked = [_figures(column, table, cards) for column in columns]
    rows: list[list[Text | str] | None] = [
        [
            name,
            *(figures[key] for figures in ranked),
            _speed([each for (_, row), each in table.at.items() if row == key]),
        ]
        for key, name in row_names(cards).items()
    ]
    if all(map(competes, cards.values())):
        rows += [None, ["ceiling", *(_points(column.candidates.ceiling) for column in columns), ""]]
    console.print(
        Fitted(
            heads=_heads(columns),
            rows=rows,
            title=_title(results),
            column="task column",
            hint="use a wider terminal or 'python -m bench leaderboard --format csv'",
        )
    )
    for line in (*_notes(results, columns), *_cached(results, scores)):
        console.print(Text(terminal(line)))


_DROP = {"mean": 0, "group": 2, "task": 3}
"""What is left out first where the terminal is narrow: tasks, then groups, then the speed."""


def _heads(columns: Sequence[Column]) -> list[Head]:
    """The table's heads; the last line of each says over how many queries."""
    heads = []
    for column, lines in zip(columns, headings(columns), strict=True):
        name = lines[0].removeprefix("embedded-")
        queries = () if column.queries else ("",)
        title = "\n".join((name, *lines[1:], *queries)).removesuffix(" queries")
        heads.append(Head(title, drop=_DROP[column.kind], called=name))
    return [Head("reranker\nqueries", "name"), *heads, Head("documents/s\n", drop=1)]


def _figures(column: Column, table: Table, cards: Mapping[Key, Card]) -> dict[Key, Text]:
    """A column's figures by row, the best in bold."""
    scores = {key: score for key in cards if (score := table.figure(column, key)) is not None}
    best = marks({key: score for key, score in scores.items() if competes(cards[key])})
    return {key: Text(_points(score), "bold" if best.get(key) == "best" else "") for key, score in scores.items()}


def _title(results: Sequence[Result]) -> str:
    suite = results[0].task.partition("/")[0]
    depths = ", ".join(sorted({str(result.protocol.depth) for result in results}))
    stages = ", ".join(sorted({result.protocol.first_stage for result in results}))
    measures = ", ".join(sorted({result.protocol.measure for result in results}))
    task = find(results[0].task)
    sample = ", embedded sample" if task and task.embedded else ""
    return f"{suite}{sample}: {measures} x 100, top {depths} of {stages} reranked"


def _notes(results: Sequence[Result], columns: Sequence[Column]) -> Iterator[str]:
    """What a reader must know to read the figures: what was left out, what was cut."""
    if any(result.reranker.needs == {"grades"} for result in results):
        yield "oracle: the candidates in the best order, the ceiling of what a reranker can reach."
    else:
        yield "ceiling: the candidates in the best order, what a perfect reranker would reach."
    yield from _left_out(results)
    empty = [
        f"{column.title.removeprefix('embedded-')} {column.without_candidates:,} of {column.protocol.queries:,}"
        for column in columns
        if column.protocol and column.without_candidates
    ]
    if empty:
        yield f"Queries without candidates, which count as 0: {', '.join(empty)}."
    for name in dict.fromkeys(result.reranker.name for result in results):
        own = [result for result in results if result.reranker.name == name]
        documents, queries = sum(result.cut.documents for result in own), sum(result.cut.queries for result in own)
        if documents or queries:
            share = documents / sum(result.cost.documents for result in own)
            yield f"{name}: {share:.1%} of the documents and {queries:,} queries were cut to its length cap."


def _cached(results: Sequence[Result], scores: Path | None) -> Iterator[str]:
    """Which rerankers' scores come from the score cache, and how many of them."""
    for name in dict.fromkeys(result.reranker.name for result in results):
        own = [result for result in results if result.reranker.name == name]
        kept = sum(result.provenance.get("kept_lists", 0) for result in own)
        if kept:
            in_file = any(result.provenance.get("kept_in") == STORE for result in own)
            where = f"in {scores or STORE}" if in_file else "of this command"
            yield f"{name}: {kept:,} of {sum(result.cost.lists for result in own):,} lists from the score cache {where}"


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


def _points(figure: float) -> str:
    return f"{100 * figure:.2f}"


def _speed(results: Sequence[Result]) -> str:
    """Documents a second; an order that needs no model has no speed worth a figure."""
    if results[0].reranker.family == "order-only":
        return "-"
    seconds = sum(result.cost.seconds for result in results)
    documents = sum(result.cost.documents for result in results)
    return f"{documents / seconds:,.0f}" if seconds else "-"
