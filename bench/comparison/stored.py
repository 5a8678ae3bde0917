"""Results read back from disk: whether each is sound, which two belong together, and the data each was made from."""

import stat
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.collections.beir_folder import load_folder, place_of
from bench.collections.collection import Collection
from bench.collections.load import load
from bench.console import note
from bench.errors import BenchError
from bench.files import files_below, kind, text_lines
from bench.first_stage.runs import BUILT, first_stage
from bench.measures import STANDARD, mean
from bench.results import Result, read_result, result_paths
from bench.run import Run, read_run, text_sha256
from bench.statistics import NOISE
from bench.suites import OTHERS, SUITES, find, measured_by, undeclared
from bench.suites.folder import folder_task
from bench.task import Task


@dataclass(frozen=True, slots=True)
class StoredResult:
    """A result and the file it was read from."""

    path: Path
    result: Result

    @property
    def task_and_reranker(self) -> tuple[str, str]:
        """What a table calls it."""
        return self.result.task, self.result.reranker.name

    @property
    def identity(self) -> tuple[str, str, str]:
        """What distinguishes rerankers of one name: fingerprint, device and precision."""
        card = self.result.reranker
        return card.fingerprint, card.device, card.dtype

    @property
    def label(self) -> str:
        """The same for a message."""
        return f"{self.result.task} by {self.result.reranker.name}"

    @property
    def run_path(self) -> Path:
        """Its run, in the same folder."""
        return self.path.with_name("run.trec.gz")

    def run(self) -> Run:
        """The reranked run that the figures were measured on.

        Raises:
            BenchError: where it is missing or damaged, or is not the run that the result names.
        """
        self.check_run()
        return self.stored_run()

    def check_run(self) -> None:
        """See that the run is there and is the one that the figures were measured on.

        Raises:
            BenchError: where it is missing or damaged, or is not the run that the result names.
        """
        if self.stored_sha256() != self.result.run_sha256:
            raise BenchError(
                f"{self.run_path} is not the run that {self.path.name} in its folder was measured on: "
                "its sha256 differs. Restore it or measure again."
            )

    def stored_run(self) -> Run:
        """The run that is there, whether or not it is the one that the result names."""
        return read_run(self.run_path, may_be_empty=True)

    def stored_sha256(self) -> str:
        """Hash of that run's text, unpacked.

        Raises:
            BenchError: for a file that is missing, damaged or not UTF-8.
        """
        return text_sha256(text_lines(self.run_path))


@dataclass(frozen=True, slots=True)
class Pairing:
    """Two sides' results, paired.

    ``pairs`` share a protocol; ``clashes`` says of the others which fields differ; ``only_a`` and ``only_b`` are the
    results without a partner of any protocol.
    """

    pairs: list[tuple[StoredResult, StoredResult]] = field(default_factory=list)
    clashes: list[str] = field(default_factory=list)
    only_a: list[StoredResult] = field(default_factory=list)
    only_b: list[StoredResult] = field(default_factory=list)


def read_stored(place: Path) -> tuple[list[StoredResult], list[str]]:
    """Every sound result in a file or folder, and a line for each that is missing, damaged or there twice.

    Copies of one result count once; two measurements of one reranker are a problem, since either could be meant.
    """
    try:
        paths = result_paths([place])
    except BenchError as error:
        return [], [str(error)]
    found: dict[Hashable, StoredResult] = {}
    problems: list[str] = []
    for path in paths:
        try:
            one = StoredResult(path, read_sound(path))
        except BenchError as error:
            problems.append(str(error))
            continue
        key = (*one.task_and_reranker, one.identity, one.result.protocol.id)
        if key not in found:
            found[key] = one
        elif not is_copy(found[key].result, one.result):
            problems.append(
                f"{path}: it is the same task, reranker and protocol as {found[key].path}: keep one of them."
            )
    return list(found.values()), problems


