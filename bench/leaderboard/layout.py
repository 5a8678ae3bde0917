"""The page of a leaderboard: its tables, notes and protocols."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bench import published
from bench.leaderboard import board as boards
from bench.leaderboard.board import Leaderboard, Row, Section
from bench.leaderboard.columns import Column as TaskColumn
from bench.leaderboard.columns import headings, stage_of
from bench.leaderboard.costs import cost_blocks
from bench.leaderboard.protocols import protocols_table, shared
from bench.leaderboard.titles import label, section_title
from bench.render.numbers import BLANK, at_least, difference, interval, percent, score, size
from bench.render.page import (
    Block,
    Bullets,
    Cell,
    Code,
    Group,
    Heading,
    Page,
    Paragraph,
    Table,
    columns,
    rows,
    title,
)
from bench.statistics import FEW_QUERIES

TITLE = "Leaderboard of rerankers"

NOTES = (
    "All rerankers of a column were given the same candidates in the same order; what the columns share, and where "
    "they differ, is listed with their protocols.",
    "A figure's letters name the rows from which it differs significantly: paired randomisation test over queries, "
    "p at most .05 after Holm's correction over all pairs of rows in the column.",
    "95% intervals are t-intervals over queries; that of a gain is of the paired differences to the first stage, and "
    f"needs the first stage among the rerankers. Few queries: fewer than {FEW_QUERIES}, so that intervals are wide.",
    "Gain: the difference to the candidates as they came. Ceiling: what a perfect reranker would reach, the candidates "
    "sorted by judgement; in detail, the share of it that was reached. A reranker that has seen the judgements is not "
    "ranked.",
    "A heading such as 50 of 300 queries names a column over a part of its task's queries: its figure is not the "
    "task's, and no published figure compares with it.",
    "A mean is over the tasks that every row has. " + BLANK + " is a figure that was not measured or cannot be known.",
    "judged@10: the share of the first ten documents that carry a judgement; those without count as not relevant.",
    "Speed depends on the device named with it, and can be compared only within one device.",
)


_CAPTION = (
    "Letters name the rows from which a figure differs significantly (paired randomisation test over queries, "
    "p at most .05 after Holm's correction)."
)


def main_page(board: Leaderboard) -> Page:
    """The sections' main tables alone, each with what a reader of a paper must know of it in its caption."""
    return Page(
        tuple(replace(table, caption=f"{table.caption}. {_CAPTION}") for table in map(scores_table, board.sections))
    )


def page(board: Leaderboard, command: str = "") -> Page:
    """A leaderboard's page.

    Args:
        board: What is shown.
        command: What makes this page; where given, the page says so, and which commands measured the results.
    """
    blocks: list[Block] = [Paragraph("This page is made by"), Code((command,))] if command else []
    for section in board.sections:
        blocks += _section(section)
    blocks += [Heading("How to read the tables"), Bullets(NOTES, legend=True)]
    if command and board.commands:
        blocks += [Heading("How the results were measured"), Code(board.commands)]
    return Page(tuple(blocks), TITLE)


def _section(section: Section) -> Iterator[Block]:
    yield Heading(section_title(section))
    yield scores_table(section)
    notes = (
        *(mean_note(column, section) for column in section.columns if column.kind != "task"),
        *empty_notes(section),
    )
    if notes:
        yield Bullets(notes)
    if section.published:
        yield from published_blocks(section.published, section)
    yield details_table(section)
    yield from cost_blocks(section)
    yield protocols_table(section)
    yield Paragraph(f"For all columns: {shared(section)}.")


def scores_table(section: Section) -> Table:
    """Rerankers by columns, the best marked, with the letters of what each differs from."""
    measures = {column.measure for column in section.columns}
    titles = (title(*lines) for lines in headings(section.columns))
    return Table(
        columns=columns(("", "reranker", *titles), left=(0, 1)),
        groups=(rows((row.letter, row.name, *map(_score, row.cells)) for row in section.rows), *_references(section)),
        caption=f"{section_title(section)}: {' and '.join(sorted(measures))} x100",
        stub=2,
        split=True,
        label=label(section),
    )


def _score(cell: boards.Cell | None) -> Cell:
    return Cell(at_least(score(cell.score), cell.failed), cell.mark, _letters(cell)) if cell else Cell(BLANK)


def _letters(cell: boards.Cell) -> str:
    """Single letters are written together; where some have two, commas separate them."""
    return ("" if all(len(each) == 1 for each in cell.differs) else ",").join(cell.differs)


def _references(section: Section) -> Iterator[Group]:
    """The candidates' own figures, unless a row shows them already."""
    whole = {row.name for row in section.rows if all(row.cells)}
    figures = {
        "first-stage": ("candidates as they came", [column.candidates.first_stage for column in section.columns]),
        "oracle": ("ceiling", [column.candidates.ceiling for column in section.columns]),
    }
    found = [("", name, *map(score, values)) for row, (name, values) in figures.items() if row not in whole]
    if found:
        yield rows(found)


