import importlib
import sys

import pytest

from bench.errors import BenchError
from bench.evaluation.chunks import ask
from bench.evaluation.variations import VariesBlocks
from bench.rerankers import load, plug_ins
from bench.rerankers.base import CandidateList, Options, Scored

SOURCE = """
from bench.rerankers.base import Card, Scored


class Constant:
    def score(self, lists):
        for candidates in lists:
            yield Scored(candidates.query_id, (1.0,) * len(candidates.ids))


class Length:
    def __init__(self, options):
        self.cap = options.max_doc_length

    def score(self, lists):
        for candidates in lists:
            yield Scored(candidates.query_id, tuple(float(min(len(text), self.cap)) for text in candidates.texts))


class Named(Constant):
    card = Card(name="named", fingerprint="1", family="own", needs=frozenset())


class WrongCard(Constant):
    card = "me"


class Vouched(Constant):
    fingerprint = "weights 1"


class Method(Constant):
    def fingerprint(self):
        return "weights 1"


class WrongFingerprint(Constant):
    fingerprint = 5


class InBlocks(Constant):
    fingerprint = "weights 1"
    size = 0

    def with_block_size(self, documents):
        varied = InBlocks()
        varied.size = documents
        return varied


class NoScore:
    pass


def function(lists):
    return []
"""
ONE = CandidateList("q", "any", ("a", "b"), (2.0, 1.0), ("long text", "text"))


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module in the current folder, as a user would have it."""
    (tmp_path / "mine.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    before = set(sys.modules)
    yield tmp_path / "mine.py"
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_one_method_is_enough(module):
    reranker = load("mine:Constant", Options())
    assert [answer.scores for answer in reranker.score([ONE])] == [(1.0, 1.0)]
    assert (reranker.card.name, reranker.card.family, reranker.card.needs) == ("mine:Constant", "own", {"texts"})


def fingerprint(name):
    """As the next command sees it, which imports the module anew."""
    for loaded in [each for each in sys.modules if each.partition(".")[0] in ("mine", "helper", "deeper", "pack")]:
        del sys.modules[loaded]
    importlib.invalidate_caches()
    return load(name, Options()).card.fingerprint


IMPORTS = {
    "import helper": {"helper.py": ""},
    "from helper import points": {"helper.py": "points = 1"},
    "import helper ": {"helper.py": "import deeper", "deeper.py": ""},
    "import pack.inner.last": {"pack/__init__.py": "", "pack/inner/__init__.py": "", "pack/inner/last.py": ""},
    "from pack import last": {"pack/__init__.py": "", "pack/last.py": ""},
    "import pack": {"pack/__init__.py": "from .last import x", "pack/last.py": "x = 1"},
    "import pack ": {"pack/__init__.py": "from . import last", "pack/last.py": ""},
    "import pack.a.b": {"pack/__init__.py": "", "pack/a/b.py": "from .. import last", "pack/last.py": ""},
    "def late():\n    import helper": {"helper.py": ""},
    "try:\n    import helper\nexcept ImportError:\n    pass": {"helper.py": ""},
    "import sys; sys.path.append('lib'); import helper": {"lib/helper.py": ""},
}


@pytest.mark.parametrize("statement", IMPORTS)
def test_the_fingerprint_follows_the_modules_that_the_class_imports(module, statement, monkeypatch):
    for name, source in IMPORTS[statement].items():
        (module.parent / name).parent.mkdir(parents=True, exist_ok=True)
        (module.parent / name).write_text(source)
    (module.parent / "unrelated.py").write_text("")
    module.write_text(f"{SOURCE}\n{statement}\n")
    first = fingerprint("mine:Constant")
    (module.parent / "unrelated.py").write_text("changed = True")
    assert fingerprint("mine:Constant") == first
    for name, source in IMPORTS[statement].items():
        (module.parent / name).write_text(f"{source}\nchanged = True")
        assert fingerprint("mine:Constant") != first, name
        (module.parent / name).write_text(source)
    assert fingerprint("mine:Constant") == first


def test_the_fingerprint_leaves_installed_packages_and_the_harness_out(module):
    # Here the current folder has an environment and a checkout of this harness in it.
    module.write_text(f"import json\nimport installed\nimport bench.errors\n{SOURCE}")
    place = module.parent / "env" / "lib" / "site-packages"
    place.mkdir(parents=True)
    (place / "installed.py").write_text("")
    sys.path.append(str(place))
    first = fingerprint("mine:Constant")
    (place / "installed.py").write_text("changed = True")
    sys.modules.pop("installed")
    assert fingerprint("mine:Constant") == first


def test_scores_are_cached_of_a_class_that_has_a_fingerprint_alone(module):
    cached = {name: load(f"mine:{name}", Options()).cacheable for name in ("Constant", "Vouched", "Method", "Named")}
    assert cached == {"Constant": False, "Vouched": True, "Method": True, "Named": True}


@pytest.mark.parametrize("name", ["Vouched", "Method", "Named"])
def test_its_own_fingerprint_and_its_source_both_count(module, name):
    first = fingerprint(f"mine:{name}")
    for changed in (
        SOURCE.replace("weights 1", "weights 2").replace('fingerprint="1"', 'fingerprint="2"'),
        SOURCE.replace("(1.0,)", "(2.0,)"),
    ):
        module.write_text(changed)
        assert fingerprint(f"mine:{name}") != first


def test_block_sizes_can_be_varied(module):
    reranker = load("mine:InBlocks", Options())
    assert isinstance(reranker, VariesBlocks)
    assert not isinstance(load("mine:Constant", Options()), VariesBlocks)
    varied = reranker.with_block_size(10)
    assert varied.scorer.size == 10
    fingerprints = {reranker.card.fingerprint, varied.card.fingerprint, reranker.with_block_size(25).card.fingerprint}
    assert len(fingerprints) == 3  # though the class has one for all sizes


def test_the_fingerprint_follows_the_source_file(module):
    first = load("mine:Constant", Options()).card.fingerprint
    assert load("mine:Length", Options()).card.fingerprint != first
    module.write_text(SOURCE.replace("(1.0,)", "(2.0,)"))
    del sys.modules["mine"]
    assert load("mine:Constant", Options()).card.fingerprint != first


def test_a_constructor_that_takes_an_argument_gets_the_options(module):
    (answer,) = load("mine:Length", Options(max_doc_length=5)).score([ONE])
    assert answer.scores == (5.0, 4.0)


def test_a_card_of_its_own_is_kept(module):
    assert load("mine:Named", Options()).card.needs == frozenset()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mine:Absent", "no attribute 'Absent'"),
        ("absent:Class", "has a module 'absent'"),
        ("mine:NoScore", "must be a class with a method 'score"),
        ("mine:function", "must be a class with a method 'score"),
        ("mine:WrongCard", "not a bench.rerankers.base.Card"),
        ("mine:WrongFingerprint", "'fingerprint' that is not a text: 5"),
    ],
)
def test_what_is_no_reranker_is_refused(module, name, message):
    with pytest.raises(BenchError, match=message):
        load(name, Options())


def test_a_class_without_source_must_bring_a_card(module):
    module.write_text(
        SOURCE + "\nLoose = type('Loose', (), {'score': lambda self, lists: iter([]), '__module__': 'x'})\n"
    )
    with pytest.raises(BenchError, match="no source file"):
        load("mine:Loose", Options())


def test_an_installed_package_announces_its_reranker(module):
    info = module.parent / "mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[rerank_bench.rerankers]\nconstant = mine:Constant\nbroken = mine:Nothing\n"
    )
    sys.path.append(str(module.parent))
    assert set(plug_ins()) >= {"constant", "broken"}
    assert load("constant", Options()).card.name == "constant"
    with pytest.raises(BenchError, match=r"'broken', announced as 'mine:Nothing'"):
        load("broken", Options())
    with pytest.raises(BenchError, match="Did you mean 'constant'"):
        load("constent", Options())


SCORE = "\n def score(self, lists): pass"
FAILURES = {
    "raise RuntimeError('no weights')": r"Cannot load .*'mine:Mine': RuntimeError: no weights \(mine.py, line 1\)",
    "def broken(:": "Cannot load the reranker 'mine:Mine': SyntaxError",
    "import sys; sys.exit(3)": "Cannot load the reranker 'mine:Mine': SystemExit: 3",
    "import not_there": "No module named 'not_there'",
    f"class Mine:\n def __init__(self): 1 / 0{SCORE}": "Cannot make an object of 'mine:Mine': ZeroDiv.*line 2",
    f"class Mine:\n def __init__(self, a, b): pass{SCORE}": "Cannot make an object of 'mine:Mine': TypeError",
    f"class Mine:\n @property\n def card(self): return 1 / 0{SCORE}": "Cannot read the 'card'",
    f"class Mine:\n def fingerprint(self, a): pass{SCORE}": "Cannot read the 'card' and 'fingerprint'",
}


@pytest.mark.parametrize("source", FAILURES)
def test_what_fails_in_the_users_code_is_told_with_its_place(module, source):
    module.write_text(source)
    with pytest.raises(BenchError, match=FAILURES[source]):
        load("mine:Mine", Options())


ANSWERS = {
    "return None": "mine:Mine answered None",
    "return 5": "mine:Mine answered 5",
    "return [[1.0, 2.0]]": r"mine:Mine answered \[1.0, 2.0\] \(list\), which is not a Scored",
    "return 'scores'": r"mine:Mine answered 's' \(str\), which is not a Scored",
    "return {'q': (1.0, 2.0)}": r"mine:Mine answered 'q' \(str\)",
    "return iter([None])": "mine:Mine answered None",
    "return []": "mine:Mine gave no answer for query 'q'",
    "return [Scored('q', (1, 2)), Scored('q', (1, 2))]": "mine:Mine answered query 'q' twice",
    "return [Scored('other', (1, 2))]": "mine:Mine answered query 'other'.*which was not asked",
    "return [Scored(['q'], (1, 2))]": r"mine:Mine answered query \['q'\]",
    "return [Scored('q', None)]": "mine:Mine gave None .* as the scores of query 'q'",
    "return [Scored('q', 'ab')]": "mine:Mine gave 'ab'",
    "return [Scored('q', ('1', '2'))]": r"mine:Mine gave \('1', '2'\)",
    "return [Scored('q', {1: 'a', 2: 'b'})]": "mine:Mine gave {1: 'a', 2: 'b'}",
    "return [Scored('q', {1.0, 2.0})]": "mine:Mine gave {1.0, 2.0}",
    "return [Scored('q', (1, None))]": r"mine:Mine gave \(1, None\)",
    "return [Scored('q', (1j, 2))]": "mine:Mine gave",
    "return [Scored('q', (10**400, 2))]": "mine:Mine gave",
    "return [Scored('q', 5.0)]": "mine:Mine gave 5.0",
    "return [Scored('q', (1.0,))]": "mine:Mine gave 1 scores for 2 candidates of query 'q'",
    "return [Scored('q', (1.0, float('nan')))]": "mine:Mine gave a score that is not finite",
    "return [Scored('q', (1, 2), tokens=-1)]": "mine:Mine gave -1 .*'tokens'",
    "return [Scored('q', (1, 2), tokens=1.5)]": "mine:Mine gave 1.5 .*'tokens'",
    "return [Scored('q', (1, 2), documents_cut=2**63)]": "mine:Mine gave 9223372036854775808",
    "return [Scored('q', (1, 2), queries_cut=None)]": "mine:Mine gave None .*'queries_cut'",
    "return [Scored('q', torch.zeros(2, 2))]": "mine:Mine gave tensor",
    "raise ValueError('bad')": r"mine:Mine failed in 'score': ValueError: bad \(mine.py, line 5\)",
    "return [Scored('q')]": "mine:Mine failed in 'score': TypeError",
    "yield 1 / 0": r"mine:Mine failed in 'score': ZeroDivisionError: division by zero \(mine.py, line 5\)",
    "yield from (Scored('q', (1, 2)) for _ in iter(int, 1))": "mine:Mine answered query 'q' twice",
}
CLASS = "import torch, numpy\nfrom bench.rerankers.base import Scored\nclass Mine:\n def score(self, lists):\n  "


@pytest.mark.parametrize("form", ["mine:Mine", "fusion:mine:Mine"])
@pytest.mark.parametrize("body", ANSWERS)
def test_bad_answers_are_refused_by_the_classs_name(module, body, form):
    module.write_text(CLASS + body)
    with pytest.raises(BenchError, match=ANSWERS[body]):
        ask(load(form, Options()), [ONE])


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")
@pytest.mark.parametrize(
    "scores",
    ["[1, 2]", "numpy.array([1, 2])", "numpy.float32([1, 2])", "torch.tensor([1.0, 2.0], requires_grad=True)",
     "list(torch.tensor([1, 2]))", "(True, 2)", "iter((1, 2))", "map(float, '12')"],
)  # fmt: skip
def test_numbers_of_every_library_are_taken(module, scores):
    module.write_text(f"{CLASS}return [Scored('q', {scores}, tokens=numpy.int64(7), queries_cut=torch.tensor(1))]")
    (answer,) = ask(load("mine:Mine", Options()), [ONE]).answers
    assert answer == Scored("q", (1.0, 2.0), tokens=7, queries_cut=1)
    assert {type(score) for score in answer.scores} == {float}
    assert type(answer.tokens) is int


MADE_ELSEWHERE = """
from mine import Constant

