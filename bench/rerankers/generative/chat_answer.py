"""What the answer of a chat endpoint may hold, in the form that OpenAI made common."""

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from bench.rerankers.generative.answers import Said
from bench.rerankers.generative.parsing import Finish
from bench.rerankers.http_call import CallFailed
from reranker.schema import parse_json

_FINISHES: dict[str | None, Finish] = {"length": "length", "content_filter": "refused"}
_MOST = 2**53


class _Message(BaseModel):
    """``content`` is a text, a list of parts, or missing where the model refused or only thought."""

    model_config = ConfigDict(strict=True)
    content: str | list[dict[str, Any]] | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    model_config = ConfigDict(strict=True)
    message: _Message
    finish_reason: str | None = None


class _Answer(BaseModel):
    model_config = ConfigDict(strict=True)
    choices: list[_Choice]


def read_answer(content: bytes, where: str) -> Said:
    """What the model wrote and what it took. Usage that makes no sense counts as not stated: the answer was paid for.

    Raises:
        CallFailed: the answer holds no message; its text is not repeated.
    """
    try:
        found = parse_json(content, where, CallFailed)
    except CallFailed:
        # Not chained: the library's message may quote the answer.
        raise CallFailed(f"{where} is not JSON.") from None
    try:
        answer = _Answer.model_validate(found)
    except ValidationError:
        raise CallFailed(f"{where} holds no list of choices with a message.") from None
    if not answer.choices:
        raise CallFailed(f"{where} holds no choice.")
    choice = answer.choices[0]
    refusal = choice.message.refusal or ""
    text = _text(choice.message.content)
    finish: Finish = "refused" if refusal and not text else _FINISHES.get(choice.finish_reason, "stop")
    usage = found.get("usage")
    read, written = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    details = usage.get("completion_tokens_details") if isinstance(usage, dict) else None
    thinking = _count(details, "reasoning_tokens") or 0
    return Said(
        text=text or refusal,
        finish=finish,
        tokens_in=read or 0,
        tokens_out=written or 0,
        tokens_thinking=min(thinking, written or 0),
        is_metered=read is not None and written is not None,
    )


def _text(content: str | list[dict[str, Any]] | None) -> str:
    if isinstance(content, list):
        parts = [part.get("text") for part in content]
        return "".join(part for part in parts if isinstance(part, str))
    return content or ""


def _count(of: object, name: str) -> int | None:
    value = of.get(name) if isinstance(of, dict) else None
    return value if type(value) is int and 0 <= value < _MOST else None
