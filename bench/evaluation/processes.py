"""A team of processes on this machine, one a device; each is told its devices before it imports anything."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait

from bench.console import log_to_stderr
from bench.errors import BenchError
from bench.evaluation.worker import Order, Request, Worker
from bench.evaluation.workers import Died, Done, Event, Listener, Ready
from bench.spawn import Child, end, how_ended, receiving, spawn, tell

_POLL = 1.0
"""Seconds after which processes are asked for signs of life: one that dies usually closes its connection at once."""


class Processes(Listener):
    """Started processes; see `bench.evaluation.workers.Team`."""

    def __init__(self, order: Order, environments: Sequence[Mapping[str, str]]) -> None:
        """Start one process for each environment, which names its devices and threads."""
        super().__init__(_POLL)
        self._order = order
        self._environments = environments
        self._started: list[Child] = []
        for worker in range(len(environments)):
            self._start(worker)

    def send(self, worker: int, ticket: int, request: Request[object]) -> None:
        """See `Team`."""
        self._send(worker, (ticket, request))

    def close(self) -> None:
        """See `Team`."""
        end(self._started)

    def _listen(self, seconds: float) -> None:
        """Receive what workers send within some seconds, and notice those that have ended."""
        connections = {connection: worker for worker, (_, connection) in enumerate(self._started)}
        readable = wait(list(connections), seconds)
        for connection, worker in connections.items():
            if connection in readable or self._started[worker][0].poll() is not None:
                self._known.append(self._receive(worker))

    def _start(self, worker: int) -> None:
        child = spawn("bench.evaluation.processes", self._environments[worker])
        self._started[worker:] = [child, *self._started[worker + 1 :]]
        self._send(worker, self._order)

    def _send(self, worker: int, what: object) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # `next` finds it dead
            self._started[worker][1].send(what)

    def _receive(self, worker: int) -> Event:
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
        return Died(worker, how_ended(status))


_READY = True


def serve(descriptor: int) -> None:
    """A process's whole life: load the reranker of the order that comes first, then do one request after another."""
    connection = Connection(descriptor)
    inbox = receiving(connection)
    log_to_stderr(of_worker=True)
    order: Order = inbox.get()
    worker = Worker(order)
    try:
        worker.load()
        tell(connection, _READY)
        while True:
            ticket, request = inbox.get()
            tell(connection, (ticket, request(worker)))
    except BenchError as error:
        tell(connection, str(error))
