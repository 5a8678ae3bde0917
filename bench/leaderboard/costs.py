"""What the rerankers of a section took: speed, memory, what length caps removed, and the calls of generative ones."""

from collections.abc import Iterator

from bench.leaderboard import speed
from bench.leaderboard.board import Row, Section
from bench.leaderboard.titles import label, section_title
from bench.render.numbers import AT_LEAST, BLANK, count, rate, size
from bench.render.page import Block, Bullets, Column, Table, columns, rows

_GENERATED = (
    "Answers: one a window, each in one class. A window whose answer could not be read keeps its order; scores are "
    "derived from ranks.",
    f"Queries without an order: a call failed for good. They count as 0 in every measure, so that figures marked "
    f"{AT_LEAST} are lower bounds.",
)


def cost_blocks(section: Section) -> Iterator[Block]:
    """The costs of all rows, and what generative rerankers' calls took where there are some."""
    yield _costs(section)
    workers = {row.name: row.cost.workers for row in section.rows}
    if notes := tuple(speed.notes(workers, {row.name: row.cost.latency for row in section.rows})):
        yield Bullets(notes)
    if any(row.cost.generation for row in section.rows):
        yield _generated(section)
        yield Bullets(_GENERATED)


def _costs(section: Section) -> Table:
    """What each row took, and what length caps took away."""
    timed = any(row.cost.latency for row in section.rows)
    figures = (
        "parameters", "documents/s", "tokens/s", *(speed.COLUMNS if timed else ()), "peak memory", "documents cut",
        "queries cut", "tokens lost",
    )  # fmt: skip
    return Table(
        columns=(
            *columns(("", "reranker"), left=(0, 1)),
            *columns(figures, left=()),
            *columns(("device", "precision"), left=(0, 1)),
            Column("model", "prose"),
        ),
        groups=(rows(_cost(row, timed) for row in section.rows),),
        caption=f"{section_title(section)}: cost, and what length caps took away",
        stub=2,
        split=True,
        label=label(section, "costs"),
    )


def _cost(row: Row, timed: bool) -> tuple[str, ...]:
    cost, card = row.cost, row.card
    revision = f"@{card.revision[:8]}" if card.revision else ""
    return (
        row.letter,
        row.name,
        size(card.parameters),
        rate(cost.documents_per_second) if "texts" in card.needs else BLANK,
        rate(cost.tokens_per_second),
        *(speed.cells(cost.latency) if timed else ()),
        f"{cost.peak_memory_bytes / 2**30:.1f} GiB" if cost.peak_memory_bytes else BLANK,
        count(cost.documents_cut),
        count(cost.queries_cut),
        count(cost.tokens_lost),
        ", ".join(cost.devices),
        card.dtype or BLANK,
        f"{card.model}{revision}" or BLANK,
    )


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
