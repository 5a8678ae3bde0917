"""TREC run files: what is read, what is refused, and that writing and reading are each other's inverse."""

import gzip
import hashlib
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.run import Run, rank_by_score, read_run, strictly_decreasing, write_run


def read(tmp_path: Path, text: str) -> Run:
    path = tmp_path / "some.trec"
    path.write_bytes(text.encode())
    return read_run(path)


def orders(run: Run) -> dict[str, list[str]]:
    return {query_id: [document_id for document_id, _ in ranking] for query_id, ranking in run.rankings.items()}


def test_a_run_is_ordered_by_score_whatever_its_lines_order(tmp_path: Path):
    run = read(
        tmp_path,
        """
        q1 Q0 d1 3 1.5 bm25
        q2 Q0 d9 1 7 bm25
        q1 Q0 d2 1 2.5 bm25
        q1 Q0 d3 2 -1e-3 bm25
        """,
    )
    assert run.name == "bm25"
    assert run.rankings == {"q1": [("d2", 2.5), ("d1", 1.5), ("d3", -0.001)], "q2": [("d9", 7.0)]}


def test_equal_scores_go_by_rank_and_then_by_line_never_by_name(tmp_path: Path):
    assert orders(read(tmp_path, "q Q0 a 3 1 r\nq Q0 b 1 1 r\nq Q0 c 2 1 r\nq Q0 z 9 2 r\n")) == {
        "q": ["z", "b", "c", "a"]
    }
    assert orders(read(tmp_path, "q Q0 z 0 1 r\nq Q0 a 0 1 r\nq Q0 m 0 1 r\n")) == {"q": ["z", "a", "m"]}


def test_score_stands_above_rank(tmp_path: Path):
    assert orders(read(tmp_path, "q Q0 a 1 0.1 r\nq Q0 b 2 0.9 r\n")) == {"q": ["b", "a"]}


@pytest.mark.parametrize(
    "text",
    ["q Q0 a 1 2 r\r\nq Q0 b 2 1 r\r\n", "q\tQ0\ta\t1\t2\tr\nq\tQ0\tb\t2\t1\tr",
     "\n\nq  Q0  a 1 2 r \n \n q Q0 b 2 1 r\n",
     "\ufeffq Q0 a 1 2 r\nq Q0 b 2 1 r\n"],
    ids=["carriage returns", "tabs, no last line end", "blank lines and spaces", "byte order mark"],
)  # fmt: skip
def test_line_ends_and_spaces_do_not_matter(tmp_path: Path, text: str):
    assert read(tmp_path, text) == Run("r", {"q": [("a", 2.0), ("b", 1.0)]})


def test_ids_in_any_script(tmp_path: Path):
    assert orders(read(tmp_path, "質問-1 Q0 <dbpedia:Curaçao_(país)> 1 2 r\n")) == {
        "質問-1": ["<dbpedia:Curaçao_(país)>"]
    }


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("q Q0 d 1 2", "expected 6 fields .* found 5"),
        ("q Q0 two words 1 2 r", "rank 'words'"),
        ("q Q0 number 7 1 2 r", "found 7, the sixth being a number: does an id hold a blank"),
        ("q Q0 d 1 1_0 r", "score '1_0'"),
        ("q Q0 d 1_0 2 r", "rank '1_0'"),
        ("q Q0 d 1 \u0661 r", "score '\u0661'"),
        ("q Q0 d \uff11 2 r", "rank '\uff11'"),
        ("q Q0 d 1 0x1p3 r", "score '0x1p3'"),
        ("q Q0 d 1 nan r", "finite"),
        ("q Q0 d 1 inf r", "finite"),
        ("q Q0 d 1 -inf r", "finite"),
        ("q Q0 d 1 1e999 r", "finite"),
        ("q Q0 d nan 2 r", "finite"),
        ("q Q0 d 1 high r", "score 'high'"),
        ("q Q0 d first 2 r", "rank 'first'"),
        ("q Q0 known 2 1 r", "document 'known' occurs twice for query 'q'"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str, reason: str):
    with pytest.raises(BenchError, match=reason) as caught:
        read(tmp_path, f"q Q0 known 1 3 r\n\n{line}\nq Q0 after 9 0 r\n")
    assert f"{tmp_path / 'some.trec'}, line 3: " in str(caught.value)


