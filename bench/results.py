"""A result: one task, one reranker, one protocol, written as result.json next to its run.

The file is read by other commands long after it was written, so it is checked by one model, made from the dataclasses
here, before it is written and when it is read: every key is there and no other, and nothing is converted. What does
not fit is an error that names the file and the key.
"""

import json
import math
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args, get_type_hints

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model

from bench.console import note
from bench.errors import BenchError
from bench.files import files_below, kind, write_together
from bench.paths import component, short_hash, with_hash
from bench.protocol import Protocol
from bench.rerankers.base import Card
from bench.run import Run, packed
from reranker.schema import read_json, validate

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
class Parallel:
    """How far workers shared the lists: the most that were alive, the command's own seconds for the task, and the
    seconds that the workers spent inside the reranker together. Cached lists count in neither.
    """

    workers: int
    wall_seconds: float
    worker_seconds: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds that the reranker took for a list when lists were scored one at a time: median and 95th percentile.

    They are over ``lists`` lists, measured in the command's process, on one device (`bench.evaluation.latency`).
    """

    lists: int
    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What the reranking took: ``seconds`` inside the reranker, ``harness_seconds`` around it.

    ``seconds`` are added over all workers, if there were any, so that speeds are per device. ``parallel`` is None where
    the command itself scored all lists, and ``latency`` where it was not measured; a file then has no such key.
    """

    seconds: float
    harness_seconds: float
    lists: int
    documents: int
    tokens: int
    peak_memory_bytes: int
    device: str
    parallel: Parallel | None = None
    latency: Latency | None = None

    @property
    def documents_per_second(self) -> float:
        """Candidates scored in a second of the reranker's own time; 0 where that was too short to tell."""
        return self.documents / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Generation:
    """What a generative reranker's answers were and took, over all windows of all lists.

    ``answers`` counts windows by the class of their answer (`bench.rerankers.generative.parsing`). ``failed`` counts
    queries that got no order because a call failed for good: each counts as 0 in every measure, so the figures are
    lower bounds. ``restored`` calls were made by an earlier command; of ``unmetered`` ones the tokens are not known.
    ``tokens_thinking`` are among ``tokens_out``. ``seconds`` are the sum over calls, which may run side by side.
    Prices are the user's, for a million tokens; 0 where none was given.
    """

    calls: int
    restored: int
    unmetered: int
    tokens_in: int
    tokens_out: int
    tokens_thinking: int
    seconds: float
    answers: Mapping[str, int]
    failed: int = 0
    price_in: float = 0.0
    price_out: float = 0.0

    @property
    def money(self) -> float:
        """What the calls cost at the user's prices."""
        return (self.tokens_in * self.price_in + self.tokens_out * self.price_out) / 10**6


def mean_latency(results: Iterable["Result"]) -> Latency | None:
    """The latency of a reranker over several tasks: the means of their figures. None where none was measured."""
    found = [result.cost.latency for result in results if result.cost.latency]
    if not found:
        return None
    p50, p95 = (sum(each) / len(found) for each in zip(*((one.p50, one.p95) for one in found), strict=True))
    return Latency(sum(each.lists for each in found), p50, p95)


def most_workers(results: Iterable["Result"]) -> int:
    """The most workers that shared the lists of one of these results; 0 for none."""
    return max((result.cost.parallel.workers for result in results if result.cost.parallel), default=0)


def total(generations: Iterable[Generation | None]) -> Generation | None:
    """What several results' windows took together; None where nothing was generated."""
    found = [each for each in generations if each is not None]
    if not found:
        return None
    answers: Counter[str] = Counter()
    for each in found:
        answers.update(each.answers)
    read, written = sum(each.tokens_in for each in found), sum(each.tokens_out for each in found)
    money_in = sum(each.tokens_in * each.price_in for each in found)
    money_out = sum(each.tokens_out * each.price_out for each in found)
    return Generation(
        calls=sum(each.calls for each in found),
        restored=sum(each.restored for each in found),
        unmetered=sum(each.unmetered for each in found),
        tokens_in=read,
        tokens_out=written,
        tokens_thinking=sum(each.tokens_thinking for each in found),
        seconds=sum(each.seconds for each in found),
        answers=answers,
        failed=sum(each.failed for each in found),
        price_in=money_in / read if read else 0.0,
        price_out=money_out / written if written else 0.0,
    )


