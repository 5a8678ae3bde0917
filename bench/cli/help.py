"""The layout of help: commands and options under headings, and values named by words."""

import re
from collections.abc import Iterable
from typing import Any

from typer.core import TyperCommand, TyperGroup

MEASURE, RESULTS, LISTS = "Measure", "Compare and check results", "List what there is"
MAINTENANCE = "Maintain this package"
"""The headings of commands."""
SCORING, PARALLEL, GENERATIVE = "Scoring", "Several processes or machines", "Generative rerankers"
"""The headings of options, besides ``Options``."""
_ORDER = ("Arguments", "Options", MEASURE, RESULTS, LISTS, "Commands", SCORING, PARALLEL, GENERATIVE, MAINTENANCE)

_BOUNDS = re.compile(r"-?\d+<=x<=2147483647")
"""What help says of a number that is bounded only by what results can hold."""


class Command(TyperCommand):
    """A command whose options are listed under their ``rich_help_panel``, without the types of values."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The parts of the usage line: ``TASK...`` for arguments that are required, ``[TASK]...`` for others."""
        return [re.sub("[{}]", "", piece) for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options, a section for each heading."""
        rows = []
        for parameter in self.get_params(ctx):
            if (record := parameter.get_help_record(ctx)) is None:
                continue
            name, text = record
            heading = getattr(parameter, "rich_help_panel", None) or "Options"
            if parameter.param_type_name == "argument":
                heading, name = "Arguments", name.partition(" ")[0]
            rows.append((heading, name, _without_bounds(text)))
        _write(rows, formatter)


class Group(TyperGroup):
    """A group whose commands are listed under their ``rich_help_panel``, all names in one column."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, a section for each heading."""
        found = {name: command for name in self.list_commands(ctx) if (command := self.get_command(ctx, name))}
        width = max(map(len, found))
        limit = formatter.width - width - 4
        rows = (
            (getattr(command, "rich_help_panel", None) or "Commands", name, command.get_short_help_str(limit))
            for name, command in found.items()
        )
        _write(((heading, name.ljust(width), about) for heading, name, about in rows), formatter)


def _write(rows: Iterable[tuple[str, str, str]], formatter: Any) -> None:
    """Write rows of heading, name and text, a section for each heading."""
    sections: dict[str, list[tuple[str, str]]] = {heading: [] for heading in _ORDER}
    for heading, name, text in rows:
        sections.setdefault(heading, []).append((name, text))
    for heading, lines in sections.items():
        if lines:
            with formatter.section(heading):
                formatter.write_dl(lines)


def _without_bounds(text: str) -> str:
    """Help without bounds that nobody reaches."""
    kept = _BOUNDS.sub("", text)
    return kept if kept == text else kept.replace("; ]", "]").replace("[; ", "[").replace("  []", "")
