"""Peak memory of one reranker's work on an accelerator."""

import sys

from bench.rerankers.base import Card


def reset(card: Card) -> None:
    """Start to measure the peak from here."""
    if _is_cuda(card):
        sys.modules["torch"].cuda.reset_peak_memory_stats(card.device)


def peak(card: Card) -> int:
    """The most bytes that tensors have held on a CUDA device since `reset`; 0 where that is not known.

    On a CPU there is no figure of one reranker's own: the process's high-water mark also counts imports, corpora and
    the rerankers before it, so it depends on their order.
    """
    return int(sys.modules["torch"].cuda.max_memory_allocated(card.device)) if _is_cuda(card) else 0


def _is_cuda(card: Card) -> bool:
    """Whether a model works on a CUDA device of this machine; a stored run that is replayed is only said to have."""
    if not card.device.startswith("cuda") or "texts" not in card.needs or "torch" not in sys.modules:
        return False
    return bool(sys.modules["torch"].cuda.is_initialized())