@dataclass(frozen=True, slots=True)
class Result:
    """One reranker's figures on one task under one protocol.

    ``measures`` are means over all judged queries, 0 to 1; ``per_query`` the main measure of each. ``run_sha256`` is
    the hash of the reranked run's TREC text. ``provenance`` says how to make the figure again. ``generation`` is a
    generative reranker's, and absent from the files of all others.
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
    generation: Generation | None = None
    schema: int = SCHEMA

    @property
    def main(self) -> float:
        """The mean of the task's main measure."""
        return self.measures[self.protocol.measure]

    @property
    def reranker_id(self) -> str:
        """Eight hexadecimal digits of the hash over who reranked: name, fingerprint, device, precision, settings."""
        card = self.reranker
        who = [card.name, card.fingerprint, card.device, card.dtype, sorted(card.settings.items())]
        return short_hash(json.dumps(who))

    @property
    def folder(self) -> Path:
        """Its folder under an output folder: ``suite/task/first stage-depth-protocol id/reranker-reranker id``.

        No two results share a folder unless task, protocol and reranker are the same in everything.
        """
        suite, _, task = self.task.partition("/")
        protocol = with_hash(f"{self.protocol.first_stage}-{self.protocol.depth}", self.protocol.id)
        return Path(component(suite), component(task), protocol, with_hash(self.reranker.name, self.reranker_id))


