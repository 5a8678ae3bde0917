"""Peak memory of one reranker's work on an accelerator."""

import sys


def reset(device: str) -> None:
    """Start to measure the peak from here."""
    if _is_cuda(device):
        sys.modules["torch"].cuda.reset_peak_memory_stats(device)


def peak(device: str) -> int:
    """The most bytes that tensors have held on a CUDA device since `reset`; 0 where that is not known.

    On a CPU there is no figure of one reranker's own: the process's high-water mark also counts imports, corpora and
    the rerankers before it, so it depends on their order.
    """
    return int(sys.modules["torch"].cuda.max_memory_allocated(device)) if _is_cuda(device) else 0


def _is_cuda(device: str) -> bool:
    # A reranker on a CUDA device has imported torch; for all others it is not imported here.
    return device.startswith("cuda") and "torch" in sys.modules
