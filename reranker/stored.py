"""Checks of safetensors files by their headers: whether they are weights that a library reads correctly."""

import re
from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError, safe_open

PRECISIONS = ("F32", "F16", "BF16", "F64")
BUFFERS = re.compile(r"(^|\.)(position_ids|token_type_ids|inv_freq|masked_bias|attn\.bias)$")
"""Tensors that old versions of transformers stored, though they are computed."""
LANGUAGE_HEAD = re.compile(
    r"^(lm_head|cls|predictions|generator_predictions|generator_lm_head|mlm_head|head|decoder)\."
)
"""Tensors of a language model's output layer."""


def is_language_model(architecture: str) -> bool:
    """Whether a model of that architecture has an output layer over the vocabulary."""
    return architecture.endswith(("ForCausalLM", "ForMaskedLM", "LMHeadModel", "ForPreTraining"))


def check_stored(files: Iterable[Path], error: type[Exception]) -> None:
    """Refuse weights that a library would misread: quantised ones, and a tensor of which there are two.

    Args:
        files: The safetensors files that belong together.
        error: What is raised.

    Raises:
        Exception: of the kind ``error``, naming file and tensor, or a file that cannot be read.
    """
    known: dict[str, Path] = {}
    for path in files:
        try:
            with safe_open(path, "pt") as opened:
                precisions = {name: opened.get_slice(name).get_dtype() for name in opened.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as cause:
            raise error(f"{path} cannot be read ({cause}): the checkpoint is damaged. Fetch it again.") from cause
        for name, precision in precisions.items():
            if precision not in PRECISIONS and not BUFFERS.search(name):
                raise error(
                    f"{path}: the tensor {name} is of {precision}, as quantised weights are; read as it is, it would "
                    f"give wrong scores. Use the checkpoint that is not quantised ({', '.join(PRECISIONS)})."
                )
            if name in known:
                raise error(f"{path} has the tensor {name}, which {known[name].name} has too: keep one of them.")
            known[name] = path
