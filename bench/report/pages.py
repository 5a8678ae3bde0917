"""The pages of a report: overview, task, queries. Each is a list of blocks; figures are drawn when they are written."""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import published
from bench.comparison.stored import StoredResult
from bench.escape import terminal
from bench.leaderboard import layout
from bench.leaderboard.board import Leaderboard, Row, Section
from bench.leaderboard.columns import Column as TaskColumn
from bench.leaderboard.columns import headings, queries_of, stage_of
from bench.paths import component, with_hash
from bench.render.html import Links, Tool
from bench.render.numbers import BLANK, count, difference, interval, percent, rate, score
from bench.render.page import Block, Bullets, Cell, Column, Heading, Paragraph, Table, rows, title
from bench.report.queries import TaskQueries
from bench.report.rows import (
    DifferenceRow,
    Role,
    ScoreRow,
    difference_rows,
    drawn,
    gain_cells,
    results_of,
    role,
    score_rows,
)
from bench.report.varied import Varied
from bench.results import Result

if TYPE_CHECKING:
    from bench.report.charts import Chart

OVERVIEW = "index"


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart to be drawn at a width; ``name`` is its file's, ``told`` says what it shows."""

    name: str
    title: str
    told: str
    draw: "Callable[[int], Chart]"
    wide: int = 540


@dataclass(frozen=True, slots=True)
class Draft:
    """A page before its figures are drawn."""

    name: str
    title: str
    blocks: tuple[Block | Links | Tool | Figure, ...]
    crumbs: tuple[tuple[str, str], ...] = ()


Drafted = Iterator[Block | Links | Tool | Figure]


def task_name(column: TaskColumn) -> str:
    """The file name of a task column's page, without its ending."""
    assert column.protocol
    return with_hash(component(column.protocol.task.replace("/", "-").lower()), column.protocol.id)


def overview(board: Leaderboard, more: Sequence[tuple[str, str]]) -> Draft:
    """All sections' figures, differences, ceilings and costs, with links to the tasks' pages.

    ``more`` are links to further pages.
    """
    tasks = sum(column.protocol is not None for section in board.sections for column in section.columns)
    names = {row.name for section in board.sections for row in section.rows if role(row.card) == "reranker"}
    told = (
        f"{_counted(len(names), 'reranker')} on {_counted(tasks, 'task')}. Rerankers of a column were given the same "
        "candidates in the same order. Intervals are 95% t-intervals over queries."
    )
    blocks: list[Any] = [Paragraph(told), *([Links(tuple(more))] if more else [])]
    for section in board.sections:
        blocks += _overview_section(section)
    blocks += [Heading("How to read the tables"), Bullets(layout._NOTES, legend=True)]
    return Draft(OVERVIEW, "Reranking report", tuple(blocks))


def task(section: Section, position: int, stored: Sequence[StoredResult], found: TaskQueries, href: Callable[[str], str],
         varied: Sequence[Varied]) -> Draft:
    """A task's scores, differences, depths, order sensitivity, published figures and protocol."""
    column = section.columns[position]
    protocol = column.protocol
    assert protocol
    results = results_of(section, column, [each.result for each in stored])
    scored = score_rows(section, position)
    name, stem = task_name(column), f"{component(section.suite)}-{task_name(column)}"
    about = (
        f"{queries_of(protocol)}, {count(protocol.documents)} documents, the first {protocol.depth} candidates of "
        f"{protocol.first_stage}. The candidates hold {percent(column.candidates.recall)} of the relevant documents: "
        f"a perfect reranker would reach {score(column.candidates.ceiling)}."
    )
    blocks: list[Any] = [Paragraph(about), *_few(column), Heading("Scores")]
    if drawn(scored):
        blocks.append(_scores_figure(scored, column, stem))
    blocks.append(_details(section, position))
    blocks += [Heading("Which queries"), *_differences(results, scored, column, found, href, stem)]
    if found.queries:
        blocks.append(Links((("The hardest and the most changed queries, both orders side by side", f"{name}-queries"),)))
    blocks += _depths(found, column, stem)
    blocks += _varied(varied, column, stem)
    blocks += _published(section, column)
    blocks += [Heading("Protocol"), _protocol(column)]
    return Draft(name, f"{protocol.task}", tuple(blocks), (("Overview", OVERVIEW),))


