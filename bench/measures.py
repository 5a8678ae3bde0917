"""Measures: what a ranking is worth against judgements, by pytrec_eval, named as ir_measures names them.

Where ir_measures has two names, ours is the older, MRR for RR and MAP for AP, and judged@k is its Judged@k; both are
read.

Two rules of ours come before the library (which orders equal scores by document name and drops queries that the run
lacks): a ranking is an order, so the library gets strictly decreasing scores; and every judged query counts, one
without candidates with 0. The library is C code that trusts its input, so it gets numbers in place of the users' ids,
and grades from 0 to `MAX_GRADE`.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from itertools import count

from bench.errors import BenchError

Judgements = Mapping[str, Mapping[str, int]]
"""``judgements[query id][document id]`` is a grade; above 0 is relevant, and what is below 0 counts as 0."""

MAX_GRADE = 1_000
"""The library keeps a counter for each grade up to the highest, so one slip could take all memory."""

_NAMES = {"nDCG": "ndcg_cut", "P": "P", "R": "recall", "Success": "success", "MRR": "recip_rank", "MAP": "map"}
_NEEDS_CUT = {"nDCG", "P", "R", "Success", "judged"}
_WITHOUT_LEVEL = {"nDCG", "judged"}
_ALIASES = {"RR": "MRR", "AP": "MAP", "NDCG": "nDCG", "Precision": "P", "Recall": "R", "Judged": "judged"}
"""ir_measures' other names for the same."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure and its cut-off, as in ``nDCG@10``; prints and parses as that text. ``cut`` None is the whole list.

    ``R@k`` is the share of the relevant documents that are in the first k; ``Success@k`` is 1 where at least one
    does (what MKQA's papers call Recall@k); ``judged@k`` the share of the first k that have a judgement, whatever its
    grade, as in ir_measures. (trec_eval takes a grade below 0 for "in the pool, but not judged".) ``level`` is the
    grade from which a document is relevant, ``rel=2`` in ``RR(rel=2)@10``; nDCG, which weighs grades, has none.
    """

    name: str
    cut: int | None = None
    level: int = 1

    def __str__(self) -> str:
        name = self.name if self.level == 1 else f"{self.name}(rel={self.level})"
        return name if self.cut is None else f"{name}@{self.cut}"

    @classmethod
    def parse(cls, text: str) -> "Measure":
        """Read ``name``, ``name@cut``, or ``name(rel=level)@cut``.

        Raises:
            BenchError: for a name that is not known, a cut-off that is missing or not from 1 to 999999999, or a level
                that is needless or not from 1 to `MAX_GRADE`.
        """
        match = re.fullmatch(r"([A-Za-z]+)(?:\(rel=([1-9][0-9]{0,3})\))?(?:@([1-9][0-9]{0,8}))?", text, re.ASCII)
        name, level, cut = (match[1], match[2], match[3]) if match else (text, None, None)
        name = _ALIASES.get(name, name)
        if (name not in _NAMES and name != "judged") or (name in _NEEDS_CUT and cut is None):
            raise BenchError(
                f"Unknown measure {text!r}. Known: nDCG@k, MRR@k, MAP, P@k, R@k, Success@k, judged@k, and ir_measures' "
                "names for them; MRR and MAP with or without @k; all but nDCG and judged with a level: P(rel=2)@k."
            )
        if level and (name in _WITHOUT_LEVEL or int(level) > MAX_GRADE):
            raise BenchError(f"Unknown measure {text!r}: {name} takes no rel={level}. Leave it out.")
        return cls(name, int(cut) if cut else None, int(level or 1))


STANDARD = tuple(Measure.parse(text) for text in ("nDCG@10", "MRR@10", "MAP", "P@10", "R@10", "R@100", "judged@10"))
"""What every result reports along with its task's main measure."""


def library() -> str:
    """The measure library and its version, as a protocol names it."""
    return f"pytrec_eval-terrier {version('pytrec_eval-terrier')}"


def per_query(
    judgements: Judgements, rankings: Mapping[str, Sequence[str]], measures: Sequence[Measure]
) -> dict[Measure, dict[str, float]]:
    """Each measure's figure for every judged query, 0 to 1.

    ``rankings[query id]`` are document ids, best first. Queries without judgements are left out, judged queries
    without a ranking score 0.
    """
    ranked = [query_id for query_id, grades in judgements.items() if grades and rankings.get(query_id)]
    asked = [(judgements[query_id], rankings[query_id]) for query_id in ranked]
    of_query: dict[int, dict[str, Mapping[str, float]]] = {}
    for level in {measure.level for measure in measures}:
        requests = {_request(each) for each in measures if each.name != "judged" and each.level == level}
        of_query[level] = dict(zip(ranked, _answers(asked, requests, level), strict=True))
    return {measure: _figures(measure, of_query[measure.level], judgements, rankings) for measure in measures}


def _answers(
    queries: Sequence[tuple[Mapping[str, int], Sequence[str]]], requests: set[str], level: int
) -> list[Mapping[str, float]]:
    """The library's figures for each query, given as its grades and its ranking; neither is empty.

    What is relevant from ``level`` on is passed on as grades of 0 and 1, except at 1, where nDCG needs the grades.
    """
    if not queries or not requests:
        return [{} for _ in queries]
    import pytrec_eval

    # A document's name is its place in the ranking; those that only have a judgement come after.
    names = [str(place) for place in range(max(len(ranking) for _, ranking in queries))]

    @cache
    def by_length(documents: int) -> dict[str, float]:
        # Scores that spell out an order: whole numbers, which the library's single precision holds exactly.
        return dict(zip(names, map(float, range(documents, 0, -1)), strict=False))

    judged: dict[str, dict[str, int]] = {}
    runs: dict[str, dict[str, float]] = {}
    for number, (grades, ranking) in enumerate(queries):
        places = dict(zip(dict.fromkeys(ranking), names, strict=False))
        others = map(str, count(len(places)))
        gains = _gains(grades.values(), level)
        judged[str(number)] = {
            places.get(document_id) or next(others): gain for document_id, gain in zip(grades, gains, strict=True)
        }
        runs[str(number)] = by_length(len(places))
    found = pytrec_eval.RelevanceEvaluator(judged, requests).evaluate(runs)
    return [found[str(number)] for number in range(len(queries))]


def _gains(grades: Collection[int], level: int) -> list[int]:
    if (highest := max(grades)) > MAX_GRADE:
        raise BenchError(f"A judgement's grade is {highest}: give grades up to {MAX_GRADE:,}.")
    return (
        [int(grade) if grade > 0 else 0 for grade in grades]
        if level == 1
        else [int(grade >= level) for grade in grades]
    )


def mean(figures: Mapping[str, float]) -> float:
    """The arithmetic mean over queries, at least one."""
    return sum(figures.values()) / len(figures)


def _request(measure: Measure) -> str:
    """The measure in the library's words; its recip_rank takes no cut-off."""
    name = _NAMES[measure.name]
    if name == "map" and measure.cut:
        name = "map_cut"
    return name if name in ("recip_rank", "map") else f"{name}.{measure.cut}"


def _figures(
    measure: Measure,
    answers: Mapping[str, Mapping[str, float]],
    judgements: Judgements,
    rankings: Mapping[str, Sequence[str]],
) -> dict[str, float]:
    if measure.name == "judged":
        cut = measure.cut or 0
        return {query_id: _judged(grades, rankings.get(query_id, ())[:cut]) for query_id, grades in judgements.items()}
    name = _request(measure).replace(".", "_")
    figures = {query_id: float(answers[query_id][name]) if query_id in answers else 0.0 for query_id in judgements}
    if measure.name == "MRR" and measure.cut:
        least = 1 / measure.cut  # less means that the first relevant document is below the cut-off
        return {query_id: figure if figure >= least else 0.0 for query_id, figure in figures.items()}
    return figures


def _judged(grades: Mapping[str, int], top: Sequence[str]) -> float:
    # Over the documents there are: a list shorter than the cut-off is not unjudged where it ends.
    return sum(document_id in grades for document_id in top) / len(top) if top else 0.0
