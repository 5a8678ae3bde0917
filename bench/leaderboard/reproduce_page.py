"""The paper's figures and ours as a page, and the commands that measure what is missing."""

from collections.abc import Iterator, Mapping, Sequence

from bench.leaderboard.reproduce import PAPER, Reproduction, command, not_built
from bench.render.numbers import count, difference, score
from bench.render.page import Block, Bullets, Code, Heading, Page, Paragraph, Table, columns
from bench.render.page import rows as group


def page(rows: Sequence[Reproduction]) -> Page:
    """What was measured and what was published; then how to measure the rest; then what cannot be."""
    return Page(tuple(_blocks(rows)))


def commands_page(rows: Sequence[Reproduction]) -> Page:
    """The commands that measure the rest with run files of the user's, one a task and first stage."""
    commands = _commands(rows)
    if not commands:
        return Page((Paragraph("Nothing to measure: each figure that can be has one under the paper's protocol."),))
    about = (
        "Each command measures one task over a first stage's TREC run, with its 100 best documents for each query: "
        "jina-embeddings-v3/beir/nfcorpus.trec is the run of jina-embeddings-v3, and its last column reads "
        "jina-embeddings-v3."
    )
    return Page((Paragraph(about), Code(commands)))


def _blocks(rows: Sequence[Reproduction]) -> Iterator[Block]:
    measured = [row for row in rows if row.measured is not None]
    agreeing = sum(not row.disagreements for row in measured)
    yield Heading(f"The figures of {PAPER}")
    yield Paragraph(
        f"Of {len(rows)} figures {len(measured)} are measured, {agreeing} of them under the paper's protocol. A figure "
        "over other candidates than the paper's is another figure: its difference says nothing about the model."
    )
    if measured:
        yield _table(measured)
    if any(row.missing for row in rows):
        yield Heading("To measure the rest under the paper's protocol")
        yield _missing_table(rows)
        yield Paragraph("Measure all rows with yes, first stages included; with --suite NAME one suite alone:")
        yield Code(("python -m bench reproduce paper --run",))
        yield Paragraph("Or print the commands, one a task, that use first-stage runs of your own:")
        yield Code(("python -m bench reproduce paper --commands",))
    obstacles = _obstacles(rows)
    if obstacles:
        yield Heading("What cannot be measured here")
        yield Bullets(obstacles)


def _table(rows: Sequence[Reproduction]) -> Table:
    tables: dict[str, list[Reproduction]] = {}
    for row in rows:
        figure = row.figure
        title = f"{row.table}, {figure.suite}: {figure.measure} over {figure.first_stage}"
        tables.setdefault(title, []).append(row)
    return Table(
        columns=columns(("task", "reranker", "published", "measured", "difference", "our protocol"), left=(0, 1, 5)),
        groups=tuple(group(map(_cells, members), title) for title, members in tables.items()),
        caption="Published and measured, x100",
        stub=2,
        split=True,
    )


def _missing_table(rows: Sequence[Reproduction]) -> Table:
    """How much is missing, by suite and first stage."""
    unbuilt = not_built(rows)
    tasks: dict[tuple[str, str], set[str]] = {}
    rerankers: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        if row.missing:
            key = (row.figure.suite, row.figure.first_stage)
            tasks.setdefault(key, set()).update(row.missing)
            rerankers.setdefault(key, set()).add(row.reranker)
    cells = (
        (suite, stage, count(len(names)), count(len(rerankers[suite, stage])), _is_run(stage, unbuilt))
        for (suite, stage), names in tasks.items()
    )
    titles = ("suite", "first stage", "tasks", "rerankers", "by --run")
    return Table(columns(titles, left=(0, 1, 4)), (group(cells),), caption="Not yet measured", split=True)


def _is_run(stage: str, unbuilt: Mapping[str, str]) -> str:
    return "no" if stage.partition("@")[0] in unbuilt else "yes"


def _cells(row: Reproduction) -> tuple[str, ...]:
    published_one, measured = row.figure.value / 100, (row.measured or 0.0) / 100
    return (
        row.figure.task,
        row.figure.reranker,
        score(published_one),
        score(measured),
        difference(measured - published_one),
        "; ".join(row.disagreements) or "the same",
    )


def _commands(rows: Sequence[Reproduction]) -> tuple[str, ...]:
    """One command a task and first stage, with all rerankers that are missing there."""
    rerankers: dict[tuple[str, str], dict[str, None]] = {}
    for row in rows:
        for task in row.missing:
            rerankers.setdefault((task, row.figure.first_stage), {})[row.reranker] = None
    return tuple(command(task, names, stage) for (task, stage), names in rerankers.items())


def _obstacles(rows: Sequence[Reproduction]) -> tuple[str, ...]:
    found: Mapping[str, str] = {row.figure.reranker: row.obstacle for row in rows if row.obstacle}
    stages = {f"{stage} as first stage": reason for stage, reason in not_built(rows).items()}
    return tuple(f"{what}: {why}" for what, why in {**found, **stages}.items())
