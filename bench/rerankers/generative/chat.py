"""Any endpoint that speaks OpenAI's chat completions: vLLM, SGLang, llama.cpp, hosted models.

A name is ``chat:URL#MODEL`` or ``chat:URL#MODEL#STRATEGY``; the call goes to ``URL/chat/completions``. Answers are kept
by URL, model and prompt, since they cost money: a server that has another model under the same name now needs an output
folder of its own. Passages are cut by words, since a server's tokenizer is not known.
"""

import hashlib
import json
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from bench.errors import BenchError
from bench.rerankers.base import Card, Options, Reranker
from bench.rerankers.generative import spec as specs
from bench.rerankers.generative import texts
from bench.rerankers.generative.answers import Answers, Said
from bench.rerankers.generative.chat_answer import read_answer
from bench.rerankers.generative.ranker import Ask, Generative, Say
from bench.rerankers.generative.spec import Spec
from bench.rerankers.http_call import Answer, Caller, CallFailed, Patience, Post, text_of
from bench.rerankers.http_host import SECRET, Host, keep_from_results, read_host, read_key
from bench.rerankers.redaction import MARK
from bench.rerankers.rows import Row

HOSTS: Mapping[str, Host] = {
    "api.openai.com": Host(("OPENAI_API_KEY",)),
    "generativelanguage.googleapis.com": Host(("GEMINI_API_KEY",)),
    "api.mistral.ai": Host(("MISTRAL_API_KEY",)),
    "openrouter.ai": Host(("OPENROUTER_API_KEY",)),
}
OWN_SERVER = Host(("CHAT_API_KEY",))

PATIENCE = Patience(timeout=600, busy=frozenset({408, 409, 429, *range(500, 600)}))
PARALLEL = 8
"""Queries that are asked about at the same time."""

_TOKENS_A_NAME = 6
"""Tokens of an identifier with what separates it from the next, at most."""
_TOO_LONG = re.compile(r"context|too long|too large|too many tokens|maximum.{0,20}(length|tokens)", re.IGNORECASE)
_LIMIT_NAME = re.compile("max_completion_tokens", re.IGNORECASE)
_NO_TEMPERATURE = re.compile("temperature", re.IGNORECASE)


class Chat:
    """Speaks through a chat endpoint, one call a prompt."""

    def __init__(self, caller: Caller, key: str, model: str, spec: Spec, fields: Mapping[str, Any]) -> None:
        self.parallel = PARALLEL
        self._caller = caller
        self._key = key
        self._model = model
        self._spec = spec
        self._fields = fields
        self._limit_name = "max_tokens"
        self._has_temperature = True

    @contextmanager
    def session(self) -> Iterator[Say]:
        """See `Speaker`."""
        with self._caller.session() as post:
            yield lambda asks: [self._say(post, ask) for ask in asks]

    def _say(self, post: Post, ask: Ask) -> Said:
        """Answer one prompt; where the server finds it too long, all passages are cut further."""
        limit = self._spec.prompt.passage
        while True:
            shown = [texts.first(each, limit) for each in ask.passages]
            started = time.perf_counter()
            body = self._body(ask.query, shown)
            answer = post(body)
            if answer.status == 200:
                said = read_answer(answer.content, f"the answer from {self._caller.where}")
                lost = [texts.units(whole) - texts.units(part) for whole, part in zip(ask.passages, shown, strict=True)]
                text = said.text.replace(self._key, MARK) if len(self._key) >= SECRET else said.text
                return replace(said, text=text, lost=tuple(lost), seconds=time.perf_counter() - started)
            if self._learns(answer, body):
                continue
            if answer.status not in (400, 413, 422) or limit == 1 or not _TOO_LONG.search(text_of(answer.content)):
                raise self._refused(answer)
            limit = limit * 3 // 4

    def _learns(self, answer: Answer, body: Mapping[str, Any]) -> bool:
        """Whether an answer refuses a field that reasoning models do not take, which the next call then leaves out.

        The body decides, since another query's call may have learnt it in the meantime.
        """
        said = text_of(answer.content)
        if answer.status not in (400, 422):
            return False
        if "max_tokens" in body and "max_tokens" not in self._fields and _LIMIT_NAME.search(said):
            self._limit_name = "max_completion_tokens"
            return True
        if "temperature" in body and "temperature" not in self._fields and _NO_TEMPERATURE.search(said):
            self._has_temperature = False
            return True
        return False

    def _refused(self, answer: Answer) -> BenchError:
        problem = f"{self._caller.refusal(answer)} from {self._caller.where}."
        if answer.status in (401, 403, 404):  # so would all other calls be
            return BenchError(f"{problem} Check the URL, the model's name, and the key in the environment.")
        return CallFailed(problem)

    def _body(self, query: str, passages: Sequence[str]) -> dict[str, Any]:
        names = len(passages) if self._spec.prompt.asks == "order" else 1
        body: dict[str, Any] = {
            "model": self._model,
            "messages": self._spec.prompt.turns(query, passages),
            self._limit_name: _TOKENS_A_NAME * names + 16 + self._spec.thinking,
        }
        if self._has_temperature:
            body["temperature"] = 0
        if "max_tokens" in self._fields or "max_completion_tokens" in self._fields:
            del body[self._limit_name]
        return {name: value for name, value in (body | dict(self._fields)).items() if value is not None}


def build(row: Row, options: Options) -> Reranker:
    """Prepare to call a chat endpoint; nothing is sent yet.

    Raises:
        BenchError: for a URL that is none or carries a secret, a missing model, an unknown strategy or one that needs
            logits, a hosted service whose key is not in the environment.
    """
    url, _, rest = row.model.partition("#")
    model, _, text = rest.partition("#")
    host = read_host(url, rest, HOSTS, OWN_SERVER, "chat:http://host:port/v1#MODEL")
    if not model:
        raise BenchError("A chat endpoint needs the name of a model. Write it as chat:http://host:port/v1#MODEL.")
    spec = specs.read(text)
    if spec.first_token:
        raise BenchError("The strategy first reads logits, which a chat endpoint does not give. Use sliding.")
    key = read_key(host, url, is_own=host is OWN_SERVER)
    keep_from_results(key, [row.model, *(value for _, value in options.http_options), *sys.argv[1:]])
    fields = {name: json.loads(value) for name, value in options.http_options}
    asked = f"chat 1 {url} {model} {options.http_options} {spec.prompt!r}"
    settings: dict[str, str | int | float | bool] = {
        "url": url,
        "timeout": PATIENCE.timeout,
        "lengths": "in words",
        "decoding": "temperature 0",
    }
    card = Card(
        name=row.name,
        fingerprint=hashlib.sha256(asked.encode()).hexdigest(),
        family="chat",
        model=model,
        device="remote",
        listwise=True,
        settings=spec.settings | settings | {f"option {name}": value for name, value in options.http_options},
    )
    endpoint = url if url.endswith("/chat/completions") else f"{url.rstrip('/')}/chat/completions"
    speaker = Chat(Caller(endpoint, key, PATIENCE), key, model, spec, fields)
    who = [card.fingerprint, repr(sorted(card.settings.items()))]
    return Generative(card, speaker, spec, Answers(), who)
