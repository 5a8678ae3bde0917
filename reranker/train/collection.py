"""Training lists from collections in BEIR format: a relevant document among negatives mined from BM25's candidates.

A collection is a folder with `corpus.jsonl[.gz]`, `queries.jsonl[.gz]` and `qrels/<split>.tsv`. Queries of every other
split than `train` are left out, and so are documents that were judged for those alone.

The query of a list is one of the collection's queries, or a sentence from a document, taken after its beginning: its
document is relevant to it, which gives any number of lists where judged queries are few.
"""

import hashlib
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bm25s
import numpy as np
import numpy.typing as npt
import Stemmer
from pydantic import ConfigDict

from reranker.bounds import Positive, Share
from reranker.errors import RerankerError
from reranker.train import beir

TRAIN = "train"
CANDIDATES = 100  # BM25's best documents, from which hard negatives are drawn
_SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s+")
_SENTENCE_WORDS = range(5, 26)
_BEGINNING = 40  # words at a document's start from which no sentence is taken: what the model reads of it
_STRETCH, _STRETCHES = 32, 5  # words of a passage, and passages of one document at most
_TRIES = 20  # documents searched for a sentence before falling back to the collection's queries


@dataclass(frozen=True, slots=True)
class Example:
    """One training example: a list of which `positive` is the index of the relevant document.

    `ids` are the documents' ids in their collection; `ordered` says whether they are in BM25's order.
    """

    query: str
    ids: tuple[str, ...]
    documents: tuple[str, ...]
    positive: int
    ordered: bool


@dataclass(frozen=True, slots=True)
class Mix:
    """The composition of lists, in shares from 0 to 1.

    `hard`: negatives from BM25's candidates, not from the whole corpus; `sentences`: queries that are sentences of
    documents; `ordered`: lists of the other queries that are in BM25's order, not shuffled.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    documents: Positive = 16
    hard: Share = 1.0
    ordered: Share = 0.0
    sentences: Share = 0.0


@dataclass(frozen=True, slots=True)
class RankedList:
    """BM25's candidates in its order, and the grades of all judged documents."""

    name: str
    query: str
    ids: tuple[str, ...]
    documents: tuple[str, ...]
    grades: Mapping[str, int]


