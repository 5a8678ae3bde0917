"""The gate: compares new results with a baseline and gives an exit status for CI.

A task has regressed when its figure fell by at least the minimum effect and the paired randomisation test, two-sided,
is significant after Holm's correction over all comparisons of the command: alpha bounds the chance that a command
raises any false alarm. A fall of that size that is not significant is inconclusive: with so few queries, or so varied
ones, it can be chance as well as a regression, and the smallest drop that would have been found is named. A largest
drop, where one is given, is a regression whatever the test says. An order-only reranker depends on nothing but code and
data, so its results must be exactly equal. How often the gate errs is measured by `bench.comparison.power`.
"""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from xml.etree import ElementTree

from bench import statistics
from bench.comparison.stored import StoredResult, missing_queries, pair, read_stored
from bench.errors import BenchError
from bench.escape import terminal
from bench.files import write_whole
from bench.render import render
from bench.render.numbers import difference, interval, p_equals, p_value, score
from bench.render.page import Cell, Column, Notes, Page, Table, Tone, rows
from bench.results import Result

EXACT_FAMILY = "order-only"
_NAMED = 10  # problems that the page names; the others are counted, and are in the JUnit report
_COLUMNS = (
    Column("task", "name"),
    Column("reranker", "name"),
    *map(Column, ("old", "new", "change")),
    Column("95% interval", drop=2),
    Column("p, Holm", drop=1),
    Column("verdict"),
)


class Verdict(StrEnum):
    """What became of one task under one reranker."""

    REGRESSED = "regressed"
    INCONCLUSIVE = "inconclusive"
    HELD = "held"
    IMPROVED = "improved"


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts as a regression; drops are in points of 100.

    ``min_drop`` is the smallest that counts, ``max_drop`` one that fails whatever its p-value (None: no drop does).
    ``alpha`` is the chance of any false alarm that is accepted. ``strict`` lets inconclusive lines fail the gate.
    """

    min_drop: float = 0.5
    alpha: float = 0.05
    max_drop: float | None = None
    strict: bool = False

    def check(self) -> None:
        """Raise a BenchError for numbers that make no sense."""
        if not (math.isfinite(self.min_drop) and self.min_drop >= 0):
            raise BenchError(f"--min-drop is {self.min_drop:g}. Give a number of points, 0 or more.")
        if not 0 < self.alpha < 1:
            raise BenchError(f"--alpha is {self.alpha:g}. Give a number between 0 and 1.")
        if self.max_drop is not None and not (math.isfinite(self.max_drop) and self.max_drop > 0):
            raise BenchError(f"--max-drop is {self.max_drop:g}. Give a number of points above 0.")


@dataclass(frozen=True, slots=True)
class Line:
    """One task under one reranker, baseline and new; figures 0 to 1.

    ``low`` and ``high`` bound the difference's 95% interval, None where no query changed; ``p`` is corrected
    by Holm, None where results must be exactly equal. ``why`` is the verdict's reason in words.
    """

    task: str
    reranker: str
    baseline: float
    candidate: float
    low: float | None
    high: float | None
    p: float | None
    verdict: Verdict
    why: str
    queries: int

    def cells(self) -> tuple[str, ...]:
        """The line's row in the report's table, figures in points of 100; texts are as they came, not escaped."""
        bounds = "" if self.p is None else "no change"
        if self.low is not None and self.high is not None:
            bounds = interval(self.low, self.high)
        return (
            self.task,
            self.reranker,
            score(self.baseline),
            score(self.candidate),
            difference(self.candidate - self.baseline),
            bounds,
            "exact" if self.p is None else p_value(self.p),
            str(self.verdict),
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What the gate found. ``problems`` prevented a comparison; ``new`` names the results without a baseline."""

    lines: tuple[Line, ...]
    problems: tuple[str, ...]
    new: tuple[str, ...]
    rules: Rules

    @property
    def exit_status(self) -> int:
        """0 held, 1 regressed, 2 where anything could not be compared: then no verdict is complete."""
        if self.problems:
            return 2
        return 1 if any(map(self.fails, self.lines)) else 0

    def fails(self, line: Line) -> bool:
        """Whether a line fails the gate."""
        return line.verdict is Verdict.REGRESSED or (self.rules.strict and line.verdict is Verdict.INCONCLUSIVE)

    @property
    def headline(self) -> str:
        """The outcome in one sentence."""
        counts = ", ".join(f"{len(self.of(verdict))} {verdict}" for verdict in Verdict)
        unable = f", {len(self.problems)} could not be compared" if self.problems else ""
        if self.problems:
            outcome = "could not compare"
        else:
            # The gravest of what there is; verdicts are declared in that order.
            found = (verdict for verdict in Verdict if self.of(verdict))
            outcome = next(found, Verdict.HELD).replace(Verdict.IMPROVED, Verdict.HELD)
        largest = "" if self.rules.max_drop is None else f", largest {self.rules.max_drop:g}"
        return (
            f"Gate: {outcome} ({counts}{unable}; smallest drop {self.rules.min_drop:g} points{largest}, "
            f"alpha {self.rules.alpha:g}{', strict' if self.rules.strict else ''})"
        )

    def of(self, verdict: Verdict) -> list[Line]:
        """The lines with that verdict."""
        return [line for line in self.lines if line.verdict is verdict]


