"""The commands: parse, call, print. What they do is in the modules they call, loaded when they are called.

Exit status: 0 and 1 are what a command answers (``gate``, ``verify``, ``sources``, ``runs check``), 130 is Ctrl-C, and
2 is everything else: a mistake of the user's, output that cannot be written, a fault of the program.
"""

import errno
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import typer
from pydantic import ValidationError

# They register their commands.
from bench.cli import measuring, merging, other_tasks, overview, report, results  # noqa: F401
from bench.cli.completing import PROGRAM, is_asked
from bench.cli.options import app
from bench.console import log_to_stderr, note, note_lines, note_traceback, output
from bench.errors import BenchError

_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
"""How pydantic's errors call a bound, and how messages do."""


def main() -> None:
    """Run the command in ``sys.argv`` and end the process with its exit status."""
    from bench.ours import import_reranker

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What the output's encoding lacks, such as the bytes of a path that are not UTF-8, is no reason to stop.
            stream.reconfigure(errors="backslashreplace")
    log_to_stderr()
    try:
        import_reranker()
        status = _run(sys.argv[1:])
        if sys.stdout:  # None where it was closed before the start
            sys.stdout.flush()
    except OSError as error:
        status = _failed(error)
    except Exception as error:
        # A fault of the program must not look like a verdict of ``gate``, which is what status 1 would be.
        with suppress(OSError):
            note_traceback(error)
        raise SystemExit(2) from error
    sys.exit(status)


def _run(arguments: Sequence[str]) -> int:
    """The exit status of a command whose outcome is its own, or a mistake that the user can fix."""
    from reranker.errors import RerankerError

    try:
        # Typer would print its messages itself, as they come, and end with 1 for a closed pipe.
        command = typer.main.get_command(app)
        if is_asked(arguments):
            return 2 if command.main(list(arguments), prog_name=PROGRAM, standalone_mode=False) else 0
        with command.make_context(_program(), list(arguments)) as context:
            command.invoke(context)
    except typer.Exit as ended:
        return ended.exit_code
    except typer.TyperException as error:
        _explain(error)
    except (BenchError, RerankerError) as error:
        note(f"Error: {error}")
        if output.verbose:
            note_traceback(error)
    else:
        return 0
    return 2


def _explain(error: typer.TyperException) -> None:
    """Print what typer would for a mistake on the command line, which it quotes as it is."""
    context = getattr(error, "ctx", None)
    message = _plain(error)
    if message.startswith("Usage: "):  # a command without arguments: its help
        note_lines(message)
        return
    if context is not None:
        note_lines(f"{context.get_usage()}\nTry '{context.command_path} --help' for help.\n")
    note(f"Error: {message}")


def _plain(error: typer.TyperException) -> str:
    """The message of a mistake on the command line, without the words of the library that reads values."""
    message = error.format_message()
    if not isinstance(error.__cause__, ValidationError):
        return message
    fault = error.__cause__.errors()[0]
    if fault["type"] == "value_error":
        return message.replace("Value error, ", "")
    wanted = {"int_parsing": "an integer", "int_from_float": "an integer", "float_parsing": "a number"}
    bounds = " and ".join(f"{_BOUNDS[name]} {limit}" for name, limit in fault.get("ctx", {}).items() if name in _BOUNDS)
    need = wanted.get(fault["type"]) or bounds
    return message.replace(fault["msg"], f"{fault['input']!r} is not {need}.") if need else message


def _program() -> str:
    """What the user called the program."""
    name = Path(sys.argv[0]).name
    return "python -m bench" if name == "__main__.py" else name


def _failed(error: OSError) -> int:
    """Say what the system would not do; silent where the reader of our output (head, less) has gone."""
    if not isinstance(error, BrokenPipeError):
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
        what = error.filename or ("Cannot write the output" if full else "Cannot go on")
        with suppress(OSError):  # where standard error is as full, nothing can be told
            note(f"Error: {what}: {error.strerror or error}. {'Free the disk' if full else 'Fix this'} and try again.")
    # What could not be written would be tried again when the interpreter ends.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            os.dup2(nowhere, stream.fileno())
    return 2
