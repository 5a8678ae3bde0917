"""Fit static token embeddings to a teacher's embeddings and to training lists, and save the compiled model.

The compiled model's scores equal those of the embeddings (`reranker.train.static.compile`), so neither step runs it:
fitting takes minutes in place of hours. Only the dev figures come from the saved model.

An interrupted fit starts again: nearly all of its time goes into the teacher's embeddings.
"""

import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from reranker.errors import RerankerError
from reranker.prompt import Markers
from reranker.rerank import Reranker
from reranker.train import dev, progress
from reranker.train import recipe as recipes
from reranker.train.collection import Collection, RankedList
from reranker.train.losses import list_loss
from reranker.train.progress import Progress
from reranker.train.recipe import Fit, Recipe
from reranker.train.saving import write_checkpoint
from reranker.train.static import compile
from reranker.train.static.vectors import StaticEmbeddings, scores
from reranker.train.static.wordpiece import CONTINUES, random_texts, uncased
from reranker.train.teacher import Teacher

_TEXT_RATE, _LIST_RATE = 3e-3, 2e-3  # highest learning rates of the vectors
_WEIGHT_RATE, _PROJECTION_RATE = 6.0, 1 / 3  # learning rates of pooling weights and projection, relative to it
_LENGTH_LOSS = 0.1  # weight of the penalty on means that are not of unit length
_RARE = 1e-3  # share of all tokens above which a token's initial pooling weight falls
_TEXTS_PER_LIST_STEP = 64  # texts of the embedding distillation in each step on lists
_TRIES = 1_000  # unusable training queries in a row before giving up
_SAMPLE = 20_000  # texts whose embeddings' principal components initialise the projection


@dataclass(frozen=True, slots=True)
class _List:
    """A training list as token ids, its documents in BM25's order, and their grades [N]."""

    query: Tensor
    documents: list[Tensor]
    grades: Tensor


class _Fitting:
    """Trainable state: vectors, pooling weights, and the projection into the teacher's space."""

    def __init__(self, recipe: Recipe, settings: Fit, teacher: Teacher, tokenizer: Tokenizer, texts: list[str]) -> None:
        """Initialise with the teacher's embeddings of single tokens, projected on the texts' principal components."""
        self._settings, self._tokenizer, self._length = settings, tokenizer, recipe.max_doc_length
        self._source = random.Random(recipe.seed)
        own = [str(tokenizer.id_to_token(token)).removeprefix(CONTINUES) for token in range(tokenizer.get_vocab_size())]
        read = {text: ids for text, ids in zip(texts, self.ids(texts), strict=True) if len(ids)}
        self._texts, self._targets = list(read.values()), torch.stack(teacher.encode(list(read)))
        counts = torch.bincount(torch.cat(self._texts), minlength=len(own))
        directions = torch.linalg.svd(self._targets[:_SAMPLE], full_matrices=False).Vh[: settings.width]  # [R, D]
        self._projection = nn.Parameter(directions.T.contiguous())
        vectors = torch.stack(teacher.encode(own)) @ directions.T
        self._init_parameters(vectors, (_RARE / (_RARE + counts / counts.sum())).log())

    def _init_parameters(self, vectors: Tensor, weights: Tensor, learn_weights: bool = True) -> None:
        self._vectors, self._weights = nn.Parameter(vectors), nn.Parameter(weights, requires_grad=learn_weights)
        parts = (self._vectors, self._weights, self._projection)
        self._optimizer = torch.optim.Adam([{"params": [part]} for part in parts])

    @property
    def embeddings(self) -> StaticEmbeddings:
        """The current embeddings."""
        return StaticEmbeddings(self._vectors, self._weights)

    @torch.no_grad()
    def freeze_projection(self) -> None:
        """Freeze the projection and pooling weights; change the vectors' basis so that the projection is orthonormal.

        Training either on lists was tried: the projection lost on training queries that share no relevant document with
        the ones trained on, the weights lost on collections without training lists.
        """
        orthogonal, triangular = torch.linalg.qr(self._projection)  # [D, R], [R, R]
        self._projection = nn.Parameter(orthogonal, requires_grad=False)
        self._init_parameters(self._vectors @ triangular.T, self._weights.detach(), learn_weights=False)

    def ids(self, texts: Sequence[str]) -> list[Tensor]:
        """Token ids of texts, truncated as the model truncates them."""
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [torch.tensor(each.ids[: self._length]) for each in encoded]

    def step(self, loss: Tensor, rate: float) -> None:
        """Take one optimiser step."""
        for group, share in zip(self._optimizer.param_groups, (1.0, _WEIGHT_RATE, _PROJECTION_RATE), strict=True):
            group["lr"] = rate * share
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()

    def embedding_loss(self, number: int) -> Tensor:
        """Embedding distillation on random texts: the mean of 1 - cosine to the teacher's embeddings.

        Means that are not of unit length are penalised, since the first stage's rank counts more where they are short.
        """
        some = self._source.sample(range(len(self._texts)), min(number, len(self._texts)))
        found = self.embeddings.means([self._texts[each] for each in some]) @ self._projection.T
        away = 1 - cosine_similarity(found, self._targets[some], dim=-1)
        longer: Tensor = found.norm(dim=1) - 1
        return (away + _LENGTH_LOSS * longer.square()).mean()

    def ranking_loss(self, lists: Sequence[_List]) -> Tensor:
        """The mean ranking loss of lists."""
        losses = []
        for one in lists:
            found = scores(self.embeddings.means([one.query, *one.documents]), self._settings.prior)
            losses.append(list_loss(found, one.grades, self._settings.temperature))
        return torch.stack(losses).mean()


