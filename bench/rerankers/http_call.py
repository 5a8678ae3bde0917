"""One call to a server: limited in time and size, transient failures retried, and no key in messages.

The time limit is for the whole call. The limit for each read that HTTP libraries offer never ends for a server that
sends a byte now and then. So calls run in a separate event loop, where all waiting can be cancelled.
"""

import os
import re
import socket
import ssl
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.util import find_spec
from typing import Any
from urllib.request import getproxies, proxy_bypass

import anyio
import httpx
from anyio.from_thread import start_blocking_portal

from bench.errors import BenchError
from bench.escape import terminal
from bench.rerankers.redaction import Redaction

BUSY = frozenset({408, 429, 500, 502, 503, 504})
_PASSING = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""TLS errors of broken connections, which are transient; all others concern certificates and versions."""
_SHOWN = 300
"""The most characters of a server's text in a message."""
_TOKEN = 12
"""A proxy user name of this length may be a token."""


class CallFailed(BenchError):
    """One call brought no answer that can be used; the next call may."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits on time and size of an answer, and the number of attempts with the waits between them.

    Times are in seconds, sizes in bytes, unpacked. ``busy`` are the statuses after which it is made again.
    """

    timeout: float = 60
    attempts: int = 6
    first_wait: float = 1
    longest_wait: float = 120
    largest_answer: int = 64 * 1024**2
    busy: frozenset[int] = BUSY


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered, unpacked."""

    status: int
    content: bytes


Post = Callable[[Mapping[str, Any]], Answer]
"""Sends a JSON body; returns any answer except that the server is busy."""


class Caller:
    """Calls one URL with one key."""

    def __init__(self, url: str, key: str, patience: Patience) -> None:
        """Choose proxy and certificates; nothing is sent yet.

        Raises:
            BenchError: for a proxy or a certificate file in the environment that cannot be used.
        """
        self._url = url
        self._patience = patience
        self._headers = {"Accept-Encoding": "gzip"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._proxy = _proxy(httpx.URL(url))
        user, password = self._proxy.auth or ("", "") if self._proxy else ("", "")
        # Some proxies take a token as the user; a short name is no secret, and part of many a text.
        self._redact = Redaction(key, password, user if len(user) >= _TOKEN else "")
        self._tls = _certificates()
        through = f" through the proxy {self._proxy.url}" if self._proxy else ""
        self.where = f"{url}{through}"
        """Where calls go, as messages name it."""

    @contextmanager
    def session(self) -> Iterator[Post]:
        """Calls that share connections until the context ends."""
        client = httpx.AsyncClient(
            headers=self._headers, proxy=self._proxy, verify=self._tls, trust_env=False, timeout=None
        )
        with start_blocking_portal() as portal, portal.wrap_async_context_manager(client):
            yield lambda body: portal.call(self._post, client, body)

    def shown(self, text: str) -> str:
        """The start of a server's text, safe for a message and a terminal: without the key, on one line."""
        text = terminal(self._redact(text))
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"

    def refusal(self, answer: Answer) -> str:
        """A status that is not 200, with what the server says about it."""
        return f"HTTP status {answer.status} ({self.shown(text_of(answer.content))})"

    async def _post(self, client: httpx.AsyncClient, body: Mapping[str, Any]) -> Answer:
        """Make one call, and retry it while the server is busy or unreachable."""
        patience = self._patience
        for attempt in range(1, patience.attempts + 1):
            wait = patience.first_wait * 2 ** (attempt - 1)
            try:
                with anyio.fail_after(patience.timeout):
                    answer, asked = await self._once(client, body)
            except TimeoutError:
                reason = "No whole answer in time"
            except httpx.TransportError as error:
                reason = self._failure(error)
                if _stays(error):
                    # Not chained, here and elsewhere: the libraries' own messages may quote the key.
                    raise BenchError(f"{reason} from {self.where}. {_advice(error)}") from None
            else:
                if answer.status not in patience.busy:
                    return answer
                reason = self.refusal(answer)
                wait = max(wait, asked)
            if wait > patience.longest_wait:
                raise CallFailed(f"{reason} from {self.where}; the server asks to wait {wait:.0f} s. Try again then.")
            if attempt < patience.attempts:
                await anyio.sleep(wait)
        raise CallFailed(
            f"{reason} from {self.where}, {patience.attempts} times, with {patience.timeout:g} s for each answer. "
            "Check that the server is up, or try again later."
        )

    async def _once(self, client: httpx.AsyncClient, body: Mapping[str, Any]) -> tuple[Answer, float]:
        """An answer, and the seconds that it asks to wait."""
        async with client.stream("POST", self._url, json=body) as response:
            if response.is_redirect:
                # Not followed: the key is for the server that the user named, and for no other.
                target = self.shown(response.headers.get("Location", ""))
                raise BenchError(
                    f"HTTP status {response.status_code} from {self.where}: the server redirects to {target}. "
                    "Redirects are not followed. Give that URL as the reranker's if it is the right one."
                )
            content = await self._content(response)
            return Answer(response.status_code, content), retry_after(response.headers.get("Retry-After", ""))

    async def _content(self, response: httpx.Response) -> bytes:
        """The body, unpacked here and not by the HTTP library, which does so without a limit."""
        packing = response.headers.get("Content-Encoding", "").strip().lower()
        if packing not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise CallFailed(f"the answer from {self.where} has an unknown encoding, {self.shown(packing)!r}.")
        unpacker = None if packing in ("", "identity") else zlib.decompressobj(zlib.MAX_WBITS | 32)
        limit = self._patience.largest_answer
        content = bytearray()
        received = 0
        async for chunk in response.aiter_raw():
            received += len(chunk)
            try:
                content += unpacker.decompress(chunk, limit + 1 - len(content)) if unpacker else chunk
            except zlib.error as error:
                raise CallFailed(f"the answer from {self.where} is damaged: {error}.") from None
            if max(len(content), received) > limit:
                raise CallFailed(f"the answer from {self.where} is larger than {limit:,} bytes.")
            if unpacker and unpacker.eof:
                break
        if unpacker and content and not unpacker.eof:
            raise CallFailed(f"the answer from {self.where} is damaged: it ends too early.")
        return bytes(content)

    def _failure(self, error: Exception) -> str:
        """Why a call failed: the library's error class, and the system's message."""
        last = list(_causes(error))[-1]
        words = last.strerror if isinstance(last, OSError) and last.strerror else str(last)
        return f"{type(error).__name__} ({self.shown(words)})"


