"""Where a figure came from: enough to make it again."""

import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ARITHMETIC = ("torch", "transformers", "sentence-transformers", "tokenizers", "numpy")
"""The packages that scores are computed by."""

_PACKAGES = ("rerank-bench", *ARITHMETIC, "ir_datasets", "mteb", "pytrec_eval-terrier")


_call: ContextVar[str] = ContextVar("call", default="")


@contextmanager
def called(call: str) -> Iterator[None]:
    """Within the context, results were measured by this call of the Python API, not by the process's command."""
    token = _call.set(call)
    try:
        yield
    finally:
        _call.reset(token)


def provenance(source: str) -> dict[str, Any]:
    """Package versions, commit, command, time and data source of a result being written now."""
    return {
        "source": source,
        "command": _call.get() or shlex.join(["python", "-m", "bench", *sys.argv[1:]]),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "packages": versions(_PACKAGES),
    }


@cache
def git_commit() -> str:
    """The commit of this package's checkout, with ``+changes`` where files differ from it; empty when installed."""
    checkout = Path(__file__).resolve().parents[1]
    try:
        # Installed into somebody's virtual environment, the package may be inside their repository.
        if Path(_git(checkout, "rev-parse", "--show-toplevel")).resolve() != checkout:
            return ""
        return _git(checkout, "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+changes")
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    return answer.stdout.strip()


@cache
def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """The versions of those packages that are installed."""
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
