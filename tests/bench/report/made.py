"""Small results for a report's tests, measured by the real pipeline, in which every text from outside is hostile."""

from collections.abc import Sequence
from pathlib import Path

from bench.collections.collection import Collection
from bench.comparison.stored import StoredResult, read_distinct
from bench.evaluation.evaluate import evaluate
from bench.evaluation.prepare import prepare
from bench.rerankers import load
from bench.rerankers.base import Card, Options
from bench.results import Result, write_result
from bench.run import Run
from bench.task import Task
from tests.bench.factories import HeldDocuments, Scripted

HOSTILE = (
    "</script><script>document.title='struck'</script><img/src=x/onerror=\"document.title='struck'\">\u202e&amp;{{7*7}}"
)
QUERIES = 9


def collection(name: str = "toy") -> Collection:
    """Query n asks for document n, of twelve; ids, questions and texts are hostile."""
    names = [document(number) for number in range(12)]
    return Collection(
        task=Task("beir", name, join_title=False),
        queries={query(number): f"{HOSTILE} where is number{number}" for number in range(QUERIES)},
        judgements={query(number): {document(number): 1, document(10): 0} for number in range(QUERIES)},
        documents=HeldDocuments({each: f"{HOSTILE} here is number{place}" for place, each in enumerate(names)}),
        source="made by hand",
    )


def query(number: int) -> str:
    """The id of a query."""
    return f"q{number}{HOSTILE}"


def document(number: int) -> str:
    """The id of a document."""
    return f"d{number}{HOSTILE}"


def make(output: Path, tasks: Sequence[str] = ("toy", "toytwo"), rerankers: Sequence[str] = ("good", "bad")) -> None:
    """Measure the first stage (query n has its document at rank n + 1), the oracle, a good and a bad reranker.

    The good one puts each query's document first, the bad one last; their names are hostile.
    """
    for task in tasks:
        found = collection(task)
        ranking = [(document(number), 12.0 - number) for number in range(12)]
        prepared = prepare(found, Run("bm25", {query(number): ranking for number in range(QUERIES)}), 12, Options())
        for name in ("first-stage", "oracle", "random"):
            result, run = evaluate(prepared, load(name, Options()))
            write_result(result, run, output)
        last = {query(n): [document(m) for m in range(12) if m != n] for n in range(QUERIES)}
        first = {query(n): [document(n)] for n in range(QUERIES)}
        for name in rerankers:
            card = Card(f"{name} {HOSTILE}", f"fingerprint of {name}", "own", model=HOSTILE, parameters=7)
            result, run = evaluate(prepared, Scripted(card, first if name == "good" else last))
            write_result(result, run, output)


def stored(output: Path) -> list[StoredResult]:
    """What `make` wrote."""
    return read_distinct([output])


def load_collection(result: Result) -> Collection:
    """The collection of a result of `make`."""
    return collection(result.task.partition("/")[2])
