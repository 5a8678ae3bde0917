"""A crew for an embedding model: each text is embedded once, and lists get the scores that one process gives them."""

from collections import Counter
from itertools import chain
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bench.evaluation.chunks import Answered, Chunk
from bench.evaluation.embedding_crew import EmbeddingCrew
from bench.evaluation.worker import Embed, Request
from bench.evaluation.workers import Died, Done, Event, Ready
from bench.rerankers.base import CandidateList, Card, Reranker
from bench.rerankers.embeddings import Comparison, Embedded, LazyEmbedding
from tests.conftest import InProcess

MODEL = Card("toy", "1", "bi-encoder")


def embedded(text: str, is_query: bool, task: str) -> Embedded:
    """Letters, and one of another number for each kind of text."""
    numbers = [text.count("a"), text.count("b"), len(task), 2 if is_query else 3]
    return Embedded(np.array(numbers, dtype=np.float32), tokens=len(text), lost=text.count("b"))


def compared(query: np.ndarray, documents: list[np.ndarray]) -> list[float]:
    return [float(document @ query) for document in documents]


def not_here() -> Reranker:
    raise AssertionError("the model is loaded by the command")


class Toys:
    """A team of two workers that embed in this process; the one that a moment's number names answers, or dies."""

    def __init__(self, moments: list[int]) -> None:
        self.embedded: Counter[str] = Counter()
        self._moments = moments
        self._new: list[Event] = [Ready(0), Ready(1)]
        self._sent: dict[int, list[tuple[int, Embed]]] = {0: [], 1: []}

    def send(self, worker: int, ticket: int, request: Request[object]) -> None:
        assert isinstance(request, Embed)
        self._sent[worker].append((ticket, request))

    def next(self, wait: bool) -> Event | None:
        if self._new:
            return self._new.pop()
        if not wait:
            return None
        moment = self._moments.pop() if self._moments else 0
        worker = moment % 2 if self._sent[moment % 2] else 1 - moment % 2
        if moment == 9:  # rarely, so that no chunk kills three
            self._sent[worker] = []
            self._new.append(Ready(worker))
            return Died(worker, "by lot")
        ticket, request = self._sent[worker].pop(0)
        self.embedded.update(request.documents)
        found = [embedded(text, True, request.task) for text in request.queries]
        found += [embedded(text, False, request.task) for text in request.documents]
        return Done(worker, ticket, Answered(found, seconds=1.0))

    def close(self) -> None:
        pass


def chunk_of(lists: list[CandidateList]) -> Chunk:
    return Chunk(lists, lambda: lists)


def listed(query: str, texts: list[str], task: str = "") -> CandidateList:
    ids = tuple(map(str, range(len(texts))))
    return CandidateList(query, f"{query}a", ids, (1.0,) * len(texts), tuple(texts), task=task)


def crew_of(team: Toys, cache_bytes: int = 1000) -> EmbeddingCrew:
    comparison = Comparison(compared, cache_bytes, variant=lambda task: task)
    return EmbeddingCrew("toy", lambda: team, LazyEmbedding(MODEL, not_here, comparison))


def scores(lists: list[CandidateList]) -> dict[str, tuple[float, ...]]:
    return {
        each.query_id: tuple(
            compared(
                embedded(each.query, True, each.task).vectors,
                [embedded(text, False, each.task).vectors for text in each.texts],
            )
        )
        for each in lists
    }


@given(
    chunks=st.lists(
        st.lists(st.lists(st.sampled_from(["", "a", "ab", "bb", "ba", "c"]), max_size=5), min_size=1, max_size=3),
        max_size=8,
    ),
    moments=st.lists(st.integers(0, 8), max_size=30),
    death=st.integers(0, 30),
    cache_bytes=st.sampled_from([0, 40, 1000]),
)
def test_lists_get_their_scores_and_each_text_is_embedded_once(
    chunks: list[list[list[str]]], moments: list[int], death: int, cache_bytes: int
) -> None:
    lists = [
        [listed(f"q{place}-{number}", texts) for number, texts in enumerate(chunk)]
        for place, chunk in enumerate(chunks)
    ]
    moments.insert(death, 9)
    team = Toys(moments)
    crew = crew_of(team, cache_bytes)
    given = [chunk_of(chunk) for chunk in lists]
    answers = [*chain.from_iterable(map(crew.take, given)), *crew.rest()]
    assert {chunk.queries for chunk, _ in answers} == {chunk.queries for chunk in given}
    assert len(answers) == len(given)
    found = {answer.query_id: answer.scores for _, answered in answers for answer in answered.answers}
    assert found == scores(list(chain.from_iterable(lists)))
    if cache_bytes == 1000:  # room for all
        assert set(team.embedded.values()) <= {1}


def test_what_a_list_took_is_counted_from_its_texts() -> None:
    crew = crew_of(Toys([]))
    lists = [listed("q", ["ab", "bb", "a"])]
    answers = [*crew.take(chunk_of(lists)), *crew.rest()]
    (answer,) = answers[0][1].answers
    assert (answer.tokens, answer.documents_cut, answer.tokens_lost, answer.queries_cut) == (2 + 5, 2, 3, 0)
    assert 1 <= answers[0][1].seconds < 2


def test_a_text_of_two_tasks_is_embedded_for_each_of_their_variants() -> None:
    team = Toys([])
    crew = crew_of(team)
    chunks = [chunk_of([listed("q", ["ab"], task)]) for task in ("x", "yy", "x")]
    answers = [*chain.from_iterable(map(crew.take, chunks)), *crew.rest()]
    assert sorted(answered.answers[0].scores for _, answered in answers) == [(8,), (8,), (11,)]
    assert team.embedded == {"ab": 2}


def test_chunks_are_not_read_before_a_worker_has_time_for_them() -> None:
    """Those that no worker has yet are few, since their texts are in memory."""
    team = Toys([])
    crew = crew_of(team)
    answered = 0
    for number in range(20):
        answered += len(list(crew.take(chunk_of([listed(f"q{number}", [f"{number}a"])]))))
        assert number + 1 - answered <= 2 * 2 + 2  # two workers have two each, and two wait
    assert answered + len(list(crew.rest())) == 20


def test_an_embedding_model_scores_alike_in_a_process(in_process: InProcess, tmp_path: Path) -> None:
    asked = ["beir", "--embedded", "embedded-claims", "-r", "minilm", "--queries", "3", "--depth", "20"]
    runs = []
    for output, arguments in (("one", []), ("worker", ["--workers", "1"])):
        assert in_process(*asked, *arguments, "--output", tmp_path / output)[0] == 0
        runs += [path.read_bytes() for path in (tmp_path / output).rglob("run.trec.gz")]
    assert len(runs) == 2
    assert runs[0] == runs[1]


def test_a_short_chunk_is_not_sent_last_since_others_wait_for_its_texts() -> None:
    crew = crew_of(Toys([0, 1] * 20))
    answered = 0
    for number in range(20):
        lists = [listed(f"q{number}", ["c"] if number == 4 else ["c", "a" * number] if number > 4 else ["a" * 9])]
        answered += len(list(crew.take(chunk_of(lists))))
        assert number + 1 - answered <= 2 * 2 + 2
    assert answered + len(list(crew.rest())) == 20
