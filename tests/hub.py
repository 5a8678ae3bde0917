"""The hosts that models and data come from, on this machine: one server, which misbehaves as it is told.

It speaks the model hub's protocol (models and data sets at a revision, the tree, files with their commit and hash,
ranges, weights by a redirect to another host) and is a plain file host under any other name. A process reaches it as
the hub itself, by its plain address, or as every host at once, as the proxy of `proxied`, over TLS.
"""

import hashlib
import json
import os
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NAME = "maker/model"
HUB, WEIGHTS_HOST = "huggingface.co", "cas-bridge.xethub.hf.co"
HOSTS = (HUB, WEIGHTS_HOST, "datasets-server.huggingface.co", "github.com", "public.ukp.informatik.tu-darmstadt.de",
         "macavaney.us", "mirror.ir-datasets.com", "ir.dcs.gla.ac.uk",
         "api.jina.ai", "api.cohere.com", "api.voyageai.com")  # fmt: skip
_LARGE = (".safetensors", ".parquet")
"""Files that the hub does not send itself: it redirects to the host of its large files."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A model's or data set's files at one commit."""

    folder: Path
    commit: str

    def files(self) -> dict[str, Path]:
        """Every file by its path in the repository."""
        found = (each for each in sorted(self.folder.rglob("*")) if each.is_file())
        return {each.relative_to(self.folder).as_posix(): each for each in found}


class Hub(ThreadingHTTPServer):
    """Serves ``repositories``, by ``models/OWNER/NAME`` or ``datasets/OWNER/NAME``, and ``sites/HOST/PATH``.

    `answer`, where set, is asked first: it takes the handler and returns True if it has answered. `asked` collects all
    requests, as ``GET /path`` of the hub and ``GET https://host/path`` of any other host.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, repositories: Mapping[str, Repository], sites: Path | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories = dict(repositories)
        self.sites = sites
        self.asked: list[str] = []
        self.answer: Callable[[Handler], bool] | None = None
        self.certificate: Path | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """A client that hangs up, as a killed process does, is no fault of the server."""

    @cache  # noqa: B019  (a server lives as long as its test)
    def tls(self) -> ssl.SSLContext:
        assert self.certificate, "the server was not started as a proxy"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.certificate.with_suffix(".key"))
        return context


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests; ``host`` is whose, ``body`` what the last one sent."""

    server: Hub
    protocol_version = "HTTP/1.1"
    host = HUB
    body = b""

    def log_message(self, *_: object) -> None:
        pass

    def do_CONNECT(self) -> None:
        """Be the host that is asked for, from here on over TLS."""
        self.host = self.path.partition(":")[0]
        if self.host not in HOSTS:
            self.server.asked.append(f"CONNECT {self.path}")
            self.send_error(502)
            return
        self.send_response(200)
        self.end_headers()
        self.close_connection = False  # urllib asks by HTTP/1.0
        self.connection = self.request = self.server.tls().wrap_socket(self.connection, server_side=True)
        self.setup()

    def do_HEAD(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        body = self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("http://"):  # as a proxy, without TLS
            self.host = urlsplit(self.path).netloc
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(f"{self.command} {path if self.host == HUB else f'https://{self.host}{path}'}")
        if self.server.answer and self.server.answer(self):
            return
        if self.host == HUB:
            self._hub(path, body)
        elif self.host == WEIGHTS_HOST:
            kept = (file for each in self.server.repositories.values() for file in each.files().values())
            self.file(next((file for file in kept if path == f"/{_sha256(file)}"), None))
        else:
            self.file(self.server.sites / self.host / path.lstrip("/") if self.server.sites else None)

    def _hub(self, path: str, body: bytes) -> None:
        parts = path.strip("/").split("/")
        kind = "datasets" if "datasets" in parts[:2] else "models"
        is_api = parts[0] == "api"
        owner_at = (2 if is_api else 1) if kind == "datasets" or is_api else 0
        name, rest = "/".join(parts[owner_at : owner_at + 2]), parts[owner_at + 2 :]
        found = self.server.repositories.get(f"{kind}/{name}")
        if found is None:
            self.refuse(401, "RepoNotFound")
        elif len(rest) > 1 and rest[1] not in ("main", found.commit):
            self.refuse(404, "RevisionNotFound")
        elif not is_api:
            self._resolve(found, "/".join(rest[2:]))
        else:
            self._information(found, name, rest, body)

    def _information(self, found: Repository, name: str, rest: list[str], body: bytes) -> None:
        files = found.files()
        if rest[:1] == ["tree"]:
            below = "/".join([*rest[2:], ""]) if rest[2:] else ""
            self.reply(json.dumps(_tree(files, below, "recursive=true" in self.path.lower())))
        elif rest[:1] == ["paths-info"]:
            wanted = json.loads(body)["paths"]
            self.reply(json.dumps([_row(path, files[path]) for path in wanted if path in files]))
        elif not rest or rest[0] == "revision":
            rows = [{"rfilename": path} for path in files]
            facts = {"private": False, "gated": False, "disabled": False, "tags": [], "downloads": 0, "likes": 0}
            self.reply(json.dumps(facts | {"id": name, "sha": found.commit, "siblings": rows}))
        else:
            self.refuse(404, "EntryNotFound")

    def _resolve(self, found: Repository, path: str) -> None:
        file = found.files().get(path)
        if file is None:
            self.refuse(404, "EntryNotFound", {"X-Repo-Commit": found.commit})
        elif self.server.certificate and path.endswith(_LARGE):
            headers = {"X-Repo-Commit": found.commit, "X-Linked-Etag": f'"{_sha256(file)}"'}
            headers |= {"X-Linked-Size": str(file.stat().st_size)}
            self.reply("", headers | {"Location": f"https://{WEIGHTS_HOST}/{_sha256(file)}?signed=1"}, 302)
        else:
            self.file(file, {"X-Repo-Commit": found.commit, "ETag": f'"{_oid(file)}"'})

    def refuse(self, status: int, code: str, headers: Mapping[str, str] = {}) -> None:
        """What the hub says of a repository, revision or file that it does not have, or does not give."""
        self.reply('{"error": "refused"}', {"X-Error-Code": code, "X-Error-Message": code, **headers}, status)

    def file(self, file: Path | None, headers: Mapping[str, str] = {}) -> None:
        """A file's bytes, or the range of them that is asked for."""
        if file is None or not file.is_file():
            self.reply("not found", status=404)
            return
        content, asked = file.read_bytes(), self.headers.get("Range", "")
        headers = {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream", **headers}
        if not asked.startswith("bytes="):
            self.reply(content, headers)
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last or len(content) - 1), len(content) - 1)
        if start > end:
            self.reply("", {"Content-Range": f"bytes */{len(content)}"}, 416)
        else:
            place = {"Content-Range": f"bytes {start}-{end}/{len(content)}"}
            self.reply(content[start : end + 1], {**headers, **place}, 206)

    def reply(self, content: str | bytes, headers: Mapping[str, str] | None = None, status: int = 200) -> None:
        """Answer with a body; a HEAD request, with its length alone."""
        body = content.encode() if isinstance(content, str) else content
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | dict(headers or {})).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _tree(files: Mapping[str, Path], below: str, recursive: bool) -> list[dict[str, object]]:
    """The files below a folder, or what is in it: its own files and folders."""
    rows: dict[str, dict[str, object]] = {}
    for path, file in files.items():
        if not path.startswith(below):
            continue
        inside, is_deeper, _ = path.removeprefix(below).partition("/")
        if is_deeper and not recursive:
            rows[inside] = {"type": "directory", "path": below + inside, "size": 0, "oid": COMMIT}
        else:
            rows[path] = _row(path, file)
    return list(rows.values())


