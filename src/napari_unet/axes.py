"""Axes of an image, as a string over ``TCZYX``: checked, or guessed and then shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from napari_unet.errors import InputError, Note

T = TypeVar("T")

AXES = "TCZYX"
SPATIAL = "ZYX"

COLOURS = (3, 4)  # samples of a pixel in colour, and with alpha
FEW_CHANNELS = range(2, 6)  # as most images have that have any
MOST_CHANNELS = 32  # behind the pixels
Z_OR_T = "The first axis may be Z or T: it was taken as Z"

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


class AxesDoubt(Note):
    """What axes that were guessed could be otherwise.

    Attributes
    ----------
    others : tuple of str
        Other axes that the image may have, the likeliest first.
    """

    def __init__(self, text: str, remedy: str, others: Sequence[str]) -> None:
        super().__init__("axes-guessed", text, remedy)
        self.others = tuple(others)


def guess_axes(
    shape: Sequence[int], *, ndim: int = 2, channels: int | None = 1, colours: bool = False
) -> tuple[str, AxesDoubt | None]:
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
    doubt : AxesDoubt or None
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
    >>> guess_axes((64, 64, 2))[0]
    'YXC'
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
) -> tuple[str, AxesDoubt | None]:
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
    last = shape[-1]
    wanted = last == channels and last > 1 and shape[0] != channels and n == 3
    if not tail and (wanted or are_channels_last(shape)):
        axes, doubt = _guess(shape[:-1], ndim, 1, "C")
        if wanted or last in COLOURS:
            return f"{axes}C", doubt
        text = f"The last axis, of length {last}, is too short for rows and was taken as C"
        return f"{axes}C", _note(text, ("ZYX", "TZYX", "TCZYX")[n - 3], "if it is X")
    if n == 5:
        if _is_few(shape[2]) and not _is_few(shape[1]):
            said = "Five axes were taken as 'TZCYX', since the third is short"
            return "TZCYX", _note(said, "TCZYX", "for another order")
        said = "Five axes were taken as 'TCZYX'"
        return "TCZYX", AxesDoubt(said, "give ⟨axes=⟩ for another order", ["TZCYX"])
    if channels is None:
        second = n == 4 and ndim == 2 and not (_is_few(shape[0]) and not _is_few(shape[1]))
        channels = shape[1] if second else shape[0]
    few = [] if tail else [i for i in range(n - 2) if _is_few(shape[i])]
    if n == 3:
        if channels > 1 and shape[0] == channels and ndim == 2:
            return "CYX", None
        if ndim == 3:
            return "ZYX", None
        may = "Z or T, or C with its length of " + str(shape[0]) if few else "Z or T"
        text = f"The first axis may be {may}: it was taken as Z"
        more = [("CYX", "for channels")] if few else []
        return "ZYX", _note(text, f"TYX{tail}", "for time", *more)
    if channels > 1 and shape[1] == channels:
        return "ZCYX", _note(Z_OR_T, "TCYX", "for time")
    if channels > 1 and shape[0] == channels:
        return "CZYX", None
    if tail:
        return "TZYX", None
    inner = "TCYX" if ndim == 2 else "ZCYX"
    if few == [0, 1]:
        lengths = f"of lengths {shape[0]} and {shape[1]}"
        text = f"The first two axes, {lengths}, were taken as T and Z, and one of them may be C"
        return "TZYX", _note(text, inner, "if it is the second", ("CZYX", "if it is the first"))
    if few == [1]:
        text = f"The second axis may be Z, or C with its length of {shape[1]}: it was taken as Z"
        return "TZYX", _note(text, inner, "for channels")
    return "TZYX", _note("The first axis may be T or C: it was taken as T", "CZYX", "otherwise")


def are_channels_last(shape: Sequence[int]) -> bool:
    """Whether the last axis of an array is too short for rows of pixels, so that it holds channels.

    >>> are_channels_last((128, 192, 2)), are_channels_last((20, 128, 192))
    (True, False)
    """
    if len(shape) < 3:
        return False
    last, across = shape[-1], min(shape[-3:-1])
    if last in COLOURS:
        return across > max(COLOURS)
    times = 4 if last <= max(FEW_CHANNELS) else 8
    return last <= MOST_CHANNELS and across >= times * last


def _is_few(length: int) -> bool:
    return length in FEW_CHANNELS


def _note(text: str, axes: str, when: str, *more: tuple[str, str]) -> AxesDoubt:
    """A doubt, and the other axes that the image may have."""
    others = ((axes, when), *more)
    offers = [f"⟨axes='{letters}'⟩ {case}" for letters, case in others]
    return AxesDoubt(text, f"give {', or '.join(offers)}", [letters for letters, _ in others])


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
