"""The leaderboard: a table of rerankers by tasks, one protocol a column.

`bench.leaderboard.columns` says which results share a column; here rows are put together and compared, and
`bench.leaderboard.layout` makes a page of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench import published, statistics
from bench.errors import BenchError
from bench.leaderboard.columns import Column, Key, Table, arrange, row_names, split, stage_of, unit_of
from bench.leaderboard.stages import averages
from bench.protocol import Protocol
from bench.render.page import Mark
from bench.rerankers.base import Card
from bench.results import Generation, Latency, Result, mean_latency, most_workers, total
from bench.suites import SUITES, find, tasks

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Cell:
    """One reranker's figure in a column, 0 to 1, and how it compares.

    ``gain`` is the difference to the first stage; its interval is known where the first stage was measured as a
    reranker too. ``share`` is the part reached of the candidates' ceiling. ``differs`` holds the letters of the rows
    from which it differs significantly. ``failed`` queries count as 0 because a call failed for good.
    """

    score: float
    interval: Interval
    gain: float
    gain_interval: Interval | None
    share: float | None
    judged: float | None
    differs: tuple[str, ...]
    mark: Mark
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """What a row's reranking took over all its tasks here, and what length caps took away.

    ``workers`` is the most that shared a task's lists, 0 for none. ``latency`` is the mean over the tasks for which it
    was measured. ``generation`` is a generative reranker's, None for all others.
    """

    devices: tuple[str, ...]
    documents: int
    seconds: float
    tokens: int
    peak_memory_bytes: int
    documents_cut: int
    queries_cut: int
    tokens_lost: int
    workers: int = 0
    latency: Latency | None = None
    generation: Generation | None = None

    @property
    def documents_per_second(self) -> float | None:
        """Candidates scored in a second of the reranker's own time."""
        return self.documents / self.seconds if self.seconds > 0 else None

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens read in a second; None for rerankers that read none."""
        return self.tokens / self.seconds if self.seconds > 0 and self.tokens else None


@dataclass(frozen=True, slots=True)
class Row:
    """One reranker; ``cells`` has one entry for each of the section's columns, None where there is no result.

    A row that does not compete (it has seen the judgements) has no letter and no marks.
    """

    letter: str
    name: str
    card: Card
    competes: bool
    cells: tuple[Cell | None, ...]
    cost: Cost


@dataclass(frozen=True, slots=True)
class Section:
    """A suite's table, measured figures above and published ones below; ``embedded`` for its sample's."""

    suite: str
    embedded: bool
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    published: published.Block | None


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """All sections; ``commands`` are the distinct ones that the results were measured by."""

    sections: tuple[Section, ...]
    commands: tuple[str, ...]


def build(
    results: Sequence[Result],
    first_stage: str = "",
    mixed: bool = False,
    figures: Sequence[published.Published] = (),
    average: bool = False,
) -> Leaderboard:
    """Arrange results in tables.

    Args:
        results: What was measured, in any order.
        first_stage: Only results over this one: ``bm25``, ``bm25@100``, or a protocol's whole label.
        mixed: Show a task's protocols in columns of their own where it has several.
        figures: Published ones; those for the tasks shown are in a separate block.
        average: Show the means over first stages too, and so every protocol.

    Raises:
        BenchError: where a task has several protocols and they are not asked for, naming the fields that differ; where
            no result is left; where one reranker has two results in a column; where there is nothing to average.
    """
    chosen = [result for result in results if not first_stage or first_stage in _names_of(result.protocol)]
    if not chosen:
        known = ", ".join(sorted({stage_of(result.protocol) for result in results}))
        raise BenchError(f"No result is over the first stage {first_stage!r}. There are: {known or 'none at all'}.")
    if not mixed and not average:
        _refuse_mixtures(chosen)
    sections = split(chosen, lambda result: (result.task.partition("/")[0], _is_embedded(result.task)))
    order = sorted(sections, key=lambda key: (SUITES.index(key[0]) if key[0] in SUITES else len(SUITES), key))
    commands = {str(result.provenance.get("command", "")) for result in chosen} - {""}
    made = tuple(_section(*key, Table(sections[key]), average, figures) for key in order)
    if average and not any(column.kind == "stages" for section in made for column in section.columns):
        raise BenchError(
            "Nothing to average: no task was measured over two first stages under otherwise one protocol, with every "
            "row over all its tasks. Measure with another --first-stage, or leave out --average."
        )
    return Leaderboard(
        sections=made,
        commands=tuple(sorted(commands)),
    )


def _names_of(protocol: Protocol) -> set[str]:
    return {protocol.first_stage, stage_of(protocol), protocol.label}


def _is_embedded(task_id: str) -> bool:
    task = find(task_id)
    return task is not None and task.embedded


def _refuse_mixtures(results: Sequence[Result]) -> None:
    protocols = {
        task: {result.protocol.id: result.protocol for result in group}
        for task, group in split(results, lambda result: result.task).items()
    }
    several = [task for task, found in protocols.items() if len(found) > 1]
    if not several:
        return
    one, *others = protocols[several[0]].values()
    fields = dict.fromkeys(text for other in others for text in one.differences(other))
    stages = sorted({stage_of(protocol) for task in several for protocol in protocols[task].values()})
    choice = f"--first-stage ({', '.join(stages)}) selects one; " if len(stages) > 1 else ""
    more = len(several) - 1
    also = f" So {'was' if more == 1 else 'were'} {more} more {'task' if more == 1 else 'tasks'}." if more else ""
    raise BenchError(
        f"{several[0]} was measured under {len(others) + 1} protocols, which may not share a column: they differ in "
        f"{'; '.join(fields)}.{also} {choice}--mixed shows them side by side, each marked; a folder that holds one of "
        "them shows it alone."
    )


def _section(
    suite: str, embedded: bool, table: Table, average: bool, figures: Sequence[published.Published]
) -> Section:
    columns = arrange(suite, table)
    if average:
        columns = [*averages(table, columns), *columns]
    keys = _ordered(columns[0], table)
    competing = [key for key in keys if competes(_card(table, key))]
    letters = {key: statistics.letter(position) for position, key in enumerate(competing)}
    cells = [_cells(column, table, keys, letters) for column in columns]
    names = row_names({key: _card(table, key) for key in keys})
    rows = tuple(
        Row(
            letter=letters.get(key, ""),
            name=names[key],
            card=_card(table, key),
            competes=key in letters,
            cells=tuple(of_column.get(key) for of_column in cells),
            cost=_cost([result for (_, row), result in table.at.items() if row == key]),
        )
        for key in keys
    )
    concerned = {} if embedded else _publishable(suite, columns)
    return Section(suite, embedded, tuple(columns), rows, published.block(suite, concerned, figures))


def _card(table: Table, key: Key) -> Card:
    return next(result.reranker for (_, row), result in table.at.items() if row == key)


def competes(card: Card) -> bool:
    """Who has seen the judgements shows what could be reached, and competes with nobody."""
    return "grades" not in card.needs


def _ordered(first: Column, table: Table) -> list[Key]:
    """Rows by the first column's figure, best first; then those without one, then those that do not compete."""

    def place(key: Key) -> tuple[bool, bool, float, Key]:
        score = table.figure(first, key)
        return not competes(_card(table, key)), score is None, -(score or 0.0), key

    return sorted(table.keys, key=place)


