"""Rerankers that are given to the Python API as objects, in place of a name."""

import hashlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, cast

from bench.errors import BenchError
from bench.rerankers import own
from bench.rerankers.base import CandidateList, Card, Options, Reranker, Scored

Function = Callable[[str, Sequence[str]], Sequence[float]]
"""A reranker as a function: a query and its candidates' texts to a score for each text; higher is better."""


class Given(str):
    """The name of a reranker that is an object already; ``make`` wraps it in the harness's interface.

    A name in every respect, so that whatever takes names takes it.
    """

    make: Callable[[Options], Reranker]

    def __new__(cls, name: str, make: Callable[[Options], Reranker]) -> "Given":
        """A name with its object."""
        made = super().__new__(cls, name)
        made.make = make
        return made


def given(reranker: object, name: str = "") -> str:
    """A name for what the user gave: a name, a `reranker.Reranker`, an object with ``score``, or a function.

    Raises:
        BenchError: for anything else, and for a class instead of an object of it.
    """
    if isinstance(reranker, str):
        if name and name != reranker:
            raise BenchError(f"{reranker!r} is a name already: it cannot be called {name!r}. Give the object itself.")
        return reranker
    called = name or _name_of(reranker)
    if inspect.isclass(reranker):
        raise BenchError(f"{called} is a class, not a reranker. Give an object of it: {called}().")
    if _is_core(reranker):
        core = import_module("bench.rerankers.core")
        called = name or core.name_of(reranker)
        return Given(called, lambda options: cast(Reranker, core.loaded(reranker, options, called)))
    if callable(getattr(reranker, "score", None)):
        return Given(called, lambda _: own.from_object(called, reranker))
    if callable(reranker):
        return Given(called, lambda _: _from_function(called, cast(Function, reranker)))
    raise BenchError(
        f"A {type(reranker).__name__} is not a reranker. Give a name ('python -m bench rerankers' lists them), a "
        "reranker.Reranker, an object with a method score(lists), or a function of a query and a list of texts."
    )


def _name_of(reranker: object) -> str:
    card = getattr(reranker, "card", None)
    if isinstance(card, Card):
        return card.name
    return str(getattr(reranker, "__name__", "") or type(reranker).__name__)


def _is_core(reranker: object) -> bool:
    """Whether it is our core model; its class is not imported for what cannot be one."""
    return type(reranker).__module__.startswith("reranker.") and hasattr(reranker, "score_iter")


@dataclass(frozen=True, slots=True)
class _Lists:
    """A function as an object with ``score``."""

    function: Function

    def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
        """Score one list after the other."""
        for each in lists:
            yield Scored(each.query_id, tuple(map(float, self.function(each.query, list(each.texts)))))


def _from_function(name: str, function: Function) -> Reranker:
    """A function's scores are reused by later commands only if it has an attribute ``fingerprint``."""
    stated = getattr(function, "fingerprint", "")
    parts = f"function 1 {name} {stated or _source(function)}"
    fingerprint = hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()
    return own.Own(_Lists(function), Card(name, fingerprint, "own"), cacheable=bool(stated))


def _source(function: Any) -> str:
    """The function's own text; empty where Python does not know it, as in an interactive shell."""
    function = function.func if isinstance(function, partial) else function
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return ""
