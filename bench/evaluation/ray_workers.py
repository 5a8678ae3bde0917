"""A team of Ray actors on a cluster: the only file that imports Ray.

An actor is one reranker on one GPU, or on a share of the cores. Ray itself restarts no actor and repeats no
call (``max_restarts`` and ``max_task_retries`` are 0): it would do so unseen and in another order, and nobody could say
which chunk ends its workers. The `Crew` does both, within its bounds, as for processes. For an actor that has died, or
whose node is gone, another is started on the nodes that are left. The command runs on a node of the cluster; Ray ends
its actors when it ends.
"""

import logging
import os
import socket
import time
from typing import Any

# Read when Ray is imported: it reports to nobody, and what `next` raises is not printed a second time. A chunk, some
# 110 kB, travels inside its call: above 100 KiB Ray would put it into its object store, which costs the command 1 ms.
os.environ.update(
    RAY_USAGE_STATS_ENABLED="0", RAY_IGNORE_UNHANDLED_ERRORS="1", RAY_max_direct_call_object_size=str(4 << 20)
)

import ray
from ray.exceptions import ObjectLostError, OutOfMemoryError, RayActorError, RayTaskError

from bench.errors import BenchError
from bench.evaluation.worker import Order, Request, Worker
from bench.evaluation.workers import Died, Done, Listener, Ready

CONNECT_SECONDS = 5.0
"""Seconds in which a cluster's address must answer."""
GRACE_SECONDS = 30.0
"""Seconds in which Ray learns that a node is gone: actors that fail to start until then are started again."""
_LOST = (RayActorError, ObjectLostError, OutOfMemoryError)
"""What Ray says of a call whose actor has ended, or whose answer was on a node that is gone."""
_READY = -1
"""The ticket of an actor's first call, in which it loads its model."""
_LOOK = 2.0
"""Seconds between two looks at the cluster's nodes."""


def check_address(address: str) -> None:
    """Refuse an address where no cluster answers, before any work is done.

    Raises:
        BenchError: it is no address, or nothing answers there.
    """
    if address in ("auto", "local"):
        return
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and int(port[:6]) < 2**16):
        raise BenchError(f"--ray {address} is no address of a cluster. Give HOST:PORT, auto or local.")
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        raise BenchError(
            f"No Ray cluster answers at {address} within {CONNECT_SECONDS:.0f} seconds: {error}. Start one with "
            "'ray start --head', or give --ray local."
        ) from error


class RayActors(Listener):
    """Started actors; see `bench.evaluation.workers.Team`."""

    def __init__(self, order: Order, address: str, count: int | None) -> None:
        """Connect to the cluster and start actors; ``count`` None is one for each GPU, or for each node.

        Raises:
            BenchError: the cluster cannot be joined, or has too few devices.
        """
        super().__init__(_LOOK)
        _connect(address, count)
        self._order = order
        needs, workers = _shares(order.card.device, count)
        self._needs = needs
        placed = ray.remote(num_cpus=needs["CPU"], num_gpus=needs["GPU"], max_restarts=0, max_task_retries=0)
        self._make: Any = placed(_Actor)
        self._actors: dict[int, Any] = {}
        self._nodes: dict[int, str] = {}  # where each actor was ready
        self._calls: dict[Any, tuple[int, int]] = {}  # worker and ticket of each call, in the order made
        self._looked = time.monotonic()
        self._failing_since = 0.0  # since when no actor that was started became ready; 0 where none has failed
        for worker in range(workers):
            self._start(worker)

    def send(self, worker: int, ticket: int, request: Request[object]) -> None:
        """See `Team`."""
        self._calls[self._actors[worker].do.remote(request)] = worker, ticket

    def close(self) -> None:
        """See `Team`."""
        for actor in self._actors.values():
            ray.kill(actor)

    def _listen(self, seconds: float) -> None:
        """Receive what actors answer within some seconds, and now and then notice those whose nodes are gone."""
        answered, _ = ray.wait(list(self._calls), timeout=seconds)
        for reference in answered:
            self._receive(reference)
        if not self._known and time.monotonic() - self._looked > _LOOK:
            self._look()

    def _start(self, worker: int) -> None:
        self._actors[worker] = self._make.remote(self._order)
        self._nodes.pop(worker, None)
        self._calls[self._actors[worker].ready.remote()] = worker, _READY

    def _receive(self, reference: Any) -> None:
        worker, ticket = self._calls.pop(reference)
        try:
            answer = _answer(reference)
        except _LOST as error:
            self._give_up(worker, _how(error))
            return
        if ticket == _READY:
            self._nodes[worker] = answer
            self._failing_since = 0.0
            self._known.append(Ready(worker))
        else:
            self._known.append(Done(worker, ticket, answer))

    def _give_up(self, worker: int, how: str) -> None:
        """Forget an actor and all its calls, and start another."""
        self._calls = {reference: each for reference, each in self._calls.items() if each[0] != worker}
        ray.kill(self._actors[worker])
        was_ready = worker in self._nodes
        self._start(worker)
        if not was_ready:
            # For some seconds Ray starts actors on a node that is gone. That says nothing of the model.
            self._failing_since = self._failing_since or time.monotonic()
            time.sleep(_LOOK)
            self._look()
        if was_ready or time.monotonic() - self._failing_since > GRACE_SECONDS:
            self._known.append(Died(worker, how))

    def _look(self) -> None:
        """Give up the actors whose nodes are gone.

        Raises:
            BenchError: no node is left on which an actor could run.
        """
        self._looked = time.monotonic()
        alive = _alive()
        if not _has_room(self._needs, alive):
            raise BenchError(
                f"The Ray cluster has no node left with {_in_words(self._needs)} for a worker. Everything scored until "
                "now is cached: run the same command again when the cluster is back."
            )
        for worker in [worker for worker, node in self._nodes.items() if node not in alive]:
            self._give_up(worker, "with its node")


