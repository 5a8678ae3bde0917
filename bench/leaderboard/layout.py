"""The page of a leaderboard: its tables, notes and protocols."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bench import published
from bench.leaderboard import board as boards
from bench.leaderboard.board import Leaderboard, Row, Section
from bench.leaderboard.columns import Column as TaskColumn
from bench.leaderboard.columns import headings, stage_of
from bench.paths import component
from bench.protocol import Protocol
from bench.render.numbers import AT_LEAST, BLANK, at_least, count, difference, interval, percent, rate, score, size
from bench.render.page import (
    Block,
    Bullets,
    Cell,
    Code,
    Column,
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
TITLES = {
    "beir": "BEIR",
    "miracl": "MIRACL",
    "mkqa": "MKQA",
    "coir": "CoIR",
    "irds": "ir_datasets",
    "mteb": "mteb",
    "folder": "Own collections",
}

PROTOCOL_FIELDS = {
    "split": "split",
    "query_subset": "queries chosen",
    "first_stage": "first stage",
    "depth": "depth",
    "candidate_order": "candidates in the order of",
    "text_rule": "document text",
    "identical_ids": "documents with the query's id",
    "judgements": "judgements",
    "max_query_length": "query cap in tokens",
    "max_doc_length": "document cap in tokens",
    "measure": "measure",
    "measure_library": "measured by",
}
"""The protocol's fields that are told once where all columns share them, and their names for readers."""

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
    yield costs_table(section)
    yield from generated_blocks(section)
    yield protocols_table(section)
    yield Paragraph(f"For all columns: {_shared(section)}.")


def section_title(section: Section) -> str:
    """What a section is called."""
    title = TITLES.get(section.suite, section.suite)
    return f"{title}, embedded sample" if section.embedded else title


def _label(section: Section, what: str = "") -> str:
    """What a paper refers to a section's table by: ``beir``, ``beir-embedded-costs``."""
    return "-".join(filter(None, (component(section.suite), "embedded" if section.embedded else "", what)))


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
        label=_label(section),
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


def costs_table(section: Section) -> Table:
    """What each row took, and what length caps took away."""
    titles = (
        "", "reranker", "parameters", "documents/s", "tokens/s", "peak memory", "documents cut", "queries cut",
        "tokens lost", "device", "precision", "model",
    )  # fmt: skip
    return Table(
        columns=(*columns(titles[:-1], left=(0, 1, 9, 10)), Column(titles[-1], "prose")),
        groups=(rows(map(_cost, section.rows)),),
        caption=f"{section_title(section)}: cost, and what length caps took away",
        stub=2,
        split=True,
        label=_label(section, "costs"),
    )


def _cost(row: Row) -> tuple[str, ...]:
    cost, card = row.cost, row.card
    revision = f"@{card.revision[:8]}" if card.revision else ""
    return (
        row.letter,
        row.name,
        size(card.parameters),
        rate(cost.documents_per_second) if "texts" in card.needs else BLANK,
        rate(cost.tokens_per_second),
        f"{cost.peak_memory_bytes / 2**30:.1f} GiB" if cost.peak_memory_bytes else BLANK,
        count(cost.documents_cut),
        count(cost.queries_cut),
        count(cost.tokens_lost),
        ", ".join(cost.devices),
        card.dtype or BLANK,
        f"{card.model}{revision}" or BLANK,
    )


_GENERATED = (
    "Answers: one a window, each in one class. A window whose answer could not be read keeps its order; scores are "
    "derived from ranks.",
    f"Queries without an order: a call failed for good. They count as 0 in every measure, so that figures marked "
    f"{AT_LEAST} are lower bounds.",
)


def generated_blocks(section: Section) -> Iterator[Block]:
    """What generative rerankers' calls took, and the classes of their answers; nothing where there are none."""
    if any(row.cost.generation for row in section.rows):
        yield _generated(section)
        yield Bullets(_GENERATED)


def _generated(section: Section) -> Table:
    classes = dict.fromkeys(kind for row in section.rows if row.cost.generation for kind in row.cost.generation.answers)
    titles = (
        "", "reranker", "calls", "tokens in", "tokens out", "thinking", "seconds", "money",
        *(f"answers: {kind}" for kind in classes), "queries without an order",
    )  # fmt: skip
    cells = (
        (
            row.letter,
            row.name,
            count(cost.calls),
            count(cost.tokens_in) if cost.unmetered < cost.calls else BLANK,
            count(cost.tokens_out) if cost.unmetered < cost.calls else BLANK,
            count(cost.tokens_thinking),
            count(round(cost.seconds)),
            f"{cost.money:,.2f}" if cost.money else BLANK,
            *(count(cost.answers.get(kind, 0)) for kind in classes),
            count(cost.failed),
        )
        for row in section.rows
        if (cost := row.cost.generation)
    )
    return Table(
        columns=columns(titles, left=(0, 1)),
        groups=(rows(cells),),
        caption=f"{section_title(section)}: calls, tokens and answers of generative rerankers",
        stub=2,
        split=True,
    )


def protocols_table(section: Section) -> Table:
    """The fields in which the columns' protocols differ, and the hashes of their data."""
    tasks = [(column, column.protocol) for column in section.columns if column.protocol]
    varying = [name for name in PROTOCOL_FIELDS if len({getattr(protocol, name) for _, protocol in tasks}) > 1]
    titles = (
        "task", *(PROTOCOL_FIELDS[name] for name in varying), "queries", "documents", "candidates' recall", "data",
        "candidates' texts", "first stage's sha256", "protocol",
    )  # fmt: skip
    figures = range(len(varying) + 1, len(varying) + 4)
    return Table(
        columns=columns(titles, left=[place for place in range(len(titles)) if place not in figures]),
        groups=(rows(_protocol(column, protocol, varying) for column, protocol in tasks),),
        caption=f"{section_title(section)}: protocol of each column",
        split=True,
        label=_label(section, "protocols"),
    )


def _protocol(column: TaskColumn, protocol: Protocol, varying: Sequence[str]) -> tuple[str, ...]:
    return (
        column.title,
        *(str(getattr(protocol, name)) for name in varying),
        count(protocol.queries),
        count(protocol.documents),
        percent(column.candidates.recall),
        protocol.data[:12],
        protocol.texts[:12],
        protocol.first_stage_sha256[:12],
        protocol.id,
    )


def _shared(section: Section) -> str:
    """The fields in which all columns agree."""
    protocols = [column.protocol for column in section.columns if column.protocol]
    values = {name: {str(getattr(protocol, name)) for protocol in protocols} for name in PROTOCOL_FIELDS}
    return "; ".join(
        f"{PROTOCOL_FIELDS[name]}: {next(iter(found))}" for name, found in values.items() if len(found) == 1
    )


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
