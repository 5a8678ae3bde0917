"""Lines for people on standard error, in which nothing from outside acts on the terminal."""

from rich.console import Console
from rich.text import Text

from bench.escape import terminal


def note(text: str) -> None:
    """Print one line on standard error: what a reader of the figures must know, or why a command ended."""
    Console(stderr=True, soft_wrap=True).print(Text(terminal(text)))
