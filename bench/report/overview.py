"""The overview: every section's quality and cost, differences by task, leaderboard, and what bounds the figures."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bench.leaderboard import layout
from bench.leaderboard.board import Leaderboard, Section
from bench.leaderboard.columns import Column as TaskColumn
from bench.leaderboard.costs import cost_blocks
from bench.leaderboard.titles import section_title
from bench.paths import component
from bench.render.html import Links
from bench.render.numbers import BLANK, count, difference, interval, percent, rate, score
from bench.render.page import Bullets, Cell, Column, Heading, Paragraph, Table, rows, title
from bench.report.drafts import OVERVIEW, Draft, Drafted, Figure, charts, scores_figure, task_name
from bench.report.rows import ScoreRow, drawn, gain_cells, role, score_rows


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
    blocks += [Heading("How to read the tables"), Bullets(layout.NOTES, legend=True)]
    return Draft(OVERVIEW, "Reranking report", tuple(blocks))


def _overview_section(section: Section) -> Drafted:
    yield Heading(section_title(section))
    scored = score_rows(section, 0)
    column = section.columns[0]
    yield Paragraph(_best(scored, column))
    stem = component(section_title(section).lower().replace(", ", "-").replace(" ", "-"))
    if any(row.speed for row in drawn(scored)):
        yield Figure(
            f"{stem}-quality-cost",
            "Quality and cost",
            f"{column.title}: {column.measure} × 100 with 95% intervals against documents a second. Blue: no reranker "
            "on the same device is both faster and better. Dashed: the first stage.",
            lambda width: charts().quality_and_cost(scored, column.measure, width),
        )
    if drawn(scored):
        yield scores_figure(scored, column, stem)
    cells = gain_cells(section)
    if len(section.columns) > 1 and any(cell.step for cell in cells):
        yield Figure(
            f"{stem}-gains",
            "Differences to the first stage, by task",
            "Points above (blue) or below (orange) the first stage; ° marks a difference whose 95% interval includes "
            "0. The table below has the figures.",
            lambda width: charts().gains(cells, width),
            wide=1100,
        )
    yield _board(section, scored)
    notes = [layout.mean_note(each, section) for each in section.columns if each.kind != "task"]
    notes += layout.empty_notes(section)
    if notes:
        yield Bullets(tuple(notes))
    yield Paragraph("Tasks:")
    yield Links(tuple((each.title, task_name(each)) for each in section.columns if each.protocol))
    yield _limits(section)
    yield from cost_blocks(section)


def _best(scored: Sequence[ScoreRow], column: TaskColumn) -> str:
    best = max(drawn(scored), key=lambda row: row.score, default=None)
    first = (
        f"the first stage has {score(column.candidates.first_stage)}, the ceiling is {score(column.candidates.ceiling)}"
    )
    if best is None:
        return f"{column.title}: {first}."
    bounds = ""
    if best.gain_low is not None and best.gain_high is not None:
        bounds = interval(best.gain_low / 100, best.gain_high / 100)
        bounds = f" ({difference(best.gain / 100)} to the first stage, 95% interval {bounds})"
    return f"{column.title}: {best.reranker} has the highest figure, {score(best.score / 100)}{bounds}; {first}."


def _board(section: Section, scored: Sequence[ScoreRow]) -> Table:
    """The leaderboard: scores with letters, the first column's gain with its interval drawn, speed."""
    by_name = {row.reranker: row for row in scored}
    shown = layout.scores_table(section)
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
    titles = (
        "task",
        "first stage",
        "ceiling",
        "candidates' recall",
        "judged@10, lowest",
        "queries",
        "without candidates",
    )
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
            percent(column.candidates.recall), lowest, column.queries.removesuffix(" queries"),
            count(column.without_candidates),
        ))  # fmt: skip
    columns = tuple(Column(each, "key" if place == 0 else "figure") for place, each in enumerate(titles))
    return Table(columns, (rows(found),), caption=f"{section_title(section)}: what bounds the figures", folded=True)


def _counted(number: int, what: str) -> str:
    return f"{count(number)} {what}{'' if number == 1 else 's'}"
