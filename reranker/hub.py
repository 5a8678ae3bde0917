"""Fetches a model's files from the Hugging Face hub, or takes them from the hub's local cache.

A commit that is whole in the cache is used without asking. For anything else the hub is asked quickly, and again only
where it says that it failed; whatever goes wrong then, the cache is looked into before anything is refused.
"""

import errno
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TypedDict, TypeVar

from huggingface_hub import HfApi, get_cached_repo_tree, is_offline_mode, snapshot_download
from huggingface_hub.errors import CachedRepoTreeNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

from reranker.errors import CheckpointError

_COMMIT = re.compile(r"[0-9a-f]{40}")
_PATIENCE = 10  # seconds
_BUSY, _UNREADABLE, _FAILED = 429, (401, 403, 404), (500, 502, 503, 504)
_WAITS = (1.0, 3.0)  # seconds before the second and the third attempt, where the hub failed

_HTTP_ERROR: type[Exception] = HfHubHTTPError.__bases__[0]
"""The base of the errors of the hub's HTTP library, whose name has changed with the hub's versions."""

_INVALID_URL: type[Exception] = getattr(
    import_module(_HTTP_ERROR.__module__.partition(".")[0]), "InvalidURL", ValueError
)

_FAILURES = (_HTTP_ERROR, _INVALID_URL, OSError, ValueError, ImportError, RuntimeError)
"""What a hub, a proxy, a network or a disk can do to a request.

A page that is not JSON is a ValueError, and a proxy that needs another package an ImportError.
"""


Answer = TypeVar("Answer")


class _Patterns(TypedDict):
    allow_patterns: list[str]
    ignore_patterns: list[str]


@dataclass(frozen=True, slots=True)
class Fetched:
    """A model's files in the hub's local cache: the folder of one commit.

    ``doubt`` says why it is not known whether the files are the newest, or all there; it is empty where it is known.
    """

    folder: Path
    commit: str
    doubt: str = ""


def fetch(name: str, revision: str, wanted: Sequence[str], unwanted: Sequence[str] = ()) -> Fetched:
    """The files of a hub's model.

    Args:
        name: The model's id, "owner/model".
        revision: A commit, branch or tag; "" for the newest commit.
        wanted: Patterns of the files to fetch.
        unwanted: Patterns of files to leave out all the same.

    Raises:
        CheckpointError: they are neither in the cache nor to be had; the message begins with a small letter.
    """
    if not re.fullmatch(r"[\w][\w.-]{0,95}/[\w][\w.-]{0,95}", name, re.ASCII):
        raise CheckpointError(f"{name!r} is neither a folder nor a hub id such as 'owner/model'")

    is_pinned = _COMMIT.fullmatch(revision) is not None
    patterns: _Patterns = {"allow_patterns": list(wanted), "ignore_patterns": list(unwanted)}
    if is_pinned and _is_listed(name, revision) and (cached := _cached(name, revision, patterns)):
        return Fetched(cached, revision)

    def ask() -> Path:
        HfApi().model_info(name, revision=revision or None, timeout=_PATIENCE)
        # By the name that was asked for, so that the cache knows later which commit that was.
        return Path(snapshot_download(name, revision=revision or None, **patterns))

    try:
        folder = _patiently(ask)
    except _FAILURES as error:
        reason = _reason(name, revision, error)
        cached = _cached(name, revision, patterns)
        if cached is None:
            raise CheckpointError(reason) from error
        is_known = _is_listed(name, cached.name) and (is_pinned or is_offline_mode())
        return Fetched(cached, cached.name, "" if is_known else reason)
    if not any(folder.rglob("*.safetensors")):
        raise CheckpointError(f"the hub's {name} has no weights in safetensors")
    return Fetched(folder, folder.name)


def check(name: str, revision: str, wanted: Sequence[str], unwanted: Sequence[str] = ()) -> None:
    """See that a hub's model can be had, without fetching its files; the arguments are those of `fetch`.

    Raises:
        CheckpointError: it is neither in the cache nor on the hub; the message begins with a small letter.
    """
    if _cached(name, revision, {"allow_patterns": list(wanted), "ignore_patterns": list(unwanted)}):
        return
    try:
        _patiently(lambda: HfApi().model_info(name, revision=revision or None, timeout=_PATIENCE))
    except _FAILURES as error:
        raise CheckpointError(_reason(name, revision, error)) from error


def _patiently(ask: Callable[[], Answer]) -> Answer:
    """Ask the hub, and again while it fails; files that are fetched already are not fetched again."""
    for wait in _WAITS:
        try:
            return ask()
        except HfHubHTTPError as error:
            if error.response.status_code not in _FAILED:
                raise
        time.sleep(wait)
    return ask()


def _cached(name: str, revision: str, patterns: _Patterns) -> Path | None:
    """The folder of a revision in the cache; None where it is not there, or known not to be whole."""
    try:
        folder = Path(snapshot_download(name, revision=revision or None, local_files_only=True, **patterns))
    except (LocalEntryNotFoundError, OSError):
        return None
    return folder if any(folder.rglob("*.safetensors")) else None


def _is_listed(name: str, commit: str) -> bool:
    """Whether the cache has the list of a commit's files, and so knows which of them it has."""
    try:
        return bool(get_cached_repo_tree(name, revision=commit))
    except (CachedRepoTreeNotFoundError, OSError, ValueError):
        return False


def _reason(name: str, revision: str, error: Exception) -> str:
    """Why the hub gave nothing, with what to do where that is not plain."""
    first = " ".join(str(error).split())[:300]
    what = f"{type(error).__name__}: {first}" if first else type(error).__name__
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        if status == _BUSY:
            return f"the hub is busy (status {status}). Wait a few minutes, then run the same command again"
        if status in _UNREADABLE:
            at = f" at revision {revision}" if revision else ""
            return (
                f"the hub has no model {name!r}{at} that may be read (status {status}). Check the name; for a gated "
                "model accept its terms and set HF_TOKEN"
            )
        if status in _FAILED:
            times = len(_WAITS) + 1
            return (
                f"the hub failed (status {status}) {times} times. Wait a few minutes, then run the same command again"
            )
        return f"the hub failed (status {status})"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"the disk is full ({what}). Free some space, or set HF_HOME to a folder on another disk"
    if isinstance(error, json.JSONDecodeError):
        return f"what answered is not the hub, but perhaps a network's login page ({what})"
    return f"the hub could not be reached, or the files not fetched ({what})"
