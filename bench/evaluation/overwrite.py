"""Scoring again what is cached: the new scores replace the old ones when a command has all of them.

Until then they are in a cache of their own. So an interrupted command resumes with the scores that it has made, and
the results and scores that it has not yet replaced are as they were.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bench.console import note
from bench.evaluation.cache import CACHE, Log, ScoreCache, score_cache

PENDING = "overwrite.cache"


def cache_name(overwrite: bool) -> str:
    """The file in an output folder in which a command finds scores and to which it adds them."""
    return PENDING if overwrite else CACHE


@contextmanager
def scores_of(output: Path, overwrite: bool) -> Iterator[ScoreCache]:
    """Open an output folder's scores, as `score_cache` does; with ``overwrite``, those of no earlier command.

    Raises:
        BenchError: as `score_cache`.
    """
    if overwrite and (output / PENDING).is_file():
        note(f"{output / PENDING} has scores of an interrupted --overwrite. They are used; delete it to start afresh.")
    with score_cache(output, cache_name(overwrite)) as scores:
        yield scores
        if overwrite:
            _replace(output, scores.file)


def _replace(output: Path, new: Log) -> None:
    """Put the new scores in the place of the old ones that they replace, all at once."""
    path = (output / CACHE).resolve()  # a link to the file stays one
    whole = path.with_name(f".{CACHE}")
    whole.unlink(missing_ok=True)
    with closing(Log(whole)) as made, closing(Log(path)) as old:
        made.copy(new)
        made.copy(old)
    whole.replace(path)
    (output / PENDING).unlink()