class _Actor:
    """`Worker` as an actor."""

    def __init__(self, order: Order) -> None:
        logging.basicConfig(level=logging.WARNING)
        self._worker = Worker(order)

    def ready(self) -> str:
        """Load the reranker; gives the node's id."""
        self._worker.load()
        node: str = ray.get_runtime_context().get_node_id()
        return node

    def do(self, request: Request[object]) -> Any:
        """See `Request`."""
        return request(self._worker)


def _connect(address: str, count: int | None) -> None:
    """Join the cluster, once a process."""
    if ray.is_initialized():
        return
    cores = {"num_cpus": max(count or 1, os.cpu_count() or 1), "include_dashboard": False} if address == "local" else {}
    logging.getLogger("ray").setLevel(logging.ERROR)
    # It would print on standard output, among the results, that an actor has died, which the crew says itself.
    ray._private.worker.print_to_stdstream = lambda *_, **__: None
    try:
        ray.init(address, log_to_driver=False, configure_logging=False, **cores)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:500]
        raise BenchError(
            f"The Ray cluster {address!r} cannot be joined: {reason} Start one with 'ray start --head', and run the "
            "command on one of its nodes; or give --ray local."
        ) from error


def _shares(device: str, count: int | None) -> tuple[dict[str, float], int]:
    """What each actor needs of a node, and how many actors there are.

    Raises:
        BenchError: the cluster has too little of it.
    """
    nodes = list(_alive().values())
    if device.startswith("cuda"):
        needs, most = {"CPU": 0.0, "GPU": 1.0}, sum(int(node.get("GPU", 0)) for node in nodes)
        workers = most if count is None else count
    else:
        cores = [int(node["CPU"]) for node in nodes if node.get("CPU")]
        workers, most = count or len(cores), sum(cores)
        share = max(1, most // max(1, workers))
        while share > 1 and sum(each // share for each in cores) < workers:
            share -= 1
        needs = {"CPU": float(share), "GPU": 0.0}
    if not 0 < workers <= most:
        what, fix = ("GPUs", ", or give --device cpu") if needs["GPU"] else ("cores", "")
        raise BenchError(
            f"The Ray cluster has {most} {what}, too few for {workers or 'any'} workers. Add nodes, or lower "
            f"--workers{fix}."
        )
    return needs, workers


def _answer(reference: Any) -> Any:
    """What a call gave.

    Raises:
        BenchError: from the actor.
    """
    try:
        return ray.get(reference)
    except RayTaskError as error:
        if isinstance(error.cause, BenchError):
            raise BenchError(str(error.cause)) from error
        raise


def _how(error: Exception) -> str:
    return f"as Ray says: {' '.join(str(error).split())[:200]}"


def _alive() -> dict[str, dict[str, float]]:
    """The resources of the nodes that are alive, by the node's id."""
    return {node["NodeID"]: node["Resources"] for node in ray.nodes() if node["Alive"]}


def _has_room(needs: dict[str, float], nodes: dict[str, dict[str, float]]) -> bool:
    """Whether one of the nodes could run an actor."""
    return any(all(each.get(name, 0) >= amount for name, amount in needs.items()) for each in nodes.values())


def _in_words(needs: dict[str, float]) -> str:
    if needs["GPU"]:
        return "a GPU"
    return "a core" if needs["CPU"] == 1 else f"{needs['CPU']:.0f} cores"
