"""Docstring-to-function pairs: what becomes one, on a small package and on the sample's source."""

import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from textwrap import indent

import pytest

from bench.collections.load import EMBEDDED, load
from bench.suites import choose
from tests.scripts.functions_sample import PACKAGE, VERSION, Pair, first_sentence, read_pairs

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = EMBEDDED / "coir" / "embedded-functions"

BODY = """
    total = start
    for node in graph.neighbors(start):
        total += weight(graph, node) * factor
    return total
"""


def package(tmp_path: Path, source: str, file: str = "walk.py") -> Path:
    path = tmp_path / "graphs" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, encoding="utf-8")
    return tmp_path / "graphs"


def names(folder: Path) -> list[str]:
    return [pair.name for pair in read_pairs(folder)]


def test_a_function_is_found_by_its_docstrings_first_sentence(tmp_path: Path) -> None:
    source = '''
@cached
def weigh(graph, start):
    """Return the weight of a walk, i.e. of
    its edges. It may be infinite.

    Parameters follow.
    """
    # weigh each edge once

    total = sum(edge.weight for edge in graph.walk(start))
    return total if total else weigh(graph, start.next)
'''
    assert read_pairs(package(tmp_path, source)) == [
        Pair(
            "graphs.walk.weigh",
            "Return the weight of a walk, i.e. of its edges.",
            "def function(graph, start):\n"
            "    # function each edge once\n"
            "    total = sum(edge.weight for edge in graph.walk(start))\n"
            "    return total if total else function(graph, start.next)",
        )
    ]


def test_methods_have_their_classes_name_and_no_indent(tmp_path: Path) -> None:
    method = indent(f'def weigh(self, graph, start, factor):\n    """Weigh a whole walk."""{BODY}', " " * 8)
    (pair,) = read_pairs(package(tmp_path, f"class Walk:\n    class Inner:\n{method}", "deep/__init__.py"))
    assert pair.name == "graphs.deep.Walk.Inner.weigh"
    assert pair.code.startswith("def function(self, graph, start, factor):\n    total = start\n")


@pytest.mark.parametrize(
    "source",
    [
        f"def weigh(graph, start, factor):{BODY}",
        f'def weigh(graph, start, factor):\n    """Weigh it."""{BODY}',
        f'def test_weigh(graph, start, factor):\n    """Weigh a whole walk."""{BODY}',
        f'def __call__(graph, start, factor):\n    """Weigh a whole walk."""{BODY}',
        'def weigh(graph, start, factor):\n    """Weigh a whole walk."""\n    return graph.w(start, factor, 1, graph)',
        'def weigh(graph, start, factor):\n    """Weigh a whole walk."""',
        'def weigh(graph, start, factor): "Weigh a whole walk."',
    ],
    ids=["no docstring", "two words", "a test", "special method", "two lines", "docstring alone", "one line"],
)
def test_what_codesearchnet_leaves_out(tmp_path: Path, source: str) -> None:
    assert names(package(tmp_path, source)) == []


def test_tests_folders_are_left_out(tmp_path: Path) -> None:
    source = f'def weigh(graph, start, factor):\n    """Weigh a whole walk."""{BODY}'
    package(tmp_path, source, "tests/helpers.py")
    assert names(package(tmp_path, source)) == ["graphs.walk.weigh"]


def test_of_near_duplicates_the_first_stays(tmp_path: Path) -> None:
    first = f'def weigh(graph, start, factor):\n    """Weigh a whole walk."""{BODY}'
    second = first.replace("weigh(", "heft(").replace("neighbors", "successors")
    other = first.replace("weigh(", "mass(").replace("total", "t").replace("node", "n").replace("weight", "w")
    assert names(package(tmp_path, "\n".join((first, second, other)))) == ["graphs.walk.weigh", "graphs.walk.mass"]


@pytest.mark.parametrize(
    ("docstring", "sentence"),
    [
        ("One sentence. Another.", "One sentence."),
        ("No stop at all", "No stop at all"),
        ("Lines\n   are joined.\nMore.", "Lines are joined."),
        ("A title\n\nA paragraph.", "A title"),
        (
            "Version 3.6 is read, e.g. from a file, cf. below. Done.",
            "Version 3.6 is read, e.g. from a file, cf. below.",
        ),
        ("Is it a tree? Perhaps.", "Is it a tree?"),
    ],
)
def test_first_sentence(docstring: str, sentence: str) -> None:
    assert first_sentence(docstring) == sentence


def test_the_sample() -> None:
    (task,) = choose("coir", [], embedded=True)
    loaded = load(task)
    # Stored results and the bundled run hold for this data alone.
    assert (loaded.version, loaded.documents.texts_hash()) == ("d5e90b542ef446ba", "e94553aecb884c7d")
    name = "networkx.algorithms.dag.topological_generations"
    assert loaded.queries[name] == "Stratifies a DAG into generations."
    assert loaded.judgements[name] == {name: 1}
    code = loaded.documents.texts([name, "networkx.nothing"])[name]
    assert code.startswith("def function(G):\n    if not G.is_directed():")
    assert all(text.startswith("def function(") for _, text in loaded.documents)


@pytest.mark.skipif(version(PACKAGE) != VERSION, reason=f"the sample is made of {PACKAGE} {VERSION}")
def test_the_sample_is_what_the_script_makes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.scripts.functions_sample", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True)
    for path in filter(Path.is_file, SAMPLE.rglob("*")):
        assert (tmp_path / path.relative_to(SAMPLE)).read_bytes() == path.read_bytes()


def test_the_licence_of_what_is_shipped_goes_into_the_wheel() -> None:
    assert "NetworkX Developers" in (SAMPLE / "LICENSE.txt").read_text(encoding="utf-8")
    named = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["license-files"]
    shipped = {path for pattern in named for path in ROOT.glob(pattern)}
    assert shipped >= set((ROOT / "bench").rglob("LICENSE*"))
