"""Rerankers behind the ``/rerank`` API of Jina and Cohere: hosted services and your own servers.

A call is ``POST {"model", "query", "documents", "top_n"}``, its answer ``{"results": [{"index", "relevance_score"}]}``;
Jina, Cohere, vLLM and infinity use this form. Voyage uses ``top_k`` and ``data``; Text Embeddings Inference takes
``texts`` and returns a bare list with ``score``. The server decides how texts are truncated; this is not counted.

A key comes from the environment, is sent to its own host only, and appears in no message, card or file. Calls are made
in `bench.rerankers.http_call`, hosts and keys looked up in `bench.rerankers.http_host`, and answers parsed in
`bench.rerankers.http_answer`.
"""

import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.console import note
from bench.errors import BenchError
from bench.rerankers.base import CandidateList, Card, Options, Reranker, Scored
from bench.rerankers.http_answer import read_answer
from bench.rerankers.http_call import Answer, Caller, Patience, Post, text_of
from bench.rerankers.http_host import Host, keep_from_results, read_host, read_key
from bench.rerankers.rows import Row
from reranker.prompt import well_formed

HOSTS: Mapping[str, Host] = {
    "api.jina.ai": Host(("JINA_API_KEY",), fields=(("return_documents", False),)),
    "api.cohere.com": Host(("COHERE_API_KEY", "CO_API_KEY")),
    "api.voyageai.com": Host(("VOYAGE_API_KEY",), count="top_k"),
}
OWN_SERVER = Host(("RERANK_API_KEY",))

PATIENCE = Patience()
TEI_BATCH = 32
"""Texts a call that Text Embeddings Inference accepts by default; it scores each separately."""
_TOO_MANY = re.compile(
    r"batch|too many|number of (documents|texts|inputs)|at most \d+ (documents|texts|inputs|items)", re.IGNORECASE
)


class Http:
    """A reranking server; a list is one call, or several where the server takes fewer documents at once."""

    cacheable = False
    """A server does not say which weights it holds, so its scores are not cached between commands."""

    def __init__(self, card: Card, caller: Caller, host: Host, options: Mapping[str, Any]) -> None:
        self.card = card
        self._caller = caller
        self._host = host
        self._options = options
        self._is_tei = False
        self._refused = 2**53
        """The fewest documents that the server has refused to take in one call."""

    def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
        """Score lists one after the other.

        Raises:
            BenchError: naming the query, where the server cannot be reached, refuses, or gives a malformed answer.
        """
        with self._caller.session() as post:
            for candidates in lists:
                texts = [well_formed(text) for text in candidates.texts]
                try:
                    scores, tokens = self._scores(post, well_formed(candidates.query), texts)
                except BenchError as error:
                    shown = f"query {candidates.query_id!r} ({candidates.query[:60]!r})"
                    raise BenchError(f"{self.card.name}, {shown}: {error}") from None
                yield Scored(candidates.query_id, tuple(scores), tokens=tokens)

    def _scores(self, post: Post, query: str, texts: list[str]) -> tuple[list[float], int]:
        """The texts' scores, and the number of tokens read, as the server reports it."""
        while True:
            size = self._part(len(texts))
            scores: list[float] = []
            tokens = 0
            for start in range(0, len(texts), size):
                part = texts[start : start + size]
                answer = post(self._body(query, part))
                if self._learns(answer, len(part)):
                    break  # the whole list is sent again, since all its parts must have one size
                more, read = read_answer(self._content(answer), len(part), self._where, self._caller.shown)
                scores += more
                tokens += read
            else:
                return scores, tokens

    def _part(self, documents: int) -> int:
        """The number of a list's documents that one call sends.

        All, or the largest power of two that has not been refused: how a list is divided then depends on the server's
        limit alone, and not on which lists came before it.
        """
        return max(1, documents) if documents < self._refused else 1 << (self._refused - 1).bit_length() - 1

    def _learns(self, answer: Answer, documents: int) -> bool:
        """Whether an answer refuses the request's form or size, so that another form or size should be tried."""
        said = text_of(answer.content)
        if not self._is_tei and answer.status == 422 and "missing" in said and "texts" in said:
            self._is_tei = True
            self._refused = min(self._refused, TEI_BATCH + 1)
            return True
        if answer.status not in (400, 413, 422) or documents == 1 or not _TOO_MANY.search(said):
            return False
        if self._refused == 2**53:
            note(
                f"{self.card.name} refuses {documents} documents in one call ({self._caller.shown(said)}). Longer "
                "lists are scored in parts, which changes the scores of a listwise model."
            )
        self._refused = documents
        return True

    def _body(self, query: str, texts: list[str]) -> dict[str, Any]:
        if self._is_tei:
            return {"query": query, "texts": texts, "truncate": True, "raw_scores": True, **self._options}
        model = {"model": self.card.model} if self.card.model else {}
        count = {self._host.count: len(texts)}
        return {**model, "query": query, "documents": texts, **count, **dict(self._host.fields), **self._options}

    def _content(self, answer: Answer) -> bytes:
        if answer.status != 200:
            hint = f" Check {' or '.join(self._host.keys)}." if answer.status in (401, 403) else ""
            raise BenchError(f"{self._caller.refusal(answer)} from {self._caller.where}.{hint}")
        return answer.content

    @property
    def _where(self) -> str:
        return f"the answer from {self._caller.where}"


def build(row: Row, options: Options) -> Reranker:
    """Prepare to call a server; nothing is sent yet.

    Raises:
        BenchError: for an invalid URL or one with a secret, a hosted service whose key is not in the environment,
            or a key, proxy or certificate file that cannot be used.
    """
    url, _, model = row.model.partition("#")
    host = read_host(url, model, HOSTS, OWN_SERVER)
    key = read_key(host, url, is_own=host is OWN_SERVER)
    keep_from_results(key, [row.model, *(value for _, value in options.http_options), *sys.argv[1:]])
    fields = {name: json.loads(value) for name, value in options.http_options}
    settings: dict[str, str | float] = {"url": url, "timeout": PATIENCE.timeout, "lengths": "the server's own"}
    card = Card(
        name=row.name,
        fingerprint=_fingerprint(url, model, options.http_options),
        family="http",
        model=model,
        device="remote",
        # It may look at the whole list; jina-reranker-v3 behind such a call does.
        listwise=True,
        settings=settings | {f"option {name}": value for name, value in options.http_options},
    )
    return Http(card, Caller(url, key, PATIENCE), host, fields)


def _fingerprint(url: str, model: str, options: Sequence[tuple[str, str]]) -> str:
    """A hash of the URL, model and options; the server does not say which weights it has."""
    asked = f" {json.dumps(options)}" if options else ""
    return hashlib.sha256(f"http 1 {url} {model}{asked}".encode()).hexdigest()
