"""Sensitivity files next to results: figures with order, depth, block size or company varied."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from reranker.schema import read_json


@dataclass(frozen=True, slots=True)
class Varied:
    """What a sensitivity file says: the figure with nothing varied, and (group, name, figure) each, 0 to 1."""

    reranker: str
    base: float
    variants: tuple[tuple[str, str, float], ...]


def read_varied(folders: Iterable[Path]) -> list[Varied]:
    """The sensitivity files in some results' folders.

    Raises:
        BenchError: for a file that cannot be read or has other keys.
    """
    return [_read(path) for folder in folders for path in sorted(folder.glob("sensitivity-*.json"))]


def _read(path: Path) -> Varied:
    content = read_json(path, BenchError)
    try:
        variants = tuple((str(each["group"]), str(each["name"]), float(each["figure"])) for each in content["variants"])
        return Varied(str(content["reranker"]["name"]), float(content["base"]), variants)
    except (KeyError, TypeError, ValueError) as error:
        raise BenchError(
            f"{path} is no sensitivity file of this version ({error!r}). Remove it or measure again."
        ) from error
