"""From a name to a reranker.

A name is, in this order: a row of the table; ``family:MODEL``; a URL; a folder (a checkpoint of the core model); what
an installed package announces as ``rerank_bench.rerankers``; ``module:Class`` of the user's own.
"""

import difflib
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from bench.errors import BenchError
from bench.rerankers import own
from bench.rerankers.base import Options, Reranker
from bench.rerankers.checkpoint import folder, shown
from bench.rerankers.rows import ROWS, Row

GROUP = "rerank_bench.rerankers"

Maker = Callable[[Options], Reranker]

FAMILIES: Mapping[str, str] = {
    "core": "FOLDER or hub id of a checkpoint of the core model",
    "cross-encoder": "hub id or folder of a sequence classifier with one output",
    "yes-no": "hub id or folder of a generator tuned as Qwen3-Reranker is",
    "late-interaction": "hub id or folder of a ColBERT model",
    "bi-encoder": "hub id or folder of a sentence-transformers model",
    "fusion": "NAME: reciprocal rank fusion of the first stage and any reranker",
    "http": "URL of a /rerank call, with #MODEL at its end where the server holds several",
}
"""The families that take any model, as ``family:MODEL``, and what MODEL is for each."""


def load(name: str, options: Options) -> Reranker:
    """The reranker that a name stands for, ready to score.

    Raises:
        BenchError: for a name that stands for nothing (the nearest is suggested), a row that cannot be run here, or
            a model that is not there.
    """
    return _maker(name)(options)


def check(name: str) -> None:
    """Refuse a bad name now, and not when its turn comes after the hours of those before it; loads nothing.

    Raises:
        BenchError: for a name that stands for nothing, or a row that cannot be run here.
    """
    _maker(name)


def _maker(name: str) -> Maker:
    if name in ROWS:
        return _of_family(ROWS[name])
    family, _, model = name.partition(":")
    if name.startswith(("http://", "https://")):
        return _of_family(Row(name, "http", name))
    if family == "fusion" and model:
        return partial(_fusion, _maker(model))
    if family in FAMILIES and model:
        return _of_family(Row(f"{family}:{shown(model)}", family, model))
    if name and folder(name):
        return _of_family(Row(f"core:{shown(name)}", "core", name))
    if name in plug_ins():
        return partial(own.from_entry_point, plug_ins()[name])
    if model and all(part.isidentifier() for part in family.split(".")):
        return partial(own.from_module, name)
    raise BenchError(_unknown(name))


def plug_ins() -> Mapping[str, EntryPoint]:
    """What installed packages announce, by name."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _of_family(row: Row) -> Maker:
    if row.refusal:
        raise BenchError(f"{row.name} cannot be run here: {row.refusal}")
    if row.family == "http":
        # Before the name, which may hold a password, is shown as a step of the command.
        import_module("bench.rerankers.http").host_of(row.model.partition("#")[0])
    return partial(_build, row)


def _build(row: Row, options: Options) -> Reranker:
    # A family is imported when it is first used, since most of them import torch.
    module = import_module(f"bench.rerankers.{row.family.replace('-', '_')}")
    return cast(Callable[[Row, Options], Reranker], module.build)(row, options)


def _fusion(reranker: Maker, options: Options) -> Reranker:
    made: Reranker = import_module("bench.rerankers.fusion").Fusion(reranker(options))
    return made


def _unknown(name: str) -> str:
    family, colon, model = name.partition(":")
    known = {each.lower(): each for each in (FAMILIES if model else [*ROWS, *plug_ins()])}
    near = difflib.get_close_matches(family.lower(), known, n=1, cutoff=0.5)
    hint = f" Did you mean {known[near[0]] + colon + model!r}?" if near else ""
    return (
        f"There is no reranker {name!r}.{hint} 'python -m bench rerankers' lists the known ones; any other is a "
        f"folder, 'module:Class', or 'family:MODEL' with one of {', '.join(FAMILIES)}."
    )
