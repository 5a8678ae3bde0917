"""A result: one task, one reranker, one protocol, written as result.json with its run beside it.

The file is read by other commands long after it was written, so reading checks it: a damaged or foreign file is an
error that names the file and the key.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

from bench.errors import BenchError
from bench.files import write_whole
from bench.protocol import Protocol
from bench.rerankers.base import Card
from bench.run import Run, write_run
from bench.walk import files_below, is_folder

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Candidates:
    """What the first stage gave to every reranker, in the task's main measure (0 to 1), before anyone reranked.

    ``ceiling`` is the figure of the candidates sorted by judgement; ``recall`` the share of relevant documents that
    are among them at all.
    """

    first_stage: float
    ceiling: float
    recall: float


@dataclass(frozen=True, slots=True)
class Cut:
    """What length caps took away, over all lists."""

    documents: int = 0
    queries: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """What the reranking took: ``seconds`` inside the reranker, ``harness_seconds`` around it."""

    seconds: float
    harness_seconds: float
    lists: int
    documents: int
    tokens: int
    peak_memory_bytes: int
    device: str

    @property
    def documents_per_second(self) -> float:
        """Candidates scored in a second of the reranker's own time; 0 where that was too short to tell."""
        return self.documents / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """One reranker's figures on one task under one protocol.

    ``measures`` are means over all judged queries, 0 to 1; ``per_query`` the main measure of each. ``run_sha256`` is
    the hash of the reranked run's TREC text. ``provenance`` says how to make the figure again.
    """

    task: str
    reranker: Card
    protocol: Protocol
    measures: Mapping[str, float]
    per_query: Mapping[str, float]
    candidates: Candidates
    cut: Cut
    cost: Cost
    run_sha256: str
    provenance: Mapping[str, Any]
    schema: int = SCHEMA

    @property
    def main(self) -> float:
        """The mean of the task's main measure."""
        return self.measures[self.protocol.measure]

    @property
    def folder(self) -> Path:
        """Where it lies under an output folder: ``suite/task/first stage@depth-protocol/reranker``."""
        return Path(self.task) / _file_name(self.protocol.label) / _file_name(self.reranker.name)


def write_result(result: Result, run: Run, output: Path) -> Path:
    """Write ``run.trec.gz`` and then ``result.json``, each whole; gives the result's path."""
    folder = output / result.folder
    write_run(run, folder / "run.trec.gz")
    content = asdict(result)
    content["reranker"]["needs"] = sorted(result.reranker.needs)
    content["protocol"] = result.protocol.as_dict()
    text = json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    # A path among the command's arguments may hold bytes that are not UTF-8; as JSON's own escapes they can be written.
    write_whole(folder / "result.json", text.encode(errors="backslashreplace"))
    return folder / "result.json"


def read_result(path: Path) -> Result:
    """Read one result.json.

    Raises:
        BenchError: for a file that is missing, not JSON, of another schema version, or that lacks or misshapes a key.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise BenchError(f"Cannot read {path}: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise BenchError(f"{path} is not JSON ({error}): it is damaged. Restore it or measure again.") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        found = content.get("schema") if isinstance(content, dict) else None
        raise BenchError(f"{path} has result schema {found!r}; this version reads {SCHEMA}. Measure again.")
    result: Result = _object(Result, content, path, "")
    if result.protocol.measure not in result.measures:
        raise BenchError(f"{path}: 'measures' lacks the main measure {result.protocol.measure}.")
    if content["protocol"].get("id") != result.protocol.id:
        raise BenchError(f"{path}: the protocol's id does not fit its fields: the file was changed by hand.")
    return result


def result_paths(places: Iterable[Path]) -> list[Path]:
    """The result.json files that some files and folders name, sorted within each; links are followed.

    Raises:
        BenchError: for a place that does not exist or holds no result, and for anything in it that cannot be read:
            what is left out in silence would pass for held, or for verified.
    """
    found: list[Path] = []
    for place in places:
        found_folder = is_folder(place)
        if found_folder is None:
            raise BenchError(f"{place} does not exist. Give a result.json or a folder that holds some.")
        paths = sorted(path for path in files_below(place) if path.name == "result.json") if found_folder else [place]
        if not paths:
            raise BenchError(f"{place} holds no result.json. 'python -m bench beir --output {place}' writes some.")
        found += paths
    return found


def _file_name(text: str) -> str:
    """One folder's name: the run file's tag and the reranker's name come from anywhere, and must not lead elsewhere."""
    return "_" if text in ("", ".", "..") else text.replace("/", "_")


def _object(kind: type[Any], content: object, path: Path, where: str) -> Any:
    """Build a dataclass from JSON, checking every key's presence and type."""
    if not isinstance(content, dict):
        raise BenchError(f"{path}: {where or 'the file'} must be an object.")
    hints = get_type_hints(kind)
    values = {}
    for field in fields(kind):
        key = f"{where}.{field.name}" if where else field.name
        if field.name not in content:
            raise BenchError(f"{path}: {key!r} is missing: the file is damaged or from another version.")
        values[field.name] = _value(hints[field.name], content[field.name], path, key)
    return kind(**values)


def _value(hint: Any, value: object, path: Path, key: str) -> Any:
    if hasattr(hint, "__dataclass_fields__"):
        return _object(hint, value, path, key)
    if hint in _FITS and _FITS[hint](value):
        return hint(value)
    if hint == frozenset[str] and isinstance(value, list) and all(map(_is_text, value)):
        return frozenset(value)
    if isinstance(value, dict) and hint == Mapping[str, float]:
        if all(_is_text(name) and _is_number(item) for name, item in value.items()):
            return {name: float(item) for name, item in value.items()}
    elif isinstance(value, dict) and hint not in _FITS:
        return value
    raise BenchError(f"{path}: {key!r} has a value of the wrong type: the file is damaged or from another version.")


def _is_text(value: object) -> bool:
    """Half a surrogate pair can be read from JSON, but never be printed."""
    return isinstance(value, str) and not re.search("[\ud800-\udfff]", value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_number(value: object) -> bool:
    # JSON as Python reads it knows NaN, infinities and whole numbers of any length, which no figure is.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


_FITS: Mapping[Any, Callable[[object], bool]] = {
    str: _is_text,
    int: _is_count,
    float: _is_number,
    bool: lambda value: isinstance(value, bool),
}
