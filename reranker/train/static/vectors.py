"""Static token embeddings with learned pooling weights: a text's embedding is the weighted mean of its tokens' vectors.

`reranker.train.static.distil` fits them, and `reranker.train.static.compile` compiles them into a model with the same
scores: the cosine of two embeddings, each a text's mean with two more coordinates, `rank_coordinates`, which add the
first stage's rank. With means q and d of unit length and the document at rank p, from 1, a score is

    (q . d + 1 - prior ln p) / 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity
from torch.nn.utils.rnn import pad_sequence


@dataclass(frozen=True, slots=True)
class StaticEmbeddings:
    """Vectors of all tokens [V, R], and the logarithms of their pooling weights [V]."""

    vectors: Tensor
    weights: Tensor

    def means(self, texts: Sequence[Tensor]) -> Tensor:
        """Weighted means [n, R] of n texts, each at least one token id."""
        ids = pad_sequence(list(texts), batch_first=True)  # [n, longest]
        lengths = torch.tensor([len(text) for text in texts])
        beyond = torch.arange(ids.shape[1]) >= lengths[:, None]
        shares = self.weights[ids].masked_fill(beyond, -torch.inf).softmax(dim=1)
        return (shares[..., None] * self.vectors[ids]).sum(dim=1)


def scores(means: Tensor, prior: float) -> Tensor:
    """Scores [N] of a list in the first stage's order, from the means of the query and the documents [N + 1, R]."""
    read = torch.cat((means, rank_coordinates(torch.arange(len(means)), prior)), dim=1)  # [N + 1, R + 2]
    return cosine_similarity(read[0], read[1:], dim=-1)


def rank_coordinates(ranks: Tensor, prior: float) -> Tensor:
    """Points [n, 2] on the unit circle at the angles whose cosine is 1 - prior ln p; angle 0 for the query, p = 0."""
    cosine = (1 - prior * ranks.clamp(min=1).log()).clamp(min=-1)
    return torch.stack((cosine, (1 - cosine.square()).sqrt()), dim=1)
