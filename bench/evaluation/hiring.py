"""Who scores a reranker's lists: this process, processes on this machine, or a Ray cluster, as the command line asks.

Workers load a model by its name, so they are for models that run here and for classes of the user's own. A reranker
that calls a server stays in this process: the work is the server's. So do orders that need no model.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec

from bench.console import note
from bench.devices import one_each, threads
from bench.errors import BenchError
from bench.evaluation.worker import Order, packages
from bench.evaluation.workers import Crew, Workers
from bench.rerankers import calls_server
from bench.rerankers.base import Options, Reranker, Step
from bench.rerankers.fusion import Fusion
from bench.rerankers.generative.answers import answers_of


@dataclass(frozen=True, slots=True)
class Wanted:
    """The workers that a command was asked for.

    ``count`` None is every GPU that can be seen, else one. ``ray`` is a cluster's HOST:PORT, ``auto`` for the one that
    this machine belongs to, ``local`` for one of this machine alone; empty for processes without Ray.
    """

    count: int | None
    ray: str = ""

    @property
    def here(self) -> int | None:
        """As ``count``, those that embed a first stage on this machine; with Ray, one for each of its GPUs."""
        return None if self.ray else self.count

    def check(self) -> None:
        """Refuse in the first second what cannot work.

        Raises:
            BenchError: Ray is not installed, or nothing answers at its address.
        """
        if not self.ray:
            return
        if find_spec("ray") is None:
            raise BenchError("--ray needs Ray, which is not installed. Run: pip install 'rerank-bench[ray]'")
        from bench.evaluation.ray_workers import check_address

        check_address(self.ray)


@contextmanager
def hired(
    wanted: Wanted | None, name: str, reranker: Reranker, options: Options, loading: Step, block_size: int = 0
) -> Iterator[Workers | None]:
    """The workers for one reranker, for as long as the context is open; None where it is scored in this process.

    Args:
        wanted: What was asked for; None for this process.
        name: The reranker's name, by which workers load it.
        reranker: What the name is in this process: its card, above all.
        options: The command's options.
        loading: Opens the step of progress in which the first worker loads the model.
        block_size: How many documents the reranker reads together, if it is varied in that.

    Raises:
        BenchError: this machine has fewer devices than workers are wanted.
    """
    while isinstance(reranker, Fusion):
        reranker, name = reranker.reranker, name.removeprefix("fusion:")
    if wanted is None or "texts" not in reranker.card.needs:
        yield None
        return
    if calls_server(name) or answers_of(reranker) is not None:
        note(
            f"{name} is scored from this process, not by workers: its server does the work, or its answers are cached."
        )
        yield None
        return
    order = Order(name, _for_workers(options, reranker), reranker.card, packages(), threads(), block_size)
    if wanted.ray:
        from bench.evaluation.ray_workers import RayActors

        crew = Crew(name, lambda: RayActors(order, wanted.ray, wanted.count), loading)
    else:
        from bench.evaluation.processes import Processes

        environments = one_each(reranker.card.device, wanted.count)
        crew = Crew(name, lambda: Processes(order, environments), loading)
    try:
        yield crew
    finally:
        crew.close()


class Crews:
    """The workers of one state of a reranker after the other: no device needs room for two."""

    def __init__(self, wanted: Wanted | None, name: str, options: Options, loading: Step) -> None:
        """See `hired`."""
        self._wanted = wanted
        self._name = name
        self._options = options
        self._loading = loading
        self._open = ExitStack()
        self._fingerprint = ""
        self._workers: Workers | None = None

    def of(self, reranker: Reranker, block_size: int) -> Workers | None:
        """The reranker's workers; those of another one are ended. None where this process scores."""
        if reranker.card.fingerprint != self._fingerprint:
            self.close()
            crew = hired(self._wanted, self._name, reranker, self._options, self._loading, block_size)
            self._workers = self._open.enter_context(crew)
            self._fingerprint = reranker.card.fingerprint
        return self._workers

    def close(self) -> None:
        """End the workers."""
        self._open.close()


def _for_workers(options: Options, reranker: Reranker) -> Options:
    """The options with the device that this process chose: each worker sees one device of that kind, its first.

    Raises:
        BenchError: one certain GPU was asked for.
    """
    if reranker.card.family == "own":
        return options
    kind, _, number = options.device.partition(":")
    if number:
        raise BenchError(f"--device {options.device} is one device, and workers share several. Give --device {kind}.")
    return replace(options, device=reranker.card.device.partition(":")[0])
