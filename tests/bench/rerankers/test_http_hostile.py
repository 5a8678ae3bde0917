"""Servers that answer badly, on purpose or not: a score or one message, within the time and the size allowed."""

import base64
import gzip
import json
import os
import random
import resource
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from bench.errors import BenchError
from bench.escape import terminal
from bench.rerankers import check, http, load
from bench.rerankers.base import CandidateList, Options, Scored
from bench.rerankers.http_call import retry_after
from bench.rerankers.redaction import WITHHELD, Redaction

KEY = "sk-Very/secret+0123456789"
THREE = CandidateList("q7", "why do tides rise", ("a", "b", "c"), (3.0, 2.0, 1.0), ("moon", "bread", "tea"))
VALID = b'{"results": [{"index": 0, "relevance_score": 1}, {"index": 1, "score": 0.5}, {"index": 2, "score": -1e-3}]}'

Answer = bytes | Callable[[socket.socket, bytes], None]


class RawServer:
    """Writes bytes, right or wrong, to whoever has sent a request; counts the requests."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answer: Answer = b""
        self.requests: list[bytes] = []
        self.greets = False
        """Whether it answers before it has read a request."""
        self._tls = tls
        self._answering: list[threading.Thread] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/rerank"
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        self._listening.close()

    def count(self) -> int:
        """How many requests there were, counted when all connections have ended: a client may give up first."""
        for thread in self._answering:
            thread.join(timeout=10)
        return len(self.requests)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._answering.append(threading.Thread(target=self._answer, args=(connection,), daemon=True))
            self._answering[-1].start()

    def _answer(self, connection: socket.socket) -> None:
        try:
            with self._tls.wrap_socket(connection, server_side=True) if self._tls else connection as stream:
                request = b"greeted" if self.greets else _request(stream)
                self.requests.append(request)
                if callable(self.answer):
                    self.answer(stream, request)
                else:
                    stream.sendall(self.answer)
        except OSError:
            self.requests.append(b"")  # the client has given up, as it should


def _request(stream: socket.socket) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request:
        request += stream.recv(65536) or b"\r\n\r\n"
    head, _, body = request.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += stream.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(body: bytes, status: int = 200, headers: bytes = b"", reason: bytes = b"OK") -> bytes:
    return b"HTTP/1.1 %d %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, reason, headers, len(body), body)


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("RERANK_API_KEY", KEY)
    limits = http.Patience(timeout=0.5, attempts=2, first_wait=0.01, longest_wait=2, largest_answer=100_000)
    monkeypatch.setattr(http, "PATIENCE", limits)


@pytest.fixture
def server(patience: None) -> Iterator[RawServer]:
    server = RawServer()
    yield server
    server.stop()


def scored(url: str, options: tuple[tuple[str, str], ...] = ()) -> list[Scored]:
    return list(load(f"http:{url}", Options(http_options=options)).score([THREE]))


def refused(url: str) -> str:
    """The message with which a call ends; it has neither the key nor anything that acts on a terminal."""
    with pytest.raises(BenchError) as caught:
        scored(url)
    message = str(caught.value)
    assert message == terminal(message)
    assert "secret" not in message
    assert caught.value.__suppress_context__, "a notebook would show the library's own message"
    return message


HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "no HTTP": b"SSH-2.0-OpenSSH_9.9\r\n",
    "a status alone": b"HTTP/1.1 200 OK\r\n\r\n",
    "status 99": answer(VALID, 99),
    "status 999": answer(VALID, 999),
    "status 204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "status 101": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n" + VALID,
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n" + VALID,
    "a length of 10^30": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % 10**30 + VALID,
    "cut short": b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + VALID,
    "bad chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + VALID,
    "a chunk of 10^30": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % 10**30 + VALID,
    "control characters in a header": answer(VALID, headers=b"X-A: \x1b[2J\r\n"),
    "bytes in a header": answer(VALID, headers=b"X-A: \xff\xfe\r\nContent-Type: \xff\r\n"),
    "a long header": answer(VALID, headers=b"X-A: " + b"a" * 200_000 + b"\r\n"),
    "many headers": answer(VALID, headers=b"X-A: a\r\n" * 20_000),
    "damaged gzip": answer(b"\x1f\x8b\x08" + VALID, headers=b"Content-Encoding: gzip\r\n"),
    "text as gzip": answer(VALID, headers=b"Content-Encoding: gzip\r\n"),
    "half a gzip": answer(gzip.compress(VALID)[:-12], headers=b"Content-Encoding: gzip\r\n"),
    "gzip twice": answer(gzip.compress(gzip.compress(VALID)), headers=b"Content-Encoding: gzip, gzip\r\n"),
    "text as brotli": answer(VALID, headers=b"Content-Encoding: br\r\n"),
    "text as zstd": answer(VALID, headers=b"Content-Encoding: zstd\r\n"),
    "an encoding of bytes": answer(VALID, headers=b"Content-Encoding: \xff\x9b\r\n"),
    "a redirect": answer(b"", 302, b"Location: http://127.0.0.1:9/\r\n"),
    "a redirect to nowhere": answer(b"", 301, b"Location: http://a..b:99999/\x7f\r\n"),
    "a redirect without a target": answer(b"", 308),
    "an empty body": answer(b""),
    "a page": answer(b"<html><title>Sign in</title>"),
    "UTF-16": answer(VALID.decode().encode("utf-16")),
    "a byte order mark": answer(b"\xef\xbb\xbf" + VALID),
    "no UTF-8": answer(b"\xff" + VALID),
    "half pairs": answer(b'{"results": "\\ud800"}'),
    "deep JSON": answer(b"[" * 90_000),
    "deep JSON in a score": answer(VALID.replace(b"0.5", b"[" * 40_000 + b"]" * 40_000)),
    "a number of 5,000 digits": answer(b"9" * 5_000),
    "too many results": answer(b"[" + b"0," * 40_000 + b"0]"),
    "one key twice": answer(b'{"results": [], "results": []}'),
    "results of another kind": answer(b'{"results": {"0": 1}}'),
    "null": answer(b"null"),
    "rows of text": answer(b'["a", "b", "c"]'),
    "tokens of text": answer(VALID[:-1] + b', "usage": {"total_tokens": "many"}}'),
    "negative tokens": answer(VALID[:-1] + b', "usage": {"total_tokens": -1}}'),
    "10^30 tokens": answer(VALID[:-1] + b', "usage": {"total_tokens": 1%s}}' % (b"0" * 30)),
    "a fraction of a token": answer(VALID[:-1] + b', "usage": {"total_tokens": 1.5}}'),
    "usage of another kind": answer(VALID[:-1] + b', "usage": 7}'),
} | {
    f"{name} {value[:12]!r}": answer(VALID.replace(old, value))
    for name, old in (("a score", b"0.5"), ("an index", b'"index": 1'))
    for value in (
        b"1" + b"0" * 400, b"-1" + b"0" * 4_000, b"1e999", b"NaN", b"-Infinity", b"true", b'"1"', b"null", b"[]",
    )
} | {
    f"charset {name}": answer(b"\x9b" + VALID, 400, b"Content-Type: application/json; charset=%s\r\n" % name.encode())
    for name in (
        "hex", "zlib", "bz2", "idna", "punycode", "utf-32", "utf-7", "rot13", "undefined", "unicode_escape", "\xff",
    )
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_answer_is_one_message(server: RawServer, name: str) -> None:
    server.answer = HOSTILE[name]
    try:
        (answer,) = scored(server.url)
    except BenchError as error:
        assert str(error) == terminal(str(error))
        assert error.__suppress_context__
    else:
        assert answer.scores == (1, 0.5, -1e-3)
        assert name in ("control characters in a header", "bytes in a header", "many headers")


RETRY_AFTER = (
    "²", "٣", "1.5", "-1", "", " ", "9" * 400, "inf", "nan", "0x10", "1_0", "soon", "\x1b[2J",
    f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT", "Mon, 99 Jan 2026 99:99:99 GMT", "Mon, 01 Jan 0001 00:00:00 +2359",
    "Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 01 Jan 2026 00:00:00 +99999999999", "1 1 1 1 1 1", ",", "Mon, 1", "1 Jan",
    "Mon, 01 Jan 2026", "01 Jan 2026 00:00", "01 Jan -1 00:00:00", "0 Jan 2026 00:00:00 GMT",
)  # fmt: skip


@pytest.mark.parametrize("asked", RETRY_AFTER)
def test_a_hostile_wait_is_a_number_of_seconds(server: RawServer, asked: str) -> None:
    assert 0 <= retry_after(asked) < 1e12
    header = b"Retry-After: %s\r\n" % "".join(asked.splitlines()).encode()
    server.answer = answer(b"", 429, header)
    refused(server.url)


def drips(head: bytes, drop: bytes) -> Callable[[socket.socket, bytes], None]:
    def drip(stream: socket.socket, request: bytes) -> None:
        stream.sendall(head)
        while True:
            stream.sendall(drop)
            time.sleep(0.05)

    return drip


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nX-A: ", b"a"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\nContent-Encoding: gzip\r\n\r\n", gzip.compress(b"")[:1]),
        (b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
    ],
    ids=["body", "header", "gzip", "interim answers"],
)
def test_a_server_that_drips_is_given_up_in_time(server: RawServer, head: bytes, drop: bytes) -> None:
    server.answer = drips(head, drop)
    started = time.monotonic()
    refused(server.url)
    assert time.monotonic() - started < 4, "two attempts of half a second"


def pours(head: bytes, flood: bytes) -> Callable[[socket.socket, bytes], None]:
    def pour(stream: socket.socket, request: bytes) -> None:
        stream.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
        while True:
            stream.sendall(flood)

    return pour


@pytest.mark.parametrize(
    ("head", "flood"),
    [
        (b"", b" " * 65536),
        (b"Transfer-Encoding: chunked\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n"),
        (b"Content-Encoding: gzip\r\n", gzip.compress(b" " * 10**8)),
        (b"Content-Encoding: gzip\r\n", gzip.compress(b"")),
    ],
    ids=["endless", "endless chunks", "gzip bomb", "empty gzips"],
)
def test_a_body_beyond_the_limit_is_not_read(server: RawServer, head: bytes, flood: bytes) -> None:
    server.answer = pours(head, flood)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    message = refused(server.url)
    assert "larger than 100,000 bytes" in message or "not valid JSON" in message
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000, "kilobytes"
    assert len([each for each in server.requests if each]) == 1


def test_a_packed_answer_is_read(server: RawServer) -> None:
    server.answer = answer(gzip.compress(VALID), headers=b"Content-Encoding: gzip\r\n")
    assert scored(server.url)[0].scores == (1, 0.5, -1e-3)


# The key


ECHOES: dict[str, str] = {
    "plain": KEY,
    "header": f"Authorization: Bearer {KEY}",
    "json": json.dumps({"a": f"Bearer {KEY}"}),
    "json, slash escaped": json.dumps(KEY).replace("/", "\\/"),
    "json, all escaped": "".join(f"\\u{ord(each):04x}" for each in KEY),
    "json, one escaped": KEY.replace("V", "\\u0056"),
    "json in json": json.dumps(json.dumps(KEY.replace("/", "\\/"))),
    "repr": repr(f"Bearer {KEY}".encode()),
    "bytes": "".join(f"\\x{ord(each):02x}" for each in KEY),
    "url": quote(KEY, safe=""),
    "url twice": quote(quote(KEY, safe=""), safe=""),
    "all percent": "".join(f"%{ord(each):02x}" for each in KEY),
    "html": "".join(f"&#x{ord(each):x};" for each in KEY),
    "base64": base64.b64encode(KEY.encode()).decode(),
    "base64 of the header": base64.b64encode(f"Bearer {KEY}".encode()).decode(),
    "base64 of a login": base64.b64encode(f"me:{KEY}".encode()).decode(),
    "base64 inside others": base64.urlsafe_b64encode(f"xx{KEY}yyyyy".encode()).decode(),
    "hexadecimal": KEY.encode().hex(),
    "capitals": KEY.upper(),
    "blanks": " ".join(KEY),
    "lines": "\n".join((KEY[:9], KEY[9:17], KEY[17:])),
    "escaped lines": json.dumps("\n".join(KEY)),
    "zero width": "\u200b".join(KEY),
    "full width": "".join(chr(ord(each) + 0xFEE0) for each in KEY),
    "backwards": KEY[::-1],
    "between tags": "<wbr>".join(KEY),
    "octal": "".join(f"\\{ord(each):03o}" for each in KEY),
    "a list of bytes": json.dumps(list(f"Bearer {KEY}".encode())),
    "a part": f"bad key {KEY[:18]}…",
    "the other part": f"bad key …{KEY[6:]}",
}


@pytest.mark.parametrize("name", ECHOES)
def test_an_echoed_key_is_not_shown(server: RawServer, name: str) -> None:
    redact = Redaction(KEY)
    shown = redact(f"before {ECHOES[name]} after")
    assert "***" in shown or shown == WITHHELD
    parts = [KEY[start : start + 8] for start in range(len(KEY) - 7)]
    for status in (200, 400, 503):
        server.answer = answer(ECHOES[name].encode(), status)
        message = refused(server.url)
        assert not any(part.lower() in "".join(message.split()).lower() for part in parts)
        assert ECHOES[name] not in message


def test_texts_without_the_key_are_shown_as_they_are() -> None:
    for text in ("no such model: jina-reranker-v3", "error 0123456", "very bad", '{"error": "batch size 64 > 32"}', ""):
        assert Redaction(KEY)(text) == text
        assert Redaction()(text) == text


def test_a_key_is_not_written_into_results(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RERANK_API_KEY", KEY)
    monkeypatch.setattr("sys.argv", ["bench"])
    for name, options in (
        (f"{server.url}/{quote(KEY, safe='')}", ()),
        (f"{server.url}#{KEY}", ()),
        (server.url, (("user_id", json.dumps(KEY)),)),
    ):
        with pytest.raises(BenchError, match="also on the command line or in the URL"):
            load(f"http:{name}", Options(http_options=options))
    monkeypatch.setattr("sys.argv", ["bench", "folder", "x", "--cache-id", KEY])
    with pytest.raises(BenchError, match="also on the command line or in the URL"):
        load(f"http:{server.url}", Options())
    monkeypatch.setenv("RERANK_API_KEY", "bench")
    assert load(f"http:{server.url}#bench", Options()), "a dummy key is no secret"


@pytest.mark.parametrize("name", ["HTTP://user:{}@host/x", " http://user:{}@host/x", "htp://{}@host/x", "user:{}@host"])
def test_a_mistyped_url_is_not_repeated(name: str) -> None:
    with pytest.raises(BenchError, match=r"http://host:port/rerank#MODEL|neither a password") as caught:
        load(name.format("s3cret-passw0rd"), Options())
    assert "s3cret" not in str(caught.value)


def test_a_proxys_token_is_not_shown(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url.replace("://", "://tok-0123456789ab@"))
    server.answer = answer(b"tok-0123456789ab: no such user", 407)
    assert "status 407 (***: no such user)" in refused("http://host.test/rerank")


def test_a_redirect_and_a_key_in_its_target(server: RawServer) -> None:
    other = RawServer()
    server.answer = answer(b"", 307, b"Location: %s?key=%s\r\n" % (other.url.encode(), KEY.encode()))
    message = refused(server.url)
    assert f"redirects to {other.url}?key=***." in message
    assert other.requests == [], "the key is for one host"
    assert len(server.requests) == 1
    other.stop()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", " ", "\t\n"])
def test_what_ends_a_line_is_no_part_of_a_key(server: RawServer, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    monkeypatch.setenv("RERANK_API_KEY", KEY + end)
    server.answer = answer(VALID)
    assert scored(server.url)
    assert f"Authorization: Bearer {KEY}\r\n".encode() in server.requests[0]


@pytest.mark.parametrize(
    "key", [f"{KEY}\r{KEY}", f"{KEY}\n{KEY}", f"a\x1b{KEY}", f"{KEY}é", f"\udc80{KEY}", f"a\x7f{KEY}"]
)
def test_a_key_that_no_header_can_carry_is_refused_at_once(
    server: RawServer, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setitem(os.environ, "RERANK_API_KEY", key)
    with pytest.raises(BenchError, match="RERANK_API_KEY has a control character") as caught:
        load(f"http:{server.url}", Options())
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{KEY}@host/rerank",
        f"http://{KEY.replace('/', '')}@host/rerank",
        f"http://host/rerank?key={KEY}",
        f"http://host/rerank#model?key={KEY}",
        f"ftp://user:{KEY}@host/rerank",
        f"http://user:{KEY}@a..b/rerank",
        f"http://user:{KEY}@host:port/rerank",
        f"http://user:{KEY}@/rerank",
    ],
)
def test_a_key_in_a_url_is_not_repeated(patience: None, url: str) -> None:
    with pytest.raises(BenchError) as caught:
        load(f"http:{url}", Options())
    with pytest.raises(BenchError):
        check(f"http:{url}", Options())
    assert "ecret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    "url",
    [
        "http://a..b/x", "http://.a/", f"http://{'a' * 70}.org/", f"http://{'a.' * 200}/", "http://a b/", "http://h:0/",
        "http://h:99999/", "http://h:-1/", "http://\udcff/", "http://h/\udcff", "http://h/\x1b", "http://[zz]/",
        "http://%00/", "http://h%2f/", "http://*/", "http:///x", "http://:80/",
    ],
)  # fmt: skip
def test_a_host_that_cannot_be_is_refused(patience: None, url: str) -> None:
    with pytest.raises(BenchError, match="Write it as http://host:port/rerank#MODEL") as caught:
        load(f"http:{url}", Options())
    assert str(caught.value) == terminal(str(caught.value))


# What does not pass is not tried again


# Made for this test alone; trusted by nobody.
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgj9FL8MkDzYrNaFtD
Mh1btyMqCp1yMG1RikaZQ/SyE3+hRANCAAQMMRR3r5GsL7d24ZoUf2LaVzyIwKDL
zPsnibd9liowAHABmKi62+2groyYJvLyHLTipF3DCP45Q2zEIqi4Cu4j
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBnDCCAUGgAwIBAgIUAxWH3KsXbovpyYsCIJRGjAhHtsAwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNjAxMTg1M1oYDzIxMjYxMTAy
MDExODUzWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQMMRR3r5GsL7d24ZoUf2LaVzyIwKDLzPsnibd9liowAHABmKi62+2g
royYJvLyHLTipF3DCP45Q2zEIqi4Cu4jo28wbTAdBgNVHQ4EFgQUAyqa7LGE+sKA
QvRklUtLQyLQyLYwHwYDVR0jBBgwFoAUAyqa7LGE+sKAQvRklUtLQyLQyLYwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSQAwRgIhALgP+dB0BTSFdjgAQkuqXdrFDpgR/7+VGqga43h0JnA+AiEA
v4EK8oRuVK8kpulmOGduyUZfFQDlb+r90bdRliYBnXY=
-----END CERTIFICATE-----
"""


