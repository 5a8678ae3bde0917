"""A leaderboard written down: as text for a terminal, Markdown, CSV, LaTeX or HTML, one file a format."""

from collections.abc import Callable
from importlib import import_module
from typing import cast

from bench.errors import BenchError
from bench.leaderboard.board import Leaderboard
from bench.render.text import write as write_text

FORMATS = ("text", "markdown", "csv", "latex", "html")


def render(board: Leaderboard, form: str, command: str = "", width: int | None = None) -> str:
    """The leaderboard in one of `FORMATS`.

    Args:
        board: What is written.
        form: The format's name.
        command: What made this page; pages in text, Markdown, LaTeX and HTML then say how they were made.
        width: The columns of the terminal that text is written for; 100 where it is not known.

    Raises:
        BenchError: for a format that is not known.
    """
    if form not in FORMATS:
        raise BenchError(f"Unknown format {form!r}. Known: {', '.join(FORMATS)}.")
    if form == "text" and width:
        return write_text(board, command, width)
    write = cast(Callable[[Leaderboard, str], str], import_module(f"bench.render.{form}").write)
    return write(board, command)
