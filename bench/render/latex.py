"""LaTeX tables for a paper, with booktabs; one table* for each table, cut where it would not fit a page."""

from collections.abc import Iterator, Sequence

from bench import escape
from bench.leaderboard.board import Leaderboard
from bench.leaderboard.layout import page
from bench.render.blocks import Block, Body, Bullets, Code, Entry, Grid, Heading
from bench.render.text import pieces

WIDTH = 76
"""So many characters of a table fit the page, at a guess that no font is asked for."""
ROWS = 40

_MARKS = {"best": r"\textbf{%s}", "second": r"\underline{%s}", "": "%s"}


def write(board: Leaderboard, command: str = "") -> str:
    """The tables, to be taken into a document by ``\\input``; what else the page says stands in comments."""
    legend = "The best figure of a column is bold, the second best underlined."
    head = r"% Needs \usepackage{booktabs} and, without a Unicode engine, \usepackage[T1]{fontenc}."
    return "\n\n".join([head, *map(_block, page(board, legend, command))]) + "\n"


def _block(block: Block) -> str:
    if isinstance(block, Grid):
        return "\n\n".join(_table(piece) for piece in _pieces(block))
    if isinstance(block, Heading):
        return _comment([block.text])
    if isinstance(block, Bullets):
        return _comment(block.items)
    if isinstance(block, Code):
        return _comment(block.lines)
    return _comment([block.text])


def _comment(lines: Sequence[str]) -> str:
    return "\n".join(f"% {escape.terminal(line)}" for line in lines)


def _pieces(grid: Grid) -> Iterator[Grid]:
    """Cut a grid by columns and by rows, so that each piece fits a page."""
    for piece in pieces(grid, WIDTH):
        for bodies in _pages(piece.bodies):
            yield Grid(piece.caption, piece.heads, bodies, piece.stub, piece.words)


def _pages(bodies: Sequence[Body]) -> Iterator[tuple[Body, ...]]:
    page: list[Body] = []
    for body in bodies:
        for start in range(0, len(body.rows), ROWS):
            part = Body(body.rows[start : start + ROWS], body.heading)
            if page and sum(len(each.rows) for each in page) + len(part.rows) > ROWS:
                yield tuple(page)
                page = []
            page.append(part)
    if page:
        yield tuple(page)


def _table(grid: Grid) -> str:
    aligned = "".join("l" if grid.is_left(column) else "r" for column in range(len(grid.heads)))
    rows: list[str] = []
    for body in grid.bodies:
        rows.append(r"\midrule")
        if body.heading:
            rows.append(rf"\multicolumn{{{len(aligned)}}}{{l}}{{\textit{{{escape.latex(body.heading)}}}}} \\")
        rows += [_line([_entry(entry) for entry in row]) for row in body.rows]
    return "\n".join(
        [
            r"\begin{table*}",
            r"\centering\footnotesize",
            rf"\caption{{{escape.latex(grid.caption)}}}",
            rf"\begin{{tabular}}{{{aligned}}}",
            r"\toprule",
            *_heads(grid),
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table*}",
        ]
    )


def _heads(grid: Grid) -> list[str]:
    """As many lines as the tallest head has."""
    tallest = max(map(len, grid.heads))
    return [
        _line([escape.latex(head[line]) if line < len(head) else "" for head in grid.heads]) for line in range(tallest)
    ]


def _line(cells: Sequence[str]) -> str:
    # A row that begins with [ or * would be read as an argument of the line end before it.
    guard = "{}" if cells[0].startswith(("[", "*")) else ""
    return f"{guard}{' & '.join(cells)} \\\\"


def _entry(entry: Entry) -> str:
    text = _MARKS[entry.mark] % escape.latex(entry.text)
    return text + (rf"\textsuperscript{{{entry.letters}}}" if entry.letters else "")
