"""The paper's tables compared with our own figures: what was published, what was measured, and under which protocol.

The paper is that of jina-reranker-v3, https://arxiv.org/abs/2509.25085, in its fourth version: tables 2 (the suites'
means), 3 (BEIR) and 4 (MIRACL).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from bench import published
from bench.leaderboard.columns import is_partial, queries_of, split, unit_of, weights
from bench.protocol import Protocol
from bench.published import Published
from bench.render.numbers import score
from bench.rerankers.rows import ROWS
from bench.results import Result
from bench.suites import tasks

PAPER = "https://arxiv.org/html/2509.25085v4"

_OURS = {
    "jina-reranker-v3 (D)": "jina-reranker-v3",
    "jina-reranker-v2": "jina-reranker-v2-base-multilingual",
    "jina-embeddings-v3": "first-stage",
    "jina-code-embeddings-0.5b": "first-stage",
}
"""The paper's names that are not ours. (D) gives the candidates in the first stage's order, as this harness does."""

_ROUNDING = 0.005 + 1e-9
"""The paper prints two decimals: another figure than this far from a printed one is another figure."""

_OTHER_ORDERS = ("jina-reranker-v3 (A)", "jina-reranker-v3 (R)")


_NOT_BUILT: Mapping[str, str] = {
    "jina-code-embeddings-0.5b": (
        "it has a pair of prompts for each of five kinds of task (https://arxiv.org/abs/2508.21290), and no source "
        "says with which pair each of CoIR's tasks was embedded. Give a run of your own with --first-stage."
    ),
}
"""The paper's first stages that are not built here, and why."""


@dataclass(frozen=True, slots=True)
class Reproduction:
    """One published figure and what there is of our own.

    ``measured`` is times 100, as the published value, and None where a result is missing. ``disagreements`` are our
    protocol's sides of what differs from the paper's, empty where they agree. ``missing`` are the ids of the tasks
    that ``reranker`` has still to be measured on under the paper's protocol; ``unmeasured`` are those of them without a
    result over any first stage of the paper's name, whatever it scores. ``obstacle`` says why that cannot be done here.
    """

    figure: Published
    reranker: str
    measured: float | None
    disagreements: tuple[str, ...]
    missing: tuple[str, ...]
    unmeasured: tuple[str, ...]
    obstacle: str

    @property
    def table(self) -> str:
        """The paper's table that contains the figure."""
        return self.figure.source.removeprefix(PAPER).strip()

    @property
    def commands(self) -> tuple[str, ...]:
        """What would measure the figure, a command a task."""
        return tuple(command(task, [self.reranker], self.figure.first_stage) for task in self.missing)


def paper(results: Sequence[Result]) -> list[Reproduction]:
    """Every figure of the paper's tables, in their order, with the result that comes nearest to its protocol."""
    return [_reproduction(figure, results) for figure in published.read_all() if figure.source.startswith(PAPER)]


def not_built(rows: Sequence[Reproduction]) -> dict[str, str]:
    """The first stages of figures still to be measured that are not built here, and why."""
    stages = dict.fromkeys(row.figure.first_stage.partition("@")[0] for row in rows if row.unmeasured)
    return {stage: _NOT_BUILT[stage] for stage in stages if stage in _NOT_BUILT}


def _reproduction(figure: Published, results: Sequence[Result]) -> Reproduction:
    name = _OURS.get(figure.reranker, figure.reranker)
    obstacle = _obstacle(figure.reranker, name)
    shares = _shares(figure)
    own = [] if obstacle else [result for result in results if _is(result, name, figure)]
    nearest = {task: _nearest(figure, [result for result in own if result.task == task]) for task in shares}
    found = {task: result for task, result in nearest.items() if result}
    whole = len(found) == len(nearest)
    disagreements = {task: _disagreements(figure, result) for task, result in found.items()}
    # Where each task's first stage is published, the tasks say all; their rounding adds up in the mean.
    unchecked = any(_published_stage(figure, task.partition("/")[2]) is None for task in shares)
    agree = whole and not any(disagreements.values())
    together = _other_mean(figure, found, shares) if agree and unchecked else []
    return Reproduction(
        figure=figure,
        reranker=name,
        measured=100 * sum(share * found[task].main for task, share in shares.items()) if whole else None,
        disagreements=tuple(dict.fromkeys([*_all(disagreements.values()), *together])) if whole else (),
        missing=() if obstacle else tuple(task for task in nearest if disagreements.get(task) != [] or together),
        unmeasured=() if obstacle else tuple(task for task, result in nearest.items() if _is_other(figure, result)),
        obstacle=obstacle,
    )


