"""From a name to a reranker.

A name is, in this order: a row of the table; ``family:MODEL``; a URL; a folder (a checkpoint of the core model); what
an installed package announces as ``rerank_bench.rerankers``; ``module:Class`` of the user's own.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from bench.errors import BenchError
from bench.rerankers import own
from bench.rerankers.base import Lazy, Options, Reranker, Step
from bench.rerankers.given import Given
from bench.rerankers.local import checkpoint
from bench.rerankers.local.checkpoint import folder, shown
from bench.rerankers.rows import FAMILIES, ROWS, Row

GROUP = "rerank_bench.rerankers"

Maker = Callable[[Options, Step | None], Reranker]

_MODULES = {"generative": "generative.local", "chat": "generative.chat"}
"""The modules of families that have not one of their own name."""
_SERVERS = ("http", "chat")


@dataclass(frozen=True, slots=True)
class Named:
    """``make`` gives the reranker; ``ready`` checks what needs no model, and gives the card's name.

    ``row`` is None for a class of the user's own, and for a fusion that of the reranker that it fuses.
    """

    make: Maker
    ready: Callable[[Options], str]
    row: Row | None = None


def load(name: str, options: Options, step: Step | None = None) -> Reranker:
    """The reranker of a name.

    Args:
        name: A row, ``family:MODEL``, a URL, a folder, a plug-in or ``module:Class``.
        options: The command line's options.
        step: With it, a model of ours is loaded only when the first list must be scored, while a step that this opens
            is shown. Without, it is loaded now.

    Raises:
        BenchError: the name is unknown (the nearest is suggested), the row cannot be run here, or there is no such
            model.
    """
    return _named(name).make(options, step)


def check(name: str, options: Options) -> str:
    """Refuse in the first second what cannot be loaded, and not after the hours of those before it.

    No model is loaded and no hub asked: a model that is neither a folder nor in a package is only checked by the shape
    of its name. A class of the user's own is imported.

    Returns:
        The name that the reranker's card will have. Only an object of the user's own may turn out to have another.

    Raises:
        BenchError: for a name that leads to nothing, a row that cannot be run here, a missing folder, class or key.
    """
    return _named(name).ready(options)


def row_of(name: str) -> Row | None:
    """The row that a name means, of a fusion that of the fused reranker; None for a class of the user's own.

    Raises:
        BenchError: the name is unknown, or the row cannot be run here.
    """
    return _named(name).row


def calls_server(name: str) -> bool:
    """Whether a name is of a reranker over HTTP, fused or not."""
    inner = name
    while inner.startswith("fusion:"):
        inner = inner.removeprefix("fusion:")
    return ROWS[inner].family in _SERVERS if inner in ROWS else inner.startswith(("http:", "https:", "chat:"))


def _named(name: str) -> Named:
    if isinstance(name, Given):
        return Named(lambda options, _: name.make(options), lambda _: str(name))
    if name in ROWS:
        return _of_family(ROWS[name])
    family, _, model = name.partition(":")
    if name.startswith(("http://", "https://")):
        return _of_family(Row(name, "http", name))
    if family == "fusion" and model:
        inner = _named(model)
        return Named(partial(_fusion, inner.make), lambda options: f"fusion:{inner.ready(options)}", inner.row)
    if family == "generative" and model:
        place, mark, strategy = model.partition("#")
        return _of_family(Row(f"{family}:{shown(place)}{mark}{strategy}", family, model))
    if family in FAMILIES and model:
        return _of_family(Row(f"{family}:{shown(model)}", family, model))
    if name and folder(name):
        return _of_family(Row(f"core:{shown(name)}", "core", name))
    if name in plug_ins():
        entry = plug_ins()[name]
        return Named(
            lambda options, _: own.from_entry_point(entry, options), lambda _: own.entry_point_card_name(entry)
        )
    if "://" in name or "@" in name:
        # A mistyped URL: as such it is refused without being repeated, since it may hold a password.
        return _of_family(Row(name, "http", name))
    if model and all(part.isidentifier() for part in family.split(".")):
        return Named(lambda options, _: own.from_module(name, options), lambda _: own.module_card_name(name))
    raise BenchError(_unknown(name))


def plug_ins() -> Mapping[str, EntryPoint]:
    """What installed packages announce, by name."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _of_family(row: Row) -> Named:
    if row.refusal:
        raise BenchError(f"{row.name} cannot be run here: {row.refusal}")
    return Named(partial(_build, row), partial(_ready, row), row)


def _ready(row: Row, options: Options) -> str:
    """Check what can be checked of a row without a model; gives its card's name."""
    if row.family in ("order-only", *_SERVERS):
        _build(row, options, None)  # costs nothing, and sends nothing
    elif row.family == "generative":
        model, _, strategy = row.model.partition("#")
        import_module("bench.rerankers.generative.spec").read(strategy)
        checkpoint.check(replace(row, model=model))
    else:
        checkpoint.check(row)
    return row.name


def _build(row: Row, options: Options, step: Step | None) -> Reranker:
    # A family is imported when it is first used, since most of them import torch.
    with own.out_of_sight():
        module = import_module(f"bench.rerankers.{_MODULES.get(row.family, row.family.replace('-', '_'))}")
        made = cast(Callable[[Row, Options], Reranker], module.build)(row, options)
        if not isinstance(made, Lazy):
            return made
        if step is None:
            return made.load()
        made.step = partial(_loading, step)
        return made


@contextmanager
def _loading(step: Step) -> Iterator[None]:
    with own.out_of_sight(), step():
        yield


def _fusion(reranker: Maker, options: Options, step: Step | None) -> Reranker:
    made: Reranker = import_module("bench.rerankers.fusion").Fusion(reranker(options, step))
    return made


def _unknown(name: str) -> str:
    family, colon, model = name.partition(":")
    if "/" in family or family.startswith("."):
        return (
            f"There is no reranker or folder {name!r}. A model of the hub is 'family:OWNER/MODEL', such as "
            f"'cross-encoder:OWNER/MODEL'; the families are {', '.join(FAMILIES)}."
        )
    known = {each.lower(): each for each in (FAMILIES if model else [*ROWS, *plug_ins()])}
    near = difflib.get_close_matches(family.lower(), known, n=1, cutoff=0.5)
    hint = f" Did you mean {known[near[0]] + colon + model!r}?" if near else ""
    return (
        f"There is no reranker {name!r}.{hint} 'python -m bench rerankers' lists the known ones; any other is a "
        f"folder, 'module:Class', or 'family:MODEL' with one of {', '.join(FAMILIES)}."
    )
