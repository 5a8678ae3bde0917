"""Imports of our own packages and libraries, safe from files of the working folder that have the same names."""

import sys
from importlib import import_module
from pathlib import Path

_HOME = Path(__file__).resolve().parents[1]
"""The folder that holds the packages ``bench`` and ``reranker``."""


def forget_working_folder() -> None:
    """Take the folder of the user's files out of the places where imports look; for ``python -m`` alone.

    That puts the working folder first, so that a ``torch.py`` or ``typing.py`` of the user's would take the
    library's place. The user's own rerankers are looked up there by `bench.rerankers.own`. A checkout of ours stays:
    it may be all that is installed.
    """
    if not sys.flags.safe_path and Path(sys.path[0]).resolve() != _HOME:
        del sys.path[0]


def import_reranker() -> None:
    """Import our package ``reranker``, which is next to ``bench``, whatever else has that name."""
    sys.path.insert(0, str(_HOME))
    try:
        import_module("reranker")
    finally:
        sys.path.remove(str(_HOME))