@pytest.fixture
def tls(patience: None, tmp_path: Path) -> Iterator[RawServer]:
    path = tmp_path / "server.pem"
    path.write_text(CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    server = RawServer(context)
    server.answer = answer(VALID)
    yield server
    server.stop()


def test_an_unknown_certificate_is_not_tried_twice(tls: RawServer) -> None:
    message = refused(tls.url)
    assert "certificate verify failed" in message
    assert "Name the server's certificate authority in SSL_CERT_FILE" in message
    assert tls.count() == 1


def test_a_certificate_named_in_the_environment(
    tls: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    assert scored(tls.url)[0].scores == (1, 0.5, -1e-3)


def test_tls_to_a_server_that_speaks_none(server: RawServer) -> None:
    server.answer = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    server.greets = True
    assert "the URL begins with http://" in refused(server.url.replace("http:", "https:"))
    assert len([each for each in server.requests if each]) == 1


def test_a_host_that_does_not_exist(patience: None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def unknown(host: bytes, *arguments: object, **options: object) -> None:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert "Name or service not known" in refused("http://nowhere.invalid/rerank")
    assert len(asked) == 1


# The environment


@pytest.mark.parametrize(
    "proxy",
    [
        f"socks9://user:{KEY}@h:1", "socks4://h:1", "ftp://h:1", "http://", "http://h:port", "://", "http://a..b:80",
        "http://[", "\x1b", f"http://user:{KEY}@h:99999", "http://\udcff",
    ],
)  # fmt: skip
def test_a_proxy_that_cannot_be_used(server: RawServer, monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(BenchError, match="The proxy that HTTP_PROXY or ALL_PROXY") as caught:
        load(f"http:{server.url}", Options())
    assert "ecret" not in str(caught.value)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    load(f"http:{server.url}", Options())


def test_socks_without_its_package(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    monkeypatch.setattr("bench.rerankers.http_call.find_spec", lambda name: None)
    with pytest.raises(BenchError, match="must be http://host:port"):
        load(f"http:{server.url}", Options())


def test_the_proxy_is_used_and_named(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://me:hidden-word@127.0.0.1:{server.port}")
    server.answer = answer(b"hidden-word is wrong", 407)
    message = refused("http://host.invalid/rerank")
    assert f"from http://host.invalid/rerank through the proxy http://127.0.0.1:{server.port}" in message
    assert "hidden" not in message
    assert server.requests[0].startswith(b"POST http://host.invalid/rerank HTTP/1.1\r\n")


def test_a_tunnel_that_the_proxy_refuses_is_not_tried_again(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", f"127.0.0.1:{server.port}")
    server.answer = answer(b"", 407, reason=b"\x1b[2J Who is " + KEY.encode())
    message = refused("https://host.invalid/rerank")
    assert f"through the proxy http://127.0.0.1:{server.port}" in message
    assert len(server.requests) == 1
    assert server.requests[0].startswith(b"CONNECT host.invalid:443 HTTP/1.1\r\n")
    assert b"Bearer" not in server.requests[0]


@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nzz\n"])
def test_a_certificate_file_that_is_none(
    server: RawServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with pytest.raises(BenchError, match="certificates that SSL_CERT_FILE names"):
        load(f"http:{server.url}", Options())


# Mutations

SEEDS = [
    answer(VALID),
    answer(VALID[:-1] + b', "usage": {"total_tokens": 7}}', headers=b"Content-Type: application/json\r\n"),
    answer(gzip.compress(VALID), headers=b"Content-Encoding: gzip\r\n"),
    answer(b"busy", 429, b"Retry-After: 0\r\n"),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(VALID), VALID),
]
PIECES = [
    b"", b"\0", b"\xff", b"\r\n", b"\r\n\r\n", b" ", b"\x1b", b"{", b"]", b'"', b"-", b"9" * 30, b"9" * 400, b"1e999",
    b"NaN", b"null", b"true", b"[" * 5_000, "²".encode(), b":", b"\\ud800", b"Content-Length: 5\r\n", b"0\r\n\r\n",
]  # fmt: skip


def mutate(chance: random.Random) -> bytes:
    content = chance.choice(SEEDS)
    for _ in range(chance.randint(1, 3)):
        start = chance.randrange(len(content) + 1)
        middle = chance.choice(PIECES) if chance.random() < 0.7 else chance.randbytes(3)
        content = content[:start] + middle + content[start + chance.choice((0, 0, 1, 5, 20)) :]
    return content


def fuzz(server: RawServer, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    limits = http.Patience(timeout=0.2, attempts=1, first_wait=0, longest_wait=1, largest_answer=100_000)
    monkeypatch.setattr(http, "PATIENCE", limits)
    reranker = load(f"http:{server.url}", Options())
    for seed in range(count):
        server.answer = mutate(random.Random(seed))
        try:
            (answered,) = reranker.score([THREE])
        except BenchError as error:
            assert str(error) == terminal(str(error))
        else:
            assert len(answered.scores) == 3


def test_changed_answers_are_scores_or_one_message(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    fuzz(server, monkeypatch, 120)


@pytest.mark.fuzz
@pytest.mark.timeout(1800)
def test_many_changed_answers_are_scores_or_one_message(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    fuzz(server, monkeypatch, 6_000)