class Collection:
    """The training split of a collection, indexed by BM25."""

    def __init__(self, folder: Path, dev_queries: int = 0) -> None:
        """Read a folder in BEIR format; hold out `dev_queries` of its training queries, chosen by hash.

        Raises:
            RerankerError: a file is missing or malformed, or no query is left to train on.
        """
        self.folder = folder
        judged = {split: beir.judgements(path) for split, path in beir.splits(folder).items()}
        if TRAIN not in judged:
            raise RerankerError(f"{folder} has no qrels/{TRAIN}.tsv: there is nothing to train on")
        train = judged.pop(TRAIN)
        others = [grades for split in judged.values() for grades in split.items()]
        held_queries = {query for query, _ in others}
        # Documents judged for a training query may be seen, even if they are also judged in another split.
        seen = {document for query, grades in train.items() if query not in held_queries for document in grades}
        held = {document for _, grades in others for document in grades} - seen
        corpus = {number: f"{title} {text}".strip() for number, title, text in beir.texts(folder, "corpus")}
        self.documents = {number: text for number, text in corpus.items() if number not in held}
        own = train.keys() - held_queries
        self.queries = {number: text for number, _, text in beir.texts(folder, "queries") if number in own}
        self.judgements = {query: train[query] for query in self.queries}
        self.held_documents = len(corpus) - len(self.documents)
        usable = [query for query in self.queries if self._relevant(query)]
        if not usable:
            raise RerankerError(f"{folder} has no training query with a relevant document in its corpus")
        by_hash = sorted(usable, key=lambda query: hashlib.sha256(query.encode()).digest())
        self.dev_queries, self.train_queries = by_hash[:dev_queries], sorted(by_hash[dev_queries:])
        self._ids = list(self.documents)
        self._numbers = {document: number for number, document in enumerate(self._ids)}
        self._stemmer = Stemmer.Stemmer("english")
        self._index = bm25s.BM25(method="lucene", k1=0.9, b=0.4)
        self._index.index(self._tokens(list(self.documents.values())), show_progress=False)

    def example(self, number: int, seed: int, mix: Mix) -> Example:
        """The training example of that number, determined by number, seed and mix."""
        source = random.Random(f"{seed} {self.folder.name} {number}")
        sentence = source.random() < mix.sentences
        query, relevant, positive = self._drawn(source, sentence)
        pool = [document for document in self.candidates(query, CANDIDATES) if document not in relevant]
        hard = min(round(mix.hard * (mix.documents - 1)), len(pool))
        chosen = {positive, *source.sample(pool, hard)}
        while len(chosen) < min(mix.documents, len(self._ids) - len(relevant)):
            other = source.choice(self._ids)
            if other not in relevant:
                chosen.add(other)
        order = sorted(chosen)
        source.shuffle(order)
        # BM25 ranks a sentence's own document first: in its order the model would learn only to pick the first.
        ordered = source.random() < mix.ordered and not sentence
        if ordered:
            scores = self._scores(query)
            order.sort(key=lambda document: (-scores[self._numbers[document]], self._numbers[document]))
        texts = tuple(self.documents[document] for document in order)
        return Example(query, tuple(order), texts, order.index(positive), ordered)

    def dev(self, depth: int) -> list[RankedList]:
        """The lists of the held-out queries."""
        return [self.ranked(query, depth) for query in self.dev_queries]

    def ranked(self, query: str, depth: int) -> RankedList:
        """BM25's list for one query, by its id."""
        ids = tuple(self.candidates(self.queries[query], depth))
        texts = tuple(self.documents[document] for document in ids)
        return RankedList(f"{self.folder.name} {query}", self.queries[query], ids, texts, self.judgements[query])

    def passages(self) -> Iterator[str]:
        """The training queries, the documents, and passages of each document after its first 32 words."""
        yield from (self.queries[query] for query in self.train_queries)
        for text in self.documents.values():
            yield text
            words = text.split()
            for start in range(_STRETCH, min(len(words), _STRETCHES * _STRETCH), _STRETCH):
                stretch = words[start : start + _STRETCH]
                if 2 * len(stretch) >= _STRETCH:
                    yield " ".join(stretch)

    def candidates(self, query: str, depth: int) -> list[str]:
        """BM25's best documents with a score above 0, best first; ties in corpus order."""
        scores = self._scores(query)
        best = np.argsort(-scores, kind="stable")[:depth]
        return [self._ids[number] for number in best if scores[number] > 0]

    def _drawn(self, source: random.Random, sentence: bool) -> tuple[str, set[str], str]:
        """A query, all documents relevant to it, and one of them."""
        for _ in range(_TRIES if sentence else 0):
            document = source.choice(self._ids)
            found = _sentences(self.documents[document])
            if found:
                return source.choice(found), {document}, document
        query = source.choice(self.train_queries or self.dev_queries)
        relevant = self._relevant(query)
        return self.queries[query], set(relevant), source.choice(relevant)

    def _relevant(self, query: str) -> list[str]:
        return sorted(each for each, grade in self.judgements[query].items() if grade > 0 and each in self.documents)

    def _scores(self, query: str) -> npt.NDArray[np.float32]:
        tokens = self._tokens([query], ids=False)[0]
        known = [token for token in tokens if token in self._index.vocab_dict]
        if not known:
            return np.zeros(len(self._ids), np.float32)
        scores: npt.NDArray[np.float32] = self._index.get_scores(known)
        return scores

    def _tokens(self, texts: Sequence[str], ids: bool = True) -> Any:
        return bm25s.tokenize(list(texts), stopwords="en", stemmer=self._stemmer, return_ids=ids, show_progress=False)


def _sentences(text: str) -> list[str]:
    """Sentences of 5 to 25 words that start after the document's beginning."""
    words, found = 0, []
    for sentence in _SENTENCE_ENDS.split(text):
        length = len(sentence.split())
        if words >= _BEGINNING and length in _SENTENCE_WORDS:
            found.append(sentence)
        words += length
    return found
