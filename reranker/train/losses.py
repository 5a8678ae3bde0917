"""The training objective of jina-reranker-v3 (arXiv 2509.25085v4, section 4.1), and the distillation of v3.5.

Every loss is of one list and takes raw embeddings: s(a, b) is the cosine of two of them, and t the temperature. A list
has N documents: d+ is the relevant one and the K = N - 1 others, d-, are its negatives; E is the width of an embedding.
The total is

    rank + .45 disperse + .85 dual + .85 similar (+ distil and imitate by their weights, 0 in the paper of v3).
"""

import math
from dataclasses import dataclass

import torch
from pydantic import ConfigDict
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy, log_softmax, normalize, pad, softmax

from reranker.bounds import Amount


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of the terms added to the ranking loss; the defaults are the paper's (Table 5, stage 1)."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    disperse: Amount = 0.45
    dual: Amount = 0.85
    similar: Amount = 0.85
    distil: Amount = 0.0
    imitate: Amount = 0.0


@dataclass(frozen=True, slots=True)
class Embeddings:
    """The model's embeddings of one list in training.

    `documents` [N, E]; `query` [E] after the documents; `first_query` [E] before them, at a marker that only training
    adds; `copies` [N, E], the embeddings of an augmented copy of each document, or None.
    """

    documents: Tensor
    query: Tensor
    first_query: Tensor
    copies: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Targets:
    """The teacher's outputs for one list: embeddings of the documents [N, D] and the query [D], and scores [N]."""

    documents: Tensor
    query: Tensor
    scores: Tensor


def rank_loss(query: Tensor, documents: Tensor, positive: int, temperature: float) -> Tensor:
    """InfoNCE over the list: -log( e^{s(q,d+)/t} / (e^{s(q,d+)/t} + sum_k e^{s(q,d-_k)/t}) ).

    Args:
        query: [E].
        documents: [N, E].
        positive: the place of d+ among the documents.
        temperature: t.
    """
    scores = cosine_similarity(query, documents, dim=-1) / temperature  # [N]
    return -log_softmax(scores, dim=-1)[positive]


def list_loss(scores: Tensor, grades: Tensor, temperature: float) -> Tensor:
    """InfoNCE where several documents are relevant, to different degrees: none of them is a negative of another.

    sum_i g_i log( 1 + sum_k e^{(s_k - s_i)/t} ) / sum_i g_i over the relevant documents i, those with a grade g_i > 0,
    and all others k. With one relevant document it is the ranking loss.

    Args:
        scores: s, in any order [N].
        grades: g, above 0 for at least one document [N].
        temperature: t.
    """
    scaled = scores / temperature
    others = scaled[grades <= 0].logsumexp(0)
    each = torch.logaddexp(scaled, others) - scaled
    return (each * grades.clamp(min=0)).sum() / grades.clamp(min=0).sum()


def disperse_loss(documents: Tensor, temperature: float) -> Tensor:
    """Pushes all documents of a list apart: log( 1/K sum over pairs i < j of e^{s(d_i,d_j)/t} ), documents [N, E].

    The paper writes the pairs as sum_k [ e^{s(d+,d-_k)/t} + sum_{k'>=k} e^{s(d-_k,d-_{k'+1})/t} ], which names each
    pair once. A list of one document has no pair, and no loss.
    """
    count = len(documents)
    if count < 2:
        return documents.sum() * 0
    unit = normalize(documents, dim=-1)
    first, second = torch.triu_indices(count, count, offset=1, device=documents.device)
    pairs = (unit @ unit.T)[first, second] / temperature  # [N (N - 1) / 2]
    return pairs.logsumexp(0) - math.log(count - 1)


def similar_loss(documents: Tensor, copies: Tensor, temperature: float) -> Tensor:
    """Draws each document to its augmented copy c_i and away from the list's other documents.

    Mean over i of -log( e^{s(d_i,c_i)/t} / (e^{s(d_i,c_i)/t} + sum_{j != i} e^{s(d_i,d_j)/t}) ); both [N, E].
    """
    unit = normalize(documents, dim=-1)
    scores = unit @ unit.T  # [N, N]
    places = torch.arange(len(documents), device=documents.device)
    own = places == places[:, None]
    scores = torch.where(own, cosine_similarity(documents, copies, dim=-1)[:, None], scores)
    return cross_entropy(scores / temperature, places)


def score_distillation_loss(
    query: Tensor, documents: Tensor, teacher: Tensor, temperature: float, teacher_temperature: float
) -> Tensor:
    """Score distillation: KL( softmax(teacher/t') || softmax(s(q,d)/t) ).

    The ranking part of the distillation that jina-reranker-v3.5 was trained with (arXiv 2607.18152).

    Args:
        query: [E].
        documents: [N, E].
        teacher: the teacher's scores of the documents [N].
        temperature: t.
        teacher_temperature: t'.
    """
    found = log_softmax(cosine_similarity(query, documents, dim=-1) / temperature, dim=-1)
    wanted = softmax(teacher / teacher_temperature, dim=-1)
    return (torch.xlogy(wanted, wanted) - wanted * found).sum()


def embedding_distillation_loss(read: Embeddings, targets: Targets) -> Tensor:
    """Embedding distillation: the mean of 1 - s(e, e') over the documents and over both queries, averaged.

    The teacher's embeddings e' are padded with zeros to the student's width.
    """
    lacking = (0, read.query.shape[-1] - targets.query.shape[-1])
    documents = cosine_similarity(read.documents, pad(targets.documents, lacking), dim=-1)  # [N]
    queries = cosine_similarity(torch.stack([read.query, read.first_query]), pad(targets.query, lacking), dim=-1)  # [2]
    return 1 - (documents.mean() + queries.mean()) / 2


def total_loss(
    read: Embeddings,
    positive: int,
    weights: Weights,
    temperature: float,
    targets: Targets | None = None,
    teacher_temperature: float = 0.05,
) -> dict[str, Tensor]:
    """All terms of a list by name, unweighted, and their weighted sum as "total"; terms of weight 0 are left out.

    The dual-matching loss is the ranking loss with the query read before the documents.
    """
    terms = {"rank": rank_loss(read.query, read.documents, positive, temperature)}
    if weights.disperse:
        terms["disperse"] = disperse_loss(read.documents, temperature)
    if weights.dual:
        terms["dual"] = rank_loss(read.first_query, read.documents, positive, temperature)
    if weights.similar and read.copies is not None:
        terms["similar"] = similar_loss(read.documents, read.copies, temperature)
    if weights.distil and targets is not None:
        terms["distil"] = score_distillation_loss(
            read.query, read.documents, targets.scores, temperature, teacher_temperature
        )
    if weights.imitate and targets is not None:
        terms["imitate"] = embedding_distillation_loss(read, targets)
    total = terms["rank"] + sum(getattr(weights, name) * term for name, term in terms.items() if name != "rank")
    return {**terms, "total": total}
