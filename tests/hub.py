"""A model hub on this machine that speaks the real one's protocol, and misbehaves as it is told."""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NAME = "maker/model"


class Hub(ThreadingHTTPServer):
    """Serves one model, `NAME` at `COMMIT`, from a folder.

    `answer`, where set, is asked first: it takes the handler and returns True if it has answered. `asked` collects the
    paths of all requests.
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.asked: list[str] = []
        self.answer: Callable[[BaseHTTPRequestHandler], bool] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def _serve(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(f"{self.command} {path}")
        if self.server.answer and self.server.answer(self):
            return
        files = {each.relative_to(self.server.folder).as_posix(): each for each in self.server.folder.rglob("*.*")}
        if path in (
            f"/api/models/{NAME}",
            f"/api/models/{NAME}/revision/main",
            f"/api/models/{NAME}/revision/{COMMIT}",
        ):
            self.reply(json.dumps({"id": NAME, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}))
        elif path.startswith(f"/api/models/{NAME}/tree/"):
            self.reply(json.dumps([self._row(name, file) for name, file in files.items() if file.is_file()]))
        elif path.startswith(f"/{NAME}/resolve/{COMMIT}/"):
            self._file(files.get(path.partition(f"{COMMIT}/")[2]))
        else:
            self.send_error(404)

    def _row(self, name: str, file: Path) -> dict[str, object]:
        return {"type": "file", "path": name, "size": file.stat().st_size, "oid": _oid(file)}

    def _file(self, file: Path | None) -> None:
        if file is None:
            self.send_error(404)
        else:
            self.reply(file.read_bytes(), {"X-Repo-Commit": COMMIT, "ETag": f'"{_oid(file)}"'})

    def reply(self, content: str | bytes, headers: dict[str, str] | None = None, status: int = 200) -> None:
        """Answer with a body; of a HEAD request, with its length alone."""
        body = content.encode() if isinstance(content, str) else content
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | (headers or {})).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def _oid(file: Path) -> str:
    content = file.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@contextmanager
def serving(folder: Path) -> Iterator[Hub]:
    """A hub that runs for as long as the context is open."""
    hub = Hub(folder)
    thread = threading.Thread(target=hub.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()


def failing(
    status: int, headers: dict[str, str] | None = None, body: str = "{}"
) -> Callable[[BaseHTTPRequestHandler], bool]:
    """An answer to everything: a status, headers and a body."""

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        assert isinstance(handler, _Handler)
        handler.reply(body, headers, status)
        return True

    return answer


def sleeping(seconds: float) -> Callable[[BaseHTTPRequestHandler], bool]:
    """A hub that does not answer in time."""

    def answer(_: BaseHTTPRequestHandler) -> bool:
        time.sleep(seconds)
        return False

    return answer


def cutting(suffix: str) -> Callable[[BaseHTTPRequestHandler], bool]:
    """A hub whose connection breaks in the middle of every file of some kind."""

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        if handler.command == "HEAD" or not handler.path.endswith(suffix) or "/resolve/" not in handler.path:
            return False
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        handler.wfile.write(b"x" * 500)
        handler.close_connection = True
        return True

    return answer
