"""Tells a process of the rehearsal which hashes and counts its small collections have, in place of the declared ones,
and in a short form of a test, how few tasks a suite has.

Python imports this module by itself where its folder is on the path. Everything else of the process stays as it is.
"""

import json
import os
import pkgutil
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

TOLD: dict[str, Any] = json.loads(Path(os.environ["REHEARSAL_TOLD"]).read_text(encoding="utf-8"))
_get_data = pkgutil.get_data


def get_data(package: str, resource: str) -> bytes | None:
    """ir_datasets' list of downloads, with the rehearsal's hashes; any other resource as it is."""
    content = _get_data(package, resource)
    if (package, resource) != ("ir_datasets", "etc/downloads.json") or content is None:
        return content
    listed = json.loads(content)
    for group in TOLD["downloads"].keys() & listed.keys():
        for key, expected in TOLD["downloads"][group].items():
            listed[group][key].update(expected_md5=expected, size_hint=1_000)
    return json.dumps(listed).encode()


def change_tasks(module: ModuleType) -> None:
    """Expect the small collections' counts; declare no more tasks than ``only`` names, where it does."""
    from bench.task import Counts

    only = TOLD.get("only", {}).get(module.__name__.rpartition(".")[2])
    tasks = [t for t in getattr(module, "TASKS") if only is None or t.embedded or t.name in only]  # noqa: B009
    changed = (replace(t, counts=Counts(*TOLD["counts"][t.id])) if t.id in TOLD["counts"] else t for t in tasks)
    setattr(module, "TASKS", tuple(changed))  # noqa: B010


def change_release(module: ModuleType) -> None:
    """Expect the hash of the rehearsal's question file."""
    setattr(module, "SHA256", TOLD["downloads"]["mkqa"]["sha256"])  # noqa: B010


CHANGES: dict[str, Callable[[ModuleType], None]] = {
    **{f"bench.suites.{suite}": change_tasks for suite in ("beir", "miracl", "mkqa", "coir")},
    "bench.collections.mkqa": change_release,
}


class Told:
    """Finds the modules that hold such facts, and changes these when a module has been run."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name in CHANGES else None
        if spec and spec.loader:
            run = spec.loader.exec_module

            def run_and_change(module: ModuleType) -> None:
                run(module)
                CHANGES[name](module)

            spec.loader.exec_module = run_and_change  # type: ignore[method-assign]
        return spec


pkgutil.get_data = get_data
sys.meta_path.insert(0, Told)  # type: ignore[arg-type]
