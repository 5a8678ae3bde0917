"""Fits words to a teacher's embeddings and to training lists, and saves the model that is made of them.

Since that model scores as its words do (`reranker.train.static.compile`), neither step needs to run it: minutes do what
would take the model itself hours. It is run to be measured, as it was saved.

A killed fit begins anew: nearly all of its time goes into the teacher's embeddings.
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
from reranker.train.static.vectors import Words, scores
from reranker.train.static.wordpiece import CONTINUES, random_texts, uncased
from reranker.train.teacher import Teacher

_TEXT_RATE, _LIST_RATE = 3e-3, 2e-3  # highest learning rates of the vectors
_WEIGHT_RATE, _ACROSS_RATE = 6.0, 1 / 3  # what the others' are to it
_LENGTH_LOSS = 0.1  # what it costs a mean not to be of unit length
_RARE = 1e-3  # share of all tokens from which on a token's first weight falls
_IMITATED = 64  # texts that the teacher's part of the lists' loss is taken from, a step
_TRIES = 1_000  # queries that are drawn in search of one to learn from
_SAMPLE = 20_000  # texts whose embeddings' principal directions the vectors start in


@dataclass(frozen=True, slots=True)
class _List:
    """A training list as token ids, its documents in BM25's order, and their grades [N]."""

    query: Tensor
    documents: list[Tensor]
    grades: Tensor


class _Fitting:
    """The words on the way."""

    def __init__(self, recipe: Recipe, settings: Fit, teacher: Teacher, tokenizer: Tokenizer, texts: list[str]) -> None:
        """Start from the teacher's embeddings of the tokens themselves, in the principal directions of the texts'."""
        self._settings, self._tokenizer, self._length = settings, tokenizer, recipe.max_doc_length
        self._source = random.Random(recipe.seed)
        own = [str(tokenizer.id_to_token(token)).removeprefix(CONTINUES) for token in range(tokenizer.get_vocab_size())]
        read = {text: ids for text, ids in zip(texts, self.ids(texts), strict=True) if len(ids)}
        self._texts, self._wanted = list(read.values()), torch.stack(teacher.encode(list(read)))
        counts = torch.bincount(torch.cat(self._texts), minlength=len(own))
        directions = torch.linalg.svd(self._wanted[:_SAMPLE], full_matrices=False).Vh[: settings.width]  # [R, D]
        self._across = nn.Parameter(directions.T.contiguous())
        vectors = torch.stack(teacher.encode(own)) @ directions.T
        self._begin(vectors, (_RARE / (_RARE + counts / counts.sum())).log())

    def _begin(self, vectors: Tensor, weights: Tensor, learn_weights: bool = True) -> None:
        self._vectors, self._weights = nn.Parameter(vectors), nn.Parameter(weights, requires_grad=learn_weights)
        parts = (self._vectors, self._weights, self._across)
        self._optimizer = torch.optim.Adam([{"params": [part]} for part in parts])

    @property
    def words(self) -> Words:
        """The words as they are now."""
        return Words(self._vectors, self._weights)

    @torch.no_grad()
    def settle(self) -> None:
        """Turn the vectors so that means have among themselves the angles that they have in the teacher's space.

        The way into that space stays as it is from here on, and so do the weights. To bend either for the lists' sake
        was tried: the way cost training queries that share no relevant document with those that were learned from,
        weights cost collections that no list came from.
        """
        straight, turn = torch.linalg.qr(self._across)  # [D, R], [R, R]
        self._across = nn.Parameter(straight, requires_grad=False)
        self._begin(self._vectors @ turn.T, self._weights.detach(), learn_weights=False)

    def ids(self, texts: Sequence[str]) -> list[Tensor]:
        """Token ids of texts, as far as the model reads them."""
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [torch.tensor(each.ids[: self._length]) for each in encoded]

    def step(self, loss: Tensor, rate: float) -> None:
        """Follow the slope of a loss."""
        for group, share in zip(self._optimizer.param_groups, (1.0, _WEIGHT_RATE, _ACROSS_RATE), strict=True):
            group["lr"] = rate * share
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()

    def imitation(self, number: int) -> Tensor:
        """How far so many texts, drawn at random, are from the teacher's embeddings: the mean of 1 - cosine.

        A little is added for means that are not of unit length, since a score trusts the order more where they are
        short.
        """
        some = self._source.sample(range(len(self._texts)), min(number, len(self._texts)))
        found = self.words.means([self._texts[each] for each in some]) @ self._across.T
        away = 1 - cosine_similarity(found, self._wanted[some], dim=-1)
        longer: Tensor = found.norm(dim=1) - 1
        return (away + _LENGTH_LOSS * longer.square()).mean()

    def ranking(self, lists: Sequence[_List]) -> Tensor:
        """The mean loss of lists."""
        losses = []
        for one in lists:
            found = scores(self.words.means([one.query, *one.documents]), self._settings.prior)
            losses.append(list_loss(found, one.grades, self._settings.temperature))
        return torch.stack(losses).mean()


