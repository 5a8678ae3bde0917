"""Verification: checks a result against its stored run, the data and this version's tables.

The pipeline itself runs once more, with a reranker that answers from the stored run; what it gives is compared with
what the file says. Candidates are compared with the first stage's, where that is BM25, built again, or a run file that
is given; order-only rerankers are run again. Where the result is, its caps, its command and its reranker's card are
compared with one another and with the table of rerankers.

What no check covers: whether a model's scores are its own (it is not loaded), its fingerprint, settings, device and
precision, times, memory and tokens, what caps cut, and the rest of the provenance.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from bench.collections.collection import Collection
from bench.comparison import stated
from bench.comparison.compare import LoadCollection
from bench.comparison.stated import Found
from bench.comparison.stored import StoredResult, orphan_runs
from bench.errors import BenchError
from bench.evaluation.evaluate import evaluate
from bench.evaluation.prepare import PreparedTask, prepare
from bench.render.page import Notes, Page
from bench.rerankers import load as load_reranker
from bench.rerankers.base import CandidateList, Card, Options, Scored
from bench.results import Result, read_result, result_paths
from bench.run import Run
from bench.statistics import NOISE
from reranker.schema import read_json

LoadFirstStage = Callable[[Result], Run | None]
"""Gives the whole first-stage run that a result's candidates were taken from, or None where it is not available."""

_OF_FIRST_STAGE = {"protocol.first_stage", "protocol.first_stage_sha256", "candidates.first_stage"}
_OF_ALL_CANDIDATES = {"candidates.ceiling", "candidates.recall"}
"""What a run that lacks failed queries does not tell."""

SHOWN = 20  # differences printed for one file; a wrong run differs in every query


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in a result that is not what it should be."""

    path: Path
    key: str
    stored: str
    recomputed: str

    def __str__(self) -> str:
        return f"{self.path}: {self.key}: stored {self.stored}, recomputed {self.recomputed}"


@dataclass(frozen=True, slots=True)
class Unchecked:
    """One thing that could not be checked, and why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return self.reason if str(self.path.parent) in self.reason else f"{self.path}: {self.reason}"


@dataclass(slots=True)
class Verification:
    """What was found over some results, ``paths``."""

    paths: list[Path] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    unchecked: list[Unchecked] = field(default_factory=list)

    @property
    def verified(self) -> list[Path]:
        """The results of which everything was checked and is right."""
        others = {each.path for each in self.differences} | {each.path for each in self.unchecked}
        return [path for path in self.paths if path not in others]

    @property
    def exit_status(self) -> int:
        """0 all checked and right, 1 where anything differs, 2 where only something could not be checked."""
        if self.differences:
            return 1
        return 2 if self.unchecked else 0


def verify(
    places: Sequence[Path], load_collection: LoadCollection, load_first_stage: LoadFirstStage | None = None
) -> Verification:
    """Check some results.

    Args:
        places: Result files, or folders of them.
        load_collection: Where queries and judgements come from; the whole collection, before any choice of queries.
        load_first_stage: Where the candidates come from. Without it nothing is known of them, nor of the first stage's
            own figure.

    Raises:
        BenchError: where a place does not exist, holds no result, or cannot be read.
    """
    verification = Verification()
    for place in places:
        first: dict[Path, Path] = {}
        for path in result_paths([place]):
            verification.paths.append(path)
            try:
                stored = StoredResult(path, read_result(path))
                found = _stated(stored, place) | _copy(stored, first)
                verification.differences += [Difference(path, key, *pair) for key, pair in found.items()]
                if not stated.bounds(stored.result):
                    _verify(stored, load_collection, load_first_stage, verification)
            except BenchError as error:
                verification.unchecked.append(Unchecked(path, str(error)))
        for run in orphan_runs(place):
            verification.paths.append(run)
            verification.unchecked.append(Unchecked(run, f"{run} has no result.json in its folder."))
    return verification