def _row(path: str, file: Path) -> dict[str, object]:
    row: dict[str, object] = {"type": "file", "path": path, "size": file.stat().st_size, "oid": _oid(file)}
    if path.endswith(_LARGE):
        row["lfs"] = {"oid": _sha256(file), "size": file.stat().st_size, "pointerSize": 134}
    return row


def _sha256(file: Path) -> str:
    return _hashes(file, file.stat().st_mtime_ns)[1]


def _oid(file: Path) -> str:
    return _hashes(file, file.stat().st_mtime_ns)[0]


@cache
def _hashes(file: Path, _: int) -> tuple[str, str]:
    content = file.read_bytes()
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return blob.hexdigest(), hashlib.sha256(content).hexdigest()


@contextmanager
def serving(folder: Path) -> Iterator[Hub]:
    """A hub with one model, `NAME` at `COMMIT`, for as long as the context is open."""
    with started(Hub({f"models/{NAME}": Repository(folder, COMMIT)})) as hub:
        yield hub


@contextmanager
def started(hub: Hub, secrets: Path | None = None) -> Iterator[Hub]:
    """A server that runs for as long as the context is open; as a proxy, where there is a folder for its key."""
    if secrets:
        hub.certificate = secrets / "hosts.pem"
        _make_certificate(hub.certificate)
    thread = threading.Thread(target=hub.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()


def _make_certificate(path: Path) -> None:
    names = ",".join(f"DNS:{host}" for host in HOSTS)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path.with_suffix(".key")]
    kind = ["-addext", f"subjectAltName={names}", "-addext", "keyUsage=critical,keyCertSign,digitalSignature"]
    command = ["openssl", "req", "-x509", *key, "-out", path, "-days", "2", "-subj", "/CN=rehearsal", *kind]
    subprocess.run(command, check=True, capture_output=True)


def proxied(hub: Hub, environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which every host is this server: by the proxy and the certificate that all clients read."""
    assert hub.certificate
    names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    trusted = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"), os.fspath(hub.certificate))
    return {**environment, **dict.fromkeys(names, hub.url), **trusted, "HF_HUB_OFFLINE": "0"}


def failing(status: int, headers: dict[str, str] | None = None, body: str = "{}") -> Callable[[Handler], bool]:
    """An answer to everything: a status, headers and a body."""

    def answer(handler: Handler) -> bool:
        handler.reply(body, headers, status)
        return True

    return answer


def sleeping(seconds: float) -> Callable[[Handler], bool]:
    """A hub that does not answer in time."""

    def answer(_: Handler) -> bool:
        time.sleep(seconds)
        return False

    return answer


def cutting(suffix: str) -> Callable[[Handler], bool]:
    """A hub whose connection breaks in the middle of every file of some kind."""

    def answer(handler: Handler) -> bool:
        if handler.command == "HEAD" or not handler.path.endswith(suffix) or "/resolve/" not in handler.path:
            return False
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        handler.wfile.write(b"x" * 500)
        handler.close_connection = True
        return True

    return answer
