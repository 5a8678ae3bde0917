"""The training card, `card.json`: a checkpoint's data, recipe, losses and dev figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from reranker.train import dev
from reranker.train import recipe as recipes
from reranker.train.collection import Collection, RankedList
from reranker.train.recipe import Recipe
from reranker.train.saving import write_json

CARD = "card.json"


@dataclass(slots=True)
class Progress:
    """Progress of a training, for its card and for resuming it."""

    step: int = 0
    lists: int = 0
    tokens: int = 0
    seconds: float = 0.0
    best: float = -1.0
    best_step: int = -1
    losses: list[dict[str, float]] = field(default_factory=list)
    recent: dict[str, list[float]] = field(default_factory=dict)
    dev: list[dict[str, Any]] = field(default_factory=list)

    def stepped(self, terms: Mapping[str, float]) -> str:
        """Record the losses of one step; every `LOG_EVERY` steps returns their means as text, otherwise ""."""
        self.step += 1
        for name, value in terms.items():
            self.recent.setdefault(name, []).append(value)
        if self.step % recipes.LOG_EVERY:
            return ""
        means = {name: fmean(values) for name, values in self.recent.items()}
        self.losses.append({"step": float(self.step), **{name: round(mean, 4) for name, mean in means.items()}})
        self.recent = {}
        return ", ".join(f"{name} {mean:.3f}" for name, mean in means.items())

    def measured(self, figures: Mapping[str, float]) -> bool:
        """Record the dev figures of the current step; returns whether they are the best in the first stage's order."""
        row = {"step": self.step, "seconds": round(self.seconds), **figures}
        self.dev.append({name: round(value, 4) for name, value in row.items()})
        better = figures["first stage"] > self.best
        if better:
            self.best, self.best_step = figures["first stage"], self.step
        return better


def write(
    folder: Path,
    recipe: Recipe,
    progress: Progress,
    collections: Mapping[str, Collection],
    lists: Sequence[RankedList],
    trained_weights: int,
    device: torch.device,
) -> None:
    """Write the card of a training so far; `lists` are the dev lists."""
    card = {
        "recipe": recipes.as_json(recipe),
        "device": str(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "trained_weights": trained_weights,
        "data": {
            name: {
                "documents": len(one.documents),
                "documents_held_out": one.held_documents,
                "train_queries": len(one.train_queries),
                "dev_queries": len(one.dev_queries),
            }
            for name, one in collections.items()
        },
        "dev_first_stage": round(dev.first_stage(lists), 4),
        "steps": progress.step,
        "lists": progress.lists,
        **({"tokens": progress.tokens} if progress.tokens else {}),
        "seconds": round(progress.seconds),
        "best_step": progress.best_step,
        "dev": progress.dev,
        "losses": progress.losses,
    }
    write_json(folder / CARD, card)