def gate(
    baseline: Path,
    candidate: Path,
    *,
    min_drop: float = 0.5,
    alpha: float = 0.05,
    max_drop: float | None = None,
    strict: bool = False,
    resamples: int = statistics.RESAMPLES,
    seed: int = 0,
) -> Report:
    """Compare every baseline result with the new one of the same task, reranker and protocol.

    Args:
        baseline: The baseline results: a folder or one result.json. Each must have its counterpart.
        candidate: The new ones; those without a baseline are only listed.
        min_drop: See `Rules`, as for the three that follow.
        alpha: See `Rules`.
        max_drop: See `Rules`.
        strict: See `Rules`.
        resamples: Of the test.
        seed: Of the test.

    Raises:
        BenchError: for rules that make no sense. All that is wrong with the results themselves is collected in the
            report's ``problems``.
    """
    rules = Rules(min_drop, alpha, max_drop, strict)
    rules.check()
    (old, problems), (new, new_problems) = read_stored(baseline), read_stored(candidate)
    problems += new_problems
    pairing = pair(old, new, lambda one: one.task_and_reranker)
    problems += pairing.clashes
    problems += [f"{candidate} has no result for {one.label}, which {one.path} has." for one in pairing.only_a]
    comparable = []
    for before, after in pairing.pairs:
        wrong = [text for text in (missing_queries(before, after), missing_queries(after, before)) if text]
        wrong += _foreign_runs(before, after)
        problems += wrong
        if not wrong:
            comparable.append((before, after))
    lines = sorted(verdict_lines(comparable, rules, resamples, seed), key=lambda line: (line.task, line.reranker))
    return Report(tuple(lines), tuple(problems), tuple(one.label for one in pairing.only_b), rules)


def verdict_lines(
    pairs: Sequence[tuple[StoredResult, StoredResult]],
    rules: Rules,
    resamples: int = statistics.RESAMPLES,
    seed: int = 0,
) -> list[Line]:
    """A line for each pair of one protocol and the same queries, kept and new; p-values are corrected over all."""
    exact = iter(_exact_lines(pairs))
    tested = iter(_tested_lines(pairs, rules, resamples, seed))
    return [next(exact if _is_exact(before) else tested) for before, _ in pairs]


def decide(difference: float, p: float, rules: Rules) -> Verdict:
    """The rule: ``difference`` is new less baseline, in points, ``p`` corrected; rises are judged as falls are."""
    noise = 100 * statistics.NOISE
    if rules.max_drop is not None and -difference >= rules.max_drop - noise:
        return Verdict.REGRESSED
    if abs(difference) < max(rules.min_drop - noise, noise):
        return Verdict.HELD
    if p > rules.alpha:
        return Verdict.INCONCLUSIVE if difference < 0 else Verdict.HELD
    return Verdict.REGRESSED if difference < 0 else Verdict.IMPROVED


