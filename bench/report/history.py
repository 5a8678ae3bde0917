"""Figures over time: results as git commits or dated folders had them, and the gate's verdict on each change."""

import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from bench import statistics
from bench.comparison.gate import Rules, Verdict, verdict_lines
from bench.comparison.stored import StoredResult, read_distinct, read_sound
from bench.errors import BenchError
from bench.leaderboard.columns import stage_of
from bench.render.numbers import count, difference, interval, score
from bench.render.page import Cell, Column, Notes, Page, Paragraph, Table, Tone, rows
from bench.report.drafts import OVERVIEW, Draft, Figure
from bench.report.rows import role
from bench.results import Result

Key = tuple[str, str, str]
"""Task, first stage and depth, and the reranker's name: what stays the same while a model or the code changes."""

OTHER_PROTOCOL = "other protocol"
_DATED = re.compile(r"\d{4}-\d{2}-\d{2}(?!\d)")
_TONES: Mapping[str, Tone] = {
    Verdict.REGRESSED: "bad", Verdict.INCONCLUSIVE: "unsure", Verdict.IMPROVED: "good", OTHER_PROTOCOL: "unsure",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The results of one commit or folder; ``unreadable`` counts those that this version cannot read."""

    when: str
    label: str
    results: Mapping[Key, StoredResult]
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class Point:
    """A figure from some time on, 0 to 1, with its 95% interval.

    ``verdict`` is the gate's on the change from the figure before: empty for the first, `OTHER_PROTOCOL` where the two
    may not be compared. ``why`` is its reason.
    """

    key: Key
    measure: str
    when: str
    label: str
    score: float
    low: float
    high: float
    before: float | None
    verdict: str
    why: str
    is_drawn: bool


@dataclass(frozen=True, slots=True)
class History:
    """The points of all series, in order of time, and the snapshots that they come from."""

    points: tuple[Point, ...]
    snapshots: tuple[Snapshot, ...]

    def rows(self) -> list[dict[str, object]]:
        """The points as flat rows of raw figures, for JSON."""
        return [
            dict(zip(("task", "first_stage", "reranker"), point.key, strict=True))
            | {each.name: getattr(point, each.name) for each in fields(point) if each.name not in ("key", "is_drawn")}
            for point in self.points
        ]


def read_history(place: Path) -> History:
    """Read a folder's results over time: its folders named YYYY-MM-DD…, or else its git commits.

    Raises:
        BenchError: where there are neither, or results of a dated folder are damaged.
    """
    dated = sorted(each for each in _folders(place) if _DATED.match(each.name))
    snapshots = tuple(map(_dated, dated)) if dated else tuple(_committed(place))
    return History(tuple(_points(snapshots)), snapshots)


def page(history: History) -> Page:
    """The history as tables alone."""
    return Page((*_told(history), _table(history)), title="History of figures")


def draft(history: History) -> Draft:
    """The history as a page of a report: a chart for each task whose figures changed, then all changes."""
    changed: dict[tuple[str, str], None] = {
        point.key[:2]: None for point in history.points if point.before is not None and point.is_drawn
    }
    figures = [_figure(history, task, stage, number) for number, (task, stage) in enumerate(sorted(changed))]
    return Draft(
        "history", "History of figures", (*_told(history), *figures, _table(history)), (("Overview", OVERVIEW),)
    )


def _folders(place: Path) -> list[Path]:
    try:
        return [each for each in place.iterdir() if each.is_dir()]
    except OSError as error:
        raise BenchError(f"Cannot read {place}: {error.strerror or error}. Give a folder of results.") from error


def _dated(folder: Path) -> Snapshot:
    return Snapshot(folder.name[:10], folder.name, _keyed(read_distinct([folder])))


def _committed(place: Path) -> Iterator[Snapshot]:
    """A snapshot for each commit of the main line that changed the folder, oldest first."""
    lines = _git(place, "log", "--first-parent", "--reverse", "--format=%H %cI", "--", ".").decode().splitlines()
    if not lines:
        raise BenchError(
            f"{place} has no history: no commit has it, and it has no folders named YYYY-MM-DD. Commit the results, or "
            "put them in folders named by their date."
        )
    read: dict[str, StoredResult | None] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for line in lines:
            commit, when = line.split(" ")
            blobs = dict(_blobs(place, commit))
            _read_blobs(place, [blob for blob in blobs.values() if blob not in read], Path(scratch), read)
            found = [stored for blob in dict.fromkeys(blobs.values()) if (stored := read[blob]) is not None]
            unreadable = sum(read[blob] is None for blob in blobs.values())
            if blobs:
                yield Snapshot(when, commit[:8], _keyed(found), unreadable)


def _blobs(place: Path, commit: str) -> Iterator[tuple[str, str]]:
    """Paths and blobs of a commit's results."""
    for entry in _git(place, "ls-tree", "-r", "-z", commit, "--", ".").decode(errors="surrogateescape").split("\0"):
        about, _, path = entry.partition("\t")
        if path.rpartition("/")[2] == "result.json" and about.split(" ")[1] == "blob":
            yield path, about.split(" ")[2]


def _read_blobs(place: Path, blobs: Sequence[str], scratch: Path, read: dict[str, StoredResult | None]) -> None:
    """Read results by their blobs; None for one of a version that cannot be read."""
    wanted = list(dict.fromkeys(blobs))
    content = _git(place, "cat-file", "--batch", given="".join(f"{blob}\n" for blob in wanted).encode())
    start = 0
    for blob in wanted:
        end = content.index(b"\n", start)
        size = int(content[start:end].split(b" ")[2])
        path = scratch / f"{blob}.json"
        path.write_bytes(content[end + 1 : end + 1 + size])
        start = end + size + 2
        try:
            read[blob] = StoredResult(path, read_sound(path))
        except BenchError:
            read[blob] = None  # counted, and said on the page
        path.unlink()


def _git(place: Path, *arguments: str, given: bytes = b"") -> bytes:
    try:
        done = subprocess.run(["git", *arguments], cwd=place, input=given, capture_output=True, check=False)
    except OSError as error:
        raise BenchError(f"Cannot run git in {place}: {error.strerror or error}. Install git.") from error
    if done.returncode:
        raise BenchError(
            f"Cannot read the history of {place} from git: {done.stderr.decode(errors='replace').strip()}. Give a "
            "folder in a git repository, or one with folders named YYYY-MM-DD."
        )
    return done.stdout


def _keyed(stored: Sequence[StoredResult]) -> dict[Key, StoredResult]:
    """Results by series; where one snapshot has several of a name, each is told by its reranker's id."""
    found: dict[Key, list[StoredResult]] = {}
    for each in stored:
        result = each.result
        found.setdefault((result.task, stage_of(result.protocol), result.reranker.name), []).append(each)
    keyed: dict[Key, StoredResult] = {}
    for (task, stage, name), several in found.items():
        for each in several:
            keyed[task, stage, name if len(several) == 1 else f"{name} ({each.result.reranker_id})"] = each
    return keyed


def _points(snapshots: Sequence[Snapshot]) -> Iterator[Point]:
    """Each series' first figure, and each later one that another measurement gave."""
    last: dict[Key, StoredResult] = {}
    for snapshot in snapshots:
        news = {
            key: (last.get(key), stored)
            for key, stored in snapshot.results.items()
            if key not in last or _differ(last[key].result, stored.result)
        }
        comparable = {
            key: (before, after)
            for key, (before, after) in news.items()
            if before and before.result.protocol == after.result.protocol
        }
        lines = dict(zip(comparable, verdict_lines(list(comparable.values()), Rules()), strict=True))
        for key, (before, after) in news.items():
            line = lines.get(key)
            verdict, why = (line.verdict.value, line.why) if line else ("", "")
            if before and not line:
                verdict, why = OTHER_PROTOCOL, _fields(before.result, after.result)
            yield _point(key, snapshot, after, before, verdict, why)
        last |= snapshot.results


def _differ(before: Result, after: Result) -> bool:
    return before.protocol != after.protocol or before.per_query != after.per_query


def _fields(before: Result, after: Result) -> str:
    """The names of the fields in which two protocols differ."""
    return "differs in " + ", ".join(text.partition(":")[0] for text in before.protocol.differences(after.protocol))


def _point(
    key: Key, snapshot: Snapshot, after: StoredResult, before: StoredResult | None, verdict: str, why: str
) -> Point:
    result = after.result
    low, high = statistics.interval(list(result.per_query.values()), lowest=0.0)
    return Point(
        key=key,
        measure=result.protocol.measure,
        when=snapshot.when,
        label=snapshot.label,
        score=result.main,
        low=low,
        high=high,
        before=before.result.main if before else None,
        verdict=verdict,
        why=why,
        is_drawn=role(result.reranker) in ("reranker", "first stage"),
    )


def _told(history: History) -> Iterator[Paragraph | Notes]:
    snapshots = history.snapshots
    series = {point.key for point in history.points}
    changes = [point for point in history.points if point.before is not None]
    yield Paragraph(
        f"{count(len(snapshots))} snapshots from {snapshots[0].when[:10]} to {snapshots[-1].when[:10]}; "
        f"{count(len(series))} series of a task and a reranker, {count(len(changes))} changes. Each change is judged "
        "as 'python -m bench gate' judges it: by the paired randomisation test, corrected by Holm over the snapshot's "
        "changes. Intervals are 95% over queries."
    )
    unreadable = [f"{each.label} {count(each.unreadable)}" for each in snapshots if each.unreadable]
    if unreadable:
        yield Notes((f"Results of other versions, which are left out: {', '.join(unreadable)}.",))


def _table(history: History) -> Table:
    changes = [point for point in history.points if point.before is not None]
    columns = (
        *(Column(name, "key") for name in ("when", "snapshot")), Column("task", "name"), Column("reranker", "name"),
        *map(Column, ("before", "after", "change", "95% interval of after", "verdict")), Column("why", "prose", drop=1),
    )  # fmt: skip
    return Table(columns, (rows(map(_cells, changes)),), caption="Changes", stub=1)


def _cells(point: Point) -> tuple[str | Cell, ...]:
    task, stage, name = point.key
    before = point.before or 0.0
    return (
        point.when[:10], point.label, f"{task} {stage}", name, score(before), score(point.score),
        difference(point.score - before), interval(point.low, point.high).replace("+", ""),
        Cell(point.verdict, tone=_TONES.get(point.verdict, "")), point.why,
    )  # fmt: skip


def _figure(history: History, task: str, stage: str, number: int) -> Figure:
    points = [point for point in history.points if point.key[:2] == (task, stage) and point.is_drawn]
    final = history.snapshots[-1].when
    data = [_datum(point, point.when, point.verdict) for point in points]
    latest = {point.key: point for point in points}
    data += [_datum(point, final, "same") for point in latest.values() if point.when != final]

    def draw(width: int) -> object:
        from bench.report import charts

        return charts.timeline(data, f"{points[0].measure} × 100", width)

    told = "95% intervals where a figure changed. By the gate's rule: ▼ regressed, ◆ inconclusive, ▲ improved."
    return Figure(f"history-{number}", f"{task}, {stage}", told, draw)  # type: ignore[arg-type]


def _datum(point: Point, when: str, verdict: str) -> dict[str, object]:
    return {
        "name": point.key[2], "when": when, "score": 100 * point.score, "low": 100 * point.low,
        "high": 100 * point.high, "verdict": verdict,
    }  # fmt: skip
