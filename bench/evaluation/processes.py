"""A team of processes on this machine, one a device. Each is a new Python, so that it starts without this one's state.

A process is told its devices before it imports anything. It ends when the command does, however that ends: its end of
the connection then reads end of file. It is in a session of its own, so that Ctrl-C reaches only the command.
"""

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe, wait
from queue import SimpleQueue
from threading import Thread
from typing import Any

from bench.console import log_to_stderr
from bench.errors import BenchError
from bench.evaluation.worker import Order, Worker
from bench.evaluation.workers import Died, Done, Event, Ready
from bench.rerankers.base import CandidateList

_POLL = 1.0
"""Seconds after which processes are asked for signs of life: one that dies usually closes its connection at once."""
_FAREWELL = 2.0
"""Seconds that a process has to end by itself."""
_START = "import sys; sys.path[:] = {path!r}; from bench.evaluation.processes import serve; serve({descriptor})"


class Processes:
    """Started processes; see `bench.evaluation.workers.Team`."""

    def __init__(self, order: Order, environments: Sequence[Mapping[str, str]]) -> None:
        """Start one process for each environment, which names its devices and threads."""
        self._order = order
        self._environments = environments
        self._known: deque[Event] = deque()
        self._started: list[tuple[subprocess.Popen[bytes], Connection]] = []
        for worker in range(len(environments)):
            self._start(worker)

    def send(self, worker: int, ticket: int, lists: Sequence[CandidateList]) -> None:
        """See `Team`."""
        self._send(worker, (ticket, lists))

    def next(self) -> Event:
        """See `Team`."""
        while not self._known:
            connections = {connection: worker for worker, (_, connection) in enumerate(self._started)}
            heard = wait(list(connections), _POLL)
            for connection, worker in connections.items():
                if connection in heard or self._started[worker][0].poll() is not None:
                    self._known.append(self._hear(worker))
        return self._known.popleft()

    def close(self) -> None:
        """See `Team`."""
        for _, connection in self._started:
            connection.close()
        for process, _ in self._started:
            try:
                process.wait(_FAREWELL)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, worker: int) -> None:
        ours, theirs = Pipe()
        with theirs:
            code = _START.format(path=sys.path, descriptor=theirs.fileno())
            process = subprocess.Popen(
                # Without the working folder, whose files may be called like modules of the library.
                [sys.executable, "-P", "-c", code],
                env={**os.environ, **self._environments[worker]},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._started[worker:] = [(process, ours), *self._started[worker + 1 :]]
        self._send(worker, self._order)

    def _send(self, worker: int, what: object) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # `next` finds it dead
            self._started[worker][1].send(what)

    def _hear(self, worker: int) -> Event:
        process, connection = self._started[worker]
        try:
            said = connection.recv() if connection.poll() else None
        except (EOFError, OSError):
            said = None
        if isinstance(said, tuple):
            return Done(worker, *said)
        if said == _READY:
            return Ready(worker)
        if isinstance(said, str):
            raise BenchError(said)
        connection.close()
        process.kill()
        status = process.wait()
        self._start(worker)
        return Died(worker, _how(status))


_READY = True


def serve(descriptor: int) -> None:
    """A process's whole life: load the reranker of the order that comes first, then score one chunk after another."""
    connection = Connection(descriptor)
    inbox: SimpleQueue[Any] = SimpleQueue()
    # Received on a thread of its own: the command need not wait until a chunk is scored to send the next.
    Thread(target=_receive, args=(connection, inbox), daemon=True).start()
    log_to_stderr()
    order: Order = inbox.get()
    worker = Worker(order)
    try:
        worker.load()
        connection.send(_READY)
        while True:
            ticket, lists = inbox.get()
            connection.send((ticket, worker.score(lists)))
    except BenchError as error:
        connection.send(str(error))


def _receive(connection: Connection, inbox: "SimpleQueue[Any]") -> None:
    while True:
        try:
            inbox.put(connection.recv())
        except (EOFError, OSError):  # the command has ended
            os._exit(0)


def _how(status: int) -> str:
    """How a process ended, in words."""
    if status < 0:
        name = signal.Signals(-status).name
        return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return f"with exit status {status}"
