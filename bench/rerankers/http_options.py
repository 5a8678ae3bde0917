"""Fields that the user adds to each request of a reranking server or chat endpoint: ``--http-option key=value``."""

import json
from collections.abc import Sequence

from bench.errors import BenchError
from reranker.schema import parse_json

OURS = frozenset({"model", "query", "documents", "texts", "top_n", "top_k", "messages", "stream"})
"""Fields that the harness fills in itself."""
_SECRETS = frozenset({"key", "apikey", "token", "accesstoken", "auth", "authorization", "bearer", "password", "secret"})
"""Names of fields for keys, in lower case, without separators."""


def read_options(given: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Names and values, in the order of the names; a value is JSON text: what is no JSON is a string.

    Raises:
        BenchError: for an option without a name or a value, given twice, for a key, or that the harness fills in
            itself.
    """
    options: dict[str, str] = {}
    for option in given:
        name, equals, value = option.partition("=")
        if not (name and equals) or not _is_unicode(option):
            raise BenchError(f"--http-option {option!r} is not an option. Write it as key=value.")
        if name in OURS:
            raise BenchError(f"--http-option {name} cannot be set: the harness fills it in. Leave it out.")
        if name.lower().replace("_", "").replace("-", "") in _SECRETS:
            raise BenchError(
                f"--http-option {name} is for a key, and options are written into results. Put the key into "
                "RERANK_API_KEY in the environment: it is sent in the header Authorization."
            )
        if name in options:
            raise BenchError(f"--http-option {name} is given twice. Give it once.")
        options[name] = json.dumps(_value(value), sort_keys=True)
    return tuple(sorted(options.items()))


def _value(text: str) -> object:
    try:
        value: object = parse_json(text, "the option", BenchError)
    except BenchError:
        return text
    return value


def _is_unicode(text: str) -> bool:
    """Whether JSON in UTF-8 can carry a text: the bytes of an argument that are not UTF-8 arrive as half pairs."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