def page(verification: Verification) -> Page:
    """What differs, what could not be checked, and how many results were verified."""
    by_path: dict[Path, list[Difference]] = {}
    for difference in verification.differences:
        by_path.setdefault(difference.path, []).append(difference)
    lines: list[str] = []
    for path, differences in by_path.items():
        lines += map(str, differences[:SHOWN])
        if len(differences) > SHOWN:
            lines.append(f"{path}: and {len(differences) - SHOWN} more differences")
    lines += (f"Could not check: {each}" for each in verification.unchecked)
    counts = f"{len(verification.verified)} of {len(verification.paths)} results verified."
    if by_path:
        counts += f" Different: {len(by_path)}."
    if verification.unchecked:
        counts += f" Checks that could not be made: {len(verification.unchecked)}."
    return Page((Notes((*lines, counts), whole=True),))


def _stated(stored: StoredResult, place: Path) -> Found:
    """What a result says wrong of all that needs no data."""
    content = read_json(stored.path, BenchError)  # once more: readers drop what they do not know
    return {
        **stated.misplaced(stored.path, place, stored.result),
        **stated.unknown_keys(content, stored.result),
        **stated.bounds(stored.result),
        **stated.differing_card(stored.result.reranker),
        **stated.differing_command(stored.result),
    }


def _copy(stored: StoredResult, first: dict[Path, Path]) -> Found:
    """Whether the same place holds one result, known by the folder that it belongs into, once more."""
    other = first.setdefault(stored.result.folder, stored.path)
    return {} if other == stored.path else {"copy": ("a second result", f"one, {other}")}


@dataclass(frozen=True, slots=True)
class _Replay:
    """A reranker that gives the scores of a stored run."""

    card: Card
    run: Run

    def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
        for candidates in lists:
            if candidates.query_id not in self.run.rankings:
                yield Scored(candidates.query_id, (), failure="the run has no order for it")
                continue
            scores = dict(self.run.rankings[candidates.query_id])
            yield Scored(candidates.query_id, tuple(scores[document_id] for document_id in candidates.ids))


def _verify(
    stored: StoredResult,
    load_collection: LoadCollection,
    load_first_stage: LoadFirstStage | None,
    verification: Verification,
) -> None:
    """Check one result against its run and the data; what is found is added to ``verification`` as it is found."""
    result, stored_hash, run = stored.result, stored.stored_sha256(), stored.stored_run()

    def record(found: Found) -> bool:
        verification.differences.extend(Difference(stored.path, key, *pair) for key, pair in found.items())
        return bool(found)

    wrong = record(_unequal({"run_sha256": result.run_sha256}, {"run_sha256": stored_hash}))
    collection = load_collection(result)
    if collection is None:
        raise BenchError(f"the collection of {result.task} is not available: no figure can be recomputed without it.")
    first_stage = load_first_stage(result) if load_first_stage else None
    if first_stage is None:
        verification.unchecked.append(Unchecked(stored.path, _without_first_stage(result)))
    settled = played = _prepared(collection, first_stage or run, result)
    failed = result.generation.failed if result.generation else 0
    if record(_candidates(run, settled.candidates, failed)):
        wrong, played = True, _prepared(collection, run, result)
    again, reordered = evaluate(played, _Replay(replace(result.reranker, needs=frozenset()), run))
    wrong |= record(_orders(run, reordered))
    if not wrong:
        # Scores and order are right: what is left is how the file spells them, and whether they are the reranker's.
        respelled = record(_unequal({"run.trec.gz": stored_hash}, {"run.trec.gz": reordered.sha256}))
        if first_stage is not None and not respelled:
            record(_rerun(run, settled, result.reranker))
    figures = _unequal(_flat(result), _flat(replace(again, protocol=settled.protocol)))
    library = figures.pop("protocol.measure_library", None)
    if library:
        reason = f"it was measured by {library[0]}, here is {library[1]}: install that."
        verification.unchecked.append(Unchecked(stored.path, reason))
    beyond = () if first_stage is not None else (*_OF_FIRST_STAGE, *(_OF_ALL_CANDIDATES if failed else ()))
    record({key: pair for key, pair in figures.items() if key not in beyond})


