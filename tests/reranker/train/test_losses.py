"""The training objective, term by term, against figures worked out by hand.

The embeddings are unit vectors in the plane at whole angles, so that every cosine is known: 1, 1/2, 0, -1/2, -1.
"""

import math

import pytest
import torch
from torch import Tensor

from reranker.train.losses import (
    Embeddings,
    Targets,
    Weights,
    disperse_loss,
    embedding_distillation_loss,
    list_loss,
    rank_loss,
    score_distillation_loss,
    similar_loss,
    total_loss,
)


def at(*degrees: float) -> Tensor:
    """Vectors of the plane at these angles; their lengths differ, since only directions may count."""
    angles = torch.tensor(degrees, dtype=torch.float64) * math.pi / 180
    return torch.stack((angles.cos(), angles.sin()), dim=-1) * torch.arange(1, len(degrees) + 1)[:, None]


def test_the_ranking_loss_is_info_nce() -> None:
    # Cosines 1 (the positive), 1/2 and -1; over t = .5 they are 2, 1 and -2.
    expected = -math.log(math.e**2 / (math.e**2 + math.e + math.e**-2))
    assert rank_loss(at(0)[0], at(60, 0, 180), 1, 0.5).item() == pytest.approx(expected)
    assert expected == pytest.approx(0.326562, abs=1e-6)


def test_the_loss_of_a_list_sets_each_relevant_document_against_the_others() -> None:
    scores, grades = torch.tensor([0.2, 0.1, 0.0]), torch.tensor([0.0, 2.0, 1.0])
    first = math.log(1 + math.exp((0.2 - 0.1) / 0.1))
    second = math.log(1 + math.exp((0.2 - 0.0) / 0.1))
    torch.testing.assert_close(list_loss(scores, grades, 0.1), torch.tensor((2 * first + second) / 3))


def test_a_list_with_one_relevant_document_has_the_ranking_loss() -> None:
    query, documents = torch.tensor([1.0, 0.0]), torch.tensor([[0.0, 1.0], [0.6, 0.8], [0.8, 0.6]])
    found = list_loss(documents @ query, torch.tensor([0.0, 1.0, 0.0]), 0.1)
    torch.testing.assert_close(found, rank_loss(query, documents, 1, 0.1))


def test_the_dispersive_loss_takes_every_pair_once_over_the_number_of_negatives() -> None:
    # Pairs of 0, 60 and 120 degrees: cosines 1/2, 1/2 and -1/2; K = 2 negatives; t = 1.
    expected = math.log((2 * math.e**0.5 + math.e**-0.5) / 2)
    assert disperse_loss(at(0, 60, 120), 1.0).item() == pytest.approx(expected)
    # The paper's double sum, written out for d+ = 0, d-_1 = 60, d-_2 = 120: k = 1 gives (d+,d-_1) and (d-_1,d-_2),
    # k = 2 gives (d+,d-_2) alone, since there is no d-_3.
    written_out = math.log(((math.e**0.5 + math.e**0.5) + math.e**-0.5) / 2)
    assert expected == pytest.approx(written_out)
    assert disperse_loss(at(0), 1.0).item() == 0.0


def test_the_similarity_loss_draws_each_document_to_its_copy() -> None:
    # Documents at 0 and 90 degrees, copies at 60 and 90; t = 1. First: cosine .5 with its copy, 0 with the other
    # document. Second: 1 and 0.
    first = -math.log(math.e**0.5 / (math.e**0.5 + 1))
    second = -math.log(math.e / (math.e + 1))
    found = similar_loss(at(0, 90), at(60, 90), 1.0).item()
    assert found == pytest.approx((first + second) / 2)


def test_distillation_is_zero_where_the_student_agrees_and_the_divergence_elsewhere() -> None:
    query, documents = at(0)[0], at(0, 90)  # cosines 1 and 0
    agreeing = torch.tensor([2.0, 1.0])
    assert score_distillation_loss(query, documents, agreeing, 1.0, 1.0).item() == pytest.approx(0, abs=1e-6)
    # A teacher that finds both alike: 1/2 ln(1/2 / p) + 1/2 ln(1/2 / (1 - p)) with p = e / (e + 1).
    p = math.e / (math.e + 1)
    expected = -0.5 * math.log(4 * p * (1 - p))
    assert score_distillation_loss(query, documents, torch.zeros(2), 1.0, 1.0).item() == pytest.approx(expected)
    # Half the teacher's temperature doubles its differences.
    sharper = score_distillation_loss(query, documents, torch.tensor([0.5, 0.0]), 1.0, 0.5).item()
    assert sharper == pytest.approx(0, abs=1e-6)


def test_imitation_is_what_documents_and_queries_lack_of_the_teachers_cosine() -> None:
    # Documents 60 degrees off and exact: 1/2 and 1. Queries exact and opposite: 1 and -1.
    targets = Targets(at(0, 90), at(30)[0], torch.zeros(2))
    read = Embeddings(at(60, 90), at(30)[0], at(210)[0])
    assert embedding_distillation_loss(read, targets).item() == pytest.approx(1 - (0.75 + 0) / 2)
    # A teacher with fewer coordinates says that the others are zero: half the length of (1, 0, sqrt 3) is its own.
    wider = torch.tensor([1.0, 0.0, 3**0.5], dtype=torch.float64)
    read = Embeddings(wider[None], wider, wider)
    assert embedding_distillation_loss(read, Targets(at(0), at(0)[0], torch.zeros(1))).item() == pytest.approx(0.5)


def test_the_whole_is_the_papers_weighted_sum() -> None:
    read = Embeddings(at(0, 60, 120), at(0)[0], at(60)[0], at(0, 60, 60))
    terms = total_loss(read, 0, Weights(), 0.5)
    assert terms["dual"].item() == pytest.approx(rank_loss(at(60)[0], at(0, 60, 120), 0, 0.5).item())
    expected = terms["rank"] + 0.45 * terms["disperse"] + 0.85 * terms["dual"] + 0.85 * terms["similar"]
    assert terms["total"].item() == pytest.approx(expected.item())
    assert "distil" not in terms
    targets = Targets(at(0, 60, 120), at(0)[0], torch.tensor([1.0, 0.0, 0.0]))
    taught = total_loss(read, 0, Weights(0, 0, 0, distil=2.0, imitate=3.0), 0.5, targets)
    assert taught["total"].item() == pytest.approx(
        (taught["rank"] + 2 * taught["distil"] + 3 * taught["imitate"]).item()
    )
    assert set(taught) == {"rank", "distil", "imitate", "total"}


def test_every_term_falls_when_it_is_followed_down() -> None:
    torch.manual_seed(0)
    start = {name: torch.randn(shape) for name, shape in (("documents", (6, 8)), ("query", (8,)), ("first", (8,)))}
    copies = start["documents"] + 0.5 * torch.randn(6, 8)
    targets = Targets(torch.randn(6, 8), torch.randn(8), torch.arange(6.0) / 20)
    for term in ("rank", "disperse", "dual", "similar", "distil", "imitate"):
        moved = {name: value.clone().requires_grad_() for name, value in start.items()}
        figures = []
        for _ in range(30):
            read = Embeddings(moved["documents"], moved["query"], moved["first"], copies)
            loss = total_loss(read, 2, Weights(distil=1.0, imitate=1.0), 0.25, targets)[term]
            figures.append(loss.item())
            found = torch.autograd.grad(loss, list(moved.values()), allow_unused=True)
            with torch.no_grad():
                for value, gradient in zip(moved.values(), found, strict=True):
                    if gradient is not None:
                        value -= 0.1 * gradient
        assert figures[-1] < figures[0], term
