"""From what a model wrote to the order of a window, and the class that the answer falls in.

Identifiers are taken in order; those that the window does not have and repetitions are dropped, and the documents that
the answer lacks follow in their old order. Where nothing can be read the window keeps its order.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.rerankers.generative.strategies import Order

Class = Literal["whole", "repeated", "missing", "out of range", "no list", "cut off", "refused"]
CLASSES: tuple[Class, ...] = ("whole", "repeated", "missing", "out of range", "no list", "cut off", "refused")

Finish = Literal["stop", "length", "refused"]

_BRACKETED = re.compile(r"\[\s*(\d{1,9}|[A-Z])\s*\]")
_NUMBER = re.compile(r"(?<!\d)\d{1,9}(?!\d)")
_LETTER = re.compile(r"(?<![A-Za-z])[A-Z](?![A-Za-z])")
_REFUSAL = re.compile(r"\b(sorry|apologi[sz]e|cannot|can['’]t|unable to|not able to|won['’]t)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Rules:
    """Where in a text the answer is.

    ``tag`` names the tags around it, if any; ``last_line`` reads that line alone; ``stop_at_repeat`` ignores all that
    follows the first repetition.
    """

    tag: str = ""
    last_line: bool = False
    stop_at_repeat: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """A window's order and the class of its answer."""

    order: Order
    kind: Class


def read(text: str, finish: Finish, identifiers: Sequence[str], rules: Rules, best_only: bool = False) -> Reading:
    """Read an answer.

    Args:
        text: What the model wrote.
        finish: Why it stopped.
        identifiers: The window's, in the order of its documents.
        rules: Where the answer is.
        best_only: Whether the most relevant document alone was asked for.
    """
    places = {identifier: place for place, identifier in enumerate(identifiers)}
    answer = _answer(text, rules)
    found = [] if finish == "refused" else _found(answer, letters=not identifiers[0].isdigit())
    if best_only:
        found = found[:1]
    order: list[int] = []
    repeated = outside = False
    for identifier in found:
        place = places.get(identifier)
        if place is None:
            outside = True
        elif place in order:
            repeated = True
            if rules.stop_at_repeat:
                break
        else:
            order.append(place)
    missing = not order if best_only else len(order) < len(places)
    kind = _kind(finish, answer, bool(found), outside, repeated, missing)
    return Reading((*order, *(place for place in range(len(places)) if place not in order)), kind)


def _kind(finish: Finish, answer: str, found: bool, outside: bool, repeated: bool, missing: bool) -> Class:
    if finish == "refused" or (not found and finish == "stop" and _REFUSAL.search(answer)):
        return "refused"
    if finish == "length" and missing:
        return "cut off"
    if not found:
        return "no list"
    if outside:
        return "out of range"
    if repeated:
        return "repeated"
    return "missing" if missing else "whole"


def _answer(text: str, rules: Rules) -> str:
    """The part of a text that is the answer: without the thought before it, its digits plain."""
    _thought, closed, after = text.rpartition("</think>")
    if closed:
        text = after
    elif "<think>" in text:
        text = ""  # it never came to an answer
    if rules.tag:
        text = text.rpartition(f"<{rules.tag}>")[2].partition(f"</{rules.tag}>")[0]
    # Superscript, circled and full-width digits become plain ones, and so do brackets.
    text = unicodedata.normalize("NFKC", text).strip()
    return text.splitlines()[-1] if rules.last_line and text else text


def _found(answer: str, letters: bool) -> list[str]:
    """All identifiers in order: those in brackets, or, where there are none, the bare ones."""
    found = [match for match in _BRACKETED.findall(answer) if match.isdigit() != letters]
    if not found and not _REFUSAL.search(answer):
        found = (_LETTER if letters else _NUMBER).findall(answer)
    return found if letters else [str(int(number)) for number in found]
