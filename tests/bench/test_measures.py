"""Figures worked out by hand, and rules that hold for every ranking."""

from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.measures import STANDARD, Measure, mean, per_query


def figure(measure: str, grades: dict[str, int], ranking: list[str]) -> float:
    """One measure of one query's ranking."""
    parsed = Measure.parse(measure)
    return per_query({"q": grades}, {"q": ranking}, [parsed])[parsed]["q"]


def padded(rank: int) -> list[str]:
    """A list in which the document ``hit`` stands at the given rank, below others that nobody judged."""
    return [f"x{place}" for place in range(1, rank)] + ["hit"]


def test_ndcg_takes_grades_as_gains_and_divides_by_the_best_order():
    # gains 1, 0, 2 at ranks 1, 2, 3: 1/log2(2) + 0 + 2/log2(4) = 2; best order: 2/log2(2) + 1/log2(3) = 2.63093
    assert figure("nDCG@10", {"a": 2, "b": 1, "c": 0}, ["b", "c", "a"]) == pytest.approx(2 / 2.6309297536)


def test_ndcg_counts_relevant_documents_that_the_list_lacks():
    # 1/log2(2) = 1 of 1/log2(2) + 1/log2(3) = 1.63093
    assert figure("nDCG@10", {"a": 1, "missing": 1}, ["a", "b"]) == pytest.approx(1 / 1.6309297536)


def test_ndcg_is_cut_after_its_tenth_place_in_the_list_and_in_the_best_order():
    assert figure("nDCG@10", {"hit": 1}, padded(10)) == pytest.approx(1 / log2(11))
    assert figure("nDCG@10", {"hit": 1}, padded(11)) == 0
    # Twelve relevant documents, of which ten fill the list: the best order has no more than ten places either.
    relevant = {f"r{place}": 1 for place in range(12)}
    assert figure("nDCG@10", relevant, list(relevant)[:10]) == pytest.approx(1)


@pytest.mark.parametrize(("rank", "expected"), [(1, 1.0), (3, 1 / 3), (10, 0.1), (11, 0.0)])
def test_mrr_is_zero_below_its_cut_off(rank: int, expected: float):
    assert figure("MRR@10", {"hit": 1}, padded(rank)) == pytest.approx(expected)


@given(rank=st.integers(1, 150), cut=st.integers(1, 150))
def test_mrr_at_every_cut_off(rank: int, cut: int):
    assert figure(f"MRR@{cut}", {"hit": 1}, padded(rank)) == (1 / rank if rank <= cut else 0)


def test_map_averages_precision_over_all_relevant_documents():
    # relevant at ranks 1 and 3, and one not found: (1/1 + 2/3 + 0) / 3
    assert figure("MAP", {"a": 1, "c": 2, "missing": 1}, ["a", "b", "c"]) == pytest.approx(5 / 9)


def test_map_may_be_cut():
    # of three relevant documents the first two places hold one, at rank 1
    assert figure("AP@2", {"a": 1, "c": 2, "missing": 1}, ["a", "b", "c"]) == pytest.approx(1 / 3)


def test_mrr_may_be_of_the_whole_list():
    assert figure("RR", {"hit": 1}, padded(40)) == pytest.approx(1 / 40)


@pytest.mark.parametrize(
    ("measure", "expected"),
    # by rel=2 b and the missing one are relevant: b at rank 2
    [("RR(rel=2)@10", 1 / 2), ("RR(rel=2)", 1 / 2), ("AP(rel=2)", 1 / 4), ("P(rel=2)@10", 1 / 10),
     ("R(rel=2)@10", 1 / 2), ("Success(rel=2)@1", 0), ("MRR(rel=1)@10", 1), ("R(rel=3)@10", 0), ("R(rel=4)@10", 0)],
)  # fmt: skip
def test_a_level_says_from_which_grade_a_document_is_relevant(measure: str, expected: float):
    assert figure(measure, {"a": 1, "b": 2, "c": 0, "missing": 3}, ["a", "b", "c"]) == pytest.approx(expected)


def test_levels_side_by_side_do_not_mix():
    measures = [Measure.parse(text) for text in ("nDCG@10", "R@10", "R(rel=2)@10")]
    found = per_query({"q": {"a": 1, "b": 2}}, {"q": ["a"]}, measures)
    # the gain of a is 1; the best order's are 2 and 1
    assert [each["q"] for each in found.values()] == [pytest.approx(1 / (2 + 1 / log2(3))), 1 / 2, 0]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("RR@10", "MRR@10"), ("AP", "MAP"), ("AP(rel=2)@1000", "MAP(rel=2)@1000"), ("Recall@5", "R@5"),
     ("Judged@10", "judged@10"), ("NDCG@5", "nDCG@5"), ("Precision(rel=1)@3", "P@3")],
)  # fmt: skip
def test_ir_measures_other_names_are_read(theirs: str, ours: str):
    assert str(Measure.parse(theirs)) == ours
    assert Measure.parse(ours) == Measure.parse(theirs)