def page(report: Report) -> Page:
    """The table, what its figures do not say, and the headline."""
    tones: dict[Verdict, Tone] = {
        Verdict.REGRESSED: "bad",
        Verdict.INCONCLUSIVE: "unsure",
        Verdict.HELD: "",
        Verdict.IMPROVED: "good",
    }
    lines = rows([Cell(text, tone=tones[line.verdict]) for text in line.cells()] for line in report.lines)
    remarks = _remarks(report)
    table = (Table(_COLUMNS, (lines,)),) if report.lines else ()
    return Page((*table, *((Notes(remarks),) if remarks else ())), conclusion=report.headline)


def append_step_summary(report: Report) -> None:
    """Append the Markdown to the file that GitHub names in ``$GITHUB_STEP_SUMMARY``; nothing where it is not set.

    Raises:
        BenchError: where that file cannot be written.
    """
    place = os.environ.get("GITHUB_STEP_SUMMARY")
    if not place:
        return
    try:
        with open(place, "a", encoding="utf-8") as stream:
            stream.write(render(page(report), "markdown") + "\n")
    except OSError as error:
        raise BenchError(f"Cannot write $GITHUB_STEP_SUMMARY ({place}): {error.strerror or error}.") from error


def write_junit(report: Report, path: Path) -> None:
    """Write JUnit XML: a test case for each line.

    A line that fails the gate is a failure, an inconclusive one that does not is skipped, and what could not be
    compared is an error.

    Raises:
        BenchError: where the file cannot be written.
    """
    if not path.name:
        raise BenchError(f"--junit {path} is a folder. Name a file.")
    failures = [line for line in report.lines if report.fails(line)]
    skipped = [line for line in report.of(Verdict.INCONCLUSIVE) if line not in failures]
    suite = ElementTree.Element(
        "testsuite",
        name="rerank-bench gate",
        tests=str(len(report.lines) + len(report.problems)),
        failures=str(len(failures)),
        errors=str(len(report.problems)),
        skipped=str(len(skipped)),
    )
    for line in report.lines:
        case = ElementTree.SubElement(suite, "testcase", classname=terminal(line.task), name=terminal(line.reranker))
        if line in failures or line in skipped:
            kind = "failure" if line in failures else "skipped"
            ElementTree.SubElement(case, kind, message=terminal(f"{line.verdict}: {line.why}"))
        else:
            ElementTree.SubElement(case, "system-out").text = terminal(f"{line.verdict}: {line.why}")
    for number, problem in enumerate(report.problems, start=1):
        case = ElementTree.SubElement(suite, "testcase", classname="gate", name=f"could not compare {number}")
        ElementTree.SubElement(case, "error", message=terminal(problem))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    write_whole(path, ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _foreign_runs(*sides: StoredResult) -> list[str]:
    """What is wrong with the runs that results were measured on: missing, damaged, or others."""
    wrong = []
    for stored in sides:
        try:
            stored.check_run()
        except BenchError as error:
            wrong.append(str(error))
    return wrong


def _exact_lines(pairs: Iterable[tuple[StoredResult, StoredResult]]) -> list[Line]:
    """The lines of the order-only rerankers, in which any difference is a regression."""
    lines = []
    for before, after in pairs:
        if not _is_exact(before):
            continue
        different = _different(before.result, after.result)
        lines.append(
            Line(
                *before.task_and_reranker,
                before.result.main,
                after.result.main,
                low=None,
                high=None,
                p=None,
                verdict=Verdict.REGRESSED if different else Verdict.HELD,
                why=f"must be exactly equal and differs in {', '.join(different)}" if different else "exactly equal",
                queries=len(before.result.per_query),
            )
        )
    return lines


def _tested_lines(
    pairs: Iterable[tuple[StoredResult, StoredResult]], rules: Rules, resamples: int, seed: int
) -> list[Line]:
    tested = [(before, after) for before, after in pairs if not _is_exact(before)]
    values = [statistics.differences(before.result.per_query, after.result.per_query) for before, after in tested]
    p_values = statistics.holm([statistics.p_value(each, resamples=resamples, seed=seed) for each in values])
    lines = []
    for (before, after), each, p in zip(tested, values, p_values, strict=True):
        # Where no query changed, what others might show is no news to a gate.
        low, high = statistics.interval(each) if each.any() else (None, None)
        points = 100 * float(each.mean())
        verdict = decide(points, p, rules)
        why = _why(points, p, verdict, rules)
        if verdict is Verdict.INCONCLUSIVE:
            # Alone among so many, a drop is found at Holm's first and strictest step.
            why += f"; {_detectable(statistics.detectable_drop(each, rules.alpha / len(tested)), before.result.main)}"
        figures = before.result.main, after.result.main
        lines.append(Line(*before.task_and_reranker, *figures, low, high, p, verdict, why, len(each)))
    return lines


def _is_exact(stored: StoredResult) -> bool:
    return stored.result.reranker.family == EXACT_FAMILY


def _different(before: Result, after: Result) -> list[str]:
    """Which figures, or the run itself, are not equal to the last bit."""
    names = [f"measures.{key}" for key in _unequal(before.measures, after.measures)]
    names += [f"candidates.{key}" for key in _unequal(asdict(before.candidates), asdict(after.candidates))]
    queries = _unequal(before.per_query, after.per_query)
    if queries:
        names.append(f"per_query of {len(queries)} queries, the first {queries[0]!r}")
    if before.run_sha256 != after.run_sha256:
        names.append("run_sha256")
    return names


def _unequal(before: Mapping[str, float], after: Mapping[str, float]) -> list[str]:
    return sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))


