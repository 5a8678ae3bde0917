"""Who scores a reranker's lists: this process, processes on this machine, or a Ray cluster, as the command line asks.

Workers load a model by its name, so they are for models that run here and for classes of the user's own. A reranker
that calls a server stays in this process: the work is the server's. So do orders that need no model.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec

from bench.console import note
from bench.devices import one_each, threads
from bench.errors import BenchError
from bench.evaluation.corpus_crew import CorpusCrew
from bench.evaluation.embedding_crew import EmbeddingCrew
from bench.evaluation.worker import Order, packages
from bench.evaluation.workers import ScoringCrew, Team
from bench.first_stage.dense import EmbedAll
from bench.rerankers import calls_server
from bench.rerankers.base import Card, Options, Reranker, Step
from bench.rerankers.embeddings import LazyEmbedding
from bench.rerankers.fusion import Fusion
from bench.rerankers.generative.answers import answers_of

_ONE_THREAD_A_BATCH = {"bi-encoder", "cross-encoder", "late-interaction", "yes-no"}
"""The families whose batches run on one thread each on a CPU (`bench.rerankers.local.threads`)."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The workers that a command was asked for.

    ``count`` None is every GPU that can be seen, else one. ``ray`` is a cluster's HOST:PORT, ``auto`` for the one that
    this machine belongs to, ``local`` for one of this machine alone; empty for processes without Ray.
    """

    count: int | None
    ray: str = ""

    def corpus_embedders(self, name: str, card: Card, options: Options, task: str) -> EmbedAll | None:
        """Who embeds a task's corpus by a bi-encoder; None for this process. See `bench.first_stage.dense.Spread`.

        Raises:
            BenchError: this machine has fewer devices than workers are wanted.
        """
        if not self.ray and len(one_each(card.device, self.count)) == 1:
            return None
        crew = CorpusCrew(name, self.starter(name, card, options), task)
        return crew.embedded

    def starter(self, name: str, card: Card, options: Options) -> Callable[[], Team]:
        """What starts a team that loads a reranker by its name, and checks it by its card.

        Raises:
            BenchError: this machine has fewer devices than workers are wanted.
        """
        order = Order(name, _for_workers(options, card), card, packages(), _threads(card))
        if self.ray:
            from bench.evaluation.ray_workers import RayActors

            return partial(RayActors, order, self.ray, self.count)
        from bench.evaluation.processes import Processes

        return partial(Processes, order, one_each(card.device, self.count, share=not order.threads))

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
    wanted: Wanted | None, name: str, reranker: Reranker, options: Options, loading: Step
) -> Iterator[ScoringCrew | EmbeddingCrew | None]:
    """The workers for one reranker, for as long as the context is open; None where it is scored in this process.

    Args:
        wanted: What was asked for; None for this process.
        name: The reranker's name, by which workers load it.
        reranker: What the name is in this process: its card, above all.
        options: The command's options.
        loading: Opens the step of progress in which the first worker loads the model.

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
    start = wanted.starter(name, reranker.card, options)
    crew: ScoringCrew | EmbeddingCrew
    if isinstance(reranker, LazyEmbedding) and _travel(reranker.card):
        crew = EmbeddingCrew(name, start, reranker, loading)
    else:
        crew = ScoringCrew(name, start, loading)
    try:
        yield crew
    finally:
        crew.close()


def _travel(card: Card) -> bool:
    """Whether embeddings are sent to the command: late interaction's, 100 kB a passage, would hold a GPU up."""
    return card.family != "late-interaction" or card.device == "cpu"


def _threads(card: Card) -> int:
    """How many of torch's threads a worker must use: as many as the command.

    0 for its share of them, on a CPU where their number decides no score.
    """
    if card.device == "cpu" and (card.family in _ONE_THREAD_A_BATCH or (card.family == "core" and _is_fast(card))):
        return 0
    return threads()


def _is_fast(card: Card) -> bool:
    """Whether the core model on a CPU takes the path on which the number of threads decides no bit."""
    import torch

    from reranker import cpu

    with torch.inference_mode():
        return cpu.is_fast(torch.empty(0, dtype=getattr(torch, card.dtype)))


def _for_workers(options: Options, card: Card) -> Options:
    """The options with the device that this process chose: each worker sees one device of that kind, its first.

    Raises:
        BenchError: one certain GPU was asked for.
    """
    if card.family == "own":
        return options
    kind, _, number = options.device.partition(":")
    if number:
        raise BenchError(f"--device {options.device} is one device, and workers share several. Give --device {kind}.")
    return replace(options, device=card.device.partition(":")[0])
