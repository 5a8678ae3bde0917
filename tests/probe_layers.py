"""`python -m tests.probe_layers FOLDER...`: how many layers of SmolLM2 the embedded checkpoint should stand on.

For each number of layers: what the untrained states at the documents' markers tell of relevance, and what they cost.
The first is the mean reciprocal rank of the relevant document among 16, ranked by a ridge regression on the states of
other lists (five folds; chance is .21). The second is seconds for 16 lists through the reranker. Folders are
collections in BEIR format with a train split.
"""

import sys
import time
from pathlib import Path

import torch
from torch import Tensor

from reranker.examples import Collection, Mix
from reranker.rerank import Reranker
from reranker.tokens import Block
from reranker.trainable import Trainable

LAYERS = (2, 4, 6, 8, 12, 18, 24, 30)
LISTS, DOCUMENTS, FOLDS = 90, 16, 5
MIX = Mix(documents=DOCUMENTS, hard=0.5)
RIDGES = (30.0, 300.0, 3000.0)


@torch.no_grad()
def main() -> None:
    collections = [Collection(Path(folder)) for folder in sys.argv[1:]]
    examples = [collections[number % len(collections)].example(number, 0, MIX) for number in range(LISTS)]
    whole = Trainable.smollm2(max(LAYERS), rank=0)
    states: dict[int, list[Tensor]] = {layers: [] for layers in LAYERS}
    for example in examples:
        known = whole.tokens.documents(example.documents, 48)
        block = Block(example.query, [known[text] for text in example.documents], None)
        prompt = whole.tokens.prompts([block])[0]
        ids = torch.from_numpy(prompt.ids).long()[None]
        hidden = whole.model.backbone(ids, output_hidden_states=True, use_cache=False).hidden_states
        for layers in LAYERS:
            states[layers].append(hidden[layers][0, torch.from_numpy(prompt.markers[:-1])])
    positives = torch.tensor([example.positive for example in examples])
    print("layers  MRR    seconds")
    for layers in LAYERS:
        figure = max(mean_reciprocal_rank(torch.stack(states[layers]), positives, ridge) for ridge in RIDGES)
        part = Trainable.smollm2(layers, rank=0)
        reranker = Reranker(part.model, part.tokens, 8192, lambda: "", longest_document=48)
        started = time.perf_counter()
        reranker.score([(example.query, example.documents) for example in examples[:16]])
        print(f"{layers:6}  {figure:.3f}  {time.perf_counter() - started:7.1f}", flush=True)


def mean_reciprocal_rank(states: Tensor, positives: Tensor, ridge: float) -> float:
    """Of the positives among their lists; states [lists, documents, H], positives [lists]."""
    states = states - states.mean(dim=1, keepdim=True)
    states = states / states.flatten(0, 1).std(dim=0)
    wanted = torch.nn.functional.one_hot(positives, states.shape[1]).float() - 1 / states.shape[1]
    fold = torch.arange(len(states)) % FOLDS
    found = []
    for number in range(FOLDS):
        seen = states[fold != number].flatten(0, 1)
        weights = torch.linalg.solve(
            seen.T @ seen + ridge * torch.eye(seen.shape[1]), seen.T @ wanted[fold != number].flatten()
        )
        scores = states[fold == number] @ weights  # [lists of the fold, documents]
        own = scores.gather(1, positives[fold == number][:, None])
        found.append(1 / (1 + (scores > own).sum(dim=1).float()))
    return torch.cat(found).mean().item()


if __name__ == "__main__":
    main()
