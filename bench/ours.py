"""Imports of our own packages and libraries, safe from files of the working folder that have the same names."""

# What is imported here is looked for in the working folder too, so it may only be what Python has already imported.
import os
import sys
from importlib import import_module

_HOME = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120
"""The folder that holds the packages ``bench`` and ``reranker``."""


def forget_working_folder() -> None:
    """Take the folder of the user's files out of the places where imports look.

    The user's own rerankers are looked up there by `bench.rerankers.own`.
    """
    import_reranker()
    import_module("reranker.startup").forget_working_folder()


def fill_standard_streams() -> None:
    """See `reranker.startup.fill_standard_streams`."""
    import_module("reranker.startup").fill_standard_streams()


def unsupported() -> str:
    """Why this system is not supported: file locks and interrupts rely on ``fcntl``; empty where it has that."""
    try:
        import_module("fcntl")
    except ImportError:
        return "rerank-bench needs Linux or macOS: this Python has no fcntl. On Windows, use WSL."
    return ""


def refuse_windows() -> None:
    """End with exit status 2 on an unsupported system."""
    if reason := unsupported():
        sys.stderr.write(f"Error: {reason}\n")
        raise SystemExit(2)


def import_reranker() -> None:
    """Import our package ``reranker``, which is next to ``bench``, whatever else has that name."""
    sys.path.insert(0, _HOME)
    try:
        import_module("reranker")
    finally:
        sys.path.remove(_HOME)
