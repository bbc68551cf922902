"""Labels in files of other programs, read as what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.errors import InputError


@dataclass(frozen=True, eq=False)
class WholeNumbers:
    """Labels that are stored as floating-point numbers, read as integers.

    ImageJ, MorphoLibJ and TrackMate save labels as 32-bit float images.

    Parameters
    ----------
    stored : array-like
        Anything with shape, dtype and slicing; it is read part by part.

    Examples
    --------
    >>> labels = WholeNumbers(np.array([[0.0, 2.0], [1.0, 2.0]], np.float32))
    >>> labels[0].tolist(), labels.shape, labels.dtype
    ([0, 2], (2, 2), dtype('int64'))
    """

    stored: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the stored array."""
        return tuple(int(n) for n in self.stored.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of what is read."""
        return np.dtype(np.int64)

    @property
    def chunks(self) -> Any:
        """Chunks of the stored array; None where it has none."""
        return getattr(self.stored, "chunksize", getattr(self.stored, "chunks", None))

    def __getitem__(self, index: Any) -> NDArray[np.int64]:
        """A part of the labels.

        Raises
        ------
        InputError
            If a value is no whole number: these are no labels.
        """
        values = np.asarray(self.stored[index])
        whole = np.isfinite(values) & (np.rint(values) == values)
        if not whole.all():
            value = float(values[~whole][0])
            raise InputError(
                f"the labels are stored as {values.dtype} and hold {value:g}, which is no whole "
                "number: they may be probabilities or intensities",
                "take the file of the labels, or ⟨task='regression'⟩ to learn values",
                parameter="labels",
                value=value,
            )
        return values.astype(np.int64)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All of the labels, for NumPy."""
        del copy  # what is read is new anyway
        return self[...] if dtype is None else self[...].astype(dtype)


def split_unknown(labels: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Labels of which negative ones mean unknown, and where they are known.

    Parameters
    ----------
    labels : array-like
        Whole numbers, which may be stored as floats.

    Examples
    --------
    >>> labels, known = split_unknown(np.array([-1, 0, 3]))
    >>> labels.tolist(), known.tolist()
    ([0, 0, 3], [False, True, True])
    """
    stored = np.dtype(labels.dtype).kind == "f"
    values: NDArray[Any] = np.asarray(WholeNumbers(labels) if stored else labels)
    known = values >= 0
    return np.where(known, values, 0), known


def is_label(value: Any) -> bool:
    """Whether a background is None, or a whole number that labels may have."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return value is None or (whole and value >= 0)
