"""The protocol: everything besides the reranker that a figure depends on."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from bench.paths import short_hash

_SHOWN = 12  # digits of a hash in messages and tables
_VARIES = {"varies": True}
"""Metadata of the fields that may differ between the tasks of one mean."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """What two figures must share to be in one column.

    ``data``, ``texts`` and ``first_stage_sha256`` are hashes of contents: of queries with judgements, of the
    candidates' texts, and of the first stage's whole run as TREC text. ``queries`` is the number of judged queries
    measured, ``query_subset`` says how they were chosen. Lengths are upper bounds in the reranker's own tokens; a model
    with a smaller window cuts more, which the result counts.

    Fields marked `_VARIES` may differ between the tasks of one mean; tasks that differ in any other share none.
    """

    task: str = field(metadata=_VARIES)
    split: str = field(metadata=_VARIES)
    data: str = field(metadata=_VARIES)
    texts: str = field(metadata=_VARIES)
    documents: int = field(metadata=_VARIES)
    queries: int = field(metadata=_VARIES)
    query_subset: str = field(metadata=_VARIES)
    first_stage: str
    first_stage_sha256: str = field(metadata=_VARIES)
    depth: int
    candidate_order: str
    text_rule: str = field(metadata=_VARIES)
    identical_ids: str = field(metadata=_VARIES)
    judgements: str = field(metadata=_VARIES)
    max_query_length: int
    max_doc_length: int
    measure: str
    measure_library: str = field(metadata=_VARIES)

    @property
    def id(self) -> str:
        """Eight hexadecimal digits of the hash over all fields."""
        return short_hash(json.dumps(asdict(self), sort_keys=True))

    @property
    def label(self) -> str:
        """For people and folder names: ``bm25@100-1f0c22ab``."""
        return f"{self.first_stage}@{self.depth}-{self.id}"

    @property
    def condition(self) -> tuple[object, ...]:
        """What the tasks of one mean must share: the values of all fields that may not vary."""
        return tuple(getattr(self, each.name) for each in fields(self) if not each.metadata.get("varies"))

    def as_dict(self) -> dict[str, Any]:
        """The fields and the id, as a result has them."""
        return {"id": self.id, **asdict(self)}

    def differences(self, other: "Protocol") -> list[str]:
        """The fields in which two protocols differ, each with both values; of two hashes, the first digits."""
        mine, theirs = asdict(self), asdict(other)
        return [_difference(name, mine[name], theirs[name]) for name in mine if mine[name] != theirs[name]]


def _difference(name: str, mine: object, theirs: object) -> str:
    if name.endswith("_sha256") and str(mine)[:_SHOWN] != str(theirs)[:_SHOWN]:
        mine, theirs = str(mine)[:_SHOWN], str(theirs)[:_SHOWN]
    return f"{name}: {mine!r} and {theirs!r}"


def digest(parts: Iterable[str], digits: int = 16) -> str:
    """A hash of many strings that keeps their borders; at most 64 hexadecimal digits."""
    hasher = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        hasher.update(len(encoded).to_bytes(8, "big"))
        hasher.update(encoded)
    return hasher.hexdigest()[:digits]
