"""A model in training: which of its weights are trained, how they are initialised, and how they are saved."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from reranker import checkpoint
from reranker.checkpoint import Checkpoint
from reranker.errors import RerankerError
from reranker.model import ListModel
from reranker.tokens import PromptTokens
from reranker.train.saving import write_checkpoint

_WIDTH = 512  # of an embedding, as released
_RIDGE = 10.0  # times the mean square of a state's coordinates: the best of 1, 10, 100, 1000 on held-out lists


class Trainable:
    """A `ListModel` in training: all its weights, or LoRA matrices, the two markers' embeddings and the projector."""

    def __init__(
        self,
        model: ListModel,
        tokens: PromptTokens,
        config: dict[str, Any],
        rank: int,
        tokenizer: Checkpoint | Tokenizer,
    ) -> None:
        """Prepare a model for training; use one of the class methods.

        Args:
            model: float32, on the CPU or a GPU.
            tokens: its tokenizer, as prompts use it.
            config: of the saved `config.json`.
            rank: of the LoRA matrices (arXiv 2106.09685); 0 trains all weights.
            tokenizer: to be saved; a checkpoint's files are copied.

        Raises:
            RerankerError: peft is not installed.
        """
        self.model, self.tokens, self._config, self._tokenizer = model, tokens, config, tokenizer
        self._lora: Any = None
        if rank:
            with _training_extra():
                from peft import LoraConfig, LoraModel
            rows = {"embed_tokens": list(tokens.marker_ids)}
            lora = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", trainable_token_indices=rows)
            self._lora = LoraModel(model.backbone, lora, "default")  # changes the backbone in place
        else:
            model.backbone.requires_grad_(True)
        model.projector.requires_grad_(True)

    @classmethod
    def smollm2(cls, layers: int, rank: int) -> "Trainable":
        """The first layers of SmolLM2-135M, with a random projector: see `init_projector`.

        Raises:
            CheckpointError: the package that contains it is not installed, or its file is missing or different.
            RerankerError: gguf or peft is not installed.
        """
        with _training_extra():
            from reranker.train import smollm2
        markers = smollm2.MARKERS
        config = smollm2.config(layers) | {"document_marker": markers.document, "query_marker": markers.query}
        hidden, backbone = config["hidden_size"], smollm2.backbone(layers)
        projector = nn.Sequential(
            nn.Linear(hidden, _WIDTH, bias=False), nn.ReLU(), nn.Linear(_WIDTH, _WIDTH, bias=False)
        )
        tokenizer = smollm2.tokenizer()
        model = ListModel(backbone, projector)
        return cls(model, PromptTokens(tokenizer, markers), config, rank, tokenizer)

    @classmethod
    def checkpoint(cls, name_or_folder: str, rank: int, device: torch.device) -> "Trainable":
        """A checkpoint to train further.

        Raises:
            CheckpointError: it cannot be loaded.
            RerankerError: peft is not installed.
        """
        files = checkpoint.find(name_or_folder)
        model = files.model(device, torch.float32)
        return cls(model, PromptTokens(files.tokenizer(), files.markers), files.config, rank, files)

    def init_projector(self, states: Tensor, targets: Tensor | None = None) -> None:
        """Initialise the projector so that documents' embeddings differ from the first step on.

        At the markers of an untrained causal model all hidden states are nearly parallel: their cosines are all close
        to 1 and give no useful gradient. With a teacher, the projector is the ridge regression from the states to the
        teacher's embeddings; without one, the states' whitened principal components. The strongest directions P are
        written as the pair (P, -P), so that the ReLU loses nothing.

        Args:
            states: final hidden states at markers of many lists [n, H], with n > H.
            targets: the teacher's embeddings there [n, D], or None.
        """
        first: Any = self.model.projector[0]
        second: Any = self.model.projector[2]
        half = first.out_features // 2
        down, up = _whitened(states, half) if targets is None else _ridge_regression(states, targets, half)
        with torch.no_grad():
            first.weight.copy_(torch.cat((down, -down)))
            second.weight.normal_(std=0.1 * up.std().item())
            second.weight[: len(up)] += torch.cat((up, -up), dim=1)

    def weights(self) -> dict[str, nn.Parameter]:
        """The trained parameters by name."""
        return {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}

    def save(self, folder: Path, extra: Mapping[str, Any]) -> None:
        """Write a checkpoint that `Reranker.from_pretrained` loads, LoRA merged; `extra` is added to its config."""
        # Merged in a copy: merging and unmerging in place would round the weights that are in training.
        backbone = copy.deepcopy(self._lora).merge_and_unload() if self._lora else self.model.backbone
        tensors = {f"projector.{name}": weight for name, weight in self.model.projector.state_dict().items()}
        tensors |= {f"model.{name}": weight for name, weight in backbone.state_dict().items()}
        write_checkpoint(folder, {**self._config, **extra}, tensors, self._tokenizer)


@contextmanager
def _training_extra() -> Iterator[None]:
    """Import what the `train` extra installs.

    Raises:
        RerankerError: it is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise RerankerError(
            f"training this model needs {error.name}, which is not installed: pip install 'rerank-bench[train]'"
        ) from error


def _whitened(states: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Principal components of the states orthogonal to their mean, scaled to unit variance [rank, H].

    The second matrix is the identity [rank, rank].
    """
    mean = states.mean(0)
    orthogonal = torch.eye(len(mean), device=mean.device) - torch.outer(mean, mean) / mean.dot(mean)  # [H, H]
    values, vectors = torch.linalg.eigh(torch.cov((states @ orthogonal).T))
    top = values.argsort(descending=True)[:rank]
    return (vectors[:, top] / values[top].sqrt()).T @ orthogonal, torch.eye(rank, device=mean.device)


def _ridge_regression(states: Tensor, targets: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Ridge regression from states to targets, factored by SVD into two matrices [rank, H] and [D, rank]."""
    gram = states.T @ states
    ridge = _RIDGE * gram.diagonal().mean() / len(states) * torch.eye(len(gram), device=states.device)
    left, singular, right = torch.linalg.svd(torch.linalg.solve(gram + ridge, states.T @ targets))  # [H, D]
    scale = singular[:rank].sqrt()
    return (left[:, :rank] * scale).T, right[:rank].T * scale
