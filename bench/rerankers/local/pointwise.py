"""Pointwise scoring, shared by the families that read a query and one document together."""

from collections.abc import Callable, Iterator, Sequence

import torch

from bench.rerankers.base import CandidateList, Options, Scored
from bench.rerankers.local import threads
from bench.rerankers.local.truncation import Cut, Cutter

Pair = tuple[Cut, Cut]

CPU_BUDGET = 1024
"""Tokens of a batch on a CPU, padding included: more are no faster, since their activations leave its cache."""


def score_pairs(
    lists: Sequence[CandidateList],
    cutter: Cutter,
    options: Options,
    fit: Callable[[Cut, Cut], Pair],
    predict: Callable[[list[Pair]], Sequence[float]],
    template_tokens: int,
) -> Iterator[Scored]:
    """Score the pairs of all lists together.

    Args:
        lists: What to score.
        cutter: Cuts queries and documents to the options' caps.
        options: The caps, in tokens.
        fit: Cuts a pair further, to the model's window.
        predict: Scores of some pairs, in their order.
        template_tokens: Tokens that the model reads in addition to the pair's.
    """
    queries = cutter.cut([each.query for each in lists], options.max_query_length)
    documents = iter(cutter.cut([text for each in lists for text in each.texts], options.max_doc_length))
    pairs = [[fit(query, next(documents)) for _ in each.texts] for each, query in zip(lists, queries, strict=True)]
    scores = iter(predict([pair for of_list in pairs for pair in of_list]))
    for candidates, of_list in zip(lists, pairs, strict=True):
        # A long document can take room from the query too, so the query may lose more in one pair than in another.
        query_lost = max((query.lost for query, _ in of_list), default=0)
        yield Scored(
            query_id=candidates.query_id,
            scores=tuple(float(next(scores)) for _ in of_list),
            tokens=sum(query.tokens + document.tokens + template_tokens for query, document in of_list),
            documents_cut=sum(document.lost > 0 for _, document in of_list),
            tokens_lost=sum(document.lost for _, document in of_list)
            + max((query.lost for query, _ in of_list), default=0),
            queries_cut=int(query_lost > 0),
        )


def by_length(
    lengths: Sequence[int],
    accelerator_budget: int,
    score: Callable[[list[int]], Sequence[float]],
    device: torch.device,
) -> list[float]:
    """Score pairs in batches of similar length.

    Args:
        lengths: Tokens of each pair.
        accelerator_budget: Tokens of a batch, padding included, unless the device is a CPU.
        score: Scores of one batch, given the positions of its pairs.
        device: Where the model is.
    """
    groups = list(batches(lengths, CPU_BUDGET if device.type == "cpu" else accelerator_budget))
    scores = [0.0] * len(lengths)
    for group, found in zip(groups, threads.answers(score, groups, device), strict=True):
        for position, one in zip(group, found, strict=True):
            scores[position] = one
    return scores


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Positions grouped by length, longest first; a group of n padded to its longest holds at most ``budget`` tokens.

    A text longer than the budget is alone in its group.
    """
    group: list[int] = []
    for position in sorted(range(len(lengths)), key=lambda position: -lengths[position]):
        if group and lengths[group[0]] * (len(group) + 1) > budget:
            yield group
            group = []
        group.append(position)
    if group:
        yield group
