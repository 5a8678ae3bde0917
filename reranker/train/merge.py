"""`python -m reranker.train.merge`: one checkpoint out of several, each weight the weighted mean of theirs.

Linear merging, the third stage of jina-reranker-v3's training (arXiv 2509.25085v4, section 4.2). Adapters are merged so
that what they add to the backbone is the weighted mean, which the means of their two narrow matrices would not be.
"""

from reranker.startup import fill_standard_streams, forget_working_folder

if __name__ == "__main__":
    forget_working_folder()  # before the imports that a file in it could take the place of
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

from reranker import adapter, checkpoint
from reranker.errors import CheckpointError, RerankerError
from reranker.saving import write_checkpoint


def merge(folders: Sequence[Path], weights: Sequence[float], output: Path) -> None:
    """Write the checkpoint that lies between others of the same shape.

    Args:
        folders: checkpoints, at least one.
        weights: how much each counts; their sum is 1.
        output: a new folder; config and tokenizer are the first checkpoint's.

    Raises:
        CheckpointError: the checkpoints cannot be read, or are of different shapes.
        RerankerError: weights do not fit, or the output is there already.
    """
    if len(weights) != len(folders) or not abs(sum(weights) - 1) <= 1e-6:
        raise RerankerError(f"{len(folders)} checkpoints need as many weights whose sum is 1, not {list(weights)}")
    if output.exists():
        raise RerankerError(f"{output} is there already: name a new folder")
    found = [checkpoint.find(folder) for folder in folders]
    parts = [dict(one.stored()) for one in found]
    for one, tensors in zip(found, parts, strict=True):
        if _shapes(tensors) != _shapes(parts[0]) or one.backbone != found[0].backbone:
            raise CheckpointError(
                f"{one.folder} and {found[0].folder} are checkpoints of different shapes: they cannot be merged"
            )
    whole = found[0].backbone is None
    try:
        merged = _mean(parts, weights) if whole else adapter.merge(parts, weights)
    except (KeyError, RuntimeError) as error:  # an adapter without one of its parts, or of another width
        raise CheckpointError(f"{folders[0]} and the others are of different shapes: {error}") from error
    part = output.with_name(output.name + ".part")
    if part.exists():
        shutil.rmtree(part)  # an earlier process was ended at it
    write_checkpoint(part, found[0].config, checkpoint.WEIGHTS if whole else adapter.FILE, merged, found[0])
    part.rename(output)


def _shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The shapes of all tensors; LoRA matrices may differ in rank."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items() if ".lora_" not in name}


def _mean(parts: Sequence[dict[str, Tensor]], weights: Sequence[float]) -> dict[str, Tensor]:
    """The mean of whole checkpoints, under the names of the released file."""
    return {
        name if name.startswith("projector.") else f"model.{name}": adapter.mean(
            [part[name] for part in parts], weights
        )
        for name in parts[0]
    }


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
