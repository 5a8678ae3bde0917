"""Words: a vector and a weight for each token, so that a text is the weighted mean of its tokens' vectors.

`reranker.train.static.distil` finds them, and `reranker.train.static.compile` makes a model of them that gives the same
scores: the cosine of two embeddings, each of them a text's mean with two coordinates more, `places`, that say how much
the first stage's order counts. With means q and d of unit length and the document at place p, from 1 on, that is

    (q . d + 1 - prior ln p) / 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity
from torch.nn.utils.rnn import pad_sequence


@dataclass(frozen=True, slots=True)
class Words:
    """Vectors of all tokens [V, R], and the logarithms of their weights [V]."""

    vectors: Tensor
    weights: Tensor

    def means(self, texts: Sequence[Tensor]) -> Tensor:
        """The weighted means of texts, each at least one token id [n, R]."""
        ids = pad_sequence(list(texts), batch_first=True)  # [n, longest]
        lengths = torch.tensor([len(text) for text in texts])
        beyond = torch.arange(ids.shape[1]) >= lengths[:, None]
        shares = self.weights[ids].masked_fill(beyond, -torch.inf).softmax(dim=1)
        return (shares[..., None] * self.vectors[ids]).sum(dim=1)


def scores(means: Tensor, prior: float) -> Tensor:
    """Scores of a list's documents in the first stage's order [N], from the query's mean and theirs [N + 1, R]."""
    read = torch.cat((means, places(torch.arange(len(means)), prior)), dim=1)  # [N + 1, R + 2]
    return cosine_similarity(read[0], read[1:], dim=-1)


def places(counts: Tensor, prior: float) -> Tensor:
    """The point at the angle whose cosine is 1 - prior ln p [n, 2]; for p = 0, the query's place, at the angle 0."""
    cosine = (1 - prior * counts.clamp(min=1).log()).clamp(min=-1)
    return torch.stack((cosine, (1 - cosine.square()).sqrt()), dim=1)
