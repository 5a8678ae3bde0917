"""`python -m tests.scripts.functions_sample FOLDER`: makes the embedded CoIR sample from the source of networkx.

A docstring's first sentence asks for its function. Pairs are made as CodeSearchNet's are (Husain et al. 2019,
https://arxiv.org/abs/1909.09436, section 2.1): functions and methods with a docstring of three words and more,
themselves of three lines and more without it; no tests, constructors or other special methods; of near-duplicate
functions the first. Where two functions share a sentence, each asks for its own. Two things differ: the query is one
sentence where CodeSearchNet takes the first paragraph, and the function's own name is masked in the document, so that
it is found by what it does. The source is parsed, not imported.

FOLDER becomes a collection in BEIR format, with the licence of the source. This is how
`bench/collections/embedded/coir/embedded-functions` was made.
"""

import ast
import json
import re
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distribution
from itertools import chain
from pathlib import Path

PACKAGE, VERSION = "networkx", "3.6.1"
MASK = "function"

_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
# A full stop ends a sentence where white space follows, save after these.
_SENTENCE = re.compile(r".+?(?<!\be\.g)(?<!\bi\.e)(?<!\bcf)(?<!\bvs)(?<!\bal)[.!?](?=\s|$)")
_MIN_WORDS, _MIN_LINES, _MIN_TOKENS = 3, 3, 10
_SAME_SET, _SAME_COUNTS = 0.8, 0.7


@dataclass(frozen=True, slots=True)
class Pair:
    """A function: ``name`` is its qualified name, ``query`` its docstring's first sentence, ``code`` the rest of it."""

    name: str
    query: str
    code: str


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.scripts.functions_sample FOLDER")
    installed = distribution(PACKAGE)
    if installed.version != VERSION:
        sys.exit(f"The sample is made of {PACKAGE} {VERSION}, installed is {installed.version}.")
    write_sample(read_pairs(Path(str(installed.locate_file(PACKAGE)))), Path(sys.argv[1]))
    (licence,) = (path for path in installed.files or () if path.name == "LICENSE.txt")
    (Path(sys.argv[1]) / "LICENSE.txt").write_text(licence.read_text(), encoding="utf-8")


def write_sample(pairs: Sequence[Pair], folder: Path) -> None:
    """Write the pairs as a collection in BEIR format; a pair's two halves share its name as their id."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    _write_lines(folder / "corpus.jsonl", ({"_id": pair.name, "text": pair.code} for pair in pairs))
    _write_lines(folder / "queries.jsonl", ({"_id": pair.name, "text": pair.query} for pair in pairs))
    rows = [f"{pair.name}\t{pair.name}\t1\n" for pair in pairs]
    (folder / "qrels" / "test.tsv").write_text("".join(["query-id\tcorpus-id\tscore\n", *rows]), encoding="utf-8")


def _write_lines(path: Path, rows: Iterator[Mapping[str, str]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def read_pairs(package: Path) -> list[Pair]:
    """The pairs of a package's folder, by file and line; the module's docstring says what is left out."""
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


if __name__ == "__main__":
    main()
