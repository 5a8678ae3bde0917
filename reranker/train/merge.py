"""`python -m reranker.train.merge`: average checkpoints, each weight the weighted mean of theirs.

Linear merging, the third stage of jina-reranker-v3's training (arXiv 2509.25085v4, section 4.2).
"""

from reranker.startup import fill_standard_streams, forget_working_folder

if __name__ == "__main__":
    forget_working_folder()  # first: a file there could shadow an import
    fill_standard_streams()

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from reranker import command

if __name__ == "__main__":
    command.end_at_once_on_interrupt()  # before the imports that take seconds

from torch import Tensor

from reranker import checkpoint
from reranker.errors import CheckpointError, RerankerError
from reranker.train.saving import write_checkpoint


def merge(folders: Sequence[Path], weights: Sequence[float], output: Path) -> None:
    """Write the weighted mean of checkpoints of the same shape.

    Args:
        folders: checkpoints, at least one.
        weights: one a checkpoint; their sum is 1.
        output: a new folder; config and tokenizer are the first checkpoint's.

    Raises:
        CheckpointError: a checkpoint cannot be read, or their shapes differ.
        RerankerError: the weights do not fit, or the output exists.
    """
    if len(weights) != len(folders) or not abs(sum(weights) - 1) <= 1e-6:
        raise RerankerError(f"{len(folders)} checkpoints need as many weights whose sum is 1, not {list(weights)}")
    if output.exists():
        raise RerankerError(f"{output} already exists: name a new folder")
    found = [checkpoint.find(folder) for folder in folders]
    parts = [dict(one.stored()) for one in found]
    for one, tensors in zip(found, parts, strict=True):
        if _shapes(tensors) != _shapes(parts[0]):
            raise CheckpointError(
                f"{one.folder} and {found[0].folder} are checkpoints of different shapes: they cannot be merged"
            )
    merged = {
        name if name.startswith("projector.") else f"model.{name}": _mean([part[name] for part in parts], weights)
        for name in parts[0]
    }
    part = output.with_name(output.name + ".part")
    if part.exists():
        shutil.rmtree(part)  # of an interrupted process
    write_checkpoint(part, found[0].config, merged, found[0])
    part.rename(output)


def _shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _mean(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Weighted mean, computed in float32 and stored in the first tensor's precision."""
    total = sum(weight * tensor.float() for weight, tensor in zip(weights, tensors, strict=True))
    assert isinstance(total, Tensor)
    return total.to(tensors[0].dtype)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m reranker.train.merge", description=__doc__.split("\n")[0])
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--weights", type=float, nargs="+", required=True, help="one a checkpoint; their sum is 1")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)

    def work() -> int:
        merge(options.checkpoints, options.weights, options.output)
        return 0

    return command.run(work)


if __name__ == "__main__":
    sys.exit(main())