def queries(section: Section, position: int, found: TaskQueries) -> Draft:
    """A task's chosen queries under any two of its rerankers."""
    column = section.columns[position]
    assert column.protocol
    name = task_name(column)
    shown = [row for row in section.rows if row.name in found.queries[0].figures]
    ungraded = " No judgements were loaded: give the collection with --data." if not _graded(found) else ""
    told = (
        f"The {len(found.queries)} queries whose figure changed most against the first stage, or is lowest for all "
        f"rerankers although their candidates hold relevant documents. Texts are cut to 500 characters.{ungraded} "
        "Any other query: python -m bench compare A B --query ID."
    )
    tool = Tool("queries", _queries_data(found, shown, column), "This page needs its script, which this browser stops.")
    return Draft(f"{name}-queries", f"{column.protocol.task}: queries", (Paragraph(told), tool),
                 (("Overview", OVERVIEW), (column.protocol.task, name)))


def _overview_section(section: Section) -> Drafted:
    yield Heading(layout._title(section))
    scored = score_rows(section, 0)
    column = section.columns[0]
    yield Paragraph(_best(scored, column))
    stem = component(layout._title(section).lower().replace(", ", "-").replace(" ", "-"))
    if any(row.speed for row in drawn(scored)):
        yield Figure(
            f"{stem}-quality-cost",
            "Quality and cost",
            f"{column.title}: {column.measure} × 100 with 95% intervals against documents a second. Blue: no reranker on "
            "the same device is both faster and better. Dashed: the first stage.",
            lambda width: _charts().quality_and_cost(scored, column.measure, width),
        )
    if drawn(scored):
        yield _scores_figure(scored, column, stem)
    cells = gain_cells(section)
    if len(section.columns) > 1 and any(cell.step for cell in cells):
        yield Figure(
            f"{stem}-gains",
            "Differences to the first stage, by task",
            "Points above (blue) or below (orange) the first stage; ° marks a difference whose 95% interval includes 0. "
            "The table below has the figures.",
            lambda width: _charts().gains(cells, width),
            wide=1100,
        )
    yield _board(section, scored)
    notes = [layout._mean_note(each, section) for each in section.columns if each.kind != "task"]
    notes += layout._empty(section)
    if notes:
        yield Bullets(tuple(notes))
    yield Paragraph("Tasks:")
    yield Links(tuple((each.title, task_name(each)) for each in section.columns if each.protocol))
    yield _limits(section)
    yield layout._costs(section)


def _best(scored: Sequence[ScoreRow], column: TaskColumn) -> str:
    best = max(drawn(scored), key=lambda row: row.score, default=None)
    first = f"the first stage has {score(column.candidates.first_stage)}, the ceiling is {score(column.candidates.ceiling)}"
    if best is None:
        return f"{column.title}: {first}."
    bounds = ""
    if best.gain_low is not None and best.gain_high is not None:
        bounds = f" ({difference(best.gain / 100)} to the first stage, 95% interval {interval(best.gain_low / 100, best.gain_high / 100)})"
    return f"{column.title}: {best.reranker} has the highest figure, {score(best.score / 100)}{bounds}; {first}."


def _scores_figure(scored: Sequence[ScoreRow], column: TaskColumn, stem: str) -> Figure:
    return Figure(
        f"{stem}-scores",
        "Scores and intervals",
        f"{column.title}: {column.measure} × 100 with 95% intervals. Dashed: the first stage. Random orders are left out.",
        lambda width: _charts().scores(scored, column.measure, width - 130 if width > 400 else width - 110),
    )


