"""The commands: parse, call, print. What they do stands in the modules they call, loaded when they are called."""

import io
import os
import sys

from rich.console import Console

from bench.cli import measuring, overview, results  # noqa: F401  (they register their commands)
from bench.cli.app import app
from bench.errors import BenchError, Stopped


def main() -> None:
    """Run a command; a mistake the user can mend is one message and exit status 2."""
    from bench.ours import import_reranker

    import_reranker()
    from reranker.errors import RerankerError

    if isinstance(sys.stdout, io.TextIOWrapper):
        # What the output's encoding lacks, such as the bytes of a path that are not UTF-8, is no reason to stop.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except (BenchError, RerankerError) as error:
        Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(f"Error: {error}")
        sys.exit(2)
    except Stopped as stopped:
        Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(str(stopped))
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output (head, less) has gone; nothing is left to say, not even at the interpreter's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
