"""Writes a report: a folder of pages or one file, and its charts as picture files."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench import published
from bench.collections.collection import Collection
from bench.comparison.stored import Reload, StoredResult
from bench.console import Progress, note
from bench.errors import BenchError
from bench.files import write_whole
from bench.leaderboard.board import Leaderboard, Section, build
from bench.render.html import Body, Picture, Sheet, document
from bench.render.page import Paragraph
from bench.report import stills
from bench.report.drafts import Draft, Figure
from bench.report.overview import overview
from bench.report.queries import task_queries
from bench.report.rows import results_of
from bench.report.task import task_page
from bench.report.tools import queries_page
from bench.report.varied import read_varied
from bench.results import Result
from bench.suites import find

NARROW = 300
"""The width of a chart for a narrow screen, in pixels."""

LoadCollection = Callable[[Result], Collection | None]


@dataclass(frozen=True, slots=True)
class Choices:
    """How a report is written: where, as one file or many, with how many queries a task, charts also as files."""

    output: Path
    single: bool = False
    queries: int = 40
    figures: stills.Form | None = None


def write_report(
    stored: Sequence[StoredResult], load: LoadCollection, choices: Choices, more: Sequence[Draft], progress: Progress
) -> list[Path]:
    """Write the report of some results; gives the files, the first page first.

    Args:
        stored: Results, in any order.
        load: Where queries, texts and judgements come from; None where they are not available.
        choices: See `Choices`.
        more: Further pages, which the overview links to.
        progress: Shows each task as a step.

    Raises:
        BenchError: for damaged results or runs, and where nothing can be written.
    """
    board = build([each.result for each in stored], mixed=True, figures=published.read_all())
    links = [(each.title, each.name) for each in more]
    href = _href(choices)
    drafts: list[Draft] = []
    written: list[Path] = []
    first = overview(board, links)
    if not choices.single:
        written.append(_write([first], choices))
    for draft_pages in _tasks(board, stored, load, choices, href, progress):
        drafts += draft_pages if choices.single else []
        written += [] if choices.single else [_write([each], choices) for each in draft_pages]
    if choices.single:
        written.append(_write([first, *more, *drafts], choices))
    else:
        written += [_write([each], choices) for each in more]
    return written


def write_draft(draft: Draft, output: Path) -> None:
    """Write one page that is no part of a report: it has no links to other pages.

    Raises:
        BenchError: where it cannot be written.
    """
    _write([replace(draft, crumbs=())], Choices(output, single=True))


def place(choices: Choices, name: str) -> Path:
    """Where a page is written; with ``single``, where the one file is."""
    if choices.single and choices.output.suffix == ".html":
        return choices.output
    return choices.output / f"{name}.html"


def _href(choices: Choices) -> Callable[[str], str]:
    return (lambda name: f"#{name}") if choices.single else (lambda name: f"{name}.html")


def _tasks(
    board: Leaderboard,
    stored: Sequence[StoredResult],
    load: LoadCollection,
    choices: Choices,
    href: Callable[[str], str],
    progress: Progress,
) -> Iterator[list[Draft]]:
    """Each task's pages, one task at a time, so that a large report is never in memory."""
    for section in board.sections:
        for position, column in enumerate(section.columns):
            if column.protocol:
                with progress.step(f"report of {column.protocol.task}", None):
                    yield _task(section, position, stored, load, choices, href)


def _task(
    section: Section,
    position: int,
    stored: Sequence[StoredResult],
    load: LoadCollection,
    choices: Choices,
    href: Callable[[str], str],
) -> list[Draft]:
    column = section.columns[position]
    here = [each for each in stored if each.result.protocol.id in column.parts]
    by_result = {id(each.result): each for each in here}
    named = {
        name: by_result[id(result)]
        for name, result in results_of(section, column, [each.result for each in here]).items()
    }
    found = task_queries(named, load(here[0].result), choices.queries)
    varied = read_varied(dict.fromkeys(each.path.parent for each in here))
    draft = task_page(section, position, here, found, href, varied)
    return [draft, queries_page(section, position, found)] if found.queries else [draft]


def _write(drafts: Sequence[Draft], choices: Choices) -> Path:
    path = place(choices, drafts[0].name)
    sheets = [_sheet(draft, choices) for draft in drafts]
    write_whole(path, document(sheets, _href(choices)).encode())
    return path


def _sheet(draft: Draft, choices: Choices) -> Sheet:
    """A page with its figures drawn, or left out where the packages that draw are not installed."""
    figures = [block for block in draft.blocks if isinstance(block, Figure)]
    without = [Paragraph(f"Charts are left out: they need the extra packages of {stills.INSTALL}.")] if figures else []
    blocks = [
        _picture(block) if isinstance(block, Figure) else block
        for block in draft.blocks
        if not isinstance(block, Figure) or stills.available()
    ]
    if choices.figures:
        for each in figures:
            folder = (choices.output.parent if choices.output.suffix == ".html" else choices.output) / "figures"
            write_whole(
                folder / f"{each.name}.{choices.figures}", stills.as_file(each.draw(each.wide), choices.figures)
            )
    body = Body(draft.title, tuple(blocks if stills.available() else [*without, *blocks]))
    return Sheet(body, draft.name, draft.crumbs)


def _picture(figure: Figure) -> Picture:
    wide, narrow = (stills.inline(figure.draw(width)) for width in (figure.wide, NARROW))
    return Picture(figure.title, figure.told, wide, narrow)


def at_hand(reload: Reload, asked: bool) -> LoadCollection:
    """Collections that cost no download: embedded ones, own folders, and those that ``--data`` or ``--source`` names.

    ``asked`` says whether one of these options was given: then what cannot be loaded is an error.
    """

    def load(result: Result) -> Collection | None:
        task = find(result.task)
        local = (task is not None and task.embedded) or result.task.startswith("folder/")
        if not asked and not local:
            return None
        try:
            return reload.collection(result)
        except BenchError as error:
            if asked and result.task.partition("/")[0] != "folder":
                raise
            note(f"Queries and documents of {result.task} are shown by their ids alone. {error}")
            return None

    return load
