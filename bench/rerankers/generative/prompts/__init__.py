"""Prompts, which are data: a TOML file each, with its source and licence. Open `zero-shot.toml` first.

A file says what it asks for, how it names the passages, how much of a passage it shows, how long a model may think
before it answers, where the answer begins and where it is, and the turns. ``{query}``, ``{count}``, ``{example}`` and
``{passages}`` are filled in; ``{passages}`` is the message's ``line`` for each passage, joined by ``between``. Messages
with ``each`` that follow each other are repeated together for each passage.
"""

import re
import string
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Annotated, Literal, TypedDict

from pydantic import BaseModel, ConfigDict, Field

from bench.errors import BenchError
from bench.rerankers.generative.parsing import Rules
from reranker.schema import validate

FOLDER = Path(__file__).parent
_FIELD = re.compile(r"\{(query|count|example|passages|identifier|passage)\}")


class Turn(TypedDict):
    """A message of a chat, as the chat protocol and chat templates have it."""

    role: str
    content: str


class Message(BaseModel):
    """A turn with the fields that are filled in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Literal["system", "user", "assistant"]
    text: str
    line: str = ""
    between: str = "\n"
    each: bool = False


class Prompt(BaseModel):
    """A prompt's file.

    ``passage`` is how much of each passage is shown at most, in words or tokens; ``context`` how many tokens prompt
    and answer may have together (0: as many as the model takes); ``thinking`` how many tokens a model may think for;
    ``answer`` the text that the answer begins with; ``template`` a chat template that takes the model's place.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Annotated[str, Field(min_length=1)]
    licence: Annotated[str, Field(min_length=1)]
    asks: Literal["order", "best"]
    identifiers: Literal["numbers", "letters"]
    passage: Annotated[int, Field(ge=1)]
    unit: Literal["words", "tokens"]
    messages: tuple[Message, ...]
    context: Annotated[int, Field(ge=0)] = 0
    thinking: Annotated[int, Field(ge=0)] = 0
    answer: str = ""
    template: str = ""
    tag: str = ""
    last_line: bool = False
    stop_at_repeat: bool = False

    @property
    def rules(self) -> Rules:
        """Where an answer is read."""
        return Rules(self.tag, self.last_line, self.stop_at_repeat)

    def names(self, count: int) -> list[str]:
        """The identifiers of ``count`` passages."""
        return [str(number + 1) for number in range(count)] if self.identifiers == "numbers" else _letters(count)

    def turns(self, query: str, passages: Sequence[str]) -> list[Turn]:
        """The chat that asks about some passages."""
        return list(self._turns(query, passages))

    def permutation(self, count: int) -> str:
        """The longest answer that is asked for."""
        names = self.names(count)[: 1 if self.asks == "best" else count]
        return " > ".join(f"[{name}]" for name in names)

    def _turns(self, query: str, passages: Sequence[str]) -> Iterator[Turn]:
        names = self.names(len(passages))
        example = " > ".join(f"[{name}]" for name in names[1::-1])
        shared = {"query": query, "count": str(len(passages)), "example": example}
        for each, group in groupby(self.messages, lambda message: message.each):
            messages = list(group)
            for name, passage in zip(names, passages, strict=True) if each else [("", "")]:
                own = shared | {"identifier": name, "passage": passage}
                for message in messages:
                    lines = zip(names, passages, strict=True) if message.line else ()
                    shown = message.between.join(
                        _filled(message.line, shared | {"identifier": one, "passage": text}) for one, text in lines
                    )
                    yield {"role": message.role, "content": _filled(message.text, own | {"passages": shown})}


@cache
def read(name: str) -> Prompt:
    """A prompt by its file's name.

    Raises:
        BenchError: there is no such prompt, or its file is damaged.
    """
    path = FOLDER / f"{name}.toml"
    if not re.fullmatch("[a-z0-9-]+", name) or not path.is_file():
        known = ", ".join(sorted(each.stem for each in FOLDER.glob("*.toml")))
        raise BenchError(f"There is no prompt {name!r}. Choose one of {known}.")
    made: Prompt = validate(tomllib.loads(path.read_text(encoding="utf-8")), Prompt, str(path), BenchError)
    return made


def _filled(text: str, fields: dict[str, str]) -> str:
    """Fill in a text's fields in one go: a field's name inside a passage stays as it is."""
    return _FIELD.sub(lambda match: fields.get(match[1], match[0]), text)


def _letters(count: int) -> list[str]:
    if count > len(string.ascii_uppercase):
        raise BenchError(
            f"A prompt with letters has room for {len(string.ascii_uppercase)} passages, and this window has {count}. "
            "Choose a smaller window, or a prompt with numbers."
        )
    return list(string.ascii_uppercase[:count])
