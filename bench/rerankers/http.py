"""Rerankers behind the ``/rerank`` call that Jina and Cohere made common: hosted ones, and servers of one's own.

A call is ``POST {"model", "query", "documents", "top_n"}``, its answer ``{"results": [{"index", "relevance_score"}]}``;
so speak Jina, Cohere, vLLM and infinity. Voyage says ``top_k`` and ``data``; Text Embeddings Inference takes ``texts``
and gives a bare list with ``score``. Which texts are cut to what length is the server's affair and is not counted.

A key comes from the environment, is sent to the host it is for, and appears in no message, card or file.
"""

import hashlib
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from bench.errors import BenchError
from bench.rerankers.base import CandidateList, Card, Options, Reranker, Scored
from bench.rerankers.rows import Row
from reranker.prompt import well_formed


@dataclass(frozen=True, slots=True)
class Host:
    """What is particular about a hosted service: where its key lies, and how it names the number of answers."""

    keys: tuple[str, ...]
    count: str = "top_n"
    fields: tuple[tuple[str, bool], ...] = ()


HOSTS: Mapping[str, Host] = {
    "api.jina.ai": Host(("JINA_API_KEY",), fields=(("return_documents", False),)),
    "api.cohere.com": Host(("COHERE_API_KEY", "CO_API_KEY")),
    "api.voyageai.com": Host(("VOYAGE_API_KEY",), count="top_k"),
}
OWN_SERVER = Host(("RERANK_API_KEY",))


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an answer may take, and how often and after which waits (all in seconds) a call is made again."""

    timeout: float = 60
    attempts: int = 6
    first_wait: float = 1
    longest_wait: float = 120


PATIENCE = Patience()
BUSY = frozenset({408, 429, 500, 502, 503, 504})
TEI_BATCH = 32
"""Texts that Text Embeddings Inference takes in a call unless told otherwise; it scores each by itself."""


class Http:
    """A reranking server; a list is one call, and a call that fails for a passing reason is made again."""

    cacheable = False  # a server does not say which weights it holds

    def __init__(self, card: Card, url: str, host: Host, key: str, patience: Patience) -> None:
        self.card = card
        self._url = url
        self._host = host
        self._key = key
        self._patience = patience
        self._is_tei = False
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(timeout=patience.timeout, headers=headers)

    def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
        """Score lists one after the other.

        Raises:
            BenchError: naming the query, where the server cannot be reached, refuses, or gives a malformed answer.
        """
        for candidates in lists:
            texts = [well_formed(text) for text in candidates.texts]
            try:
                scores, tokens = self._scores(well_formed(candidates.query), texts)
            except BenchError as error:
                shown = f"query {candidates.query_id!r} ({candidates.query[:60]!r})"
                raise BenchError(f"{self.card.name}, {shown}: {error}") from error
            yield Scored(candidates.query_id, tuple(scores), tokens=tokens)

    def _scores(self, query: str, texts: list[str]) -> tuple[list[float], int]:
        """The texts' scores, and the tokens that the server says it read."""
        if not texts:
            return [], 0
        if not self._is_tei:
            response = self._post(self._body(query, texts))
            self._is_tei = response.status_code == 422 and "texts" in response.text
            if not self._is_tei:
                answer = self._content(response)
                return read_scores(answer, len(texts)), read_tokens(answer)
        scores: list[float] = []
        for start in range(0, len(texts), TEI_BATCH):
            batch = texts[start : start + TEI_BATCH]
            body = {"query": query, "texts": batch, "truncate": True, "raw_scores": True}
            scores += read_scores(self._content(self._post(body)), len(batch))
        return scores, 0

    def _body(self, query: str, texts: list[str]) -> dict[str, Any]:
        model = {"model": self.card.model} if self.card.model else {}
        return {**model, "query": query, "documents": texts, self._host.count: len(texts), **dict(self._host.fields)}

    def _post(self, body: Mapping[str, Any]) -> httpx.Response:
        """Make one call, again and again while the server is only busy or out of reach."""
        for attempt in range(1, self._patience.attempts + 1):
            wait = self._patience.first_wait * 2 ** (attempt - 1)
            try:
                response = self._client.post(self._url, json=body)
            except httpx.TransportError as error:
                reason = f"{type(error).__name__} ({self._safe(str(error))})"
            else:
                if response.status_code not in BUSY:
                    return response
                reason = self._refusal(response)
                wait = max(wait, retry_after(response))
            if wait > self._patience.longest_wait:
                raise BenchError(f"{reason}; the server asks to wait {wait:.0f} s. Try again then.")
            if attempt < self._patience.attempts:
                time.sleep(wait)
        raise BenchError(
            f"{reason} from {self._url}, {self._patience.attempts} times, with {self._patience.timeout:g} s for each "
            "answer. Check that the server is up, or try again later."
        )

    def _content(self, response: httpx.Response) -> object:
        if response.status_code != 200:
            hint = f" Check {' or '.join(self._host.keys)}." if response.status_code in (401, 403) else ""
            raise BenchError(f"{self._refusal(response)} from {self._url}.{hint}")
        try:
            content: object = response.json()
        except ValueError as error:
            raise BenchError(f"the answer from {self._url} is not JSON: {self._safe(response.text)!r}") from error
        return content

    def _refusal(self, response: httpx.Response) -> str:
        return f"HTTP status {response.status_code} ({self._safe(response.text)})"

    def _safe(self, text: str) -> str:
        """The start of a foreign text without the key, which a server might repeat."""
        return (text.replace(self._key, "***") if self._key else text)[:300]


