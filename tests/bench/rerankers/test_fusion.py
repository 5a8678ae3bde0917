import pytest

from bench.errors import BenchError
from bench.rerankers import load
from bench.rerankers.base import Options, Scored
from bench.rerankers.fusion import fused


def test_worked_out_by_hand():
    """First stage 1, 2, 3; the reranker puts the third first, then the first, then the second."""
    assert fused([0.5, 0.1, 0.9]) == pytest.approx([1 / 61 + 1 / 62, 1 / 62 + 1 / 63, 1 / 63 + 1 / 61])


def test_equal_scores_rank_in_the_first_stages_order():
    assert fused([1.0, 1.0]) == pytest.approx([2 / 61, 2 / 62])


def test_empty():
    assert fused([]) == ()


def test_with_reverse_all_outer_pairs_tie(lists):
    (answer, *_) = load("fusion:reverse", Options()).score(lists[:1])
    assert answer.scores == answer.scores[::-1]


def test_card_is_the_rerankers_with_a_name_and_fingerprint_of_its_own():
    inner, outer = load("oracle", Options()).card, load("fusion:oracle", Options()).card
    assert (outer.name, outer.family, outer.listwise) == ("fusion:oracle", "fusion", True)
    assert outer.needs == inner.needs
    assert outer.fingerprint != inner.fingerprint
    assert outer.settings["fused"] == "oracle"


def test_counts_are_the_rerankers():
    options = Options(device="cpu", max_doc_length=2)
    from bench.rerankers.base import CandidateList

    given = [CandidateList("q", "moon", ("a", "b"), (2.0, 1.0), ("the cold moon of the earth", "tea"))]
    (plain,), (fused_answer,) = load("minilm", options).score(given), load("fusion:minilm", options).score(given)
    assert plain.documents_cut == fused_answer.documents_cut == 1
    assert plain.tokens == fused_answer.tokens


def test_scores_that_are_not_finite_are_not_hidden():
    fusion = load("fusion:oracle", Options())
    assert fusion.fuse(Scored("q", (1.0, float("inf")))).scores == (1.0, float("inf"))


def test_unknown_inner_reranker():
    with pytest.raises(BenchError, match="Did you mean 'minilm'"):
        load("fusion:minlm", Options())