class _Record:
    """What is measured, said and written on the way."""

    def __init__(self, recipe: Recipe, data: Path, output: Path, say: Callable[[str], None]) -> None:
        """Read the collections; a checkpoint in the output folder is overwritten by the first that is measured."""
        self._started = time.perf_counter()
        self._recipe, self._output, self.say = recipe, output, say
        self.collections = {name: Collection(data / name, recipe.dev_queries) for name in recipe.collections}
        self._dev = [one for each in self.collections.values() for one in each.dev(recipe.dev_documents)]
        self.progress = Progress()

    def log(self, terms: dict[str, float]) -> None:
        """Note the losses of a step that was just made."""
        shown = self.progress.stepped(terms)
        if shown and self.progress.step % (10 * recipes.LOG_EVERY) == 0:
            self.say(f"step {self.progress.step}: {shown}")

    def measure(self, words: Words, prior: float, tokenizer: Tokenizer) -> None:
        """nDCG@10 on the dev lists by the checkpoint of these words, as it is saved; it stays if it is the best."""
        self.progress.seconds = time.perf_counter() - self._started
        last = self._output / "last"
        with torch.no_grad():
            tensors = compile.weights(words, prior, tokenizer, Markers())
        config = {**compile.config(words), "max_doc_length": self._recipe.max_doc_length}
        halves = {name: tensor.half() for name, tensor in tensors.items()}
        write_checkpoint(last, config, halves, tokenizer)
        figures = dev.measure(Reranker.from_pretrained(last, device="cpu"), self._dev, self._recipe.dev_doc_length)
        self.say(f"step {self.progress.step}: {dev.shown(figures)}")
        if self.progress.measured(figures):
            write_checkpoint(self._output, config, halves, tokenizer)
        shutil.rmtree(last)
        trained = words.vectors.numel() + words.weights.numel()
        progress.write(
            self._output, self._recipe, self.progress, self.collections, self._dev, trained, torch.device("cpu")
        )


def run(recipe: Recipe, settings: Fit, data: Path, output: Path, say: Callable[[str], None]) -> Progress:
    """Fit words by a recipe; the output folder is the best checkpoint by dev nDCG@10, with its card.

    Args:
        recipe: what is taught by whom on which collections.
        settings: the recipe's own for words.
        data: the folder that holds the collections.
        output: is made anew; a checkpoint in it is overwritten.
        say: takes a line of progress.

    Raises:
        RerankerError: a collection or the teacher cannot be read or gives nothing to learn from, the words are too
            wide, or the output holds an adapter.
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
        loss = fitting.imitation(settings.texts_per_step)
        fitting.step(loss, _TEXT_RATE * _rate(step, settings.text_steps))
        record.log({"imitate": loss.item()})
    fitting.settle()
    record.measure(fitting.words, settings.prior, tokenizer)
    drawn = _lists(recipe, settings, record.collections, fitting)
    for step in range(settings.list_steps):
        rank = fitting.ranking([next(drawn) for _ in range(settings.lists_per_step)])
        imitate = fitting.imitation(_IMITATED)
        fitting.step(rank + settings.imitate * imitate, _LIST_RATE * _rate(step, settings.list_steps))
        record.progress.lists += settings.lists_per_step
        record.log({"rank": rank.item(), "imitate": imitate.item()})
        if (step + 1) % recipe.dev_every == 0 or step + 1 == settings.list_steps:
            record.measure(fitting.words, settings.prior, tokenizer)
    return record.progress


def _check(recipe: Recipe, settings: Fit, collections: dict[str, Collection], teacher: Teacher) -> None:
    for name, collection in collections.items():
        if not collection.train_queries:
            raise RerankerError(f"{name} has no more than {recipe.dev_queries} queries, which dev_queries keeps all")
    if settings.width > min(compile.WIDEST, teacher.width):
        raise RerankerError(
            f"words are at most {compile.WIDEST} wide, and no wider than the teacher's embeddings, which are "
            f"{teacher.width}: {settings.width} is too wide"
        )


def _lists(recipe: Recipe, settings: Fit, collections: dict[str, Collection], fitting: _Fitting) -> Iterator[_List]:
    """Training lists without end, each from a collection drawn by its weight."""
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
    raise RerankerError(f"of {_TRIES} training queries none has a relevant document among BM25's candidates")


def _list(found: RankedList, fitting: _Fitting) -> _List | None:
    """The list in tokens; None where no candidate, or every one, is relevant: nothing can be learned from it."""
    query, *read = fitting.ids([found.query, *found.documents])
    graded = [
        (ids, float(found.grades.get(number, 0))) for number, ids in zip(found.ids, read, strict=True) if len(ids)
    ]
    documents, grades = [ids for ids, _ in graded], torch.tensor([grade for _, grade in graded])
    relevant = int((grades > 0).sum())
    return _List(query, documents, grades) if len(query) and 0 < relevant < len(documents) else None


def _rate(step: int, steps: int) -> float:
    """The share of the highest learning rate: up over 50 steps, then down to nothing."""
    return min(1.0, (step + 1) / 50) * (1 - step / steps)