def read_results(places: Iterable[Path]) -> list[Result]:
    """Every result in some files and folders, as `read_distinct` finds them."""
    return [one.result for one in read_distinct(places)]


def read_distinct(places: Iterable[Path]) -> list[StoredResult]:
    """Every result in some files and folders; copies of earlier ones are left out, with one note for them all.

    Raises:
        BenchError: for a place or result that is missing or damaged.
    """
    found: dict[Hashable, list[StoredResult]] = {}
    copies: list[tuple[Path, Path]] = []
    for path in result_paths(places):
        one = StoredResult(path, read_sound(path))
        same = found.setdefault((*one.task_and_reranker, one.result.protocol.id), [])
        first = next((other for other in same if is_copy(other.result, one.result)), None)
        if first is None:
            same.append(one)
        else:
            copies.append((path, first.path))
    if copies:
        note(_counted_once(copies))
    return [one for same in found.values() for one in same]


def _counted_once(copies: Sequence[tuple[Path, Path]]) -> str:
    """The note on copies, each with what it is a copy of."""
    copy, first = copies[0]
    if len(copies) == 1:
        return f"{copy} is a copy of {first} and counts once."
    return f"{len(copies)} results are copies of others and count once, such as {copy}, a copy of {first}."


def is_copy(one: Result, other: Result) -> bool:
    """Whether two results are one measurement, or two that agree in everything but time and place."""
    return replace(one, cost=other.cost, provenance=other.provenance) == other


def orphan_runs(place: Path) -> list[Path]:
    """The runs in a folder without a result.json next to them: what is left of a result that was removed."""
    files = set(files_below(place)) if kind(place) == stat.S_IFDIR else set()
    runs = (path for path in files if path.name == "run.trec.gz")
    return sorted(run for run in runs if run.with_name("result.json") not in files)


def read_sound(path: Path) -> Result:
    """Read a result whose parts fit one another.

    Raises:
        BenchError: for a file that cannot be read, and for everything that does not fit, in one message.
    """
    result = read_result(path)
    faults = _faults(result)
    if faults:
        raise BenchError("\n".join(f"{path}: {fault}." for fault in faults))
    return result


def pair(a: Sequence[StoredResult], b: Sequence[StoredResult], name: Callable[[StoredResult], Hashable]) -> Pairing:
    """Pair the results that share a name and a protocol, in the order of ``a``.

    Where a side has several rerankers of one name, such as two seeds, each is paired with the one of the same
    identity, or else with the only one of the same fingerprint that is not another's counterpart.
    """
    pairing = Pairing()
    named = [_grouped(side, lambda stored: (name(stored), stored.result.protocol.id)) for side in (a, b)]
    partners: set[Path] = set()
    for stored in a:
        key = name(stored), stored.result.protocol.id
        here, there = (side.get(key, []) for side in named)
        rivals = [other for other in b if name(other) == name(stored)]
        chosen = there if len(here) == len(there) == 1 else _counterparts(stored, here, there)
        if len(chosen) == 1:
            pairing.pairs.append((stored, chosen[0]))
            partners.add(chosen[0].path)
        elif there:
            pairing.clashes.append(_ambiguous(stored, there))
        elif rivals:
            pairing.clashes.append(_clash(stored, rivals))
        else:
            pairing.only_a.append(stored)
    for key, there in named[1].items():
        spare = [stored for stored in there if stored.path not in partners]
        # What another protocol's partner was looked for among is named in its clash.
        if key in named[0] or not any(name(stored) == key[0] for stored in a):
            pairing.only_b.extend(spare)
    return pairing


def _grouped(
    side: Sequence[StoredResult], key: Callable[[StoredResult], tuple[Hashable, str]]
) -> dict[tuple[Hashable, str], list[StoredResult]]:
    groups: dict[tuple[Hashable, str], list[StoredResult]] = {}
    for stored in side:
        groups.setdefault(key(stored), []).append(stored)
    return groups