def build(row: Row, options: Options) -> Reranker:
    """Prepare to call a server; nothing is sent yet.

    Raises:
        BenchError: for a URL that is none or carries a secret, or a hosted service whose key is not in the environment.
    """
    url, _, model = row.model.partition("#")
    host, key = _key(url)
    card = Card(
        name=row.name,
        # A server does not say which weights it holds, so only where it is and what was asked for can be told.
        fingerprint=hashlib.sha256(f"http 1 {url} {model}".encode()).hexdigest(),
        family="http",
        model=model,
        device="remote",
        # It may look at the whole list; jina-reranker-v3 behind such a call does.
        listwise=True,
        settings={"url": url, "timeout": PATIENCE.timeout, "lengths": "the server's own"},
    )
    return Http(card, url, host, key, PATIENCE)


def _key(url: str) -> tuple[Host, str]:
    """Whose key a URL takes, and that key; "" for a server of one's own without one."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise BenchError("The reranker's URL cannot be read. Write it as http://host:port/rerank#MODEL.") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise BenchError(f"{url!r} is no URL of a server. Write it as http://host:port/rerank#MODEL.")
    if parsed.userinfo or parsed.query:
        raise BenchError(
            f"The URL of {parsed.host} must carry neither a password nor a query string, since it is written into "
            f"results. A key is taken from {' or '.join(OWN_SERVER.keys)} in the environment."
        )
    host = HOSTS.get(parsed.host, OWN_SERVER)
    key = next((os.environ[name] for name in host.keys if os.environ.get(name)), "")
    if host is not OWN_SERVER and not key:
        raise BenchError(f"{parsed.host} wants a key: set {' or '.join(host.keys)} in the environment.")
    if host is not OWN_SERVER and parsed.scheme != "https":
        raise BenchError(f"{parsed.host} is called by https only, so that its key is not sent in the open.")
    return host, key


def read_scores(content: object, count: int) -> list[float]:
    """The scores of an answer, in the documents' order.

    Raises:
        BenchError: where the answer is not exactly one finite score for each document.
    """
    rows = content.get("results", content.get("data")) if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise BenchError("the answer holds no list of results.")
    if len(rows) != count:
        raise BenchError(f"the answer holds {len(rows)} scores for {count} documents.")
    scores: dict[int, float] = {}
    for row in rows:
        index, score = _index_and_score(row)
        if not 0 <= index < count or index in scores:
            fault = "twice" if index in scores else f"where there are {count}"
            raise BenchError(f"the answer scores document {index} {fault}.")
        scores[index] = score
    return [scores[index] for index in range(count)]


def _index_and_score(row: object) -> tuple[int, float]:
    index = row.get("index") if isinstance(row, dict) else None
    score = row.get("relevance_score", row.get("score")) if isinstance(row, dict) else None
    if type(index) is not int or not isinstance(score, int | float) or isinstance(score, bool):
        raise BenchError(f"the answer has a result without an index or a score: {str(row)[:100]}")
    if not math.isfinite(score):
        raise BenchError(f"the answer gives document {index} a score that is not finite ({score}).")
    return index, float(score)


def read_tokens(content: object) -> int:
    """The tokens that an answer says were read; 0 where it does not say."""
    usage = content.get("usage") if isinstance(content, dict) else None
    tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
    return tokens if isinstance(tokens, int) else 0


def retry_after(response: httpx.Response) -> float:
    """The seconds that an answer asks to wait, given in seconds or as a date; 0 where it does not ask."""
    asked = response.headers.get("Retry-After", "")
    if asked.isdigit():
        return float(asked)
    try:
        until = parsedate_to_datetime(asked)
    except ValueError:
        return 0.0
    return max(0.0, (until.astimezone(UTC) - datetime.now(UTC)).total_seconds())