def _shares(figure: Published) -> dict[str, float]:
    """The tasks of a figure and their weights: one; or a suite's default ones for its mean."""
    if not figure.task.startswith("mean"):
        return {f"{figure.suite}/{figure.task}": 1.0}
    usual = [task.id for task in tasks(figure.suite) if task.default and not task.embedded]
    return weights(split(usual, unit_of).values())


def _all(groups: Iterable[Sequence[str]]) -> list[str]:
    return [each for group in groups for each in group]


def _obstacle(printed: str, name: str) -> str:
    if printed in _OTHER_ORDERS:
        return "it reranks the candidates in another order than the first stage's"
    if name not in ROWS:
        return "there is no such row among the rerankers"
    return ROWS[name].refusal


def _is(result: Result, name: str, figure: Published) -> bool:
    """By name, or by the last part of a hub id or folder; a fusion with the reranker is another reranker."""
    if name == "first-stage" and not _same_stage(figure, result.protocol):
        return False  # another first stage's own order is no measurement of this one
    return result.reranker.family != "fusion" and result.reranker.name.rsplit("/", 1)[-1] == name


def _nearest(figure: Published, results: Sequence[Result]) -> Result | None:
    """The result whose protocol differs least from the paper's."""
    return min(
        results,
        key=lambda result: (len(_disagreements(figure, result)), result.protocol.label),
        default=None,
    )


def _same_stage(figure: Published, protocol: Protocol) -> bool:
    """Whether the name, or the last part of a name such as dense:jinaai_MODEL, is the paper's."""
    stage = figure.first_stage.partition("@")[0]
    return stage.lower() in protocol.first_stage.lower().replace(":", "/").replace("_", "/").split("/")


def _disagreements(figure: Published, result: Result) -> list[str]:
    """What differs between the paper's protocol and a result's, in the words of ours.

    A first stage's name is whatever its run file says. It is the paper's only if it scores what the paper's scores.
    """
    found = _differences(figure, result.protocol)
    published_one = _published_stage(figure, result.task.partition("/")[2])
    if not found and published_one is not None:
        found += _other_figure(100 * result.candidates.first_stage, published_one, result.task)
    return found


def _is_other(figure: Published, result: Result | None) -> bool:
    return result is None or bool(_differences(figure, result.protocol))


def _differences(figure: Published, protocol: Protocol) -> list[str]:
    depth = figure.first_stage.partition("@")[2]
    checks = {
        f"first stage {protocol.first_stage}": _same_stage(figure, protocol),
        f"depth {protocol.depth}": str(protocol.depth) == depth,
        f"measure {protocol.measure}": protocol.measure == figure.measure,
        f"candidates in the order of {protocol.candidate_order}": protocol.candidate_order == "first stage",
        queries_of(protocol): not is_partial(protocol),
    }
    return [difference for difference, agrees in checks.items() if not agrees]


def _other_mean(figure: Published, found: Mapping[str, Result], shares: Mapping[str, float]) -> list[str]:
    """For a mean: whether the first stage's own mean is the published one."""
    expected = _published_stage(figure, figure.task)
    if expected is None:
        return ["first stage unchecked: its own figure is not published"]
    own = 100 * sum(share * found[task].candidates.first_stage for task, share in shares.items())
    return _other_figure(own, expected, figure.task)


def _other_figure(own: float, expected: float, of: str) -> list[str]:
    if abs(own - expected) <= _ROUNDING:
        return []
    return [
        f"first stage scores {score(own / 100)} on {of.partition('/')[2] or of}, the paper's {score(expected / 100)}"
    ]


def _published_stage(figure: Published, task: str) -> float | None:
    """What the paper says that a figure's first stage itself scores on a task or a suite's mean, times 100."""
    stage = figure.first_stage.partition("@")[0]
    return _stages().get((figure.suite, task, figure.measure, stage))


@cache
def _stages() -> Mapping[tuple[str, str, str, str], float]:
    return {
        (each.suite, each.task, each.measure, each.reranker): each.value
        for each in published.read_all()
        if each.source.startswith(PAPER) and each.reranker == each.first_stage.partition("@")[0]
    }


def command(task: str, rerankers: Iterable[str], first_stage: str) -> str:
    """What measures a task by some rerankers over a run file of the user's."""
    suite, _, name = task.partition("/")
    stage, _, depth = first_stage.partition("@")
    options = " ".join(f"-r {reranker}" for reranker in rerankers)
    return f"python -m bench {suite} {name} {options} --first-stage {stage}/{suite}/{name}.trec --depth {depth}"
