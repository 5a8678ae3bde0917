"""The harness: tasks, first-stage candidates, rerankers, measures, and the tables that compare them.

    import bench

    results = bench.measure(["beir/scifact", "beir/nfcorpus"], ["minilm", "jina-reranker-v3"])
    results.to_frame()                                # a row for each task and reranker
    results.compare("minilm", "jina-reranker-v3")     # differences, intervals, p-values

Importing the package loads neither torch nor pandas; the names below do when they are used.
"""

from importlib import import_module

from bench.errors import BenchError
from bench.ours import unsupported

TYPE_CHECKING = False  # not from typing, for which `python -m` looks in the working folder first
if TYPE_CHECKING:
    from bench.api.data import Data, folder, load, tasks
    from bench.api.measuring import measure, read_results
    from bench.api.results import Results

__version__ = "0.1.0"

_HOMES = {
    "Data": "bench.api.data",
    "Results": "bench.api.results",
    "folder": "bench.api.data",
    "load": "bench.api.data",
    "measure": "bench.api.measuring",
    "read_results": "bench.api.measuring",
    "tasks": "bench.api.data",
}

__all__ = ["BenchError", "Data", "Results", "folder", "load", "measure", "read_results", "tasks"]


def __getattr__(name: str) -> object:
    """Load the parts of the API when they are first named.

    Raises:
        BenchError: the system is not supported.
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if reason := unsupported():
        raise BenchError(reason)
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """What a notebook completes."""
    return sorted({*globals(), *__all__})
