"""Label arrays: checked, and renumbered densely so that counting them is cheap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def check_labels(labels: NDArray[Any], what: str, *, mask_allowed: bool) -> None:
    """Raise InputError unless `labels` holds integers >= 0.

    Parameters
    ----------
    labels : ndarray
        Any shape.
    what : str
        How the message calls the array, for example ``"truth of image 2"``.
    mask_allowed : bool
        Whether a boolean mask counts as labels 0 and 1.
    """
    if labels.dtype == np.bool_:
        if mask_allowed:
            return
        raise InputError(
            f"The {what} is a boolean mask, which does not say where one object ends",
            "number its objects first, for example with skimage.measure.label",
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"The {what} has dtype {labels.dtype}, but labels are whole numbers",
            "convert it to an integer type, or score values with task='regression'",
        )
    if np.issubdtype(labels.dtype, np.signedinteger) and labels.size and labels.min() < 0:
        raise InputError(
            f"The {what} contains the label {labels.min()}, but labels are 0 or above",
            "give unlabelled pixels 0, or leave them out with ignore",
        )


def renumber(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Replace label values by their rank among the values that occur.

    Parameters
    ----------
    labels : ndarray of int >= 0, or bool
        Any shape.

    Returns
    -------
    values : ndarray, shape (n,)
        The values that occur, ascending.
    index : ndarray of int64, the shape of `labels`
        ``values[index]`` equals `labels`.
    """
    if labels.size == 0:
        return np.empty(0, labels.dtype), np.empty(labels.shape, np.int64)
    largest = int(labels.max())
    # A table over all values is many times faster than sorting the pixels, but only
    # affordable while the values are not much larger than the array.
    if largest <= 2 * labels.size + 65536:
        index = labels.astype(np.int64)
        seen = np.zeros(largest + 1, dtype=bool)
        seen[index] = True
        values = np.flatnonzero(seen)
        rank = np.zeros(largest + 1, dtype=np.int64)
        rank[values] = np.arange(values.size)
        return values.astype(labels.dtype), rank[index]
    # Otherwise sort, but only one pixel of each run of equal ones: objects make long runs.
    flat = labels.ravel()
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    values, inverse = np.unique(flat[starts], return_inverse=True)
    runs = np.diff(starts, append=flat.size)
    return values, np.repeat(inverse.astype(np.int64), runs).reshape(labels.shape)
