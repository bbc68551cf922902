"""Axes of an image, as a string over ``TCZYX``: checked, or guessed and then shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from napari_unet.errors import InputError, Note

T = TypeVar("T")

AXES = "TCZYX"
SPATIAL = "ZYX"

Plane = tuple[int, int]
"""Time point and z of a plane; 0 where an array has no such axis."""


def check_axes(axes: str, shape: Sequence[int]) -> str:
    """Return ``axes`` in upper case if they can describe an array of this shape.

    Raises
    ------
    InputError
        For an unknown or repeated letter, a wrong number of letters, missing Y or X, or
        an axis of length 0.

    Examples
    --------
    >>> check_axes("zyx", (10, 64, 64))
    'ZYX'
    """
    letters = str(axes).upper()
    wrong = sorted(set(letters) - set(AXES))
    if wrong or len(set(letters)) != len(letters):
        raise InputError(
            f"⟨axes⟩ {axes!r} must use each of the letters {AXES} at most once, as in 'ZYX'",
            parameter="axes",
            value=axes,
        )
    if len(letters) != len(shape):
        raise InputError(
            f"⟨axes⟩ {axes!r} name {len(letters)} axes but the image has {len(shape)} "
            f"(shape {tuple(shape)})",
            "give one letter per axis",
            parameter="axes",
            value=axes,
        )
    if "Y" not in letters or "X" not in letters:
        raise InputError(f"⟨axes⟩ {axes!r} must contain Y and X", parameter="axes", value=axes)
    for letter, size in zip(letters, shape, strict=True):
        if size == 0:
            raise InputError(
                f"The image has no pixels: axis {letter} of shape {tuple(shape)} is empty",
                parameter="image",
            )
    return letters


def guess_axes(
    shape: Sequence[int], *, ndim: int = 2, channels: int | None = 1, colours: bool = False
) -> tuple[str, Note | None]:
    """Guess the axes of an array that does not say them.

    Parameters
    ----------
    shape : sequence of int
        Shape of the array.
    ndim : {2, 3}
        Spatial axes of the model: a 3D model makes a third axis Z.
    channels : int or None
        Length of the channel axis that the model expects, 1: none; None: there is a channel
        axis of any length.
    colours : bool
        Whether the last axis is known to be that of the channels; ``channels`` is not looked at.

    Returns
    -------
    axes : str
        The guess.
    doubt : Note or None
        What it could be otherwise; None when there is no doubt.

    Raises
    ------
    InputError
        If the array has fewer than 2 or more than 5 axes.

    Examples
    --------
    >>> guess_axes((64, 64))
    ('YX', None)
    >>> guess_axes((64, 64, 3), channels=3)
    ('YXC', None)
    >>> axes, doubt = guess_axes((10, 64, 64))
    >>> axes, str(doubt)
    ('ZYX', "The first axis may be Z or T: it was taken as Z; give axes='TYX' for time.")
    """
    if colours:
        axes, doubt = _guess(shape[:-1], ndim, 1, "C")
        return f"{axes}C", doubt
    return _guess(shape, ndim, channels, "")


def _guess(
    shape: Sequence[int], ndim: int, channels: int | None, tail: str
) -> tuple[str, Note | None]:
    """The axes, and the doubt; ``tail`` are further axes that are known."""
    n = len(shape)
    if n == 2:
        return "YX", None
    if not 3 <= n <= 5:
        raise InputError(
            f"An image needs 2 to 5 axes out of {AXES}, but this one has {n} "
            f"(shape {tuple(shape)})",
            "give it another shape or select a part",
            parameter="image",
        )
    if n == 5:
        said = "Five axes were taken as 'TCZYX'", "give ⟨axes=⟩ for another order"
        return "TCZYX", Note("axes-guessed", *said)
    rgb = shape[-1] in (3, 4) and min(shape[-3:-1]) > 4
    if channels is None:
        channels = shape[-1] if rgb else (shape[0] if n == 3 or ndim == 3 else shape[1])
    if n == 3:
        if rgb or (channels > 1 and shape[-1] == channels and shape[0] != channels):
            return "YXC", None
        if channels > 1 and shape[0] == channels and ndim == 2:
            return "CYX", None
        if ndim == 3:
            return "ZYX", None
        return "ZYX", _doubt("Z or T", f"TYX{tail}", "for time")
    if rgb:
        return "ZYXC", _doubt("Z or T", f"TYXC{tail}", "for time")
    if channels > 1 and shape[1] == channels:
        return "ZCYX", _doubt("Z or T", f"TCYX{tail}", "for time")
    if channels > 1 and shape[0] == channels:
        return "CZYX", None
    return "TZYX", _doubt("T or C", f"CZYX{tail}", "otherwise")


def _doubt(either: str, other: str, where: str) -> Note:
    """The first axis may be either, was taken as the first of them; ``other`` is for the other."""
    text = f"The first axis may be {either}: it was taken as {either[0]}"
    return Note("axes-guessed", text, f"give ⟨axes='{other}'⟩ {where}")


def spatial_axes(axes: str) -> str:
    """The letters of ``axes`` that are spatial, in canonical order.

    >>> spatial_axes("TCYX"), spatial_axes("XYZ")
    ('YX', 'ZYX')
    """
    return "".join(letter for letter in SPATIAL if letter in axes)


def spatial_in_order(axes: str) -> str:
    """The spatial letters of ``axes`` as they stand there.

    >>> spatial_in_order("TCYX"), spatial_in_order("XYZ")
    ('YX', 'XYZ')
    """
    return "".join(letter for letter in axes.upper() if letter in SPATIAL)


def label_axes(axes: str) -> str:
    """Axes of the labels of an image with ``axes``: the same without C.

    >>> label_axes("TCYX")
    'TYX'
    """
    return axes.replace("C", "")


def axes_beside(axes: str) -> str:
    """Axes of a result where it is laid beside an image with ``axes``, not over it.

    A viewer aligns arrays at their last axes. A result without C would slip against an image
    in which C stands after other axes, so that it has C with length 1 there.

    >>> axes_beside("TCYX"), axes_beside("CZYX"), axes_beside("YXC")
    ('TCYX', 'ZYX', 'YXC')
    """
    return axes.replace("C", "") if axes.startswith("C") else axes


def score_axes(axes: str) -> str:
    """Axes of the scores of an image with ``axes``: C stands before the spatial ones.

    >>> score_axes("YXC"), score_axes("TZYX")
    ('CYX', 'TCZYX')
    """
    kept = label_axes(axes)
    first = min(kept.index(letter) for letter in spatial_axes(kept))
    return kept[:first] + "C" + kept[first:]


def in_order(values: Sequence[T], axes: str) -> tuple[T, ...]:
    """Values of the spatial axes in the order of ``axes`` from the canonical order ZYX.

    >>> in_order((0.5, 0.1, 0.2), "XYZ")
    (0.2, 0.1, 0.5)
    """
    table = dict(zip(spatial_axes(axes), values, strict=True))
    return tuple(table[axis] for axis in axes if axis in table)


def plane_index(axes: str, plane: Plane) -> tuple[int | slice, ...]:
    """Where a plane stands in labels with these axes; C has length 1 in labels.

    >>> plane_index("TCYX", (2, 0))
    (2, 0, slice(None, None, None), slice(None, None, None))
    """
    place = {**dict(zip("TZ", plane, strict=True)), "C": 0}
    return tuple(place.get(axis, slice(None)) for axis in axes)