def test_a_name_may_hold_blanks_as_trec_eval_reads_it(tmp_path: Path):
    assert read(tmp_path, "q Q0 a 1 2 my  second run \r\nq Q0 b 2 1 my second run\n") == Run(
        "my_second_run", {"q": [("a", 2.0), ("b", 1.0)]}
    )


def test_white_space_is_asciis_alone_as_trec_eval_reads_it(tmp_path: Path):
    assert orders(read(tmp_path, "q\u00a01 Q0 a\u30001 1 2 r\n")) == {"q\u00a01": ["a\u30001"]}


@pytest.mark.parametrize("number", ["1", "+1", "1.", ".5", "-1e3", "1E+2", "007", "0.1"])
def test_numbers_as_other_tools_read_them(tmp_path: Path, number: str):
    assert read(tmp_path, f"q Q0 a {number} {number} r\n").rankings == {"q": [("a", float(number))]}


@pytest.mark.parametrize("text", ["", "\n \n\t\n"])
def test_an_empty_run_is_refused(tmp_path: Path, text: str):
    with pytest.raises(BenchError, match=r"some\.trec: the run is empty"):
        read(tmp_path, text)


def test_a_torn_run_is_refused_and_not_read_in_part(tmp_path: Path):
    path = tmp_path / "torn.trec.gz"
    whole = gzip.compress("".join(f"q Q0 d{n} {n} {1000 - n} r\n" for n in range(1000)).encode())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BenchError, match=r"torn\.trec\.gz is a damaged gzip file"):
        read_run(path)


WORD = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], exclude_characters="\ufeff"),
    min_size=1,
    max_size=6,
)
SCORES = st.lists(
    st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 1.0]), min_size=1, max_size=8
)


@st.composite
def runs(draw: st.DrawFn) -> Run:
    rankings = {}
    for query_id in draw(st.lists(WORD, min_size=1, max_size=4, unique=True)):
        scores = sorted(draw(SCORES), reverse=True)
        ids = draw(st.lists(WORD, min_size=len(scores), max_size=len(scores), unique=True))
        rankings[query_id] = list(zip(ids, scores, strict=True))
    return Run(draw(WORD), rankings)


@given(run=runs())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_writing_and_reading_give_the_same_run(tmp_path: Path, run: Run):
    write_run(run, tmp_path / "run.trec.gz")
    again = read_run(tmp_path / "run.trec.gz")
    assert again == run
    assert list(again.rankings) == list(run.rankings)
    assert again.sha256 == run.sha256


def test_the_same_run_always_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = Run("r", {"q": [("a", 0.1 + 0.2), ("b", 1e-300)]})
    write_run(run, tmp_path / "now" / "run.trec.gz")
    monkeypatch.setattr(time, "time", lambda: 86_400.0)
    write_run(run, tmp_path / "another day" / "other.name.gz")
    written = (tmp_path / "now" / "run.trec.gz").read_bytes()
    assert written == (tmp_path / "another day" / "other.name.gz").read_bytes()
    assert gzip.decompress(written) == b"q Q0 a 1 0.30000000000000004 r\nq Q0 b 2 1e-300 r\n"


def test_the_hash_is_of_the_text_and_not_of_its_packing(tmp_path: Path):
    text = b"q Q0 a 1 2.0 r\nq Q0 b 2 1.0 r\n"
    (tmp_path / "plain.trec").write_bytes(text)
    (tmp_path / "packed.trec").write_bytes(gzip.compress(text, 1))
    hashes = {read_run(tmp_path / name).sha256 for name in ("plain.trec", "packed.trec")}
    assert hashes == {hashlib.sha256(text).hexdigest()}


