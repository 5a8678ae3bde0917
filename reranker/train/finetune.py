"""`python -m reranker.train RECIPE`: train a reranker by a recipe, from collections in BEIR format.

The output folder is a checkpoint with the best weights so far by dev nDCG@10, and a training card, `card.json`. To
resume an interrupted training from its last saved step, run the same command again.
"""

import argparse
import ctypes
import hashlib
import json
import math
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from reranker import checkpoint, command
from reranker.device import choose_device
from reranker.errors import RerankerError
from reranker.rerank import Reranker
from reranker.tokens import Block, Prompt
from reranker.train import dev, progress
from reranker.train import recipe as recipes
from reranker.train.collection import Collection, Example
from reranker.train.losses import Embeddings, Targets, total_loss
from reranker.train.progress import Progress
from reranker.train.recipe import Recipe, Stage
from reranker.train.saving import write_tensors
from reranker.train.static import distil
from reranker.train.teacher import Teacher
from reranker.train.trainable import Trainable

STATE = "state.safetensors"
_INIT_LISTS = 200  # lists whose hidden states initialise the projector
_DROPPED = 0.15  # share of words dropped from an augmented copy of a document
_NO_BLOCKS = 1 << 30  # maximum prompt tokens on the dev lists: they are never split into blocks
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # constants of glibc's malloc.h


@dataclass(frozen=True, slots=True)
class _Item:
    """A training list with its prompt; `copy` is the prompt of its augmented documents, if the loss needs one."""

    example: Example
    prompt: Prompt
    copy: Prompt | None

    @property
    def tokens(self) -> int:
        return len(self.prompt.ids) + (len(self.copy.ids) if self.copy else 0)


