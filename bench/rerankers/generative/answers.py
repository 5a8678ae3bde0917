"""Raw answers, one a window, and where they are kept so that none is made or paid for twice."""

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from bench.rerankers.generative.parsing import Finish


@dataclass(frozen=True, slots=True)
class Said:
    """A speaker's answer to one prompt.

    ``tokens_thinking`` are among ``tokens_out``; ``is_metered`` is False where the server did not say how many tokens
    it read and wrote. ``lost`` is what was cut from each passage and ``query_lost`` from the query, in the speaker's
    unit. ``logits`` are the identifiers', where the first token alone was read.
    """

    text: str
    finish: Finish
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_thinking: int = 0
    is_metered: bool = True
    seconds: float = 0.0
    lost: tuple[int, ...] = ()
    query_lost: int = 0
    logits: tuple[float, ...] = ()


class AnswerLog(Protocol):
    """Where raw answers are written down."""

    def answer(self, key: str) -> Mapping[str, Any] | None:
        """What is kept under a key, or None."""
        ...

    def keep(self, key: str, record: Mapping[str, Any]) -> None:
        """Keep a record; it is on the disk when this returns."""
        ...


def answers_of(reranker: object) -> "Answers | None":
    """The answers of a generative reranker, fused or not; None for every other reranker."""
    answers = getattr(getattr(reranker, "reranker", reranker), "answers", None)
    return answers if isinstance(answers, Answers) else None


class Answers:
    """The answers of one reranker, and what the command decided about queries that get none.

    ``log`` None keeps nothing. ``allow_failures`` goes on where a call failed for good, and leaves its query without an
    order.
    """

    def __init__(self, log: AnswerLog | None = None, allow_failures: bool = False) -> None:
        self.log = log
        self.allow_failures = allow_failures
        self._lock = threading.Lock()

    def get(self, key: str) -> Said | None:
        """An answer that is kept, or None."""
        if self.log is None:
            return None
        with self._lock:
            record = self.log.answer(key)
        if record is None:
            return None
        said = dict(record["said"])
        return Said(**said | {"lost": tuple(said["lost"]), "logits": tuple(said["logits"])})

    def keep(self, key: str, said: Said, about: Mapping[str, Any]) -> None:
        """Keep an answer, with what tells a reader which window it is about."""
        if self.log is not None:
            with self._lock:
                self.log.keep(key, {**about, "said": asdict(said)})
