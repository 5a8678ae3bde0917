"""One self-contained page: no script, no font, no picture, nothing fetched; light or dark as the reader's system is."""

from bench import escape
from bench.leaderboard.board import Leaderboard
from bench.leaderboard.layout import TITLE, page
from bench.render.blocks import Block, Body, Bullets, Code, Entry, Grid, Heading, link

_MARKS = {"best": "<strong>{}</strong>", "second": "<em>{}</em>", "": "{}"}

_STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --quiet: #5b6470; --line: #d9dee4; --page: #fdfdfc; --best: #0b5d4e }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e6e9; --quiet: #9aa4b0; --line: #343b44; --page: #15181c; --best: #6fd6bf }
}
body { margin: 0 auto; max-width: 76rem; padding: 3rem 1.5rem 5rem; background: var(--page); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif }
h1 { font-size: 1.7rem; font-weight: 600; margin: 0 0 .5rem }
h2 { font-size: 1.25rem; font-weight: 600; margin: 3.5rem 0 .5rem }
nav a { margin-right: 1.2rem }
a { color: var(--best) }
p, li { max-width: 46rem; color: var(--quiet) }
pre { overflow-x: auto; padding: .8rem 1rem; border: 1px solid var(--line); border-radius: .4rem; font-size: .85rem }
details caption { position: absolute; clip-path: inset(50%) }
details { margin: 2rem 0 } summary { cursor: pointer; font-weight: 600 }
.scroll { overflow-x: auto; margin: 1.5rem 0 }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums }
caption { text-align: left; font-weight: 600; padding-bottom: .6rem; white-space: nowrap }
th, td { padding: .32rem .8rem; text-align: right; font-weight: 400; white-space: nowrap }
thead th, thead td { color: var(--quiet); font-size: .82rem; vertical-align: bottom;
  border-bottom: 1px solid var(--quiet) }
tbody tr { border-bottom: 1px solid var(--line) }
tbody + tbody tr:first-child { border-top: 1px solid var(--quiet) }
tbody tr:hover { background: color-mix(in srgb, var(--best) 7%, transparent) }
.left { text-align: left }
.group { color: var(--quiet); font-size: .82rem; padding-top: 1rem; text-align: left }
strong { font-weight: 700; color: var(--best) }
em { font-style: normal; text-decoration: underline; text-underline-offset: .2em; text-decoration-thickness: 1px }
sup { color: var(--quiet); font-size: .68em; margin-left: .15em; display: inline-block; text-align: left;
  min-width: calc(var(--letters) * .62em) }
svg { width: 7rem; height: .9rem; vertical-align: middle; margin-left: .6rem }
svg line { stroke: var(--quiet); stroke-width: 1.5 } svg .zero { stroke: var(--line) } svg circle { fill: var(--best) }
"""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def write(board: Leaderboard, command: str = "") -> str:
    """The whole leaderboard as one HTML document."""
    legend = "The best figure of a column is bold, the second best underlined."
    blocks = page(board, legend, command)
    headings = [block for block in blocks if isinstance(block, Heading)]
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape.html(TITLE)}</title>",
        f"<style>{_STYLE}</style>",
        "</head>",
        "<body>",
        f"<h1>{escape.html(TITLE)}</h1>",
        _contents(headings),
        "<main>",
        *(_block(block, headings) for block in blocks),
        "</main>",
        "</body>",
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def _contents(headings: list[Heading]) -> str:
    links = (f'<a href="#part{number}">{escape.html(each.text)}</a>' for number, each in enumerate(headings))
    return f'<nav aria-label="Contents">{" ".join(links)}</nav>'


def _block(block: Block, headings: list[Heading]) -> str:
    if isinstance(block, Grid):
        return _folded(block) if block.folded else _table(block)
    if isinstance(block, Heading):
        return f'<h2 id="part{headings.index(block)}">{escape.html(block.text)}</h2>'
    if isinstance(block, Bullets):
        return f"<ul>{''.join(f'<li>{_linked(item)}</li>' for item in block.items)}</ul>"
    if isinstance(block, Code):
        lines = "\n".join(map(escape.html, block.lines))
        return f"<pre><code>{lines}</code></pre>"
    return f"<p>{escape.html(block.text)}</p>"


def _linked(text: str) -> str:
    address, rest = link(text)
    shown = escape.html(address)
    return f'<a href="{shown}">{shown}</a>{escape.html(rest)}' if address else escape.html(text)


def _folded(grid: Grid) -> str:
    return f"<details><summary>{escape.html(grid.caption)}</summary>\n{_table(grid)}\n</details>"


def _table(grid: Grid) -> str:
    caption = escape.html(grid.caption)
    heads = "".join(_head(grid, column) for column in range(len(grid.heads)))
    bodies = "\n".join(_body(grid, body) for body in grid.bodies)
    letters = max((len(entry.letters) for body in grid.bodies for row in body.rows for entry in row), default=0)
    # A region that scrolls must be reachable by keyboard and say what it is.
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}">\n'
        f'<table style="--letters: {letters}">\n<caption>{caption}</caption>\n'
        f"<thead><tr>{heads}</tr></thead>\n{bodies}\n</table>\n</div>"
    )


def _head(grid: Grid, column: int) -> str:
    lines = "<br>".join(map(escape.html, grid.heads[column]))
    kind = ' class="left"' if grid.is_left(column) else ""
    return f'<th scope="col"{kind}>{lines}</th>' if lines else "<td></td>"


def _body(grid: Grid, body: Body) -> str:
    lines = ["<tbody>"]
    if body.heading:
        title = escape.html(body.heading)
        lines.append(f'<tr><th class="group" scope="rowgroup" colspan="{len(grid.heads)}">{title}</th></tr>')
    reach = max(
        (max(abs(low), abs(high)) for row in body.rows for entry in row for low, _, high in entry.whisker), default=0
    )
    for row in body.rows:
        cells = (_cell(grid, column, entry, reach) for column, entry in enumerate(row))
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return "\n".join([*lines, "</tbody>"])


def _cell(grid: Grid, column: int, entry: Entry, reach: float) -> str:
    text = _MARKS[entry.mark].format(escape.html(entry.text))
    if any(row[column].letters for body in grid.bodies for row in body.rows):
        text += f"<sup>{escape.html(entry.letters)}</sup>"  # empty ones keep decimal points in line
    if any(row[column].whisker for body in grid.bodies for row in body.rows):
        text += "".join(_whisker(*interval, reach) for interval in entry.whisker) or "<svg></svg>"
    if column == grid.stub - 1:
        return f'<th class="left" scope="row">{text}</th>'
    return f'<td class="left">{text}</td>' if grid.is_left(column) else f"<td>{text}</td>"


def _whisker(low: float, middle: float, high: float, reach: float) -> str:
    """An interval around a difference, drawn on a line whose middle is 0; the figures stand beside it."""
    start, dot, end = (60 + 56 * value / reach if reach else 60 for value in (low, middle, high))
    return (
        '<svg viewBox="0 0 120 14" aria-hidden="true"><line class="zero" x1="60" x2="60" y1="0" y2="14"/>'
        f'<line x1="{start:.1f}" x2="{end:.1f}" y1="7" y2="7"/><circle cx="{dot:.1f}" cy="7" r="3"/></svg>'
    )
