"""The embedded CoIR sample: a docstring's first sentence asks for its function, over the source of networkx.

Made as CodeSearchNet's pairs are (Husain et al. 2019, https://arxiv.org/abs/1909.09436, section 2.1): functions and
methods with a docstring of three words and more, themselves of three lines and more without it; no tests, constructors
or other special methods; of near-duplicate functions the first. Where two functions share a sentence, each asks for its
own. Two things differ: the query is one sentence where CodeSearchNet takes the first paragraph, and the function's own
name is masked in the document, so that it is found by what it does. The source is parsed, not imported; its version is
pinned, since it decides the counts.
"""

import ast
import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from itertools import chain
from pathlib import Path

from bench.collections.collection import Collection, check_counts
from bench.collections.texts import hash_texts
from bench.errors import BenchError
from bench.task import Counts, Task

PACKAGE, VERSION = "networkx", "3.6.1"
MASK = "function"

_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
# A full stop ends a sentence where white space follows, save after these.
_SENTENCE = re.compile(r".+?(?<!\be\.g)(?<!\bi\.e)(?<!\bcf)(?<!\bvs)(?<!\bal)[.!?](?=\s|$)")
_INSTALL = f"Install it: pip install {PACKAGE}=={VERSION}"
_MIN_WORDS, _MIN_LINES, _MIN_TOKENS = 3, 3, 10
_SAME_SET, _SAME_COUNTS = 0.8, 0.7


@dataclass(frozen=True, slots=True)
class Pair:
    """A function: ``name`` is its qualified name, ``query`` its docstring's first sentence, ``code`` the rest of it."""

    name: str
    query: str
    code: str


def load_functions(task: Task) -> Collection:
    """Build the pairs from the installed source.

    Raises:
        BenchError: where the package is missing or another version, or the counts differ.
    """
    pairs = read_pairs(_source())
    texts = {pair.name: pair.code for pair in pairs}
    source = f"source of {PACKAGE} {VERSION}"
    check_counts(task, Counts(len(texts), len(pairs), len(pairs)), source)
    queries = {pair.name: pair.query for pair in pairs}
    return Collection(task, queries, {name: {name: 1} for name in queries}, HeldDocuments(texts), source)


class HeldDocuments:
    """Documents in memory; see `bench.collections.collection.Documents`."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        yield from self._texts.items()

    def texts(self, ids: Sequence[str]) -> dict[str, str]:
        """The texts of the ids that are there."""
        return {document_id: self._texts[document_id] for document_id in ids if document_id in self._texts}

    def lacking(self, ids: Sequence[str]) -> list[str]:
        """Those of the ids that are not there."""
        return [document_id for document_id in ids if document_id not in self._texts]

    def texts_hash(self) -> str:
        """Hash of every id and text."""
        return hash_texts(self)

    def close(self) -> None:
        """Nothing to do."""


def read_pairs(package: Path) -> list[Pair]:
    """The pairs of a package's folder, by file and line; what is left out stands in the module's docstring."""
    pairs: dict[str, Pair] = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        if "tests" in parts:
            continue
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        module = ".".join(part for part in parts if part != "__init__")
        for name, node in _functions(ast.parse(text), module):
            pair = _pair(name, node, lines)
            if pair:
                pairs.setdefault(name, pair)  # a property's setter has its getter's name
    return _distinct(list(pairs.values()))


def first_sentence(docstring: str) -> str:
    """The first sentence of a docstring's first paragraph, on one line."""
    paragraph = " ".join(docstring.strip().split("\n\n", 1)[0].split())
    sentence = _SENTENCE.match(paragraph)
    return sentence[0] if sentence else paragraph


_Function = ast.FunctionDef | ast.AsyncFunctionDef


def _source() -> Path:
    """The folder of the installed package, found without importing it."""
    try:
        installed = distribution(PACKAGE)
    except PackageNotFoundError as error:
        raise BenchError(f"The embedded CoIR task is made of {PACKAGE} {VERSION}. {_INSTALL}") from error
    if installed.version != VERSION:
        raise BenchError(
            f"The embedded CoIR task is made of {PACKAGE} {VERSION}, installed is {installed.version}. {_INSTALL}"
        )
    return Path(str(installed.locate_file(PACKAGE)))


def _functions(tree: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[str, _Function]]:
    """Functions of a module and methods of its classes, each with its qualified name; not those inside functions."""
    for node in tree.body:
        if isinstance(node, _Function):
            yield f"{prefix}.{node.name}", node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}.{node.name}")


def _pair(name: str, node: _Function, lines: Sequence[str]) -> Pair | None:
    docstring = ast.get_docstring(node)
    special = node.name.startswith("__") and node.name.endswith("__")
    if not docstring or special or "test" in node.name.lower():
        return None
    query = first_sentence(docstring)
    code = _code(node, lines)
    if len(query.split()) < _MIN_WORDS or len(code.splitlines()) < _MIN_LINES:
        return None
    return Pair(name, query, re.sub(rf"\b{node.name}\b", MASK, code))


def _code(node: _Function, lines: Sequence[str]) -> str:
    """A function's lines from its ``def`` on, without decorators, docstring and blank lines, and with no indent."""
    docstring = node.body[0]
    kept = chain(lines[node.lineno - 1 : docstring.lineno - 1], lines[docstring.end_lineno : node.end_lineno])
    return textwrap.dedent("\n".join(line for line in kept if line.strip()))


def _distinct(pairs: Sequence[Pair]) -> list[Pair]:
    """Leave out near-duplicates of an earlier function, and functions too short to tell.

    As Allamanis 2019, https://arxiv.org/abs/1812.06469, whose tool CodeSearchNet used: two functions are the same when
    their identifiers' sets have a Jaccard similarity of .8 and their counts one of .7.
    """
    kept: list[Pair] = []
    by_size: dict[int, list[Counter[str]]] = {}
    for pair in pairs:
        found = Counter(_IDENTIFIER.findall(pair.code))
        # Sets of other sizes cannot be alike, and need not be compared.
        sizes = range(int(_SAME_SET * len(found)), int(len(found) / _SAME_SET) + 2)
        near = chain.from_iterable(by_size.get(size, ()) for size in sizes)
        if found.total() >= _MIN_TOKENS and not any(_alike(found, other) for other in near):
            kept.append(pair)
            by_size.setdefault(len(found), []).append(found)
    return kept


def _alike(one: Counter[str], other: Counter[str]) -> bool:
    shared = len(one.keys() & other.keys())
    if shared < _SAME_SET * (len(one) + len(other) - shared):
        return False
    common = (one & other).total()
    return common >= _SAME_COUNTS * (one.total() + other.total() - common)