class Training:
    """One training, from a recipe, data and an output folder."""

    def __init__(self, recipe: Recipe, data: Path, output: Path, device: torch.device) -> None:
        """Read the data and load the model; resume from the output folder if it contains a saved state."""
        self.recipe, self.output, self.device = recipe, output, device
        self.collections = {name: Collection(data / name, recipe.dev_queries) for name in recipe.collections}
        torch.manual_seed(recipe.seed)
        if recipe.base == recipes.SMOLLM2:
            self.trainable = Trainable.smollm2(recipe.layers, recipe.rank)
        else:
            self.trainable = Trainable.checkpoint(recipe.base, recipe.rank, device)
        self.model = self.trainable.model.to(device).train()
        self.weights = self.trainable.weights()
        projector = [weight for name, weight in self.weights.items() if name.startswith("projector.")]
        others = [weight for name, weight in self.weights.items() if not name.startswith("projector.")]
        self.optimizer = torch.optim.AdamW([{"params": others}, {"params": projector}], weight_decay=0.01)
        self.teacher = Teacher(recipe.teacher) if recipe.teacher else None
        last: Any = self.model.projector[2]
        width = last.out_features
        if self.teacher is not None and self.teacher.width > width:
            raise RerankerError(f"the teacher's embeddings are {self.teacher.width} wide, the model's only {width}")
        self.dev = [one for collection in self.collections.values() for one in collection.dev(recipe.dev_documents)]
        self.progress = Progress()
        if (output / STATE).is_file():
            self._resume()
        elif recipe.base == recipes.SMOLLM2:
            self._init_projector()

    def run(self) -> Progress:
        """Train to the end of the recipe."""
        started = time.perf_counter() - self.progress.seconds
        if not self.progress.dev:
            self._measure()
        for step in range(self.progress.step, self.recipe.steps):
            shown = self.progress.stepped(self._step(step))
            self.progress.seconds = time.perf_counter() - started
            if shown:
                left = self.progress.seconds / self.progress.step * (self.recipe.steps - self.progress.step)
                _say(f"step {self.progress.step} of {self.recipe.steps}: {shown}; {left / 60:.0f} min left")
            last = self.progress.step == self.recipe.steps
            if self.progress.step % self.recipe.dev_every == 0 or last:
                self._measure()
            if self.progress.step % self.recipe.save_every == 0 or last:
                self._save_state()
        return self.progress

    def _step(self, step: int) -> dict[str, float]:
        """Take one optimiser step; returns the mean of each loss term."""
        stage, within, number = self._place(step)
        rates = _rate(within / stage.steps)
        for group, highest in zip(
            self.optimizer.param_groups, (stage.learning_rate, stage.projector_learning_rate), strict=True
        ):
            group["lr"] = highest * rates
        examples = list(self._examples(stage, within / stage.steps, number))
        sums: dict[str, float] = {}
        for some in self._packs(examples, stage):
            losses = self._losses(some, stage)
            torch.autograd.backward(torch.stack([terms["total"] for terms in losses]).sum() / len(examples))
            for terms in losses:
                for name, value in terms.items():
                    sums[name] = sums.get(name, 0.0) + value.item() / len(examples)
        if not math.isfinite(sums["total"]):
            raise RerankerError(f"the loss is not a finite number at step {step}: try lower learning rates")
        nn.utils.clip_grad_norm_(self.weights.values(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.progress.lists += len(examples)
        return sums

    def _place(self, step: int) -> tuple[Stage, int, int]:
        """The stage of a step, the step's number within it, and the number of its first list in the whole training."""
        lists = 0
        for stage in self.recipe.stages:
            if step < stage.steps:
                return stage, step, lists + step * stage.lists_per_step
            step -= stage.steps
            lists += stage.steps * stage.lists_per_step
        raise AssertionError("a step beyond the recipe's end")

    def _examples(self, stage: Stage, done: float, number: int) -> Iterator[Example]:
        """A step's lists; each depends on its number alone, so that a resumed training draws the same ones."""
        hard = stage.hard_at_first + (stage.mix.hard - stage.hard_at_first) * min(2 * done, 1.0)
        mix = replace(stage.mix, hard=hard)
        names, weights = zip(*self.recipe.collections.items(), strict=True)
        for each in range(number, number + stage.lists_per_step):
            name = random.Random(f"{self.recipe.seed} {each}").choices(names, weights)[0]
            yield self.collections[name].example(each, self.recipe.seed, mix)

    def _packs(self, examples: Sequence[Example], stage: Stage) -> Iterator[list[_Item]]:
        """The lists with their prompts, packed into forward passes of at most `tokens_per_pass`."""
        pack: list[_Item] = []
        left = self.recipe.tokens_per_pass
        for example in examples:
            copy = None
            if stage.weights.similar:
                copy = self._prompt(example.query, [_augmented(text) for text in example.documents], stage)
            item = _Item(example, self._prompt(example.query, example.documents, stage), copy)
            if pack and item.tokens > left:
                yield pack
                pack, left = [], self.recipe.tokens_per_pass
            pack.append(item)
            left -= item.tokens
            self.progress.tokens += item.tokens
        yield pack

    def _prompt(self, query: str, texts: Sequence[str], stage: Stage) -> Prompt:
        tokens = self.trainable.tokens
        cut = tokens.cut([query], stage.max_query_length)[0].text
        known = tokens.documents(texts, stage.max_doc_length)
        return tokens.prompts([Block(cut, [known[text] for text in texts], None, mark_first_query=True)])[0]

    def _losses(self, pack: Sequence[_Item], stage: Stage) -> list[dict[str, Tensor]]:
        """The loss terms of each list."""
        read = iter(self._read([item.prompt for item in pack] + [item.copy for item in pack if item.copy]))
        lists = [next(read) for _ in pack]
        copies = [next(read)[:-2] if item.copy else None for item in pack]
        found = []
        for item, own, copied in zip(pack, lists, copies, strict=True):
            embeddings = Embeddings(own[:-2], own[-1], own[-2], copied)
            found.append(
                total_loss(
                    embeddings,
                    item.example.positive,
                    stage.weights,
                    stage.temperature,
                    self._targets(item.example, stage),
                    stage.teacher_temperature,
                )
            )
        return found

    def _read(self, prompts: Sequence[Prompt]) -> list[Tensor]:
        """Embeddings of each prompt [N + 2, E]: of its documents, the first query, the query."""
        lengths = [int(prompt.markers[-1]) + 1 for prompt in prompts]
        ids = torch.cat([torch.from_numpy(p.ids[:length]) for p, length in zip(prompts, lengths, strict=True)])
        markers = []
        for prompt in prompts:
            *documents, query = prompt.markers.tolist()
            markers.append(torch.tensor([*documents, prompt.first_query, query], device=self.device))
        read = self.model(ids.to(self.device), lengths, markers)
        return list(read.split([len(places) for places in markers]))

    def _targets(self, example: Example, stage: Stage) -> Targets | None:
        if self.teacher is None or not (stage.weights.distil or stage.weights.imitate):
            return None
        targets = self.teacher.targets(example, stage.prior)
        return Targets(*(part.to(self.device) for part in (targets.documents, targets.query, targets.scores)))

    @torch.no_grad()
    def _init_projector(self) -> None:
        stage = self.recipe.stages[0]
        states, wanted = [], []
        projector, self.model.projector = self.model.projector, nn.Sequential()
        for first in range(-_INIT_LISTS, 0, stage.lists_per_step):
            for example in self._examples(stage, 0.0, first):
                states.append(self._read([self._prompt(example.query, example.documents, stage)])[0])  # [N + 2, H]
                targets = self._targets(example, stage)
                if targets is not None:
                    wanted.append(torch.cat((targets.documents, targets.query.repeat(2, 1))))  # [N + 2, D]
        self.model.projector = projector
        self.trainable.init_projector(torch.cat(states), torch.cat(wanted) if wanted else None)

    def _measure(self) -> None:
        """Measure nDCG@10 on the dev lists in BM25's order and shuffled; save the weights if the former is the best.

        Candidates come in the first stage's order when the model is used.
        """
        tokens = self.trainable.tokens
        reranker = Reranker(self.model, tokens, _NO_BLOCKS, lambda: "")
        figures = dev.measure(reranker, self.dev, self.recipe.dev_doc_length)
        self.model.train()
        _say(f"step {self.progress.step}: {dev.shown(figures)}")
        if self.progress.measured(figures):
            length = self.recipe.max_doc_length
            self.trainable.save(self.output, {"max_doc_length": length} if length else {})
        trained = sum(weight.numel() for weight in self.weights.values())
        progress.write(self.output, self.recipe, self.progress, self.collections, self.dev, trained, self.device)

    def _save_state(self) -> None:
        """Save everything that the next step depends on in one file, which is replaced atomically."""
        tensors = {f"weight.{name}": weight.detach() for name, weight in self.weights.items()}
        for name, weight in self.weights.items():
            for key, value in self.optimizer.state.get(weight, {}).items():
                tensors[f"{key}.{name}"] = value
        about = {"recipe": _identity(self.recipe), "progress": json.dumps(asdict(self.progress))}
        write_tensors(self.output / STATE, tensors, about)

    def _resume(self) -> None:
        path = self.output / STATE
        try:
            self._restore(path)
        except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise RerankerError(f"{path} is damaged ({error}): give another --output, or remove the folder") from error
        _say(f"going on after step {self.progress.step}")

    def _restore(self, path: Path) -> None:
        with safe_open(path, "pt") as file:
            about = file.metadata()
            if about["recipe"] != _identity(self.recipe):
                raise RerankerError(f"{path} is of another recipe: give another --output, or remove the folder")
            self.progress = Progress(**json.loads(about["progress"]))
            names = set(file.keys())
            with torch.no_grad():
                for name, weight in self.weights.items():
                    weight.copy_(file.get_tensor(f"weight.{name}"))
                    state = {key: f"{key}.{name}" for key in ("step", "exp_avg", "exp_avg_sq")}
                    if set(state.values()) <= names:
                        self.optimizer.state[weight] = {key: file.get_tensor(place) for key, place in state.items()}


def keep_memory() -> None:
    """Have the C library keep freed large blocks of memory, since every step allocates the same ones again.

    By default glibc returns them to the kernel, which zeroes them again: a third of a step's time on a CPU.
    """
    if sys.platform.startswith("linux"):
        library = ctypes.CDLL(None)
        for option, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 2**29)):
            library.mallopt(option, value)


