"""Whose server a URL is of, and the key for it from the environment."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

import httpx

from bench.errors import BenchError
from bench.rerankers.http_call import is_host

SECRET = 8
"""Keys with fewer characters are placeholders, not secrets."""


@dataclass(frozen=True, slots=True)
class Host:
    """How a service differs: the variables with its key; of a rerank call, the field for the number of answers, and
    further fields.
    """

    keys: tuple[str, ...]
    count: str = "top_n"
    fields: tuple[tuple[str, bool], ...] = ()


def keep_from_results(key: str, written: Sequence[str]) -> None:
    """Raise a BenchError if the key is in anything written into results: URL, model, options, command.

    A short key (``EMPTY``, ``token``) is a placeholder that occurs in other texts.
    """
    if len(key) >= SECRET and any(key in unquote(text) for text in written):
        raise BenchError(
            "The key in the environment is also on the command line or in the URL, which are written into results. "
            "Leave it out there: it is sent in the header Authorization."
        )


def read_host(
    url: str, model: str, hosts: Mapping[str, Host], own: Host, form: str = "http://host:port/rerank#MODEL"
) -> Host:
    """The host of a URL: one of ``hosts``, else your ``own`` server. Messages do not repeat what may be a secret.

    ``form`` is how such a URL is written.

    Raises:
        BenchError: for what is not a URL, a URL with a password or query string, or a hosted service without https.
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
        raise BenchError(f"The reranker's URL is not an http(s) URL. Write it as {form}.")
    host = hosts.get(parsed.host, own)
    if host is not own and parsed.scheme != "https":
        raise BenchError(f"{parsed.host} needs https, since a key over http is not encrypted. Write https://.")
    return host


def read_key(host: Host, url: str, *, is_own: bool) -> str:
    """The key for a host, from the environment; "" for your own server without one.

    Raises:
        BenchError: where a hosted service has none, or it has characters that a header cannot carry.
    """
    for variable in host.keys:
        # A key read from a file may end with a newline.
        key = os.environ.get(variable, "").strip()
        if key and not (key.isascii() and key.isprintable()):
            raise BenchError(f"{variable} has a control character or one beyond ASCII. Set it to the key alone.")
        if key:
            return key
    if not is_own:
        raise BenchError(
            f"{httpx.URL(url).host} needs an API key: no key is set. Set {' or '.join(host.keys)} in the environment."
        )
    return ""
