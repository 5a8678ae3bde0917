"""A model in training: which of its weights move, where they start, and how they are saved."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaModel

from reranker import adapter, checkpoint
from reranker.backbone import SMOLLM2, SMOLLM2_ADAPTER, SMOLLM2_CONFIG, SMOLLM2_MARKERS
from reranker.checkpoint import Checkpoint
from reranker.errors import CheckpointError
from reranker.model import ListModel
from reranker.saving import write_checkpoint
from reranker.tokens import PromptTokens

_WIDTH = 512  # of an embedding, as released
_RIDGE = 10.0  # in squares of a state's usual coordinate: the best of 1, 10, 100, 1000 on lists that were not fitted


class Trainable:
    """A `ListModel` with its trained weights, on top of a backbone from a package or of a whole checkpoint."""

    def __init__(
        self, model: ListModel, tokens: PromptTokens, config: dict[str, Any], rank: int, files: Checkpoint | None
    ) -> None:
        """Put the parts together; the class methods are the usual way.

        Args:
            model: float32, on the CPU or a GPU.
            tokens: its tokenizer.
            config: what `config.json` will say.
            rank: of the LoRA matrices; 0 trains all weights.
            files: the whole checkpoint that was begun from, None on a package's backbone.
        """
        self.model, self.tokens, self._config, self._files = model, tokens, config, files
        model.backbone.requires_grad_(rank == 0)
        model.projector.requires_grad_(True)
        if rank:
            lora = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
            inject_adapter_in_model(lora, model.backbone)
            model.backbone.embed_tokens = adapter.MarkedEmbedding(model.backbone.embed_tokens, tokens.marker_ids)
        self._lora = rank > 0

    @classmethod
    def smollm2(cls, layers: int, rank: int) -> "Trainable":
        """The first layers of SmolLM2-135M, with a projector that is still to be started."""
        config = {**SMOLLM2_CONFIG, "num_hidden_layers": layers}
        backbone = LlamaModel(LlamaConfig(**config))
        backbone.load_state_dict(SMOLLM2.tensors(config))
        hidden = config["hidden_size"]
        projector = nn.Sequential(
            nn.Linear(hidden, _WIDTH, bias=False), nn.ReLU(), nn.Linear(_WIDTH, _WIDTH, bias=False)
        )
        config |= SMOLLM2_ADAPTER
        tokens = PromptTokens(SMOLLM2.tokenizer(), SMOLLM2_MARKERS)
        return cls(ListModel(backbone, projector), tokens, config, rank, None)

    @classmethod
    def checkpoint(cls, name_or_folder: str, rank: int, device: torch.device) -> "Trainable":
        """A whole checkpoint, to be trained on.

        Raises:
            CheckpointError: it cannot be loaded, or is an adapter.
        """
        files = checkpoint.find(name_or_folder)
        if files.backbone:
            raise CheckpointError(f"{files.folder} is an adapter: only whole checkpoints can be trained on")
        model = files.model(device, torch.float32)
        return cls(model, PromptTokens(files.tokenizer(), files.markers), files.config, rank, files)

    def begin_projector(self, states: Tensor, wanted: Tensor | None = None) -> None:
        """Start the projector where documents differ from the first step on.

        At the markers of an untrained causal model all states are nearly parallel: their cosines say nothing, and there
        is no slope to learn along. With a teacher, the projector is the linear map that leads from the states to its
        embeddings best; without one, that to the states' whitened principal directions. The map's strongest directions
        are written as a pair (P, -P), so that they pass the ReLU unharmed.

        Args:
            states: final hidden states at markers of many lists [n, H], with n > H.
            wanted: a teacher's embeddings there [n, D], or None.
        """
        first: Any = self.model.projector[0]
        second: Any = self.model.projector[2]
        half = first.out_features // 2
        within, across = _whitened(states, half) if wanted is None else _fitted(states, wanted, half)
        with torch.no_grad():
            first.weight.copy_(torch.cat((within, -within)))
            second.weight.normal_(std=0.1 * across.std().item())
            second.weight[: len(across)] += torch.cat((across, -across), dim=1)

    def weights(self) -> dict[str, nn.Parameter]:
        """What is trained, by name."""
        return {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}

    def save(self, folder: Path, extra: Mapping[str, Any]) -> None:
        """Write a checkpoint that `Reranker.from_pretrained` loads; `extra` goes into its config."""
        tensors = {f"projector.{name}": weight for name, weight in self.model.projector.state_dict().items()}
        if self._files is None:
            name = adapter.FILE
            tensors |= adapter.collect(self.model.backbone)
        else:
            name = checkpoint.WEIGHTS
            tensors |= {f"model.{key}": value for key, value in self._whole().items()}
        write_checkpoint(folder, {**self._config, **extra}, name, tensors, self._files)

    def _whole(self) -> dict[str, Tensor]:
        """All weights of the backbone, with what LoRA adds in them."""
        if not self._lora:
            whole: dict[str, Tensor] = self.model.backbone.state_dict()
            return whole
        return adapter.join(adapter.base(self.model.backbone), adapter.collect(self.model.backbone))


def _whitened(states: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The principal directions of the states without their mean's own, each to unit variance [rank, H].

    They are not mixed: the second matrix is the unit one [rank, rank].
    """
    mean = states.mean(0)
    across = torch.eye(len(mean), device=mean.device) - torch.outer(mean, mean) / mean.dot(mean)  # [H, H]
    values, vectors = torch.linalg.eigh(torch.cov((states @ across).T))
    top = values.argsort(descending=True)[:rank]
    return (vectors[:, top] / values[top].sqrt()).T @ across, torch.eye(rank, device=mean.device)


def _fitted(states: Tensor, wanted: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The ridge regression from states to what is wanted of them, as two matrices [rank, H] and [D, rank]."""
    square = states.T @ states
    ridge = _RIDGE * square.diagonal().mean() / len(states) * torch.eye(len(square), device=states.device)
    through, strengths, out = torch.linalg.svd(torch.linalg.solve(square + ridge, states.T @ wanted))  # [H, D]
    scale = strengths[:rank].sqrt()
    return (through[:, :rank] * scale).T, out[:rank].T * scale
