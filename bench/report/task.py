"""A task's page: scores, per-query differences, depth, sensitivity, published figures, protocol."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench import published
from bench.comparison.stored import StoredResult
from bench.leaderboard import layout
from bench.leaderboard.board import Section
from bench.leaderboard.columns import Column as TaskColumn
from bench.leaderboard.columns import queries_of, stage_of
from bench.leaderboard.protocols import PROTOCOL_FIELDS
from bench.render.html import Links, Tool
from bench.render.numbers import count, difference, interval, percent, score
from bench.render.page import Column, Heading, Paragraph, Table, rows
from bench.report.drafts import OVERVIEW, Draft, Drafted, Figure, chart_width, charts, scores_figure, task_name
from bench.report.queries import TaskQueries
from bench.report.rows import DifferenceRow, ScoreRow, difference_rows, drawn, results_of, role, score_rows
from bench.report.tools import differences_data
from bench.report.varied import Varied
from bench.results import Result


def task_page(
    section: Section,
    position: int,
    stored: Sequence[StoredResult],
    found: TaskQueries,
    href: Callable[[str], str],
    varied: Sequence[Varied],
) -> Draft:
    """A task's scores, differences, depths, order sensitivity, published figures and protocol."""
    column = section.columns[position]
    protocol = column.protocol
    assert protocol
    results = results_of(section, column, [each.result for each in stored])
    scored = score_rows(section, position)
    name = stem = task_name(column)
    about = (
        f"{queries_of(protocol)}, {count(protocol.documents)} documents, the first {protocol.depth} candidates of "
        f"{protocol.first_stage}. The candidates hold {percent(column.candidates.recall)} of the relevant documents: "
        f"a perfect reranker would reach {score(column.candidates.ceiling)}."
    )
    blocks: list[Any] = [Paragraph(about), *_few(column), Heading("Scores")]
    if drawn(scored):
        blocks.append(scores_figure(scored, column, stem))
    blocks.append(_details(section, position))
    blocks += [Heading("Which queries"), *_differences(results, scored, column, found, href, stem)]
    if found.queries:
        blocks.append(
            Links((("The hardest and the most changed queries, both orders side by side", f"{name}-queries"),))
        )
    blocks += _depths(found, section, column, stem)
    blocks += _varied(varied, column, stem)
    blocks += _published(section, column)
    blocks += [Heading("Protocol"), _protocol(column)]
    return Draft(name, f"{protocol.task}", tuple(blocks), (("Overview", OVERVIEW),))


def _details(section: Section, position: int) -> Table:
    table = layout.details_table(section)
    group = replace(table.groups[position], heading="")
    return replace(table, groups=(group,), caption="Scores and differences to the first stage", folded=False)


def _few(column: TaskColumn) -> Iterator[Paragraph]:
    if "few queries" in layout.about(column):
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
            lambda width: charts().differences(differing[:12], width),
            wide=1100,
        )
        yield _differences_table(differing)
    yield Paragraph("Any two rerankers, query by query:")
    yield Tool(
        "differences", differences_data(results, scored, column, found, href), "Choosing needs the page's script."
    )


def _differences_table(differing: Sequence[DifferenceRow]) -> Table:
    columns = (Column("reranker", "key"), *map(Column, ("difference", "95% interval", "wins", "ties", "losses")))
    found = rows(
        (row.reranker, difference(row.mean / 100), interval(row.low / 100, row.high / 100), count(row.wins),
         count(row.ties), count(row.losses))
        for row in differing
    )  # fmt: skip
    return Table(columns, (found,), caption="Queries won and lost against the first stage")


def _depths(found: TaskQueries, section: Section, column: TaskColumn, stem: str) -> Drafted:
    yield Heading("Score against depth")
    if not found.depths:
        yield Paragraph(
            "Not computed: it needs the collection's judgements (--data, --source) and the first stage's result."
        )
        return
    ceilings = {row.name for row in section.rows if role(row.card) == "ceiling"}
    names = list(dict.fromkeys(name for name, _, _ in found.depths))
    depths = sorted({depth for _, depth, _ in found.depths})
    points = [(name, float(depth), 100 * figure) for name, depth, figure in found.depths if name not in ceilings]
    yield Figure(
        f"{stem}-depth",
        "Score against depth",
        f"{column.measure} × 100 where only the first so many candidates are reranked.",
        lambda width: charts().lines(points, "candidates reranked, log scale", f"{column.measure} × 100", width),
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
    yield Heading("Sensitivity")
    for number, each in enumerate(varied):
        yield _varied_figure(each, column, f"{stem}-varied-{number}")
        yield Table(
            (Column("varied", "key"), *map(Column, ("measurements", "lowest", "highest", "change at most"))),
            (rows(_groups(each)),),
            caption=f"{each.reranker}: figures with one thing varied; {score(each.base)} with nothing varied",
        )


def _varied_figure(varied: Varied, column: TaskColumn, name: str) -> Figure:
    points = [(group, 100 * figure) for group, _, figure in varied.variants]
    title = f"{column.measure} × 100"
    return Figure(
        name,
        f"{varied.reranker}: order, depth, block size, distractor",
        f"{title} with one thing varied; a box spans the extremes and quartiles of a group, points are single "
        "measurements, the dashed line is the first stage's order at full depth.",
        lambda width: charts().boxes(points, 100 * varied.base, title, chart_width(width)),
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
    yield from layout.published_blocks(narrowed, section)


def _protocol(column: TaskColumn) -> Table:
    assert column.protocol
    fields = column.protocol.as_dict()
    named = [(PROTOCOL_FIELDS.get(name, name.replace("_", " ")), str(value)) for name, value in fields.items()]
    return Table(
        (Column("field", "key"), Column("value", "prose")),
        (rows(named),),
        caption=f"Protocol {stage_of(column.protocol)}",
    )