def _cells(column: Column, table: Table, keys: Sequence[Key], letters: Mapping[Key, str]) -> dict[Key, Cell]:
    scores = {key: score for key in keys if (score := table.figure(column, key)) is not None}
    values = {key: table.values(column, key) for key in scores}
    competing = [key for key in scores if key in letters]
    best = marks({key: scores[key] for key in competing})
    differs = _differences(competing, values, letters)
    intervals, gain_intervals = _intervals(table.weights(column), values)
    return {
        key: Cell(
            score=score,
            interval=intervals[key],
            gain=score - column.candidates.first_stage,
            gain_interval=gain_intervals.get(key),
            share=score / column.candidates.ceiling if column.candidates.ceiling else None,
            judged=_judged(column, table, key),
            differs=differs.get(key, ()),
            mark=best.get(key, ""),
            failed=table.failed(column, key),
        )
        for key, score in scores.items()
    }


def marks(scores: Mapping[Key, float]) -> dict[Key, Mark]:
    """Best and second best as they are printed: rows that read alike are marked alike."""
    printed = {key: round(100 * score, 2) for key, score in scores.items()}
    if len(printed) < 2:
        return {}
    ranks: dict[float, Mark] = dict(zip(sorted(set(printed.values()), reverse=True), ("best", "second"), strict=False))
    return {key: ranks.get(value, "") for key, value in printed.items()}


