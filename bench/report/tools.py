"""What the report's script shows of a task: any two rerankers' differences, and queries with both orders."""

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bench.escape import terminal
from bench.leaderboard.board import Row, Section
from bench.leaderboard.columns import Column as TaskColumn
from bench.render.html import Tool
from bench.render.page import Paragraph
from bench.report.drafts import OVERVIEW, Draft, task_name
from bench.report.queries import TaskQueries
from bench.report.rows import (
    Role,
    ScoreRow,
    role,
)
from bench.results import Result


def queries_page(section: Section, position: int, found: TaskQueries) -> Draft:
    """A task's chosen queries under any two of its rerankers."""
    column = section.columns[position]
    assert column.protocol
    name = task_name(column)
    shown = [row for row in section.rows if row.name in found.queries[0].figures]
    ungraded = " No judgements were loaded: give the collection with --data." if not _graded(found) else ""
    told = (
        f"The {len(found.queries)} queries whose figure changed most against the first stage, or is lowest for all "
        f"rerankers although their candidates hold relevant documents. Texts are cut to 500 characters.{ungraded} "
        "Any other query: python -m bench compare A B --query ID."
    )
    tool = Tool("queries", _queries_data(found, shown, column), "This page needs its script, which this browser stops.")
    return Draft(
        f"{name}-queries",
        f"{column.protocol.task}: queries",
        (Paragraph(told), tool),
        (("Overview", OVERVIEW), (column.protocol.task, name)),
    )


def differences_data(
    results: Mapping[str, Result], scored: Sequence[ScoreRow], column: TaskColumn, found: TaskQueries,
    href: Callable[[str], str],
) -> dict[str, Any]:  # fmt: skip
    """Every query\'s figure by every reranker, and what is known of the queries."""
    names = list(results)
    ids = list(next(iter(results.values())).per_query)
    by_name = {row.reranker: row for row in scored}
    letters = {row.letter: names.index(row.reranker) for row in scored if row.letter}
    kinds = [role(each.reranker) for each in results.values()]
    return {
        "names": list(map(terminal, names)),
        "ids": list(map(terminal, ids)),
        "figures": [_packed([each.per_query[key] for key in ids]) for each in results.values()],
        "differs": [[letters[letter] for letter in by_name[name].cell.differs] for name in names],
        "competes": [kind != "ceiling" for kind in kinds],
        "a": _place(kinds, "first stage"),
        "b": _place(kinds, "reranker"),
        "texts": {terminal(view.query_id): terminal(view.text) for view in found.queries if view.text},
        "shown": [terminal(view.query_id) for view in found.queries],
        "queries": href(f"{task_name(column)}-queries"),
    }


def _packed(figures: Sequence[float]) -> str:
    """Figures from 0 to 1 as 16-bit numbers in base64: 2.7 bytes each, exact to 0.001 points."""
    return base64.b64encode(np.round(np.array(figures) * 65535).astype("<u2").tobytes()).decode()


def _place(kinds: Sequence[Role], wanted: Role) -> int:
    """The first row of that role; the first row where there is none."""
    return kinds.index(wanted) if wanted in kinds else 0


def _queries_data(found: TaskQueries, shown: Sequence[Row], column: TaskColumn) -> dict[str, Any]:
    names, kinds = [row.name for row in shown], [role(row.card) for row in shown]
    return {
        "names": list(map(terminal, names)),
        "measure": column.measure,
        "a": _place(kinds, "first stage"),
        "b": _place(kinds, "reranker"),
        "texts": {terminal(key): terminal(text) for key, text in found.texts.items()},
        "queries": [_query_data(view, names) for view in found.queries],
    }


def _query_data(view: Any, names: Sequence[str]) -> dict[str, Any]:
    documents = list(next(iter(view.lists.values())).ranks)
    place = {document: number for number, document in enumerate(documents)}
    grades = None if view.grades is None else {str(place[key]): grade for key, grade in view.grades.items()}
    return {
        "id": terminal(view.query_id),
        "text": terminal(view.text),
        "why": view.why,
        "figures": [round(view.figures[name], 6) for name in names],
        "documents": list(map(terminal, documents)),
        "grades": grades,
        "tops": [[[place[key], f"{value:.4g}"] for key, value in view.lists[name].top] for name in names],
        "ranks": [list(view.lists[name].ranks.values()) for name in names],
    }


def _graded(found: TaskQueries) -> bool:
    return all(view.grades is not None for view in found.queries)
