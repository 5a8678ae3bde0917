"""Python processes that this one starts, each with a connection to it.

Each is a new Python, so that it starts without this one's state and does not import the user's script again, as
``multiprocessing`` does. It ends when this process does, however that ends: its end of the connection then reads end
of file. It is in a session of its own, so that Ctrl-C reaches only the command.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from queue import SimpleQueue
from threading import Thread
from typing import Any

Child = tuple[subprocess.Popen[bytes], Connection]

_FAREWELL = 2.0
"""Seconds that a process has to end by itself."""
_START = "import sys; sys.path[:] = {path!r}; from {module} import serve; serve({descriptor})"


def cores() -> int:
    """The processor's cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def spawn(module: str, environment: Mapping[str, str] | None = None) -> Child:
    """Start a process that calls ``serve`` of a module with the descriptor of its end of the connection.

    Args:
        module: The module's full name.
        environment: Variables that the process gets on top of this one's, before it imports anything.
    """
    ours, theirs = Pipe()
    with theirs:
        code = _START.format(path=sys.path, module=module, descriptor=theirs.fileno())
        process = subprocess.Popen(
            # Without the working folder, whose files may be called like modules of the library.
            [sys.executable, "-P", "-c", code],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
    return process, ours


def end(children: Iterable[Child]) -> None:
    """End processes: by closing their connections, or by a kill."""
    children = list(children)
    for _, connection in children:
        connection.close()
    for process, _ in children:
        try:
            process.wait(_FAREWELL)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def how_ended(status: int) -> str:
    """How a process ended, in words."""
    if status < 0:
        name = signal.Signals(-status).name
        return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return f"with exit status {status}"


def receiving(connection: Connection) -> "SimpleQueue[Any]":
    """What a process is sent, received on a thread of its own: the sender need not wait until the process has time.

    The process ends with the connection.
    """
    inbox: SimpleQueue[Any] = SimpleQueue()
    Thread(target=_receive, args=(connection, inbox), daemon=True).start()
    return inbox


def tell(connection: Connection, what: object) -> None:
    """Send to the command what it may not wait for any more: when it has ended, this process is about to end too."""
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.send(what)


def _receive(connection: Connection, inbox: "SimpleQueue[Any]") -> None:
    while True:
        try:
            inbox.put(connection.recv())
        except (EOFError, OSError):  # the command has ended
            os._exit(0)