def _differences(
    keys: Sequence[Key], values: Mapping[Key, list[statistics.Array]], letters: Mapping[Key, str]
) -> dict[Key, tuple[str, ...]]:
    """For each row the letters of those it differs from; all pairs of the column are corrected together."""
    # The test letters the rows it is given; rows with a hole in this column are not among them.
    own = {statistics.letter(position): letters[key] for position, key in enumerate(keys)}
    found = statistics.differs([values[key] for key in keys])
    return {key: tuple(own[each] for each in row) for key, row in zip(keys, found, strict=True)}


def _intervals(
    weights: Sequence[float], values: Mapping[Key, list[statistics.Array]]
) -> tuple[dict[Key, Interval], dict[Key, Interval]]:
    """Each row's interval, and that of its difference to the first stage where that is a row."""

    def plain(key: Key) -> list[statistics.Array]:
        """A row's own figures: values are scaled by their task's weight."""
        return [array / (weight * len(weights)) for array, weight in zip(values[key], weights, strict=True)]

    figures = {key: plain(key) for key in values}
    first = next((key for key in values if key[0] == "first-stage"), None)
    gains = {
        key: [statistics.without_noise(array - before) for array, before in zip(row, figures[first], strict=True)]
        for key, row in figures.items()
        if first and key != first
    }
    return (
        {key: statistics.interval(*row, weights=weights, lowest=0.0) for key, row in figures.items()},
        {key: statistics.interval(*row, weights=weights) for key, row in gains.items()},
    )


def _judged(column: Column, table: Table, key: Key) -> float | None:
    shares = [(weight, table.at[part, key].measures.get("judged@10")) for part, weight in column.parts.items()]
    known = [weight * share for weight, share in shares if share is not None]
    return sum(known) if len(known) == len(shares) else None


def _cost(results: Sequence[Result]) -> Cost:
    return Cost(
        devices=tuple(sorted({result.cost.device for result in results})),
        documents=sum(result.cost.documents for result in results),
        seconds=sum(result.cost.seconds for result in results),
        tokens=sum(result.cost.tokens for result in results),
        # Older results on a CPU hold the process's high-water mark, which is no figure of the reranker's own.
        peak_memory_bytes=max(
            (result.cost.peak_memory_bytes for result in results if result.cost.device.startswith("cuda")), default=0
        ),
        documents_cut=sum(result.cut.documents for result in results),
        queries_cut=sum(result.cut.queries for result in results),
        tokens_lost=sum(result.cut.tokens for result in results),
        workers=most_workers(results),
        latency=mean_latency(results),
        generation=total(result.generation for result in results),
    )


def _publishable(suite: str, columns: Sequence[Column]) -> dict[str, str]:
    """The columns that a published figure may be in, and their measures.

    Published figures are over all of a task's queries, so a column of fewer has none. A published mean is over a
    suite's default tasks, so it is shown only where ours is over exactly these.
    """
    declared = tasks(suite) if suite in SUITES else ()
    usual = {unit_of(task.id) for task in declared if task.default and not task.embedded}
    return {
        column.name: column.measure
        for column in columns
        if not column.partial
        and column.kind != "stages"
        and (column.kind != "mean" or (set(column.over) == usual and not column.without))
    }