def test_the_top_of_a_run(tmp_path: Path):
    run = read(tmp_path, "q Q0 a 1 3 r\nq Q0 b 2 2 r\nq Q0 c 3 1 r\np Q0 a 1 1 r\n")
    assert orders(run.top(2)) == {"q": ["a", "b"], "p": ["a"]}


def test_ranking_by_score_keeps_the_candidates_order_among_equals():
    assert rank_by_score(["z", "a", "m", "b"], [1, 2, 1, 2]) == [("a", 2), ("b", 2), ("z", 1), ("m", 1)]
    with pytest.raises(ValueError):
        rank_by_score(["a", "b"], [1.0])


@given(scores=st.lists(st.integers(-2, 2).map(float), max_size=30))
def test_ranking_by_score_is_a_stable_sort(scores: list[float]):
    ids = [f"{-place:04}" for place in range(len(scores))]
    ranked = rank_by_score(ids, scores)
    assert sorted(ranked) == sorted(zip(ids, scores, strict=True))
    places = [(-score, ids.index(document_id)) for document_id, score in ranked]
    assert places == sorted(places)


ADVERSARIAL = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=3),
    min_size=1, max_size=12, unique=True,
)  # fmt: skip
NEAR = st.sampled_from(
    [0.0, -0.0, 1.0, 1.0 + 1e-12, 1.0 - 1e-12, 0.1, 1e-45, -1e-45, 1e-300, 1e30, -1e30, 1e38, 3.4028235e38,
     -3.4028235e38, 1e300, -1e300, 16777217.0, 16777216.0]
)  # fmt: skip


@given(data=st.data(), ids=ADVERSARIAL)
def test_trec_tools_see_the_order_that_we_measured(data: st.DataObject, ids: list[str]):
    import pytrec_eval

    scores = data.draw(
        st.lists(NEAR | st.floats(allow_nan=False, allow_infinity=False), min_size=len(ids), max_size=len(ids))
    )
    ranking = rank_by_score(ids, scores)
    apart = strictly_decreasing(Run("r", {"q": ranking})).rankings["q"]
    order = [document_id for document_id, _ in ranking]
    assert [document_id for document_id, _ in apart] == order
    evaluator = pytrec_eval.RelevanceEvaluator({"q": {order[-1]: 1}}, {"recip_rank"})
    assert evaluator.evaluate({"q": dict(apart)})["q"]["recip_rank"] == 1 / len(order)
    singles = np.array([score for _, score in apart], np.float32)
    assert np.isfinite(singles).all()
    assert (singles[1:] < singles[:-1]).all()
    assert strictly_decreasing(Run("r", {"q": apart})).rankings["q"] == apart


def test_scores_that_decrease_stay_and_ties_take_the_next_lower_number():
    ranking = [("a", 2.0), ("b", 0.5), ("c", 0.5), ("d", 0.5 - 1e-12), ("e", 0.25), ("f", -0.0), ("g", 0.0)]
    below = 0.5 - 2**-25  # the numbers below one half are 2 ** -25 apart in single precision
    assert strictly_decreasing(Run("r", {"q": ranking, "p": []})).rankings == {
        "q": [
            ("a", 2.0),
            ("b", 0.5),
            ("c", below),
            ("d", below - 2**-25),
            ("e", 0.25),
            ("f", -0.0),
            ("g", -(2.0**-149)),
        ],
        "p": [],
    }


@pytest.mark.parametrize("scores", [(1e300, 1.0, 0.5), (1.0, 0.5, -1e39), (-3.4028234663852886e38,) * 3])
def test_scores_beyond_single_precision_become_ranks(scores: tuple[float, ...]):
    ranking = list(zip("abc", scores, strict=True))
    assert strictly_decreasing(Run("r", {"q": ranking})).rankings == {"q": [("a", 3.0), ("b", 2.0), ("c", 1.0)]}


def test_ids_are_best_first_and_none_for_an_unknown_query():
    run = Run("made", {"q1": [("d2", 2.0), ("d1", 1.0)], "q2": []})
    assert run.ids("q1") == ["d2", "d1"]
    assert run.ids("q3") == []
    assert run.orders == {"q1": ["d2", "d1"], "q2": []}