def _why(points: float, p: float, verdict: Verdict, rules: Rules) -> str:
    direction = "fell" if points < 0 else "rose"
    size = "at least" if abs(points) >= rules.min_drop - 100 * statistics.NOISE else "less than"
    chance = f"{p_equals(p)} after Holm, " + ("significant" if p <= rules.alpha else "not significant")
    if verdict is Verdict.REGRESSED and p > rules.alpha:
        size = f"at least the largest drop, {rules.max_drop:g}"
        return f"fell by {score(-points / 100)} points, {size}; {chance} at {rules.alpha:g}"
    return f"{direction} by {score(abs(points) / 100)} points, {size} {rules.min_drop:g}; {chance} at {rules.alpha:g}"


def _detectable(drop: float, figure: float) -> str:
    """The smallest drop that could have been found, where a figure can fall so far."""
    if drop > figure:
        return "no drop is found with so few queries"
    return f"a drop of {100 * drop:.1f} points or more would be found 4 times in 5"


def _remarks(report: Report) -> tuple[str, ...]:
    """What the table's figures do not say by themselves."""
    told = [
        line for verdict in (Verdict.REGRESSED, Verdict.INCONCLUSIVE, Verdict.IMPROVED) for line in report.of(verdict)
    ]
    few = sorted({line.task for line in report.lines if line.low is not None and line.queries < statistics.FEW_QUERIES})
    more = f" and {len(few) - 5} more tasks" if len(few) > 5 else ""
    return (
        *(f"{line.verdict.capitalize()}: {line.task} by {line.reranker} {line.why}." for line in told),
        *([f"Few queries (fewer than {statistics.FEW_QUERIES}): {', '.join(few[:5])}{more}."] if few else []),
        *(f"New, nothing to compare with: {label}." for label in report.new),
        *(f"Could not compare: {problem}" for problem in report.problems[:_NAMED]),
        *([f"Could not compare: {unnamed:,} more."] if (unnamed := len(report.problems) - _NAMED) > 0 else ()),
    )