class _Record:
    """Progress, dev figures and the saved checkpoint."""

    def __init__(self, recipe: Recipe, data: Path, output: Path, say: Callable[[str], None]) -> None:
        """Read the collections; the first measurement overwrites a checkpoint in the output folder."""
        self._started = time.perf_counter()
        self._recipe, self._output, self.say = recipe, output, say
        self.collections = {name: Collection(data / name, recipe.dev_queries) for name in recipe.collections}
        self._dev = [one for each in self.collections.values() for one in each.dev(recipe.dev_documents)]
        self.progress = Progress()

    def log(self, terms: dict[str, float]) -> None:
        """Record the losses of a step."""
        shown = self.progress.stepped(terms)
        if shown and self.progress.step % (10 * recipes.LOG_EVERY) == 0:
            self.say(f"step {self.progress.step}: {shown}")

    def measure(self, embeddings: StaticEmbeddings, prior: float, tokenizer: Tokenizer) -> None:
        """Save the compiled checkpoint and measure its nDCG@10 on the dev lists; keep it if it is the best."""
        self.progress.seconds = time.perf_counter() - self._started
        last = self._output / "last"
        with torch.no_grad():
            tensors = compile.weights(embeddings, prior, tokenizer, Markers())
        config = {**compile.config(embeddings), "max_doc_length": self._recipe.max_doc_length}
        halves = {name: tensor.half() for name, tensor in tensors.items()}
        write_checkpoint(last, config, halves, tokenizer)
        figures = dev.measure(Reranker.from_pretrained(last, device="cpu"), self._dev, self._recipe.dev_doc_length)
        self.say(f"step {self.progress.step}: {dev.shown(figures)}")
        if self.progress.measured(figures):
            write_checkpoint(self._output, config, halves, tokenizer)
        shutil.rmtree(last)
        trained = embeddings.vectors.numel() + embeddings.weights.numel()
        progress.write(
            self._output, self._recipe, self.progress, self.collections, self._dev, trained, torch.device("cpu")
        )


