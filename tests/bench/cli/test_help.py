"""Help as a new user reads it, at 80 columns."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from bench.cli import app


def pages(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    with command.make_context(path[-1] if path else "bench", [], resilient_parsing=True) as context:
        context.terminal_width = 80
        yield " ".join(path), context.get_help()
    for name, each in getattr(command, "commands", {}).items():
        yield from pages(each, (*path, name))


PAGES = dict(pages(typer.main.get_command(app)))


@pytest.mark.parametrize("path", PAGES)
def test_values_are_words_and_lines_fit(path: str) -> None:
    text = PAGES[path]
    for odd in ("<", "{", "list[", "range", "2147483647"):
        assert odd not in text
    assert max(map(len, text.splitlines())) <= 80


def test_commands_and_options_are_under_headings() -> None:
    assert "Usage: beir [OPTIONS] [TASK]..." in PAGES["beir"]
    assert "Usage: mteb [OPTIONS] TASK..." in PAGES["mteb"]
    order = ["Arguments:", "Options:", "Scoring:", "Several processes or machines:", "Generative rerankers:"]
    places = [PAGES["beir"].index(f"\n{heading}\n") for heading in order]
    assert places == sorted(places)
    maintenance = PAGES[""].partition("Maintain this package:")[2]
    assert "  sources " in maintenance
    assert "  runs " in maintenance
    assert "  build " in PAGES["runs"].partition("Maintain this package:")[2]


def test_every_command_that_prints_figures_says_what_its_document_has() -> None:
    silent = {path for path, text in PAGES.items() if " --json: " not in text.replace("\n", " ")}
    assert silent == {"", "runs", "runs build"}
