"""Options that every command has: --json, --quiet, --verbose."""

import inspect
import io
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Annotated, Any

import typer

from bench.cli.help import Command, Group
from bench.console import note_lines, output

_SHARED: dict[str, Any] = {
    "as_json": Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")],
    "quiet": Annotated[bool, typer.Option("--quiet", "-q", help="Hide progress.")],
    "verbose": Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the logs of libraries, and the traceback of an error.")
    ],
}

_records: list[Any] | None = None
"""What the command has to tell as JSON; None where it prints pages."""


class Commands(typer.Typer):
    """A group of commands that all have the shared options.

    A parameter of a command that is annotated with a dataclass gives it that dataclass's fields as options.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(cls=Group, **settings)

    def command(self, *arguments: Any, **settings: Any) -> Callable[..., Any]:
        """See `typer.Typer.command`."""
        register = super().command(*arguments, cls=Command, **settings)

        def decorate(function: Callable[..., None]) -> Callable[..., None]:
            register(_with_shared(_grouped(function)))
            return function

        return decorate


def record(data: object) -> bool:
    """Keep data for the JSON document; False where the command prints pages."""
    if _records is not None:
        _records.append(data)
    return _records is not None


def _with_shared(function: Callable[..., None]) -> Callable[..., None]:
    @wraps(function)
    def command(*, as_json: bool, quiet: bool, verbose: bool, **given: Any) -> None:
        output.quiet, output.verbose = quiet, verbose
        if verbose:
            logging.getLogger().setLevel(logging.INFO)
        if not as_json:
            function(**given)
            return
        with _document():
            function(**given)

    _declare(command, [*_parameters(function), *(_option(*each, default=False) for each in _SHARED.items())])
    return command


def _grouped(function: Callable[..., None]) -> Callable[..., None]:
    """A function whose parameters of a dataclass are replaced by the dataclass's fields, each an option."""
    groups: dict[str, Any] = {name: kind for name, kind in function.__annotations__.items() if is_dataclass(kind)}

    @wraps(function)
    def command(**given: Any) -> None:
        made = {
            name: kind(**{each.name: given.pop(each.name) for each in fields(kind)}) for name, kind in groups.items()
        }
        function(**made, **given)

    declared = []
    for each in _parameters(function):
        if each.name in groups:
            declared += [_option(of.name, of.type, of.default) for of in fields(groups[each.name])]
        else:
            declared.append(each)
    _declare(command, declared)
    return command


def _option(name: str, annotation: object, default: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _parameters(function: Callable[..., None]) -> list[inspect.Parameter]:
    """A function's parameters, by keyword alone, so that those without a default may come last."""
    found = inspect.signature(function).parameters.values()
    return [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in found]


def _declare(command: Callable[..., None], parameters: list[inspect.Parameter]) -> None:
    """Tell typer which parameters a command has; it reads the signature and the annotations."""
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}


@contextmanager
def _document() -> Iterator[None]:
    """Print what the command records as one JSON document; everything else that it prints goes to standard error.

    A command that records nothing has its lines in the document. One that fails prints no document.
    """
    from bench.render.data import dumps

    global _records
    _records = []
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            try:
                yield
            except typer.Exit as ended:
                # A verdict such as the gate's is an outcome, not a failure.
                verdict: typer.Exit | None = ended
            else:
                verdict = None
        text = printed.getvalue()
        if _records and text:
            note_lines(text)
        # A command that records in parts records lists.
        found: object = sum(_records[1:], _records[0]) if _records else {"lines": text.splitlines()}
        sys.stdout.write(dumps(found))
        if verdict:
            raise verdict
    finally:
        _records = None
