"""Results as data frames."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, overload

from bench.comparison.compare import figures
from bench.errors import BenchError
from bench.leaderboard.flat import row
from bench.results import Result

if TYPE_CHECKING:
    import pandas as pd


class Results(Sequence[Result]):
    """Some results, one for each task and reranker, and data frames of them. Figures are from 0 to 1."""

    def __init__(self, results: Iterable[Result]) -> None:
        self._results = tuple(results)

    def __len__(self) -> int:
        return len(self._results)

    @overload
    def __getitem__(self, index: int) -> Result: ...
    @overload
    def __getitem__(self, index: slice) -> "Results": ...
    def __getitem__(self, index: int | slice) -> "Result | Results":
        found = self._results[index]
        return Results(found) if isinstance(found, tuple) else found

    def __repr__(self) -> str:
        tasks, rerankers = ({key(each) for each in self} for key in (_task, _reranker))
        return f"<Results: {len(self)} ({len(tasks)} tasks, {len(rerankers)} rerankers)>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        columns = ["task", "reranker", "measure", "score", "first_stage_score", "ceiling", "queries"]
        html: str = self.to_frame()[columns].to_html(index=False)
        return html

    def to_frame(self) -> "pd.DataFrame":
        """A row for each task and reranker; the columns are those of ``--json``."""
        import pandas as pd

        return pd.DataFrame([row(result) for result in self])

    def per_query(self) -> "pd.DataFrame":
        """A row for each task, reranker and query, with the task's main measure."""
        import pandas as pd

        columns = ["task", "reranker", "query_id", "measure", "score"]
        return pd.DataFrame(
            [
                (result.task, result.reranker.name, query_id, result.protocol.measure, figure)
                for result in self
                for query_id, figure in result.per_query.items()
            ],
            columns=columns,
        )

    def leaderboard(self, first_stage: str = "", mixed: bool = False) -> "pd.DataFrame":
        """A row for each reranker, a column (suite, task) for each task and for the means over tasks.

        Args:
            first_stage: Only results over this one, such as ``bm25`` or ``bm25@100``.
            mixed: Give a task's protocols columns of their own where it has several.

        Raises:
            BenchError: where a task has several protocols and ``mixed`` is not set: their figures are not comparable.
        """
        import pandas as pd

        from bench.leaderboard.board import build
        from bench.leaderboard.titles import section_title

        frames = []
        for section in build(self, first_stage, mixed).sections:
            titles = [(section_title(section), column.title) for column in section.columns]
            values = [[cell.score if cell else None for cell in each.cells] for each in section.rows]
            index = pd.Index([each.name for each in section.rows], name="reranker")
            frames.append(pd.DataFrame(values, index, pd.MultiIndex.from_tuples(titles), dtype=float))
        return pd.concat(frames, axis=1)

    def compare(self, a: str, b: str) -> "pd.DataFrame":
        """Two rerankers' difference (B less A) on each task that both have, with its 95% interval and p-values.

        Raises:
            BenchError: where one of them has no result, they share no task, or a task's protocols differ.
        """
        import pandas as pd

        pairs = [(mine, theirs) for task, mine in self._of(a).items() if (theirs := self._of(b).get(task))]
        if not pairs:
            raise BenchError(f"{a} and {b} were measured on no task of the same name. Measure both on one.")
        for mine, theirs in pairs:
            if differing := mine.protocol.differences(theirs.protocol):
                raise BenchError(
                    f"{a} and {b} were measured on {mine.task} under different protocols: {'; '.join(differing)}."
                )
        rows = []
        for task in figures(pairs):
            fields = asdict(task)
            del fields["changed"], fields["disagreement"]
            rows.append(fields | {"difference": task.difference})
        return pd.DataFrame(rows)

    def _of(self, reranker: str) -> dict[str, Result]:
        """One reranker's results by task.

        Raises:
            BenchError: where there is none, or a task has two.
        """
        found: dict[str, Result] = {}
        for result in self:
            if result.reranker.name != reranker:
                continue
            if result.task in found:
                raise BenchError(
                    f"{reranker} has two results on {result.task}. Choose from them first, for example "
                    "Results(each for each in results if each.protocol.depth == 100)."
                )
            found[result.task] = result
        if not found:
            known = ", ".join(dict.fromkeys(map(_reranker, self)))
            raise BenchError(f"There is no result of {reranker!r}. Known: {known or 'none'}.")
        return found


def _task(result: Result) -> str:
    return result.task


def _reranker(result: Result) -> str:
    return result.reranker.name