def _without_first_stage(result: Result) -> str:
    stage = result.protocol.first_stage
    if stage.startswith("dense:"):
        return f"its candidates: the dense first stage {stage!r} is not computed again."
    return f"its candidates: the first stage {stage!r} is not available. Give its run with --first-stage FILE."


def _rerun(run: Run, settled: PreparedTask, card: Card) -> Found:
    """Where an order-only reranker, run again, orders or scores otherwise; nothing for any other reranker."""
    options = stated.rerun_options(card)
    if options is None:
        return {}
    _, again = evaluate(settled, load_reranker(card.name, options))
    return _orders(run, again) or _unequal(
        {f"scores of {card.name}": run.sha256}, {f"scores of {card.name}": again.sha256}
    )


def _prepared(collection: Collection, first_stage: Run, result: Result) -> PreparedTask:
    """The prepared task of a result's protocol."""
    protocol = result.protocol
    options = Options(max_query_length=protocol.max_query_length, max_doc_length=protocol.max_doc_length)
    queries = None if protocol.query_subset == "all" else protocol.queries
    return prepare(collection, first_stage, protocol.depth, options, queries)


def _candidates(run: Run, candidates: Run, failed: int) -> Found:
    """The queries whose documents in the run are not exactly the first stage's candidates.

    As many queries as the result says ``failed`` have none in the run.
    """
    found: Found = {}
    absent = candidates.rankings.keys() - run.rankings.keys()
    if len(absent) == failed:
        present = {key: ranking for key, ranking in candidates.rankings.items() if key not in absent}
        candidates = replace(candidates, rankings=present)
    for query_id in dict.fromkeys([*candidates.rankings, *run.rankings]):
        ranked, given = (set(side.ids(query_id)) for side in (run, candidates))
        if ranked != given:
            found[f"candidates of query {query_id!r}"] = (_others(ranked - given), _others(given - ranked))
    return found


def _others(documents: set[str]) -> str:
    """Documents that only one side has, the first few by name."""
    if not documents:
        return "no others"
    more = f" and {len(documents) - 3} more" if len(documents) > 3 else ""
    return f"also {', '.join(map(repr, sorted(documents)[:3]))}{more}"


def _orders(run: Run, reordered: Run) -> Found:
    """The queries whose documents are not ordered by score, and then by the first stage."""
    found: Found = {}
    for query_id, again in reordered.orders.items():
        stored = run.ids(query_id)
        rank = next((rank for rank, pair in enumerate(zip(stored, again, strict=False)) if pair[0] != pair[1]), None)
        if rank is not None:
            found[f"rank {rank + 1} of query {query_id!r}"] = (repr(stored[rank]), repr(again[rank]))
    return found


def _flat(result: Result) -> dict[str, object]:
    """Everything of a result that its run and the data decide, by key."""
    parts = {
        "protocol": asdict(result.protocol),
        "measures": result.measures,
        "per_query": result.per_query,
        "candidates": asdict(result.candidates),
        "cost": {"lists": result.cost.lists, "documents": result.cost.documents},
    }
    flat: dict[str, object] = {"task": result.task}
    for part, content in parts.items():
        flat |= {f"{part}.{key}": value for key, value in content.items()}
    return flat


def _unequal(stored: Mapping[str, object], recomputed: Mapping[str, object]) -> Found:
    """The keys whose values differ; figures by more than another machine's rounding."""
    found: Found = {}
    for key in dict.fromkeys([*stored, *recomputed]):
        mine, again = stored.get(key), recomputed.get(key)
        close = isinstance(mine, float) and isinstance(again, float) and abs(mine - again) <= NOISE
        if mine != again and not close:
            found[key] = (_shown(mine), _shown(again))
    return found


def _shown(value: object) -> str:
    return "nothing" if value is None else str(value)
