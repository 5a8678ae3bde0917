"""A training recipe: what is trained, on which collections, in which stages. A JSON file holds one."""

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
LOG_EVERY = 10  # steps that a logged loss is the mean of
Name = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00]+$")]


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of training with settings of its own; lengths in tokens, learning rates at their highest.

    The rate rises over the first tenth of the stage's steps and falls to nothing until its end; the share of hard
    negatives moves from `hard_at_first` to that of the mix within the first half. `prior` says how much the teacher
    trusts BM25's order in the lists that stand in it.
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
        """Steps of the optimiser."""
        return -(-self.lists // self.lists_per_step)


@dataclass(frozen=True, slots=True)
class Fit:
    """How static embeddings are fitted (`reranker.train.static.distil`): first to texts, then to training lists.

    `width` is that of their vectors, and `prior` says how much a score trusts the order of the first stage. To the
    collections' texts come `random_texts`, of words drawn at random, for what no collection speaks of. `imitate` is
    what the teacher's part of the loss counts, beside the lists' own.
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
    """All that a training depends on, save the data itself.

    With `words`, words are fitted, and a model is made of them; stages, layers and LoRA play no part then.

    `base` is `smollm2-135m`, of which the first `layers` are taken, or a checkpoint's folder or hub id. `rank` is that
    of the LoRA matrices; 0 trains all weights. `collections` are folders below the data folder, each with the weight
    that lists are drawn from it with. `teacher` is a sentence-transformers model (`package:DISTRIBUTION/FOLDER` for one
    inside a package) for the losses `distil` and `imitate`; "" for none. `max_doc_length` is what the checkpoint will
    say that it was made for, in tokens; 0 for any length. `dev_*` say what the best weights are chosen on: so many
    training queries of each collection that are never trained on, and so many of BM25's candidates.
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
    """The recipe in a JSON file.

    Raises:
        RerankerError: the file is missing, is not JSON, or has a field or a value that no recipe has.
    """
    recipe = read_model(path, Recipe, RerankerError)
    if recipe.base == SMOLLM2 and recipe.rank < 1:
        raise RerankerError(f"{path}: {SMOLLM2} is trained by LoRA alone, which needs a rank of at least 1")
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
    """The recipe as JSON holds it."""
    content: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(recipe)))
    return content
