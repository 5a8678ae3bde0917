"""A training recipe: what is trained, on which collections, in which stages. A JSON file holds one."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reranker.errors import RerankerError
from reranker.examples import Mix
from reranker.losses import Weights

SMOLLM2 = "smollm2-135m"
LOG_EVERY = 10  # steps that a logged loss is the mean of


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of training with settings of its own; lengths in tokens, learning rates at their highest.

    The rate rises over the first tenth of the stage's steps and falls to nothing until its end; the share of hard
    negatives moves from `hard_at_first` to that of the mix within the first half. `prior` says how much the teacher
    trusts BM25's order in the lists that stand in it.
    """

    lists: int
    mix: Mix = field(default_factory=Mix)
    max_query_length: int = 32
    max_doc_length: int = 32
    hard_at_first: float = 0.0
    lists_per_step: int = 8
    learning_rate: float = 2e-4
    projector_learning_rate: float = 5e-4
    temperature: float = 0.25
    teacher_temperature: float = 0.05
    prior: float = 0.0
    weights: Weights = field(default_factory=Weights)

    @property
    def steps(self) -> int:
        """Steps of the optimiser."""
        return -(-self.lists // self.lists_per_step)


@dataclass(frozen=True, slots=True)
class Fit:
    """How the words of a checkpoint are fitted (`reranker.fit`): first to texts, then to training lists.

    `width` is that of their vectors, and `prior` says how much a score trusts the order of the first stage. To the
    collections' texts come `random_texts`, of words drawn at random, for what no collection speaks of. `imitate` is
    what the teacher's part of the loss counts, beside the lists' own.
    """

    width: int = 184
    prior: float = 0.2
    random_texts: int = 60_000
    text_steps: int = 2000
    texts_per_step: int = 256
    list_steps: int = 800
    lists_per_step: int = 4
    documents: int = 100
    temperature: float = 0.06
    imitate: float = 20.0


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

    collections: dict[str, float]
    stages: tuple[Stage, ...] = ()
    words: Fit | None = None
    base: str = SMOLLM2
    layers: int = 6
    rank: int = 16
    teacher: str = ""
    max_doc_length: int = 0
    seed: int = 0
    dev_queries: int = 20
    dev_documents: int = 30
    dev_doc_length: int = 32
    dev_every: int = 100
    save_every: int = 50
    tokens_per_pass: int = 6_000

    @property
    def steps(self) -> int:
        """Steps of all stages."""
        return sum(stage.steps for stage in self.stages)


def read(path: Path) -> Recipe:
    """The recipe in a JSON file.

    Raises:
        RerankerError: the file is missing, is not JSON, or has a field that no recipe has.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        stages = tuple(_stage(row) for row in content.pop("stages", ()))
        words = Fit(**content.pop("words")) if content.get("words") else None
        recipe = Recipe(**{**content, "stages": stages, "words": words})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RerankerError(f"{path} is not a training recipe: {error!r}") from error
    if recipe.base == SMOLLM2 and recipe.rank < 1:
        raise RerankerError(f"{path}: {SMOLLM2} is trained by LoRA alone, which needs a rank of at least 1")
    if not recipe.teacher and any(stage.weights.distil or stage.weights.imitate for stage in recipe.stages):
        raise RerankerError(f"{path}: the losses distil and imitate need a teacher")
    if recipe.save_every % LOG_EVERY:
        raise RerankerError(
            f"{path}: save_every must be a multiple of {LOG_EVERY}, the steps whose mean loss is logged"
        )
    if not recipe.collections or any(stage.lists < 1 for stage in recipe.stages):
        raise RerankerError(f"{path} is not a training recipe: it needs collections, and stages of at least one list")
    if bool(recipe.stages) == bool(recipe.words):
        raise RerankerError(f"{path} is not a training recipe: it needs either stages or words")
    if recipe.words and not (recipe.teacher and recipe.max_doc_length):
        raise RerankerError(f"{path}: words need a teacher and a max_doc_length")
    return recipe


def _stage(row: dict[str, Any]) -> Stage:
    return Stage(**{**row, "mix": Mix(**row.get("mix", {})), "weights": Weights(**row.get("weights", {}))})


def as_json(recipe: Recipe) -> dict[str, Any]:
    """The recipe as JSON holds it."""
    content: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(recipe)))
    return content
