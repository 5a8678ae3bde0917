"""The core model as a PyTerrier transformer, with each query's candidates read as one list.

    import pyterrier as pt
    from bench.adapters.pyterrier import PyTerrierReranker
    from reranker import Reranker

    model = Reranker.from_pretrained("jinaai/jina-reranker-v3")
    pipeline = bm25 % 100 >> pt.text.get_text(dataset, "text") >> PyTerrierReranker(model)

PyTerrier comes with ``pip install 'rerank-bench[pyterrier]'``. This file starts no Java.
"""

from typing import Any

import pandas as pd
import pyterrier as pt

from bench.errors import BenchError
from reranker import Reranker


class PyTerrierReranker(pt.Transformer):
    """Gives the rows of a result frame new scores and ranks; all rows of one query are one list."""

    def __init__(self, model: Reranker, text_field: str = "text", **options: Any) -> None:
        """Wrap a model.

        Args:
            model: The model.
            text_field: The column that has the documents' texts.
            options: Of `Reranker.score`: instruction and length caps.
        """
        self.model = model
        self.text_field = text_field
        self.options = options

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """The rows of each query from best to worst, with new ``score`` and ``rank`` (from 0) and all other columns.

        Args:
            inp: Columns ``qid``, ``query``, ``docno`` and the text column. A list has the order of the column ``rank``,
                or of the rows where there is none; of equal scores the document listed first comes first.

        Raises:
            InputValidationError: PyTerrier's own, for a missing column.
            BenchError: for a document without text.
        """
        self._check_columns(inp)
        by = ["qid", "rank"] if "rank" in inp.columns else ["qid"]
        frame = inp.sort_values(by, kind="stable", ignore_index=True)
        self._check_texts(frame)
        groups = frame.groupby("qid", sort=False)
        lists = [(group["query"].iloc[0], group[self.text_field].tolist()) for _, group in groups]
        scores = [score for one in self.model.score(lists, **self.options) for score in one]
        ranked = pt.model.add_ranks(frame.assign(score=pd.Series(scores, dtype="float64")))
        return ranked.sort_values(["qid", "rank"], ignore_index=True)

    def _check_columns(self, inp: pd.DataFrame) -> None:
        try:
            pt.validate.result_frame(inp, ["query", self.text_field])
        except pt.validate.InputValidationError as error:
            missing = ", ".join(column for mode in error.modes for column in mode.missing_columns)
            raise pt.validate.InputValidationError(
                f"Columns missing before {self}: {missing}. Put a first stage and 'pt.text.get_text(dataset, "
                f"{self.text_field!r})' before it, or name the column of the texts: text_field=...",
                error.modes,
            ) from None

    def _check_texts(self, frame: pd.DataFrame) -> None:
        for qid, docno, text in zip(frame["qid"], frame["docno"], frame[self.text_field], strict=True):
            if not isinstance(text, str):
                raise BenchError(
                    f"Document {docno!r} of query {qid!r} has no text in column {self.text_field!r}: {text!r}. "
                    "Drop the row, or get the texts from the data set that was indexed."
                )

    def __repr__(self) -> str:
        return f"PyTerrierReranker({self.model.name})"
