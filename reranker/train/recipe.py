"""A training recipe, a JSON file: what is trained, on which collections, in which stages."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from reranker.bounds import AboveZero, Amount, Count, Positive, Share
from reranker.errors import RerankerError
from reranker.schema import read_model
from reranker.train.collection import Mix
from reranker.train.losses import Weights

SMOLLM2 = "smollm2-135m"
_LAYERS = 30  # of SmolLM2-135M
LOG_EVERY = 10  # steps that a logged loss averages
Name = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00]+$")]


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of training; lengths in tokens, learning rates at their highest.

    The learning rate warms up over the first tenth of the stage's steps and decays to 0 at its end; the share of hard
    negatives moves from `hard_at_first` to that of the mix within the first half. `prior` weighs BM25's rank in the
    teacher's scores of lists in BM25's order.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    lists: Positive
    mix: Mix = field(default_factory=Mix)
    max_query_length: Positive = 32
    max_doc_length: Positive = 32
    hard_at_first: Share = 0.0
    lists_per_step: Positive = 8
    learning_rate: Amount = 2e-4
    projector_learning_rate: Amount = 5e-4
    temperature: AboveZero = 0.25
    teacher_temperature: AboveZero = 0.05
    prior: Amount = 0.0
    weights: Weights = field(default_factory=Weights)

    @property
    def steps(self) -> int:
        """Optimiser steps."""
        return -(-self.lists // self.lists_per_step)


@dataclass(frozen=True, slots=True)
class Fit:
    """How static token embeddings are fitted (`reranker.train.static.distil`): to texts, then to training lists.

    `width` is that of their vectors; `prior` is the weight of the first stage's rank in a score. `random_texts` is a
    number of random word sequences, which cover subjects that the collections lack. `imitate` is the weight of
    embedding distillation in the loss of the second step.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    width: Positive = 184
    prior: Amount = 0.2
    random_texts: Count = 60_000
    text_steps: Count = 2000
    texts_per_step: Positive = 256
    list_steps: Count = 800
    lists_per_step: Positive = 4
    documents: Positive = 100
    temperature: AboveZero = 0.06
    imitate: Amount = 20.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that a training depends on except the data.

    With `words`, static token embeddings are fitted and compiled into a model; stages, layers and LoRA are not used.

    `base` is `smollm2-135m`, of which the first `layers` are used, or a checkpoint's folder or hub id. `rank` is that
    of the LoRA matrices; 0 trains all weights. `collections` are folders in the data folder, each with its sampling
    weight. `teacher` is a sentence-transformers model (`package:DISTRIBUTION/FOLDER` for one inside a package) for the
    losses `distil` and `imitate`; "" for none. `max_doc_length` is written to the checkpoint's config, in tokens; 0 for
    no limit. `dev_*` describe what the best weights are chosen on: the number of training queries of each collection
    that are held out, and of BM25's candidates for each.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    collections: Annotated[dict[Name, AboveZero], Field(min_length=1)]
    stages: tuple[Stage, ...] = ()
    words: Fit | None = None
    base: Name = SMOLLM2
    layers: Annotated[int, Field(strict=True, ge=1, le=_LAYERS)] = 6
    rank: Annotated[int, Field(strict=True, ge=0, le=10_000)] = 16
    teacher: Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")] = ""
    max_doc_length: Count = 0
    seed: Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)] = 0
    dev_queries: Count = 20
    dev_documents: Positive = 30
    dev_doc_length: Positive = 32
    dev_every: Positive = 100
    save_every: Positive = 50
    tokens_per_pass: Positive = 6_000

    @property
    def steps(self) -> int:
        """Steps of all stages."""
        return sum(stage.steps for stage in self.stages)


def read(path: Path) -> Recipe:
    """Read a recipe from a JSON file.

    Raises:
        RerankerError: the file is missing, is not JSON, or has an unknown field or a value that is not allowed.
    """
    recipe = read_model(path, Recipe, RerankerError)
    if recipe.base == SMOLLM2 and recipe.rank < 1:
        raise RerankerError(f"{path}: {SMOLLM2} can only be trained with LoRA, which needs a rank of at least 1")
    if not recipe.teacher and any(stage.weights.distil or stage.weights.imitate for stage in recipe.stages):
        raise RerankerError(f"{path}: the losses distil and imitate need a teacher")
    if recipe.save_every % LOG_EVERY:
        raise RerankerError(
            f"{path}: save_every must be a multiple of {LOG_EVERY}, the steps whose mean loss is logged"
        )
    if bool(recipe.stages) == bool(recipe.words):
        raise RerankerError(f"{path} is not a training recipe: it needs either stages or words")
    if recipe.words and not (recipe.teacher and recipe.max_doc_length):
        raise RerankerError(f"{path}: words need a teacher and a max_doc_length")
    return recipe


def as_json(recipe: Recipe) -> dict[str, Any]:
    """The recipe as JSON."""
    content: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(recipe)))
    return content