def maker(base, score):
    class Made(base):
        fingerprint = "weights 1"
        value = score
    return Made
"""


@pytest.mark.parametrize(
    ("source", "changed"),
    [
        ("Made = maker(Constant, 1.0)", "Made = maker(Constant, 2.0)"),
        ("Made = Constant; Made.value = 1.0", "Made = Constant; Made.value = 2.0"),
    ],
)
def test_the_module_that_names_a_class_counts_though_another_makes_it(source, changed, module):
    module.with_name("making.py").write_text(MADE_ELSEWHERE)
    naming = module.with_name("naming.py")
    fingerprints = set()
    for each in (source, source, changed):
        naming.write_text(f"from making import Constant, maker\n{each}\n")
        for loaded in ("naming", "making", "mine"):
            sys.modules.pop(loaded, None)
        importlib.invalidate_caches()
        fingerprints.add(load("naming:Made", Options()).card.fingerprint)
    assert len(fingerprints) == 2


def test_a_property_that_fails_is_not_taken_for_a_missing_one(module):
    module.write_text(
        SOURCE
        + "\n\nclass Failing(Constant):\n    @property\n    def fingerprint(self):\n        return self.weights\n"
    )
    with pytest.raises(BenchError, match=r"Cannot read the 'card' and 'fingerprint' .* no attribute 'weights'"):
        load("mine:Failing", Options())


@pytest.mark.parametrize("needs", ['"texts"', 'frozenset({"text"})', "None"])
def test_needs_are_a_set_of_known_words(needs, module):
    card = f'Card("x", "1", "own", needs={needs})'
    module.write_text(
        f"{SOURCE}\n\nfrom bench.rerankers.base import Card\n\n\nclass Needy(Constant):\n    card = {card}\n"
    )
    with pytest.raises(BenchError, match="'needs'"):
        load("mine:Needy", Options())