@pytest.mark.parametrize(
    "text", ["nDCG(rel=2)@10", "judged(rel=2)@10", "P(rel=0)@10", "P(rel=1001)@1", "P(rel=2)", "RR@0"]
)
def test_a_level_or_cut_off_that_does_not_fit_is_refused(text: str):
    with pytest.raises(BenchError, match="Unknown measure"):
        Measure.parse(text)


def test_precision_divides_by_the_cut_off_even_where_the_list_is_shorter():
    assert figure("P@10", {"a": 1, "c": 1}, ["a", "b", "c"]) == pytest.approx(2 / 10)


def test_recall_divides_by_the_relevant_documents():
    relevant = {f"r{place}": 1 for place in range(12)}
    assert figure("R@10", relevant, list(relevant)) == pytest.approx(10 / 12)
    assert figure("R@100", relevant, list(relevant)[:9]) == pytest.approx(9 / 12)
    assert figure("R@100", {"hit": 1, "missing": 1}, padded(100)) == pytest.approx(1 / 2)
    assert figure("R@100", {"hit": 1, "missing": 1}, padded(101)) == 0


def test_success_is_one_where_any_relevant_document_is_found():
    assert figure("Success@10", {"hit": 1, "missing": 1}, padded(10)) == 1
    assert figure("Success@10", {"hit": 1}, padded(11)) == 0


def test_judged_is_a_share_of_the_documents_there_are():
    grades = {"a": 2, "b": 0, "c": -1}
    assert figure("judged@10", grades, ["a", "b", "x", "c"]) == pytest.approx(3 / 4)
    assert figure("judged@2", grades, ["a", "x", "b"]) == pytest.approx(1 / 2)
    assert figure("judged@10", grades, []) == 0


@pytest.mark.parametrize(
    ("measure", "expected"),
    # a is judged -1 (two of trec-covid's are), b 1: the figures of a list whose second document alone is relevant
    [("nDCG@10", 1 / log2(3)), ("MRR@10", 1 / 2), ("MAP", 1 / 2), ("P@10", 1 / 10), ("R@10", 1), ("Success@1", 0)],
)
def test_a_negative_judgement_is_not_relevant_and_costs_nothing(measure: str, expected: float):
    assert figure(measure, {"a": -1, "b": 1}, ["a", "b"]) == pytest.approx(expected)
    assert figure(measure, {"a": -1, "b": 1}, ["a", "b"]) == figure(measure, {"a": 0, "b": 1}, ["a", "b"])


@pytest.mark.parametrize("grade", [-2, -3, -1_000, -(2**31), -(2**63), -(2**70)])
def test_a_query_judged_below_0_alone_counts_as_0(grade: int):
    # The measure library makes room for the best grade plus one, and writes there: below -1 it crashed.
    judgements = {"q1": {"d1": 2, "d4": 1}, "q2": {"d2": grade}, "q3": {"d3": 1}}
    ranking = {"q1": ["d1", "d2", "d3", "d4"], "q2": ["d2", "d1"], "q3": ["d3"]}
    for measure in STANDARD[:-1]:
        figures = per_query(judgements, ranking, [measure])[measure]
        assert figures == per_query(judgements | {"q2": {"d2": 0}}, ranking, [measure])[measure]
        assert (figures["q2"], figures["q3"]) == (0, pytest.approx(figures["q3"]))


def test_a_judgement_below_0_is_a_judgement():
    assert figure("judged@10", {"a": -1, "b": -2}, ["a", "b", "c"]) == pytest.approx(2 / 3)


def test_a_grade_beyond_what_the_library_can_count_is_refused():
    with pytest.raises(BenchError, match="grade is 2147483647: give grades up to 1,000"):
        figure("nDCG@10", {"a": 2**31 - 1}, ["a"])


@pytest.mark.parametrize("identifier", ["a\0b", "\ud800", "", " ", "x" * 100_000])
def test_an_id_may_be_any_text(identifier: str):
    # As C text, ids would end at their first NUL, and be one.
    grades = {identifier: 1, f"{identifier}c": 0, "a": 0}
    ndcg = Measure.parse("nDCG@10")
    found = per_query({identifier: grades, "q": {"d": 1}}, {identifier: [f"{identifier}c", identifier]}, [ndcg])[ndcg]
    assert found == {identifier: pytest.approx(1 / log2(3)), "q": 0}


