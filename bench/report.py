"""What the suite commands show: a progress bar while they work, a table when they are done."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from bench.console import Terminal
from bench.escape import terminal
from bench.pace import Pace, in_words
from bench.progress import Advance
from bench.results import Result
from bench.store import STORE
from bench.suites import SUITES, find
from bench.suites import tasks as tasks_of

INTERVAL = 30.0
"""Seconds between two lines about one step, where standard error is no terminal."""


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
    return console if console.is_terminal else Terminal(width=200)


def show(results: Sequence[Result], console: Console, scores: Path | None = None) -> None:
    """Print tasks by rerankers, the average, the candidates' ceiling and each reranker's cost.

    ``scores`` is where the score cache is, for the line that says what came from there.
    """
    tasks = list(dict.fromkeys(result.task for result in results))
    rerankers = list(dict.fromkeys(result.reranker.name for result in results))
    table = Table(title=_title(results), title_justify="left")
    table.add_column("task", no_wrap=True)
    table.add_column("queries", justify="right")
    for name in rerankers:
        table.add_column(Text(terminal(name)), justify="right", overflow="fold")
    table.add_column("ceiling", justify="right", style="dim")
    for task in tasks:
        figures = {result.reranker.name: result.main for result in results if result.task == task}
        about = next(result for result in results if result.task == task)
        cells = _row(figures, rerankers, about.candidates.ceiling)
        table.add_row(Text(terminal(task)), f"{about.protocol.queries:,}", *cells)
    table.add_section()
    units = _units(tasks)
    for group, members in units.items():
        if len(members) > 1:
            table.add_row(f"{group}, mean of {len(members)}", "", *_means(results, rerankers, [members]))
    if len(units) > 1:
        table.add_row(f"average of {len(units)}", "", *_means(results, rerankers, list(units.values())))
    speeds = [_speed([result for result in results if result.reranker.name == name]) for name in rerankers]
    table.add_row("documents/s", "", *speeds, "", style="dim")
    console.print(table)
    for line in (*_notes(results), *_cached(results, scores)):
        console.print(Text(terminal(line)))


def _units(tasks: Sequence[str]) -> dict[str, list[str]]:
    """What counts once in the average: a task, or all tasks of a group, under its name."""
    units: dict[str, list[str]] = {}
    for task in tasks:
        declared = find(task)
        units.setdefault(declared.group if declared and declared.group else task, []).append(task)
    return units


def _means(results: Sequence[Result], rerankers: Sequence[str], units: Sequence[Sequence[str]]) -> list[Text]:
    """A row of means over units, each being the mean of its tasks."""
    weights = {task: 1 / len(unit) / len(units) for unit in units for task in unit}
    chosen = [result for result in results if result.task in weights]
    figures = {
        name: sum(weights[result.task] * result.main for result in chosen if result.reranker.name == name)
        for name in rerankers
    }
    ceilings = {result.task: result.candidates.ceiling for result in chosen}
    return _row(figures, rerankers, sum(weights[task] * ceiling for task, ceiling in ceilings.items()))


def _row(figures: Mapping[str, float], rerankers: Sequence[str], ceiling: float) -> list[Text]:
    """Figures in the rerankers' order, the best in bold (the oracle does not compete), then the ceiling."""
    competing = [figures[name] for name in rerankers if name != "oracle"]
    best = max(competing) if len(competing) > 1 else None
    cells = [
        Text(_points(figures[name]), "bold" if figures[name] == best and name != "oracle" else "") for name in rerankers
    ]
    return [*cells, Text(_points(ceiling))]


def _title(results: Sequence[Result]) -> Text:
    protocol = results[0].protocol
    stages = ", ".join(sorted({result.protocol.first_stage for result in results}))
    measures = ", ".join(sorted({result.protocol.measure for result in results}))
    return Text(terminal(f"{measures} x 100, top {protocol.depth} of {stages} reranked"))


def _notes(results: Sequence[Result]) -> Iterator[str]:
    """What a reader must know to read the figures: what was left out, what was cut."""
    yield "ceiling: the candidates in the best order, what a perfect reranker would reach."
    yield from _left_out(results)
    for name in dict.fromkeys(result.reranker.name for result in results):
        own = [result for result in results if result.reranker.name == name]
        documents, queries = sum(result.cut.documents for result in own), sum(result.cut.queries for result in own)
        if documents or queries:
            share = documents / sum(result.cost.documents for result in own)
            yield f"{name} read {share:.1%} of the documents and {queries:,} queries cut to its length cap."


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
    """The suite's tasks that an average of these results does not cover."""
    run = {result.task for result in results}
    suite = results[0].task.partition("/")[0]
    declared = [task for task in tasks_of(suite) if task.default] if suite in SUITES else []
    embedded = any(task.embedded for task in declared if task.id in run)
    rows = [task for task in declared if task.embedded == embedded]
    missing = [task.name.removeprefix("embedded-") for task in rows if task.id not in run]
    if missing and len(run) > 1:
        yield f"average over {len(rows) - len(missing)} of {len(rows)} tasks; left out: {', '.join(missing)}."


def _points(figure: float) -> str:
    return f"{100 * figure:.2f}"


def _speed(results: Sequence[Result]) -> str:
    """Documents a second; an order that needs no model has no speed worth a figure."""
    if results[0].reranker.family == "order-only":
        return "-"
    seconds = sum(result.cost.seconds for result in results)
    documents = sum(result.cost.documents for result in results)
    return f"{documents / seconds:,.0f}" if seconds else "-"
