"""What a result states besides its figures: where it must be, who its reranker is, how it was asked for.

None of it needs the data: it is held against this version's tables, and against the other things that the file says.
"""

import os
import shlex
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from bench.evaluation.plan import Plan
from bench.first_stage.runs import BM25, BUILT
from bench.rerankers.base import NEEDS, Card, Options
from bench.rerankers.order_only import build
from bench.rerankers.rows import FAMILIES, ROWS
from bench.results import Result
from bench.suites import SUITES, find

Found = dict[str, tuple[str, str]]
"""What differs: for each key what is stored and what it must be."""

_AT_LEAST_ONE = ("documents", "queries", "depth", "max_query_length", "max_doc_length")
_DEPTH = next(each.default for each in fields(Plan) if each.name == "depth")


def misplaced(path: Path, place: Path, result: Result) -> Found:
    """Whether a result is elsewhere than its contents say. ``place`` is what was asked for: the file or a folder."""
    expected = (result.folder / "result.json").parts
    # A link may lead to the place, and a place such as '.' has no names of its own.
    spellings = path.absolute(), place.resolve() / path.relative_to(place)
    if any(Path(os.path.normpath(spelling)).parts[-len(expected) :] == expected for spelling in spellings):
        return {}
    return {"path": ("/".join(path.parts[-len(expected) :]), "/".join(expected))}


def bounds(result: Result) -> Found:
    """Numbers of the protocol that no measurement has; with them nothing can be recomputed."""
    numbers = {key: getattr(result.protocol, key) for key in _AT_LEAST_ONE}
    return {f"protocol.{key}": (str(number), "1 or more") for key, number in numbers.items() if number < 1}


def unknown_keys(content: Mapping[str, Any], result: Result) -> Found:
    """Keys of the file that no result has."""
    known = asdict(result) | {"protocol": result.protocol.as_dict()}
    return dict.fromkeys(_beyond(content, known), ("a value", "no such key"))


def differing_card(card: Card) -> Found:
    """What a card says otherwise than this version's table of rerankers, or than its own name.

    What a reranker of the user's own says of itself is its own word, as every fingerprint is.
    """
    expected = _expected(card)
    stored = asdict(card) | {"needs": sorted(card.needs)}
    found = {
        f"reranker.{key}": (str(stored[key]), str(value)) for key, value in expected.items() if stored[key] != value
    }
    if not set(card.needs) <= NEEDS:
        found["reranker.needs"] = (str(sorted(card.needs)), f"of {sorted(NEEDS)}")
    return found


def differing_command(result: Result) -> Found:
    """What the result's own command asked for otherwise than what its protocol and provenance say was done."""
    given = _options(str(result.provenance.get("command", "")))
    found: Found = {}
    task = find(result.task)
    if given is not None:
        caps, protocol = Options(), result.protocol
        for key, usual in (
            ("depth", _DEPTH),
            ("max_query_length", caps.max_query_length),
            ("max_doc_length", caps.max_doc_length),
        ):
            asked = given.get(f"--{key.replace('_', '-')}", [str(usual)])[-1]
            if asked.isdecimal() and int(asked[:20]) != getattr(protocol, key):
                found[f"protocol.{key}"] = (str(getattr(protocol, key)), asked)
        stages = set(given.get("--first-stage", [task.first_stage if task else BM25]))
        # A run file's last column may say anything.
        if stages <= set(BUILT) and protocol.first_stage not in stages:
            found["protocol.first_stage"] = (protocol.first_stage, " ".join(sorted(stages)))
    analysis = str(result.provenance.get("analysis", ""))
    wanted = task.analysis if task else given.get("--analysis", ["english"])[-1] if given is not None else analysis
    if analysis and analysis != wanted:
        found["provenance.analysis"] = (analysis, wanted)
    return found


def _beyond(content: object, known: object, where: str = "") -> list[str]:
    if not (isinstance(content, Mapping) and isinstance(known, Mapping)):
        return []
    keys = [f"{where}{key}" for key in content if key not in known]
    for key in content.keys() & known.keys():
        keys += _beyond(content[key], known[key], f"{where}{key}.")
    return sorted(keys)


def _expected(card: Card) -> dict[str, Any]:
    """The fields of a card that follow from its name."""
    row = ROWS.get(card.name)
    if row and row.family == "order-only":
        return _order_only(card)
    family, _, model = card.name.partition(":")
    if row:
        family, model, revision = row.family, row.model, row.revision
    elif card.name.startswith(("http://", "https://")):
        family, model, revision = "http", card.name, ""
    elif family in FAMILIES and model:
        revision = ""
    else:
        return {}
    if family == "fusion":
        return _fusion(card, model)
    # A bi-encoder with adapters chooses them by the task.
    asks_for = {"texts"} | (card.needs & {"task"} if family == "bi-encoder" else set())
    expected: dict[str, Any] = {"family": family, "needs": sorted(asks_for)}
    if family in ("http", "chat"):
        expected["model"] = model.partition("#")[2].partition("#")[0]
    else:
        expected["model"] = model.partition("#")[0] if family == "generative" else model
    if revision:
        expected["revision"] = revision
    return expected


def _order_only(card: Card) -> dict[str, Any]:
    """The whole card, which its name and seed decide."""
    seed = card.settings.get("seed", 0)
    options = Options(seed=seed if isinstance(seed, int) and not isinstance(seed, bool) else 0)
    made = build(ROWS[card.name], options).card
    return asdict(made) | {"needs": sorted(made.needs)}


def _fusion(card: Card, inner: str) -> dict[str, Any]:
    """What a fusion takes from the reranker that it fuses."""
    settings = {key: value for key, value in card.settings.items() if key not in ("k", "fused")}
    fused = Card(inner, card.fingerprint, "", settings=settings)
    expected = {key: value for key, value in _expected(fused).items() if key in ("model", "needs", "revision")}
    return expected | {"family": "fusion"}


def _options(command: str) -> dict[str, list[str]] | None:
    """The long options of a suite's or folder's command, each with every value that it was given.

    None for any other command, such as a script's own.
    """
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if words[:3] != ["python", "-m", "bench"] or words[3:4] == [] or words[3] not in (*SUITES, "folder", "irds"):
        return None
    options: dict[str, list[str]] = {}
    for word, following in zip(words[4:], [*words[5:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            options.setdefault(name, []).append(value if equals else following)
    return options


def rerun_options(card: Card) -> Options | None:
    """The options that run an order-only reranker again; None for every other, whose model would have to be loaded."""
    row = ROWS.get(card.name)
    if row is None or row.family != "order-only" or differing_card(card):
        return None
    return Options(seed=int(card.settings.get("seed", 0)))