def _board(section: Section, scored: Sequence[ScoreRow]) -> Table:
    """The leaderboard: scores with letters, the first column's gain with its interval drawn, speed."""
    by_name = {row.reranker: row for row in scored}
    shown = layout._scores(section)
    gain = title("gain and 95% interval", section.columns[0].title)
    columns = (*shown.columns[:3], Column(gain), *shown.columns[3:], Column("documents/s"))

    def wide(cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
        row = by_name.get(cells[1].text)
        speed = rate(row.speed) if row else ""
        return (*cells[:3], _gain(row), *cells[3:], Cell(speed))

    groups = tuple(replace(group, rows=tuple(map(wide, group.rows))) for group in shown.groups)
    return replace(shown, columns=columns, groups=groups)


def _gain(row: ScoreRow | None) -> Cell:
    if row is None:
        return Cell("")
    if row.gain_low is None or row.gain_high is None:
        return Cell(BLANK)
    bounds = f"{difference(row.gain / 100)} ({interval(row.gain_low / 100, row.gain_high / 100)})"
    return Cell(bounds, whisker=((row.gain_low, row.gain, row.gain_high),) if row.role == "reranker" else ())


def _limits(section: Section) -> Table:
    """What bounds each column's figures: the candidates, the judgements, and queries without candidates."""
    titles = ("task", "first stage", "ceiling", "candidates' recall", "judged@10, lowest", "queries", "without candidates")
    found = []
    for position, column in enumerate(section.columns):
        if not column.protocol:
            continue
        judged = [
            (cell.judged, row.name)
            for row in section.rows
            if role(row.card) == "reranker" and (cell := row.cells[position]) and cell.judged is not None
        ]
        lowest = f"{percent(min(judged)[0])} {min(judged)[1]}" if judged else BLANK
        found.append((
            column.title, score(column.candidates.first_stage), score(column.candidates.ceiling),
            percent(column.candidates.recall), lowest, layout_queries(column), count(column.without_candidates),
        ))  # fmt: skip
    columns = tuple(Column(each, "key" if place == 0 else "figure") for place, each in enumerate(titles))
    return Table(columns, (rows(found),), caption=f"{layout._title(section)}: what bounds the figures", folded=True)


def layout_queries(column: TaskColumn) -> str:
    """How many queries a task column is over."""
    return column.queries.removesuffix(" queries")


def _details(section: Section, position: int) -> Table:
    table = layout._details(section)
    group = replace(table.groups[position], heading="")
    return replace(table, groups=(group,), caption="Scores and differences to the first stage", folded=False)


def _few(column: TaskColumn) -> Iterator[Paragraph]:
    if "few queries" in layout._about(column):
        yield Paragraph("Few queries, so that intervals are wide and hold less often for lopsided figures.")


def _differences(
    results: Mapping[str, Result], scored: Sequence[ScoreRow], column: TaskColumn, found: TaskQueries,
    href: Callable[[str], str], stem: str,
) -> Drafted:  # fmt: skip
    differing = difference_rows(results)
    if differing:
        yield Figure(
            f"{stem}-differences",
            "Differences to the first stage, query by query",
            "Each panel has all queries, sorted by the difference: blue gains, orange losses, in points.",
            lambda width: _charts().differences(differing[:12], width),
            wide=1100,
        )
        yield _differences_table(differing)
    yield Paragraph("Any two rerankers, query by query:")
    yield Tool("differences", _differences_data(results, scored, column, found, href), "Choosing needs the page's script.")


def _differences_table(differing: Sequence[DifferenceRow]) -> Table:
    columns = (Column("reranker", "key"), *map(Column, ("difference", "95% interval", "wins", "ties", "losses")))
    found = rows(
        (row.reranker, difference(row.mean / 100), interval(row.low / 100, row.high / 100), count(row.wins),
         count(row.ties), count(row.losses))
        for row in differing
    )  # fmt: skip
    return Table(columns, (found,), caption="Queries won and lost against the first stage")


def _differences_data(
    results: Mapping[str, Result], scored: Sequence[ScoreRow], column: TaskColumn, found: TaskQueries,
    href: Callable[[str], str],
) -> dict[str, Any]:  # fmt: skip
    names = list(results)
    ids = list(next(iter(results.values())).per_query)
    by_name = {row.reranker: row for row in scored}
    letters = {row.letter: names.index(row.reranker) for row in scored if row.letter}
    kinds = [role(each.reranker) for each in results.values()]
    return {
        "names": list(map(terminal, names)),
        "ids": list(map(terminal, ids)),
        "figures": [_packed([each.per_query[key] for key in ids]) for each in results.values()],
        "differs": [[letters[letter] for letter in by_name[name].cell.differs] for name in names],
        "competes": [kind != "ceiling" for kind in kinds],
        "a": _place(kinds, "first stage"),
        "b": _place(kinds, "reranker"),
        "texts": {terminal(view.query_id): terminal(view.text) for view in found.queries if view.text},
        "shown": [terminal(view.query_id) for view in found.queries],
        "queries": href(f"{task_name(column)}-queries"),
    }


def _place(kinds: Sequence[Role], wanted: Role) -> int:
    """The first row of that role; the first row where there is none."""
    return kinds.index(wanted) if wanted in kinds else 0


def _packed(figures: Sequence[float]) -> str:
    """Figures from 0 to 1 as 16-bit numbers in base64: 2.7 bytes each, exact to 0.001 points."""
    return base64.b64encode(np.round(np.array(figures) * 65535).astype("<u2").tobytes()).decode()


def _queries_data(found: TaskQueries, shown: Sequence[Row], column: TaskColumn) -> dict[str, Any]:
    names, kinds = [row.name for row in shown], [role(row.card) for row in shown]
    return {
        "names": list(map(terminal, names)),
        "measure": column.measure,
        "a": _place(kinds, "first stage"),
        "b": _place(kinds, "reranker"),
        "texts": {terminal(key): terminal(text) for key, text in found.texts.items()},
        "queries": [_query_data(view, names) for view in found.queries],
    }


def _query_data(view: Any, names: Sequence[str]) -> dict[str, Any]:
    documents = list(next(iter(view.lists.values())).ranks)
    place = {document: number for number, document in enumerate(documents)}
    grades = None if view.grades is None else {str(place[key]): grade for key, grade in view.grades.items()}
    return {
        "id": terminal(view.query_id),
        "text": terminal(view.text),
        "why": view.why,
        "figures": [round(view.figures[name], 6) for name in names],
        "documents": list(map(terminal, documents)),
        "grades": grades,
        "tops": [[[place[key], f"{value:.4g}"] for key, value in view.lists[name].top] for name in names],
        "ranks": [list(view.lists[name].ranks.values()) for name in names],
    }


def _graded(found: TaskQueries) -> bool:
    return all(view.grades is not None for view in found.queries)


def _depths(found: TaskQueries, column: TaskColumn, stem: str) -> Drafted:
    yield Heading("Score against depth")
    if not found.depths:
        yield Paragraph("Not computed: it needs the collection's judgements (--data, --source) and the first stage's result.")
        return
    names = list(dict.fromkeys(name for name, _, _ in found.depths))
    depths = sorted({depth for _, depth, _ in found.depths})
    points = [(name, float(depth), 100 * figure) for name, depth, figure in found.depths if name != "oracle"]
    yield Figure(
        f"{stem}-depth",
        "Score against depth",
        f"{column.measure} × 100 where only the first so many candidates are reranked.",
        lambda width: _charts().lines(points, "candidates reranked, log scale", f"{column.measure} × 100", width),
    )
    at = {(name, depth): figure for name, depth, figure in found.depths}
    found_rows = rows((name, *(score(at[name, depth]) for depth in depths)) for name in names)
    yield Table(
        (Column("reranker", "key"), *(Column(count(depth)) for depth in depths)), (found_rows,),
        caption=f"{column.measure} × 100 by the number of candidates reranked",
    )  # fmt: skip
    yield Paragraph(
        "Computed from the stored runs for rerankers whose scores do not depend on the list. Listwise rerankers and "
        "fusions are measured at other depths by 'python -m bench sensitivity'."
    )


def _varied(varied: Sequence[Varied], column: TaskColumn, stem: str) -> Drafted:
    if not varied:
        return
    yield Heading("Order, depth, company")
    for number, each in enumerate(varied):
        yield Figure(
            f"{stem}-varied-{number}",
            f"{each.reranker}: what should not matter",
            f"{column.measure} × 100 with one thing varied; a box spans the extremes and quartiles of a group, points are "
            "single measurements, the dashed line is the first stage's order at full depth.",
            lambda width, each=each: _charts().boxes(  # type: ignore[misc]
                [(group, name, 100 * figure) for group, name, figure in each.variants],
                100 * each.base, f"{column.measure} × 100", width - 130 if width > 400 else width - 110,
            ),
        )  # fmt: skip
        yield Table(
            (Column("varied", "key"), *map(Column, ("measurements", "lowest", "highest", "change at most"))),
            (rows(_groups(each)),),
            caption=f"{each.reranker}: figures with one thing varied; {score(each.base)} with nothing varied",
        )


def _groups(varied: Varied) -> Iterator[tuple[str, ...]]:
    for group in dict.fromkeys(group for group, _, _ in varied.variants):
        figures = [figure for of, _, figure in varied.variants if of == group]
        most = max((figure - varied.base for figure in figures), key=abs)
        yield group, count(len(figures)), score(min(figures)), score(max(figures)), difference(most)


def _published(section: Section, column: TaskColumn) -> Drafted:
    block = section.published
    if not block or column.name not in block.columns:
        return
    place = block.columns.index(column.name)
    groups = {
        stage: tuple(replace(row, values=(row.values[place],)) for row in group if row.values[place] is not None)
        for stage, group in block.groups.items()
    }
    narrowed = published.Block((column.name,), {stage: group for stage, group in groups.items() if group})
    yield Heading("Published figures")
    yield from layout._published(narrowed, section)


def _protocol(column: TaskColumn) -> Table:
    assert column.protocol
    fields = column.protocol.as_dict()
    named = [(layout._PROTOCOL.get(name, name.replace("_", " ")), str(value)) for name, value in fields.items()]
    return Table(
        (Column("field", "key"), Column("value", "prose")), (rows(named),), caption=f"Protocol {stage_of(column.protocol)}"
    )


def _counted(number: int, what: str) -> str:
    return f"{count(number)} {what}{'' if number == 1 else 's'}"


def _charts() -> Any:
    """The charts' module, which needs the extra: only imported when a figure is drawn."""
    from bench.report import charts

    return charts