def run(recipe: Recipe, settings: Fit, data: Path, output: Path, say: Callable[[str], None]) -> Progress:
    """Fit static token embeddings; the output folder gets the best checkpoint by dev nDCG@10, with its card.

    Args:
        recipe: the teacher and the collections.
        settings: the recipe's `words`.
        data: the folder with the collections.
        output: created if missing; a checkpoint in it is overwritten.
        say: receives each line of progress.

    Raises:
        RerankerError: a collection or the teacher cannot be read, no training query is usable, or the width is too
            large.
    """
    torch.manual_seed(recipe.seed)
    record = _Record(recipe, data, output, say)
    teacher = Teacher(recipe.teacher)
    _check(recipe, settings, record.collections, teacher)
    tokenizer = uncased(teacher.vocabulary, Markers())
    made = random_texts(tokenizer, settings.random_texts, recipe.seed)
    found = (text for one in record.collections.values() for text in one.passages() if text.strip())
    texts = sorted({*found, *made})
    random.Random(recipe.seed).shuffle(texts)
    say(f"taking the teacher's embeddings of {len(texts)} texts and {tokenizer.get_vocab_size()} tokens")
    fitting = _Fitting(recipe, settings, teacher, tokenizer, texts)
    for step in range(settings.text_steps):
        loss = fitting.embedding_loss(settings.texts_per_step)
        fitting.step(loss, _TEXT_RATE * _rate(step, settings.text_steps))
        record.log({"imitate": loss.item()})
    fitting.freeze_projection()
    record.measure(fitting.embeddings, settings.prior, tokenizer)
    drawn = _lists(recipe, settings, record.collections, fitting)
    for step in range(settings.list_steps):
        rank = fitting.ranking_loss([next(drawn) for _ in range(settings.lists_per_step)])
        imitate = fitting.embedding_loss(_TEXTS_PER_LIST_STEP)
        fitting.step(rank + settings.imitate * imitate, _LIST_RATE * _rate(step, settings.list_steps))
        record.progress.lists += settings.lists_per_step
        record.log({"rank": rank.item(), "imitate": imitate.item()})
        if (step + 1) % recipe.dev_every == 0 or step + 1 == settings.list_steps:
            record.measure(fitting.embeddings, settings.prior, tokenizer)
    return record.progress


def _check(recipe: Recipe, settings: Fit, collections: dict[str, Collection], teacher: Teacher) -> None:
    for name, collection in collections.items():
        if not collection.train_queries:
            raise RerankerError(
                f"{name}: dev_queries={recipe.dev_queries} leaves no training query: use a smaller number"
            )
    if settings.width > min(compile.WIDEST, teacher.width):
        raise RerankerError(
            f"words.width={settings.width} is too large: at most min({compile.WIDEST}, teacher width {teacher.width})"
        )


def _lists(recipe: Recipe, settings: Fit, collections: dict[str, Collection], fitting: _Fitting) -> Iterator[_List]:
    """An endless stream of training lists, each from a collection drawn by its weight."""
    source = random.Random(recipe.seed)
    names, shares = zip(*recipe.collections.items(), strict=True)
    known: dict[tuple[str, str], _List | None] = {}
    misses = 0
    while misses < _TRIES:
        name = source.choices(names, shares)[0]
        query = source.choice(collections[name].train_queries)
        if (name, query) not in known:
            known[name, query] = _list(collections[name].ranked(query, settings.documents), fitting)
        drawn = known[name, query]
        misses = 0 if drawn else misses + 1
        if drawn:
            yield drawn
    raise RerankerError(f"none of {_TRIES} training queries has a relevant document among BM25's candidates")


def _list(found: RankedList, fitting: _Fitting) -> _List | None:
    """The list as token ids; None if no candidate or every candidate is relevant: such a list gives no gradient."""
    query, *read = fitting.ids([found.query, *found.documents])
    graded = [
        (ids, float(found.grades.get(number, 0))) for number, ids in zip(found.ids, read, strict=True) if len(ids)
    ]
    documents, grades = [ids for ids, _ in graded], torch.tensor([grade for _, grade in graded])
    relevant = int((grades > 0).sum())
    return _List(query, documents, grades) if len(query) and 0 < relevant < len(documents) else None


def _rate(step: int, steps: int) -> float:
    """Learning rate as a share of the highest: linear warm-up over 50 steps, times a linear decay to 0."""
    return min(1.0, (step + 1) / 50) * (1 - step / steps)