def _counterparts(
    stored: StoredResult, here: Sequence[StoredResult], there: Sequence[StoredResult]
) -> list[StoredResult]:
    """The results of the other side that one of several results of a name may be paired with; none is paired twice."""
    exact = [each for each in there if each.identity == stored.identity]
    ours, theirs = ({each.identity for each in side} for side in (here, there))
    rivals = [identity for identity in ours - theirs if identity[0] == stored.identity[0]]
    spare = [each for each in there if each.identity[0] == stored.identity[0] and each.identity not in ours]
    return exact or (spare if len(rivals) == 1 else [])


def _ambiguous(stored: StoredResult, there: Sequence[StoredResult]) -> str:
    return (
        f"{stored.path} has no certain counterpart: {len(there)} results are called the same, {there[0].path} is the "
        "first. Compare folders that hold one of them."
    )


def missing_queries(stored: StoredResult, other: StoredResult) -> str:
    """Which of one result's queries another lacks, in words; empty where it has them all."""
    missing = sorted(stored.result.per_query.keys() - other.result.per_query.keys())
    if not missing:
        return ""
    named = ", ".join(map(repr, missing[:5])) + (", …" if len(missing) > 5 else "")
    return f"{other.path} lacks {len(missing)} of the queries of {stored.path}: {named}."


def _faults(result: Result) -> list[str]:
    """What can still be wrong in a well-formed file, without looking at its run."""
    faults = []
    if result.task != result.protocol.task:
        faults.append(f"the task is {result.task!r}, the protocol's {result.protocol.task!r}")
    figures = {f"per_query.{query_id}": figure for query_id, figure in result.per_query.items()}
    figures |= {f"measures.{measure}": figure for measure, figure in result.measures.items()}
    faults += [f"{key!r} is {figure}, not from 0 to 1" for key, figure in figures.items() if not _is_share(figure)]
    if len(result.per_query) != result.protocol.queries:
        faults.append(f"'per_query' has {len(result.per_query)} queries, the protocol {result.protocol.queries}")
    elif not faults and result.per_query and abs(mean(result.per_query) - result.main) > NOISE:
        faults.append(f"the mean of 'per_query' is {mean(result.per_query)}, 'measures' says {result.main}")
    if not result.per_query:
        faults.append("'per_query' is empty")
    return faults


def _is_share(figure: float) -> bool:
    return -NOISE <= figure <= 1 + NOISE


def _clash(stored: StoredResult, rivals: Sequence[StoredResult]) -> str:
    """The fields in which a result's protocol differs from that of the nearest candidate partner."""
    mine = stored.result.protocol
    nearest = min(rivals, key=lambda rival: len(mine.differences(rival.result.protocol)))
    differences = "; ".join(mine.differences(nearest.result.protocol))
    return f"{stored.path} and {nearest.path} were measured under different protocols: {differences}."


def data_places(given: Sequence[str]) -> Mapping[str, Path]:
    """Read ``--data``: DIR (a folder that contains TASK/), SUITE=DIR, or TASK=DIR (the folder of one task).

    Raises:
        BenchError: for one that is given twice.
    """
    places: dict[str, Path] = {}
    for text in given:
        head, equals, folder = text.partition("=")
        keyed = equals and head.partition("/")[0] in (*SUITES, *OTHERS)
        key, place = (head, folder) if keyed else ("", text)
        if key in places:
            raise BenchError(
                f"--data is given twice for {key or 'all tasks'}: {places[key]} and {place}. Give it once."
            )
        places[key] = Path(place)
    return places


