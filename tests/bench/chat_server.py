"""A real chat endpoint on loopback whose answers a test scripts, and answerers that read the prompt they are sent."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, dict[str, str], Any]
Answerer = Callable[[dict[str, Any]], Reply]


def said(text: str | None, finish: str = "stop", usage: object = None, **more: object) -> Reply:
    """A whole answer; usage is 100 tokens in and 10 out unless given."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **more}, "finish_reason": finish}
    stated = {"prompt_tokens": 100, "completion_tokens": 10} if usage is None else usage
    return 200, {}, {"choices": [choice], "usage": stated}


def passages(body: dict[str, Any]) -> list[str]:
    """The passages of a prompt, in its order."""
    asked = "\n".join(turn["content"] for turn in body["messages"] if turn["role"] == "user")
    return re.findall(r"^\[\d+\] (.*)$", asked, re.MULTILINE)


def sorting(key: Callable[[str], Any]) -> Answerer:
    """Answers with the passages sorted, least key first."""

    def answer(body: dict[str, Any]) -> Reply:
        found = passages(body)
        order = sorted(range(len(found)), key=lambda place: key(found[place]))
        return said(" > ".join(f"[{place + 1}]" for place in order))

    return answer


def reversing(body: dict[str, Any]) -> Reply:
    return said(" > ".join(f"[{number}]" for number in range(len(passages(body)), 0, -1)))


class ChatServer:
    """Gives each call the next of ``answers``, the last ever after; an answer is a reply or makes one of the body."""

    def __init__(self, *answers: Reply | Answerer) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[dict[str, Any], dict[str, str], float]] = []
        lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    outer.requests.append((body, dict(self.headers), time.monotonic()))
                    answer = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                status, headers, content = answer(body) if callable(answer) else answer
                sent = content if isinstance(content, bytes) else json.dumps(content).encode()
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(sent)
                except OSError:
                    pass  # the client has given up, as it should

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    @contextmanager
    def running(self) -> Iterator["ChatServer"]:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
