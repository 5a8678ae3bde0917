"""Whose server a URL is of, and the key for it from the environment."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

import httpx

from bench.errors import BenchError
from bench.rerankers.http_call import is_host

SECRET = 8
"""Characters from which a key is taken for a secret."""


@dataclass(frozen=True, slots=True)
class Host:
    """What is particular about a hosted service: where its key lies, and how a rerank call names the number of answers.

    ``fields`` are sent with each rerank call.
    """

    keys: tuple[str, ...]
    count: str = "top_n"
    fields: tuple[tuple[str, bool], ...] = ()


def keep_from_results(key: str, written: Sequence[str]) -> None:
    """Refuse a key in what is written into results: URL, model, options, the command itself.

    A short key (``EMPTY``, ``token``) is part of any text, and no secret.
    """
    if len(key) >= SECRET and any(key in unquote(text) for text in written):
        raise BenchError(
            "The key in the environment is also on the command line or in the URL, which are written into results. "
            "Leave it out there: it is sent in the header Authorization."
        )


def read_host(
    url: str, model: str, hosts: Mapping[str, Host], own: Host, form: str = "http://host:port/rerank#MODEL"
) -> Host:
    """Whose server a URL is of: one of ``hosts``, or the user's ``own``. Messages do not repeat what may be a secret.

    ``form`` is how such a URL is written.

    Raises:
        BenchError: for a URL that is none or carries a secret, or a hosted service called without TLS.
    """
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        raise BenchError(f"The reranker's URL cannot be read. Write it as {form}.") from None
    if parsed.userinfo or parsed.query or "?" in model:
        raise BenchError(
            f"The URL of {parsed.host} must carry neither a password nor a query string, since it is written into "
            f"results. A key is taken from {' or '.join(own.keys)} in the environment."
        )
    if parsed.scheme not in ("http", "https") or not parsed.host or not is_host(parsed):
        raise BenchError(f"The reranker's URL is no URL of a server. Write it as {form}.")
    host = hosts.get(parsed.host, own)
    if host is not own and parsed.scheme != "https":
        raise BenchError(f"{parsed.host} is called by https only, so that its key is not sent in the open.")
    return host


def read_key(host: Host, url: str, *, is_own: bool) -> str:
    """The key for a host, from the environment; "" for a server of one's own without one.

    Raises:
        BenchError: where a hosted service has none, or it holds what no header can carry.
    """
    for variable in host.keys:
        # What a file's last line leaves behind is no part of a key.
        key = os.environ.get(variable, "").strip()
        if key and not (key.isascii() and key.isprintable()):
            raise BenchError(f"{variable} has a character that no key has: a control character or one beyond ASCII.")
        if key:
            return key
    if not is_own:
        raise BenchError(f"{httpx.URL(url).host} wants a key: set {' or '.join(host.keys)} in the environment.")
    return ""
