"""Measures: what a ranking is worth against judgements, by pytrec_eval, named as ir_measures names them.

Two rules of ours come before the library (which orders equal scores by document name and drops queries that the run
lacks): a ranking is an order, so the library gets strictly decreasing scores; and every judged query counts, one
without candidates with 0. The library is C code that trusts its input, so it gets numbers in place of the users' ids,
and grades from 0 to `MAX_GRADE`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from bench.errors import BenchError

Judgements = Mapping[str, Mapping[str, int]]
"""``judgements[query id][document id]`` is a grade; above 0 is relevant, and what is below 0 counts as 0."""

MAX_GRADE = 1_000
"""The library keeps a counter for each grade up to the highest, so one slip could take all memory."""

_NAMES = {"nDCG": "ndcg_cut", "P": "P", "R": "recall", "Success": "success", "MRR": "recip_rank", "MAP": "map"}
_NEEDS_CUT = {"nDCG", "P", "R", "Success", "MRR", "judged"}


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure and its cut-off, as in ``nDCG@10``; prints and parses as that text. ``cut`` None is the whole list.

    ``R@k`` is the share of the relevant documents that are in the first k; ``Success@k`` is 1 where at least one
    does (what MKQA's papers call Recall@k); ``judged@k`` the share of the first k that have a judgement, whatever its
    grade, as in ir_measures. (trec_eval takes a grade below 0 for "in the pool, but not judged".)
    """

    name: str
    cut: int | None = None

    def __str__(self) -> str:
        return self.name if self.cut is None else f"{self.name}@{self.cut}"

    @classmethod
    def parse(cls, text: str) -> "Measure":
        """Read ``name`` or ``name@cut``.

        Raises:
            BenchError: for a name that is not known or a cut-off that is missing, needless or not from 1 to 999999999.
        """
        match = re.fullmatch(r"([A-Za-z]+)(?:@([1-9][0-9]{0,8}))?", text, re.ASCII)
        name, cut = (match[1], match[2]) if match else (text, None)
        known = name in _NAMES or name == "judged"
        if not known or (name in _NEEDS_CUT) != (cut is not None):
            raise BenchError(f"Unknown measure {text!r}. Known: nDCG@k, MRR@k, MAP, P@k, R@k, Success@k, judged@k.")
        return cls(name, int(cut) if cut else None)


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
    requests = {_request(measure) for measure in measures if measure.name != "judged"}
    answers = _answers([(judgements[query_id], rankings[query_id]) for query_id in ranked], requests)
    of_query = dict(zip(ranked, answers, strict=True))
    return {
        measure: {
            query_id: _figure(measure, of_query.get(query_id, {}), grades, rankings.get(query_id, ()))
            for query_id, grades in judgements.items()
        }
        for measure in measures
    }


def _answers(
    queries: Sequence[tuple[Mapping[str, int], Sequence[str]]], requests: set[str]
) -> list[Mapping[str, float]]:
    """The library's figures for each query, given as its grades and its ranking; neither is empty."""
    if not queries or not requests:
        return [{} for _ in queries]
    import pytrec_eval

    judged: dict[str, dict[str, int]] = {}
    runs: dict[str, dict[str, float]] = {}
    for number, (grades, ranking) in enumerate(queries):
        names = {document_id: str(place) for place, document_id in enumerate(dict.fromkeys([*ranking, *grades]))}
        judged[str(number)] = {names[document_id]: _gain(grade) for document_id, grade in grades.items()}
        # Scores that spell out an order: whole numbers, which the library's single precision holds exactly.
        runs[str(number)] = {
            names[document_id]: float(len(ranking) - place) for place, document_id in enumerate(ranking)
        }
    found = pytrec_eval.RelevanceEvaluator(judged, requests).evaluate(runs)
    return [found[str(number)] for number in range(len(queries))]


def _gain(grade: int) -> int:
    if grade > MAX_GRADE:
        raise BenchError(f"A judgement's grade is {grade}: give grades up to {MAX_GRADE:,}.")
    return max(int(grade), 0)


def mean(figures: Mapping[str, float]) -> float:
    """The arithmetic mean over queries, at least one."""
    return sum(figures.values()) / len(figures)


def _request(measure: Measure) -> str:
    """The measure in the library's words; its recip_rank and map take no cut-off."""
    name = _NAMES[measure.name]
    return name if name in ("recip_rank", "map") else f"{name}.{measure.cut}"


def _figure(measure: Measure, answer: Mapping[str, float], grades: Mapping[str, int], ranking: Sequence[str]) -> float:
    if measure.name == "judged":
        return _judged(grades, ranking, measure.cut or 0)
    figure = float(answer.get(_request(measure).replace(".", "_"), 0.0))
    if measure.name == "MRR" and measure.cut and figure < 1 / measure.cut:
        return 0.0  # the first relevant document is below the cut-off
    return figure


def _judged(grades: Mapping[str, int], ranking: Sequence[str], cut: int) -> float:
    # Over the documents there are: a list shorter than the cut-off is not unjudged where it ends.
    top = ranking[:cut]
    return sum(document_id in grades for document_id in top) / len(top) if top else 0.0
