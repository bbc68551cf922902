"""A prediction beside its truth and the pixels that do not count, checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_unet.errors import InputError

AXES = "TCZYX"

Images = ArrayLike | Sequence[ArrayLike]
"""One array of any number of axes, or a list (or tuple) of arrays: several images."""

Ignore = ArrayLike | Sequence[ArrayLike | None] | int | None
"""A boolean mask per image, a label value of the truth, or None."""


@dataclass(frozen=True, eq=False)
class Pair:
    """One predicted image and its truth, of equal shape.

    Attributes
    ----------
    prediction, truth : ndarray
        Arrays of the same shape, any number of axes, at least one pixel.
    ignored : ndarray of bool or None
        True where a pixel does not count; None where all count.
    name : str
        How an error message calls the image, for example ``"image 2"``.
    time_axis : int or None
        Along which the arrays are images of their own; None: they are one image.
    """

    prediction: NDArray[Any]
    truth: NDArray[Any]
    ignored: NDArray[np.bool_] | None
    name: str
    time_axis: int | None = None

    def frames(self) -> Iterator[Pair]:
        """The time points, each by itself; the pair where there is no axis of time."""
        if self.time_axis is None:
            yield self
            return
        for i in range(self.truth.shape[self.time_axis]):
            index = (slice(None),) * self.time_axis + (i,)
            ignored = None if self.ignored is None else self.ignored[index]
            yield Pair(self.prediction[index], self.truth[index], ignored, self.name)

    def counted(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the pixels that count, flat: prediction, truth."""
        if self.ignored is None:
            return self.prediction.ravel(), self.truth.ravel()
        keep = ~self.ignored
        return self.prediction[keep], self.truth[keep]


def pair_images(
    prediction: Images, truth: Images, ignore: Ignore, axes: str | None = None
) -> list[Pair]:
    """Set each prediction beside its truth and its ignore mask.

    Parameters
    ----------
    prediction, truth : array, or list of arrays
        Both one array, or both lists of the same length.
    ignore : array of bool, list of them (None for an image without), int, or None
        An int is a label value of the truth; its pixels do not count.
    axes : str, optional
        Of every array, a letter over TCZYX an axis; matters for T alone.

    Returns
    -------
    list of Pair
        One per image.

    Raises
    ------
    InputError
        For lists beside arrays, unequal lengths, no image, unequal shapes, an empty
        array, or an ignore mask that is not boolean.
    """
    if isinstance(prediction, list | tuple) != isinstance(truth, list | tuple):
        one, other = ("prediction", "truth")
        if isinstance(truth, list | tuple):
            one, other = other, one
        raise InputError(
            f"The {one} is a list and the {other} a single array",
            "give one array each, or two lists of equal length",
        )
    if not isinstance(prediction, list | tuple) or not isinstance(truth, list | tuple):
        one_prediction, one_truth = cast("ArrayLike", prediction), cast("ArrayLike", truth)
        return [pair_image(one_prediction, one_truth, ignore, axes=axes)]

    if len(prediction) != len(truth):
        raise InputError(
            f"There are {len(prediction)} predictions and {len(truth)} truths",
            "give one truth per prediction, in the same order",
        )
    if not prediction:
        raise InputError("The lists hold no image", "give at least one prediction and its truth")
    masks: Sequence[Any]
    if ignore is None or _is_integer(ignore):
        masks = [ignore] * len(truth)
    elif isinstance(ignore, list | tuple) and len(ignore) == len(truth):
        masks = ignore
    else:
        got = f"{len(ignore)} masks" if isinstance(ignore, list | tuple) else "one mask"
        raise InputError(
            f"ignore holds {got} for {len(truth)} images",
            "give a list with one mask per image (None for an image without one)",
        )
    return [
        pair_image(predicted, true, mask, f"image {number}", axes=axes)
        for number, (predicted, true, mask) in enumerate(
            zip(prediction, truth, masks, strict=True), start=1
        )
    ]


def pair_image(
    prediction: ArrayLike,
    truth: ArrayLike,
    ignore: Ignore = None,
    name: str = "the image",
    *,
    axes: str | None = None,
) -> Pair:
    """Set one prediction beside its truth; the errors are those of `pair_images`.

    `name` is how their messages call the image.
    """
    predicted = _as_array(prediction, "prediction", name)
    true = _as_array(truth, "truth", name)
    if predicted.shape != true.shape:
        raise InputError(
            f"The prediction of {name} has shape {predicted.shape} and the truth {true.shape}",
            "bring both onto the same pixel grid first",
        )
    if true.size == 0:
        raise InputError(
            f"The arrays of {name} have shape {true.shape} and so no pixel", "leave the image out"
        )
    time_axis = _find_time(axes, true.shape, name)
    if ignore is None:
        return Pair(predicted, true, None, name, time_axis)
    if _is_integer(ignore):
        ignored = np.asarray(true == np.asarray(ignore))
        return Pair(predicted, true, ignored, name, time_axis)
    mask = _as_array(cast("ArrayLike", ignore), "ignore mask", name)
    if mask.dtype != np.bool_:
        raise InputError(
            f"ignore for {name} has dtype {mask.dtype}",
            "give a boolean mask that is True where pixels do not count",
        )
    if mask.shape != true.shape:
        raise InputError(
            f"ignore for {name} has shape {mask.shape} and the image {true.shape}",
            "give a mask of the image's shape",
        )
    return Pair(predicted, true, mask, name, time_axis)


def _find_time(axes: str | None, shape: tuple[int, ...], name: str) -> int | None:
    if axes is None:
        return None
    letters = str(axes).upper()
    if len(letters) != len(shape) or len(set(letters)) < len(letters) or set(letters) - set(AXES):
        raise InputError(
            f"⟨axes⟩ {axes!r} does not describe {name}, which has shape {shape}",
            f"give one of the letters {AXES} per axis, as in ⟨axes='TYX'⟩",
            parameter="axes",
            value=axes,
        )
    return letters.index("T") if "T" in letters else None


def _is_integer(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _as_array(value: ArrayLike, what: str, name: str) -> NDArray[Any]:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(
            f"The {what} of {name} is no regular array ({error})", "give one array per image"
        ) from error
    if array.ndim == 0 or array.dtype == object:
        raise InputError(
            f"The {what} of {name} is {type(value).__name__!r}, not an array",
            "give an array of pixels, or a list of such arrays",
        )
    return array
