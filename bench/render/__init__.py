"""Writes pages as text, Markdown, LaTeX or HTML: `page` holds what a page is made of, and each format is one file.

Nothing here knows of results. Start with `page.py`.
"""

from importlib import import_module
from typing import Literal, get_args

from bench.errors import BenchError
from bench.render.page import Page

Form = Literal["text", "markdown", "latex", "html"]
FORMATS: tuple[str, ...] = get_args(Form)


def render(page: Page, form: str) -> str:
    """Write a page in one of `FORMATS`.

    Raises:
        BenchError: for an unknown format.
    """
    if form not in FORMATS:
        raise BenchError(f"Unknown format {form!r}. Known: {', '.join(FORMATS)}.")
    text: str = import_module(f"bench.render.{form}").write(page)
    return text
