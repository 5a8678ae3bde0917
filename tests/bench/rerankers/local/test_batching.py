"""What a text becomes is the same to the last bit, whatever is embedded with it."""

import random

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

from bench.rerankers import load
from bench.rerankers.base import CandidateList
from bench.rerankers.local.batching import ACCELERATOR, ALONE, CPU, CPU_FILLED_UP, WIDTHS, Budget, Shape, shape
from tests.torch_threads import torch_threads

SMALL = Budget(128, 8)
"""So little that most texts are batches of their own."""

PROMPTS = {"query": "search: ", "document": "passage: "}
WORDS = (
    "the",
    "moon",
    "pulls",
    "water",
    "of",
    "oceans",
    "bread",
    "flour",
    "salt",
    "yeast",
    "earth",
    "farine",
    "degrees",
)


@pytest.fixture(scope="module")
def texts():
    """Texts of every length up to beyond the models' windows, some of them equally long."""
    chance = random.Random(7)
    lengths = [*range(70), *(chance.randrange(1, 20) for _ in range(40)), 90, 127, 200, 300]
    return [" ".join(chance.choices(WORDS, k=length)) for length in lengths]


@pytest.fixture(scope="module")
def prompted(tmp_path_factory, encoder):
    folder = tmp_path_factory.mktemp("prompted")
    modules = [Transformer(str(encoder)), Pooling(32)]
    SentenceTransformer(modules=modules, prompts=PROMPTS, device="cpu").save_pretrained(str(folder))
    return f"bi-encoder:{folder}"


@pytest.fixture(scope="module", params=["minilm", "prompted", "colbert"])
def reranker(request, cpu):
    if request.param == "minilm":
        return load("minilm", cpu)
    if request.param == "prompted":
        return load(request.getfixturevalue("prompted"), cpu)
    return load(f"late-interaction:{request.getfixturevalue('colbert')}", cpu)


@pytest.fixture(scope="module", params=[CPU, SMALL], ids=["as on a CPU", "mostly alone"])
def budgeted(request, reranker):
    """The reranker, with batches of a size."""
    before = reranker._encoder._budget
    reranker._encoder._budget = request.param
    yield reranker
    reranker._encoder._budget = before


@pytest.mark.parametrize("is_query", [False, True])
def test_vectors_do_not_depend_on_company_or_order(budgeted, texts, is_query):
    together = budgeted._embed(texts, is_query)
    order = random.Random(3).sample(range(len(texts)), len(texts))
    for place, vector in zip(order, budgeted._embed([texts[place] for place in order], is_query), strict=True):
        assert np.array_equal(vector, together[place])
    for place in range(0, len(texts), 24):
        (alone,) = budgeted._embed([texts[place]], is_query)
        assert np.array_equal(alone, together[place])


def test_vectors_do_not_depend_on_the_number_of_threads(prompted, cpu, texts):
    encoder = load(prompted, cpu)
    found = []
    for threads in (1, 2):
        with torch_threads(threads):
            found.append(encoder._embed(texts, is_query=False))
    assert all(np.array_equal(one, two) for one, two in zip(*found, strict=True))


def test_scores_do_not_depend_on_what_was_scored_before(prompted, colbert, cpu, texts):
    """A command that was stopped after its first chunk scores the second with nothing kept of the first."""

    def chunk(start, stop):
        ids = tuple(str(place) for place in range(start, stop))
        some = tuple(texts[start:stop])
        scores = tuple(-float(place) for place in range(start, stop))
        return [CandidateList(query, query, ids, scores, some) for query in ("cold moon", "bread of the earth")]

    for name in ("minilm", prompted, f"late-interaction:{colbert}"):
        whole = load(name, cpu)
        list(whole.score(chunk(0, 60)))
        assert list(whole.score(chunk(40, 100))) == list(load(name, cpu).score(chunk(40, 100))), name


def test_shapes_worked_out_by_hand():
    assert WIDTHS[:7] == (16, 24, 32, 48, 64, 96, 128)
    assert shape(3, SMALL, 512) == Shape(rows=8, width=16, full=False)
    assert shape(16, SMALL, 512) == Shape(rows=8, width=16, full=True)
    assert shape(17, SMALL, None) == Shape(rows=5, width=24, full=False)
    assert shape(60, SMALL, 512) == Shape(rows=2, width=64, full=False)
    assert shape(65, SMALL, 512) == ALONE
    assert shape(3, CPU_FILLED_UP, 512) == Shape(rows=16, width=16, full=False)
    assert shape(3, CPU, 512) == Shape(rows=96, width=16, full=False)
    assert shape(256, CPU, 256) == Shape(rows=6, width=256, full=True)


def test_nothing_is_padded_beyond_what_the_model_reads():
    assert shape(33, ACCELERATOR, 40) == ALONE
    assert shape(32, ACCELERATOR, 40) == Shape(rows=128, width=32, full=True)
