"""Keeps the best documents of each query while cosines arrive block by block."""

import numpy as np
from numpy.typing import NDArray

_LAST = np.int64(2**32 - 1)
_LOW = np.int32(2**31 - 1)


class Best:
    """The ``kept`` best places of each row; of equal scores, the smaller place is better.

    Score and place are one whole number, the score's bits above the place's: numbers that all differ need no stable
    sort, and so a block's best are found in linear time.
    """

    def __init__(self, rows: int, kept: int) -> None:
        self._kept = kept
        self._keys = np.empty((rows, 0), np.int64)

    def add(self, scores: NDArray[np.float32], start: int) -> None:
        """Take scores of shape (rows, n) for the places from ``start`` on; none of them is NaN."""
        bits = (scores + np.float32(0)).view(np.int32)  # -0.0 becomes 0.0
        places = np.arange(start, start + scores.shape[1], dtype=np.int64)
        keys = np.hstack([self._keys, (_ordered(bits).astype(np.int64) << 32) | (_LAST - places)])
        if keys.shape[1] > self._kept:
            keys = np.partition(keys, keys.shape[1] - self._kept, axis=1)[:, -self._kept :]
        self._keys = keys

    def places(self) -> NDArray[np.int64]:
        """The best places of each row, best first, shape (rows, at most ``kept``)."""
        return _LAST - (self._sorted() & _LAST)

    def scores(self) -> NDArray[np.float32]:
        """Their scores, of the same shape."""
        return _ordered((self._sorted() >> 32).astype(np.int32)).view(np.float32)

    def _sorted(self) -> NDArray[np.int64]:
        return np.sort(self._keys, axis=1)[:, ::-1]


def _ordered(bits: NDArray[np.int32]) -> NDArray[np.int32]:
    """A float32's bits as a number that grows with the float, and back."""
    return np.where(bits < 0, bits ^ _LOW, bits)