def mean_note(column: TaskColumn, section: Section) -> str:
    """What a mean is over, and what it leaves out."""
    partial = {
        each.name: each.queries for each in section.columns if each.partial and each.parts.keys() <= column.parts.keys()
    }
    over = (f"{name} ({partial[name]})" if name in partial else name for name in column.over)
    without = f"; without {', '.join(column.without)}, which not every row has" if column.without else ""
    lacking = "; ".join(_lacking(column, section))
    missing = f" Not averaged, for lack of a first stage: {lacking}." if lacking else ""
    return f"{column.title}: over {', '.join(over)}{without}.{missing}"


def _lacking(column: TaskColumn, section: Section) -> Iterator[str]:
    """The rows without a figure in a mean over first stages, and what each lacks."""
    if column.kind != "stages":
        return
    place = section.columns.index(column)
    parts = [(at, each.protocol) for at, each in enumerate(section.columns) if each.parts.keys() <= column.parts.keys()]
    for row in section.rows:
        if row.cells[place] is None:
            stages = {stage_of(protocol) for at, protocol in parts if protocol and row.cells[at] is None}
            yield f"{row.name} ({', '.join(sorted(stages))})"


def empty_notes(section: Section) -> Iterator[str]:
    """The queries that no reranker can do anything for."""
    found = [
        f"{column.title} {column.without_candidates:,} of {column.protocol.queries:,}"
        for column in section.columns
        if column.protocol and column.without_candidates
    ]
    if found:
        yield f"Queries without candidates, which count as 0: {', '.join(found)}."


def about(column: TaskColumn) -> str:
    """A column in words: its title, its queries, and whether they are few."""
    few = "few queries" if column.fewest_queries < FEW_QUERIES else ""
    return ", ".join(filter(None, (column.title, column.queries, few)))


def details_table(section: Section) -> Table:
    """A group of rows a column: scores and gains with intervals, share of the ceiling, judged@10."""
    groups = tuple(
        rows((_detail(row, cell) for row in section.rows if (cell := row.cells[position])), about(column))
        for position, column in enumerate(section.columns)
    )
    titles = ("", "reranker", "score", "95% interval", "gain", "95% interval", "differs", "ceiling", "judged@10")
    return Table(
        columns=columns(titles, left=(0, 1, 6)),
        groups=groups,
        caption=f"{section_title(section)} in detail",
        stub=2,
        folded=True,
        split=True,
    )


def _detail(row: Row, cell: boards.Cell) -> tuple[str | Cell, ...]:
    low, high = cell.interval
    return (
        row.letter,
        row.name,
        score(cell.score),
        f"{score(low)}–{score(high)}",
        difference(cell.gain),
        _gain_interval(row, cell),
        _letters(cell),
        percent(cell.share),
        percent(cell.judged),
    )


def _gain_interval(row: Row, cell: boards.Cell) -> Cell:
    if cell.gain_interval is None:
        return Cell(BLANK)
    low, high = cell.gain_interval
    # What the ceiling gains, and random orders lose, would make everybody else's gain too small to see.
    drawn = ((low, cell.gain, high),) if row.competes and row.card.family != "order-only" else ()
    return Cell(interval(low, high), whisker=drawn)


def published_blocks(block: published.Block, section: Section) -> Iterator[Block]:
    """Published figures in a table of their own, with their sources."""
    sources: dict[str, dict[str, None]] = {}
    for group in block.groups.values():
        for row in group:
            sources.setdefault(row.source, {}).update(dict.fromkeys(row.notes))
    numbers = {source: number for number, source in enumerate(sources, start=1)}
    titles = ("reranker", "parameters", *block.columns, "source")
    yield Table(
        columns=columns(titles, left=(0, len(titles) - 1)),
        groups=tuple(
            rows((_published_row(row, numbers[row.source]) for row in group), _over(first_stage))
            for first_stage, group in block.groups.items()
        ),
        caption=f"{section_title(section)}: published figures",
        split=True,
    )
    stages = sorted({stage_of(column.protocol) for column in section.columns if column.protocol})
    yield Paragraph(
        "Published figures were measured by others, over the first stage that each group names; the table above is "
        f"over {', '.join(stages)}. They are neither ranked nor averaged together with it.{_apart(section)}"
    )
    yield Bullets(tuple(_source(source, notes, numbers[source]) for source, notes in sources.items()))


def _apart(section: Section) -> str:
    """Which columns no published figure may be compared with."""
    partial = ", ".join(column.title for column in section.columns if column.partial)
    return f" They are over all queries of a task, so nothing of {partial} compares with them." if partial else ""


def _over(first_stage: str) -> str:
    if first_stage == published.ALONE:
        return "retrievers alone, over the whole corpus"
    return f"first stage {first_stage}"


def _published_row(row: published.Row, number: int) -> tuple[str, ...]:
    values = (BLANK if value is None else score(value / 100) for value in row.values)
    return (row.reranker, size(round((row.parameters_b or 0) * 10**9)), *values, f"({number})")


def _source(source: str, notes: Sequence[str] | dict[str, None], number: int) -> str:
    return " · ".join((f"{source} ({number})", *notes))
