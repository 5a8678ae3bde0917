import numpy as np
import pytest

from bench.first_stage.search import Best


@pytest.mark.parametrize("block", [1, 3, 7, 100])
@pytest.mark.parametrize("kept", [1, 5, 60])
def test_the_best_are_those_of_a_stable_sort(block, kept):
    random = np.random.default_rng(3)
    scores = (random.integers(-4, 5, (6, 50)) / 4).astype(np.float32)  # ties, zeros, and negative ones
    scores[0] *= -0.0
    best = Best(6, kept)
    for start in range(0, 50, block):
        best.add(scores[:, start : start + block], start)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :kept]
    assert (best.places() == order).all()
    assert (best.scores() == np.take_along_axis(scores, order, axis=1)).all()


def test_worked_out_by_hand():
    best = Best(2, 2)
    best.add(np.array([[0.5, -0.25, 0.5], [-1.0, -0.5, -0.75]], np.float32), 0)
    best.add(np.array([[0.5, 0.75], [-0.5, -2.0]], np.float32), 3)
    assert best.places().tolist() == [[4, 0], [1, 3]]
    assert best.scores().tolist() == [[0.75, 0.5], [-0.5, -0.5]]


def test_nothing_to_search():
    assert Best(3, 10).places().shape == (3, 0)
    empty = Best(0, 10)
    empty.add(np.empty((0, 4), np.float32), 0)
    assert empty.scores().shape[0] == 0
