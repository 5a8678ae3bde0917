"""The core model as PyTerrier takes rerankers: whole lists in, new scores and ranks out, and no Java."""

import pandas as pd
import pyterrier as pt
import pytest

from bench.adapters.pyterrier import PyTerrierReranker
from bench.errors import BenchError
from reranker import Reranker

TEXTS = {"d1": "The moon pulls the sea.", "d2": "Onions make eyes run.", "d3": "The sea is salt."}


class Spy:
    """A model that writes down the lists it is given; a document's score is how often its text has ``ea``."""

    name = "spy"

    def __init__(self) -> None:
        self.lists: list[tuple[str, list[str]]] = []

    def score(self, lists: list[tuple[str, list[str]]]) -> list[list[float]]:
        self.lists += lists
        return [[float(text.count("ea")) for text in texts] for _, texts in lists]


def frame(*rows: tuple[str, str, str, int]) -> pd.DataFrame:
    found = pd.DataFrame(rows, columns=["qid", "query", "docno", "rank"])
    return found.assign(text=found["docno"].map(TEXTS), score=-found["rank"], url="u" + found["docno"])


def test_each_querys_rows_are_one_list_in_the_order_of_their_ranks() -> None:
    spy = Spy()
    given = frame(("q2", "sea", "d1", 1), ("q1", "sea", "d1", 1), ("q2", "sea", "d3", 0), ("q1", "sea", "d2", 0))
    before = given.copy()
    found = PyTerrierReranker(spy)(given)  # type: ignore[arg-type]
    assert spy.lists == [("sea", [TEXTS["d2"], TEXTS["d1"]]), ("sea", [TEXTS["d3"], TEXTS["d1"]])]
    # 'ea' occurs once in d1 and d3: d3 wins the tie of q2 by its rank.
    assert found.to_dict("records") == [
        {"qid": "q1", "query": "sea", "docno": "d1", "text": TEXTS["d1"], "score": 1.0, "url": "ud1", "rank": 0},
        {"qid": "q1", "query": "sea", "docno": "d2", "text": TEXTS["d2"], "score": 0.0, "url": "ud2", "rank": 1},
        {"qid": "q2", "query": "sea", "docno": "d3", "text": TEXTS["d3"], "score": 1.0, "url": "ud3", "rank": 0},
        {"qid": "q2", "query": "sea", "docno": "d1", "text": TEXTS["d1"], "score": 1.0, "url": "ud1", "rank": 1},
    ]
    pd.testing.assert_frame_equal(given, before)


def test_a_pipeline_gives_the_models_own_scores() -> None:
    model = Reranker.from_pretrained("embedded")
    candidates = frame(*[("q", "salt sea", docno, rank) for rank, docno in enumerate(TEXTS)]).drop(columns=["text"])
    texts = pt.apply.text(lambda row: TEXTS[row["docno"]])
    pipeline = pt.Transformer.from_df(candidates) >> texts >> PyTerrierReranker(model, max_doc_length=64)
    found = pipeline.transform(pd.DataFrame([["q", "salt sea"]], columns=["qid", "query"]))
    ranked = model.rerank("salt sea", list(TEXTS.values()))
    assert [(row.docno, row.score) for row in found.itertuples()] == [
        (list(TEXTS)[each.index], each.score) for each in ranked
    ]
    judged = pd.DataFrame([["q", found["docno"][1], 1]], columns=["qid", "docno", "label"])
    figures = pt.Experiment([pipeline], found[["qid", "query"]].head(1), judged, ["recip_rank"])
    assert figures["recip_rank"].tolist() == [0.5]
    assert not pt.java.started()


def test_pyterrier_can_tell_what_goes_in_and_out() -> None:
    transformer = PyTerrierReranker(Spy(), text_field="body")  # type: ignore[arg-type]
    assert pt.inspect.transformer_inputs(transformer) == [["qid", "docno", "query", "body"]]
    outputs = pt.inspect.transformer_outputs(transformer, ["qid", "query", "docno", "body"])
    assert outputs == ["qid", "query", "docno", "body", "score", "rank"]


def test_what_is_missing_is_named() -> None:
    transformer = PyTerrierReranker(Spy())  # type: ignore[arg-type]
    with pytest.raises(
        pt.validate.InputValidationError, match=r"before PyTerrierReranker\(spy\): text\. Put .*get_text"
    ):
        transformer(frame(("q", "sea", "d1", 0)).drop(columns=["text"]))
    with pytest.raises(BenchError, match="Document 'd9' of query 'q' has no text in column 'text': nan"):
        transformer(frame(("q", "sea", "d1", 0), ("q", "sea", "d9", 1)))