@dataclass(slots=True)
class Reload:
    """Loads the data of stored results again, each task's collection once; `close` it when done.

    ``data`` has folders by task id, by suite, and under "" for all others (see `data_places`); ``source`` is as for the
    suite commands; ``runs`` are the TREC files that first stages were read from.
    """

    data: Mapping[str, Path] = field(default_factory=dict)
    source: str = ""
    runs: Sequence[Path] = ()
    _loaded: dict[Task, Collection] = field(default_factory=dict)
    _failed: dict[Task, BenchError] = field(default_factory=dict)
    _read: list[tuple[Run, str]] = field(default_factory=list)
    _built: dict[tuple[Task, str, int], Run] = field(default_factory=dict)

    def close(self) -> None:
        """Close what was loaded."""
        for collection in self._loaded.values():
            collection.documents.close()

    def collection(self, result: Result) -> Collection:
        """The whole collection of a result's task.

        Raises:
            BenchError: where it cannot be loaded.
        """
        task = self._task(result)  # two splits of a folder have one name, and so have two folders elsewhere
        if task in self._failed:
            raise self._failed[task]
        if task not in self._loaded:
            try:
                self._loaded[task] = self._load(task)
            except BenchError as error:
                self._failed[task] = error
                raise
        return self._loaded[task]

    def first_stage(self, result: Result) -> Run | None:
        """The whole first-stage run of a result: a given file that is its run, or BM25 built again; None for others.

        A given file is for the results over it: those that name its hash, or the tag in its last column.

        Raises:
            BenchError: where it cannot be read or built.
        """
        protocol = result.protocol
        runs = self._runs()
        for run, sha256 in runs:
            if sha256 == protocol.first_stage_sha256:
                return run
        if protocol.first_stage not in BUILT:
            return next((run for run, _ in runs if run.name == protocol.first_stage), None)
        key = self._task(result), protocol.first_stage, protocol.depth
        if key not in self._built:
            self._built[key] = first_stage(self.collection(result), protocol.first_stage, protocol.depth)
        return self._built[key]

    def _runs(self) -> list[tuple[Run, str]]:
        """The given files, each read once (it may be a pipe), with their hashes."""
        for path in self.runs[len(self._read) :]:
            run = read_run(path)
            self._read.append((run, run.sha256))
        return self._read

    def _load(self, task: Task) -> Collection:
        folder = self.data.get(task.id)
        if folder is not None and task.suite not in ("mkqa", "folder") and not task.embedded:
            return load_folder(task, folder)
        return load(task, folder or self._parent(task.suite), self.source)

    def _parent(self, suite: str) -> Path | None:
        return self.data.get(suite, self.data.get(""))

    def _task(self, result: Result) -> Task:
        """The result's task, measured as the result was."""
        task = self._named(result)
        if task.measure == result.protocol.measure:
            return task
        extra = [name for name in result.measures if name not in (result.protocol.measure, *map(str, STANDARD))]
        return measured_by(replace(task, extra_measures=()), [result.protocol.measure, *extra])

    def _named(self, result: Result) -> Task:
        declared = find(result.task)
        analysis, drop = str(result.provenance.get("analysis", "english")), result.protocol.identical_ids == "dropped"
        found_there = declared or undeclared(result.task, result.protocol.split, drop, analysis)
        if found_there:
            return found_there
        suite, _, name = result.task.partition("/")
        if suite != "folder" or name in ("", ".", "..") or "/" in name:
            raise BenchError(f"Task {result.task!r} is not known to this version.")
        folder = self._folder(result, name)
        try:
            found = folder is not None and folder.exists()
        except OSError as error:
            raise BenchError(f"Cannot read {folder}: {error.strerror or error}.") from error
        if folder is None or not found:
            raise BenchError(f"The folder of {result.task} is not at {folder}. Say where it is with --data PARENT.")
        task = folder_task(folder, result.protocol.split, analysis, drop)
        # A folder given for this task is the task's, whatever the folder is called.
        return replace(task, name=name) if result.task in self.data else task

    def _folder(self, result: Result, name: str) -> Path | None:
        """Where a folder of the user's own is: where ``--data`` says, else where it was."""
        parent, source = self._parent("folder"), str(result.provenance.get("source", ""))
        if result.task in self.data:
            return self.data[result.task]
        if parent is not None:
            return place_of(parent, name)
        return Path(source) if source else None
