"""Parses the answer of a reranking server."""

from collections.abc import Callable
from typing import Annotated

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, FiniteFloat

from bench.errors import BenchError
from bench.rerankers.http_call import text_of
from reranker.schema import parse_json, validate

Count = Annotated[int, Field(ge=0, le=2**53)]


class _Row(BaseModel):
    """One document's score; ``index`` is its position in the request."""

    model_config = ConfigDict(strict=True)
    index: Count
    score: FiniteFloat = Field(validation_alias=AliasChoices("relevance_score", "score"))


class _Usage(BaseModel):
    """The tokens that a call is charged for."""

    model_config = ConfigDict(strict=True)
    total_tokens: Count | None = None


def read_answer(content: bytes, count: int, where: str, shown: Callable[[str], str]) -> tuple[list[float], int]:
    """The scores of an answer, in the documents' order, and the tokens that it says were read (0 if it does not say).

    Args:
        content: The answer.
        count: How many documents were sent.
        where: The answer's name in messages.
        shown: Makes the server's text safe to show in a message.

    Raises:
        BenchError: where the answer is not JSON with exactly one finite score for each document.
    """
    try:
        return _read(content, count, where)
    except BenchError as error:
        # The message may quote the answer, and so the exception that it came from.
        raise BenchError(f"{shown(str(error))} It begins: {shown(text_of(content))}") from None


def _read(content: bytes, count: int, where: str) -> tuple[list[float], int]:
    answer = parse_json(content, where, BenchError)
    is_object = isinstance(answer, dict)
    rows = answer.get("results", answer.get("data")) if is_object else answer
    if not isinstance(rows, list):
        raise BenchError(f"{where} has no list of results.")
    if len(rows) != count:
        # Before each is looked at: an answer of 64 MiB has room for millions.
        raise BenchError(f"{where} has {len(rows):,} scores for {count} documents.")
    scores: dict[int, float] = {}
    for row in validate(rows, list[_Row], where, BenchError):
        if row.index >= count or row.index in scores:
            fault = "twice" if row.index in scores else f"where there are {count}"
            raise BenchError(f"{where} scores document {row.index} {fault}.")
        scores[row.index] = row.score
    usage = validate(answer.get("usage") or {}, _Usage, where, BenchError) if is_object else _Usage()
    return [scores[index] for index in range(count)], usage.total_tokens or 0