def test_nothing_judged_and_nothing_ranked_is_0():
    ndcg, judged = Measure.parse("nDCG@10"), Measure.parse("judged@10")
    assert per_query({}, {"q": ["a"]}, [ndcg]) == {ndcg: {}}
    assert per_query({"q": {}}, {"q": ["a"]}, [ndcg, judged]) == {ndcg: {"q": 0}, judged: {"q": 0}}
    assert per_query({"q": {}}, {}, [ndcg]) == {ndcg: {"q": 0}}


def test_every_judged_query_counts():
    ndcg = Measure.parse("nDCG@10")
    judgements = {"found": {"a": 1}, "no candidates": {"a": 1}, "empty list": {"a": 1}, "nothing relevant": {"a": 0}}
    figures = per_query(judgements, {"found": ["a"], "empty list": [], "nothing relevant": ["a"]}, [ndcg])[ndcg]
    assert figures == {"found": 1, "no candidates": 0, "empty list": 0, "nothing relevant": 0}
    assert mean(figures) == 1 / 4


def test_queries_that_nobody_judged_do_not_count():
    ndcg = Measure.parse("nDCG@10")
    assert per_query({"q": {"a": 1}}, {"q": ["a"], "other": ["b"]}, [ndcg])[ndcg] == {"q": 1}


def test_several_measures_of_one_name_stand_apart():
    measures = [Measure.parse(text) for text in ("R@1", "R@10", "nDCG@1", "nDCG@10")]
    answer = per_query({"q": {"hit": 1}}, {"q": padded(2)}, measures)
    assert [answer[measure]["q"] for measure in measures] == pytest.approx([0, 1, 0, 1 / log2(3)])


NAMES = st.text("abz019-_", min_size=1, max_size=4)
GRADED = st.dictionaries(NAMES, st.integers(-1, 3), min_size=1, max_size=12)


@given(grades=GRADED, data=st.data())
def test_a_documents_name_never_changes_a_figure(grades: dict[str, int], data: st.DataObject):
    pool = list(grades) + [f"unjudged {place}" for place in range(4)]
    ranking = data.draw(st.permutations(pool))
    renamed = dict(zip(pool, data.draw(st.permutations([f"{place:03}" for place in range(len(pool))])), strict=True))
    other = {renamed[name]: grade for name, grade in grades.items()}
    before = per_query({"q": grades}, {"q": ranking}, STANDARD)
    after = per_query({"q": other}, {"q": [renamed[name] for name in ranking]}, STANDARD)
    assert before == after
    assert all(0 <= each["q"] <= 1 for each in before.values())


@given(grades=GRADED, data=st.data())
def test_figures_are_those_of_the_definitions(grades: dict[str, int], data: st.DataObject):
    pool = list(grades) + [f"unjudged {place}" for place in range(15)]
    ranking = data.draw(st.permutations(pool))[: data.draw(st.integers(1, len(pool)))]
    gains = [max(grades.get(name, 0), 0) for name in ranking]
    relevant = sum(grade > 0 for grade in grades.values())
    ideal = sum(g / log2(r + 2) for r, g in enumerate(sorted((max(g, 0) for g in grades.values()), reverse=True)[:10]))
    hits = [rank for rank, gain in enumerate(gains, start=1) if gain > 0]
    expected = {
        "nDCG@10": sum(gain / log2(rank + 2) for rank, gain in enumerate(gains[:10])) / ideal if ideal else 0,
        "MRR@10": 1 / hits[0] if hits and hits[0] <= 10 else 0,
        "MAP": sum(count / rank for count, rank in enumerate(hits, start=1)) / relevant if relevant else 0,
        "P@10": sum(gain > 0 for gain in gains[:10]) / 10,
        "R@10": sum(gain > 0 for gain in gains[:10]) / relevant if relevant else 0,
        "R@100": len(hits) / relevant if relevant else 0,
        "judged@10": sum(name in grades for name in ranking[:10]) / len(ranking[:10]),
    }
    found = per_query({"q": grades}, {"q": ranking}, STANDARD)
    assert {str(measure): of_query["q"] for measure, of_query in found.items()} == pytest.approx(expected)


@pytest.mark.parametrize("text", ["nDCG@10", "MRR@10", "MAP", "P@5", "R@100", "Success@20", "judged@10"])
def test_a_measure_prints_as_it_parses(text: str):
    assert str(Measure.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nDCG",
        "nDCG@0",
        "nDCG@-1",
        "nDCG@010",
        "nDCG@10 ",
        "nDCG@1000000000",
        "nDCG@１",
        "ndcg@10",
        "nDCG@ten",
        "judged",
        "NDCG@1@2",
    ],
)
def test_a_measure_that_is_not_known_is_named(text: str):
    with pytest.raises(BenchError, match="Unknown measure") as caught:
        Measure.parse(text)
    assert repr(text) in str(caught.value)
