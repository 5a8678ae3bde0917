"""The source files that a class of the user's own is made of: its module's, and those that it imports from its folder.

Imports are read from the source, also those inside functions; what a module loads in any other way (weights, settings,
an import by a computed name) cannot be seen from here.
"""

import ast
import hashlib
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

_INSTALLED = {"site-packages", "dist-packages"}
_PACKAGES = Path(__file__).resolve().parents[2]
_ELSEWHERE = (_PACKAGES / "bench", _PACKAGES / "reranker", Path(sysconfig.get_path("stdlib")))


def source_hash(file: Path, module: str) -> str:
    """Hash of a module's source and of all that it imports, directly or not, from the same folder tree.

    Args:
        file: The module's source file.
        module: The name that it is imported by, as in ``package.module``; tells where its folder tree begins.

    Raises:
        OSError: where a source file cannot be read.
    """
    digest = hashlib.sha256()
    for path, content in sorted(_tree(file.absolute(), module).items()):
        name = path.encode("utf-8", "surrogateescape")
        digest.update(f"{len(name)} {len(content)} ".encode() + name + content)
    return digest.hexdigest()


def _tree(file: Path, module: str) -> dict[str, bytes]:
    """The contents of the module and of what it imports, by their paths in the folder tree."""
    parts = module.split(".")
    package = parts if file.name == "__init__.py" else parts[:-1]
    root = file.parents[len(package)]
    # The folder of an installed package holds all that is installed; that package alone is the tree.
    scope = root / parts[0] if root.name in _INSTALLED else root
    found: dict[str, bytes] = {}
    waiting = [(file, ".".join(package))]
    while waiting:
        path, of = waiting.pop()
        key = path.relative_to(root).as_posix()
        if key not in found:
            found[key] = path.read_bytes()
            waiting += [
                each for name in _imported(found[key], of) for each in _files(name, root) if _belongs(each[0], scope)
            ]
    return found


def _imported(source: bytes, package: str) -> Iterator[str]:
    """The modules that a source may import: of ``from a import b`` both ``a`` and ``a.b``."""
    try:
        parsed = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return  # an import of it fails
    for node in ast.walk(parsed):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level and package else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            if base:
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names)


def _files(module: str, root: Path) -> Iterator[tuple[Path, str]]:
    """The source files that an import of a module may run, each with the package that it belongs to."""
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        name, place = ".".join(parts[:count]), root.joinpath(*parts[:count])
        for path in (_loaded(name), place / "__init__.py", place.with_name(f"{place.name}.py")):
            if path is not None and path.is_file():
                yield path.absolute(), name if path.name == "__init__.py" else ".".join(parts[: count - 1])


def _loaded(name: str) -> Path | None:
    """Where a module came from that is imported already, perhaps by a path that the user's code added."""
    file = getattr(sys.modules.get(name), "__file__", None)
    return Path(file) if isinstance(file, str) and file.endswith(".py") else None


def _belongs(path: Path, scope: Path) -> bool:
    """Whether a file is part of the tree, and neither installed there nor one of the harness."""
    if not path.is_relative_to(scope):
        return False
    elsewhere = [folder for folder in _ELSEWHERE if not scope.is_relative_to(folder)]
    below = path.relative_to(scope).parts
    return not _INSTALLED.intersection(below) and not any(map(path.is_relative_to, elsewhere))
