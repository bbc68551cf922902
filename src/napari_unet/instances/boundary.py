"""The inner boundary of objects: their pixels that are nearer than 1.5 px to another label."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

BOUNDARY_WIDTH_PIXELS = (
    1.5  # nearer: neighbours across a face or an edge, not across a corner in 3D
)

Views = tuple[tuple[slice, ...], tuple[slice, ...]]


def find_boundary(
    labels: NDArray[Any], known: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Pixels of objects that have another label, or background, nearer than the width.

    Parameters
    ----------
    labels : (Y, X) or (Z, Y, X) integer array
        0 is background. The border of the array is no boundary.
    known : array of bool, of the same shape, optional
        Where the labels can be trusted: beside other pixels there is no boundary.

    Returns
    -------
    bool array
        Of the same shape.

    Examples
    --------
    >>> find_boundary(np.array([[0, 1, 1, 1, 2, 2, 2]])).astype(int).tolist()
    [[0, 1, 0, 1, 1, 0, 0]]
    >>> find_boundary(np.array([[1, 1, 2]]), np.array([[True, True, False]])).any()
    np.False_
    """
    found = np.zeros(labels.shape, bool)
    for one, other in _neighbours(labels.shape):
        differs = labels[one] != labels[other]
        if known is not None:
            differs &= known[one] & known[other]
        found[one] |= differs
        found[other] |= differs
    found &= labels != 0
    return found


def widen(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask and all pixels that are nearer to it than the width of the boundary.

    >>> widen(np.array([[False, False, False, True]])).tolist()
    [[False, False, True, True]]
    """
    found = mask.copy()
    for one, other in _neighbours(mask.shape):
        found[one] |= mask[other]
        found[other] |= mask[one]
    return found


def _neighbours(shape: tuple[int, ...]) -> Iterator[Views]:
    """Pairs of views of an array that put each two near pixels beside each other once."""
    middle = (0,) * len(shape)
    for step in itertools.product((-1, 0, 1), repeat=len(shape)):
        if step > middle and sum(s * s for s in step) < BOUNDARY_WIDTH_PIXELS**2:
            yield (
                tuple(slice(max(0, -s), n - max(0, s)) for s, n in zip(step, shape, strict=True)),
                tuple(slice(max(0, s), n - max(0, -s)) for s, n in zip(step, shape, strict=True)),
            )