def _rate(done: float) -> float:
    """Learning rate as a share of the highest: linear warm-up over the first tenth, then linear decay to 0."""
    return (done + 0.01) / 0.11 if done < 0.1 else (1 - done) / 0.9


def _identity(recipe: Recipe) -> str:
    return hashlib.sha256(json.dumps(recipes.as_json(recipe), sort_keys=True).encode()).hexdigest()


def _augmented(text: str) -> str:
    """The text with some of its words dropped; deterministic."""
    source = random.Random(text)
    return " ".join(word for word in text.split() if source.random() >= _DROPPED)


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m reranker.train", description=__doc__.split("\n")[0])
    parser.add_argument("recipe", type=Path, help="a JSON file: see reranker/train/recipe.py")
    parser.add_argument("--data", type=Path, default=Path(), help="the folder that holds the recipe's collections")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args(arguments)

    def work() -> int:
        recipe = recipes.read(options.recipe)
        checkpoint.refuse_adapter(options.output)
        if recipe.words:
            done = distil.run(recipe, recipe.words, options.data, options.output, _say)
        else:
            done = Training(recipe, options.data, options.output, choose_device(options.device)).run()
        _say(f"best dev nDCG@10 {done.best:.4f}, after step {done.best_step}; written to {options.output}/")
        return 0

    return command.run(work, "Run the same command again: it goes on from the last saved step, if there is one.")
