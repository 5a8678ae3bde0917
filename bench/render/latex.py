"""LaTeX tables for a paper, with booktabs: as wide as a column or as the page, cut where one would not fit a page."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest

from bench import escape
from bench.render.page import Block, Bullets, Cell, Code, Group, Notes, Page, Table
from bench.render.text import cuts, total_width

WIDTH = 76
"""So many characters of a table fit the page, at a guess that no font is asked for."""
COLUMN = 45
"""So many fit one of two columns."""
ROWS = 40

_LEGEND = "The best figure of a column is bold, the second best underlined."
_MARKS = {"best": r"\textbf{%s}", "second": r"\underline{%s}", "": "%s"}


def write(page: Page) -> str:
    """The tables, for ``\\input`` in a document; the rest of the page is in comments."""
    head = r"% Needs \usepackage{booktabs} and, without a Unicode engine, \usepackage[T1]{fontenc}."
    conclusion = [_comment([page.conclusion])] if page.conclusion else []
    return "\n\n".join([head, *conclusion, *map(_block, page.blocks)]) + "\n"


def _block(block: Block) -> str:
    if isinstance(block, Table):
        cut = list(_pieces(block))
        labels = [block.label] if len(cut) == 1 else [f"{block.label}-{number}" for number in range(1, len(cut) + 1)]
        return "\n\n".join(map(_table, cut, labels if block.label else [""] * len(cut)))
    if isinstance(block, Bullets | Notes):
        legend = [_LEGEND] if isinstance(block, Bullets) and block.legend else []
        return _comment([*legend, *block.items])
    if isinstance(block, Code):
        return _comment(block.lines)
    return _comment([block.text])


def _comment(lines: Sequence[str]) -> str:
    return "\n".join(f"% {escape.terminal(line)}" for line in lines)


def _pieces(table: Table) -> Iterator[Table]:
    """Cut a table by columns and by rows, so that each piece fits a page."""
    for piece in map(table.choose, cuts(_measured(table), WIDTH)):
        for groups in _pages(piece.groups):
            yield replace(piece, groups=groups)


def _measured(table: Table) -> Table:
    """The table as wide as LaTeX sets it: marks take no room, two raised letters that of one."""
    groups = (
        replace(
            group,
            rows=tuple(tuple(Cell(each.text + "x" * (len(each.letters) // 2)) for each in row) for row in group.rows),
        )
        for group in table.groups
    )
    return replace(table, groups=tuple(groups))


def _pages(groups: Sequence[Group]) -> Iterator[tuple[Group, ...]]:
    page: list[Group] = []
    for group in groups:
        for start in range(0, len(group.rows), ROWS):
            part = Group(group.rows[start : start + ROWS], group.heading)
            if page and sum(len(each.rows) for each in page) + len(part.rows) > ROWS:
                yield tuple(page)
                page = []
            page.append(part)
    if page:
        yield tuple(page)


def _table(table: Table, label: str) -> str:
    environment = "table" if total_width(_measured(table), WIDTH) <= COLUMN else "table*"
    aligned = "".join("l" if column.is_left else "r" for column in table.columns)
    rows: list[str] = []
    for group in table.groups:
        rows.append(r"\midrule")
        if group.heading:
            rows.append(rf"\multicolumn{{{len(aligned)}}}{{l}}{{\textit{{{escape.latex(group.heading)}}}}} \\")
        rows += [_line(list(map(_cell, row))) for row in group.rows]
    return "\n".join(
        [
            rf"\begin{{{environment}}}",
            r"\centering\footnotesize",
            *([rf"\caption{{{escape.latex(table.caption)}}}"] if table.caption else []),
            *([rf"\label{{tab:{label}}}"] if label else []),
            rf"\begin{{tabular}}{{{aligned}}}",
            r"\toprule",
            *_heads(table),
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            rf"\end{{{environment}}}",
        ]
    )


def _heads(table: Table) -> list[str]:
    """The lines of the titles, as many as the tallest has."""
    titles = [map(escape.latex, column.title.split("\n")) for column in table.columns]
    return [_line(line) for line in zip_longest(*titles, fillvalue="")]


def _line(cells: Sequence[str]) -> str:
    # A row that begins with [ or * would be read as an argument of the line end before it.
    guard = "{}" if cells[0].startswith(("[", "*")) else ""
    return f"{guard}{' & '.join(cells)} \\\\"


def _cell(cell: Cell) -> str:
    text = _MARKS[cell.mark] % escape.latex(cell.text)
    return text + (rf"\textsuperscript{{{cell.letters}}}" if cell.letters else "")
