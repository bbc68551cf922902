"""Whether arrays hold labels."""

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