def write_result(result: Result, run: Run, output: Path) -> Path:
    """Write ``run.trec.gz`` and ``result.json``, both or none; gives the result's path.

    Raises:
        BenchError: where the result could not be read again, or the folder cannot be written.
    """
    content = asdict(result, dict_factory=_given)
    content["reranker"]["needs"] = sorted(result.reranker.needs)
    content["protocol"] = result.protocol.as_dict()
    del content["schema"]
    checked = validate(content, _FILE, f"The result of {result.reranker.name!r} on {result.task}", BenchError)
    written = {"schema": SCHEMA, **checked.model_dump(exclude_unset=True)}
    text = json.dumps(written, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    path = output / result.folder / "result.json"
    # A path among the command's arguments may hold bytes that are not UTF-8; as JSON's own escapes they can be written.
    encoded = text.encode(errors="backslashreplace")
    write_together({path.with_name("run.trec.gz"): packed(run), path: encoded})
    return path


def _given(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The fields that have a value: a file has no key for the others."""
    return {name: value for name, value in pairs if value is not None}


def note_replaced(result: Result, output: Path) -> None:
    """Say so where a result takes the place of one with another ranking.

    By all that can be told it is the same reranker under the same protocol; a server's model, or that of a class
    without a fingerprint, may yet be another one.
    """
    path = output / result.folder / "result.json"
    try:
        before = read_result(path) if path.is_file() else result
    except (BenchError, OSError):
        return  # a damaged one is no loss, and a folder that cannot be read is refused when it is written
    if before.run_sha256 != result.run_sha256:
        note(
            f"Note: {path} held {100 * before.main:.2f} and another ranking; it is replaced. If {result.reranker.name} "
            "has another model now, give each an --output of its own."
        )


def check_writable(card: Card, protocol: Protocol) -> None:
    """Refuse now what could not be written when the work is done.

    Raises:
        BenchError: for a card or protocol with a value that no result may have, naming the key.
    """
    validate(asdict(card) | {"needs": sorted(card.needs)}, _CARD, f"The card of {card.name!r}", BenchError)
    validate(protocol.as_dict(), _PROTOCOL, f"The protocol on {protocol.task}", BenchError)


def read_result(path: Path) -> Result:
    """Read one result.json.

    Raises:
        BenchError: for a file that is missing, not JSON, of another schema version, or that has a key too many, too
            few, or with a value of the wrong type.
    """
    content = read_json(path, BenchError)
    found = content.pop("schema", None) if isinstance(content, dict) else None
    if type(found) is not int or found != SCHEMA:
        raise BenchError(f"{path} has result schema {found!r}; this version reads {SCHEMA}. Measure again.")
    try:
        values = validate(content, _FILE, str(path), BenchError).model_dump()
    except BenchError as error:
        raise BenchError(
            f"{error} The file is damaged or from another version: restore it or measure again."
        ) from error
    protocol_id = values["protocol"].pop("id")
    values["reranker"]["needs"] = frozenset(values["reranker"]["needs"])
    result: Result = _made(Result, values)
    if result.protocol.measure not in result.measures:
        raise BenchError(f"{path}: 'measures' lacks the main measure {result.protocol.measure}.")
    if protocol_id != result.protocol.id:
        raise BenchError(f"{path}: the protocol's id does not fit its fields: the file was changed by hand.")
    return result


def result_paths(places: Iterable[Path]) -> list[Path]:
    """The result.json files that some files and folders name, each once, sorted within each; links are followed.

    Raises:
        BenchError: for a place that does not exist or holds no result, and for anything in it that cannot be read:
            what is left out in silence would pass for held, or for verified.
    """
    found: dict[Path, Path] = {}
    for place in places:
        what = kind(place)
        if not what:
            raise BenchError(f"{place} does not exist. Give a result.json or a folder that holds some.")
        paths = [place]
        if what == stat.S_IFDIR:
            paths = sorted(path for path in files_below(place) if path.name == "result.json")
        if not paths:
            raise BenchError(f"{place} holds no result.json. 'python -m bench beir --output {place}' writes some.")
        for path in paths:
            # The absolute path, not where links lead: `verify` checks a link's own place too.
            found.setdefault(path.absolute(), path)
    return list(found.values())


def _printable(text: str) -> str:
    """Half a surrogate pair can be read from JSON, but never be printed."""
    if re.search("[\ud800-\udfff]", text):
        raise ValueError("half of a surrogate pair is no text")
    return text


def _setting(value: object) -> object:
    """A text, a flag, or a number that JSON's other readers hold too."""
    if isinstance(value, str):
        return _printable(value)
    whole = isinstance(value, int) and -(2**63) <= value < 2**63  # a flag is one too
    if not (whole or (isinstance(value, float) and math.isfinite(value))):
        raise ValueError("must be a text, a flag, a finite number or a whole number within 64 bits")
    return value


_Text = Annotated[str, Field(strict=True), AfterValidator(_printable)]
_Name = Annotated[str, Field(strict=True, min_length=1), AfterValidator(_printable)]
_Flag = Annotated[bool, Field(strict=True)]
_Count = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
_Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
_Setting = Annotated[Any, AfterValidator(_setting)]

_CHECKED: Mapping[Any, Any] = {
    str: _Text,
    int: _Count,
    float: _Number,
    bool: _Flag,
    frozenset[str]: list[_Text],
    Mapping[str, float]: dict[_Text, _Number],
    Mapping[str, str | int | float | bool]: dict[_Text, _Setting],
    Mapping[str, int]: dict[_Text, _Count],
    Mapping[str, Any]: dict[str, Any],
}
"""How a file's values are checked, for each type that the dataclasses have."""

_NAMES = {"task", "name", "fingerprint", "family", "first_stage", "measure"}  # no text that may be empty


def _fields(kind: Any) -> Iterator[tuple[str, Any, bool]]:
    """A dataclass's fields: name, type without None, and whether it may be None."""
    for name, hint in get_type_hints(kind).items():
        optional = NoneType in get_args(hint)
        yield name, get_args(hint)[0] if optional else hint, optional


def _model(kind: Any, **more: Any) -> type[BaseModel]:
    """The file's model of a dataclass: the same keys, of which only those that may be None can be left out.

    The schema's version is read before it.
    """
    keys: dict[str, Any] = dict(more)
    for name, plain, optional in _fields(kind):
        checked: Any
        if plain is Protocol:
            checked = _PROTOCOL
        elif is_dataclass(plain):
            checked = _model(plain)
        elif name == "schema":
            continue
        else:
            checked = _Name if plain is str and name in _NAMES else _CHECKED[plain]
        keys[name] = (checked, None if optional else ...)
    return create_model(kind.__name__, __config__=ConfigDict(extra="forbid"), **keys)


def _made(kind: Any, values: dict[str, Any]) -> Any:
    """A dataclass from its model's values, with the dataclasses inside it."""
    parts = {
        name: _made(plain, values[name])
        for name, plain, _ in _fields(kind)
        if is_dataclass(plain) and values[name] is not None
    }
    return kind(**values | parts)


_PROTOCOL = _model(Protocol, id=(_Name, ...))
_CARD = _model(Card)
_FILE = _model(Result)