def text_of(content: bytes) -> str:
    """The start of an answer as text; read as UTF-8 whatever character set a header names."""
    return content[:16_000].decode("utf-8", "replace")


def retry_after(asked: str) -> float:
    """The seconds that an answer asks to wait, given in seconds or as a date; 0 where it does not ask."""
    if re.fullmatch("[0-9]+", asked):
        return min(float(asked[:20]), 1e9)
    try:
        until = parsedate_to_datetime(asked).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return max(0.0, (until - datetime.now(UTC)).total_seconds())


def _proxy(url: httpx.URL) -> httpx.Proxy | None:
    """The proxy that the environment names for a URL.

    Raises:
        BenchError: where it names one that cannot be used.
    """
    known = getproxies()
    given = known.get(url.scheme) or known.get("all")
    if not given or proxy_bypass(url.host):
        return None
    try:
        proxy = httpx.Proxy(given if "://" in given else f"http://{given}")
        schemes = ("http", "https", *(("socks5", "socks5h") if find_spec("socksio") else ()))
        usable = proxy.url.scheme in schemes and is_host(proxy.url)
    except (httpx.InvalidURL, ValueError):
        usable = False
    if not usable:
        raise BenchError(
            f"The proxy that {url.scheme.upper()}_PROXY or ALL_PROXY in the environment names for {url.host} cannot "
            f"be used: it must be http://host:port or https://host:port. Set it so, or name the host in NO_PROXY."
        )
    return proxy


def _certificates() -> ssl.SSLContext:
    try:
        return httpx.create_ssl_context()
    except (OSError, ValueError) as error:
        names = [name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)]
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a file of certificates"
        raise BenchError(
            f"Cannot read the certificates that {' and '.join(names) or 'certifi'} names: {reason}. "
            "Set it to a file of certificates in PEM format, or unset it."
        ) from None


def is_host(url: httpx.URL) -> bool:
    """Whether a URL's host name and port are valid (``a..b`` is not)."""
    host = url.raw_host.decode("ascii")
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return bool(re.fullmatch("[A-Za-z0-9._:-]{1,253}", host)) and (url.port is None or 0 < url.port < 2**16)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and its causes, the first cause last; of a group (one error an address) the first is followed."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, BaseExceptionGroup):
            found = found.exceptions[0]
        yield found
        found = found.__cause__ or found.__context__


def _stays(error: httpx.TransportError) -> bool:
    """Whether a failure is permanent, so that a retry cannot help."""
    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return True
    if isinstance(error, httpx.ProxyError):
        return str(error).startswith("4")
    causes = list(_causes(error))
    tls = any(isinstance(cause, ssl.SSLError) and not isinstance(cause, _PASSING) for cause in causes)
    unknown = any(isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME for cause in causes)
    return tls or unknown


def _advice(error: httpx.TransportError) -> str:
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return "Name the server's certificate authority in SSL_CERT_FILE, or use the host name of its certificate."
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return "Check that the server speaks TLS on this port; if it does not, the URL begins with http://."
    if isinstance(error, httpx.ProxyError):
        return "Check the proxy's user and password in the environment."
    return "Check the URL."
