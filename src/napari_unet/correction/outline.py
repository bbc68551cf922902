"""The outline of an object: its holes filled, smoothed, a pixel more or less."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.correction.change import Change
from napari_unet.correction.excerpt import ONLY_ZERO, read_object
from napari_unet.correction.window import Near
from napari_unet.errors import InputError


def fill_holes(
    labels: Any,
    label: int,
    *,
    near: Near | None = None,
    frame: Sequence[int] = (),
    background: Sequence[int] = ONLY_ZERO,
) -> Change:
    """Fill the holes of an object; other objects in them stay.

    A hole is background that the object encloses on all sides, in a volume in all directions.
    Of a plane of a volume, give its index as the frame.

    Parameters
    ----------
    labels : int array
        Anything with shape, dtype and slicing.
    label : int
        The object's number.
    near, frame
        Where it lies; see `object_window`.
    background : sequence of int
        The values that stand for no object.

    Returns
    -------
    Change

    Raises
    ------
    InputError
        If there is no such object.

    Examples
    --------
    >>> ring = np.array([[5, 5, 5], [5, 0, 5], [5, 5, 5]])
    >>> fill_holes(ring, 5).window
    (slice(1, 2, None), slice(1, 2, None))
    """
    excerpt = read_object(labels, label, near=near, frame=frame, background=background)
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(excerpt.pixels == label)
    return excerpt.reshape(label, filled)


def smooth_object(
    labels: Any,
    label: int,
    *,
    radius: float = 1.0,
    near: Near | None = None,
    frame: Sequence[int] = (),
    background: Sequence[int] = ONLY_ZERO,
) -> Change:
    """Smooth the outline of an object.

    Its mask is blurred by a Gaussian and cut at one half. It keeps its number of pieces at
    most: what comes off is dropped, the smallest first.

    Parameters
    ----------
    labels : int array
        Anything with shape, dtype and slicing.
    label : int
        The object's number.
    radius : float
        Standard deviation of the Gaussian, in pixels.
    near, frame
        Where it lies; see `object_window`.
    background : sequence of int
        The values that stand for no object.

    Returns
    -------
    Change

    Raises
    ------
    InputError
        If there is no such object, or nothing of it would be left.

    Examples
    --------
    >>> labels = np.zeros((9, 9), int)
    >>> labels[2:7, 2:7] = 1
    >>> labels[4, 7] = 1
    >>> smooth_object(labels, 1).indices()[1].max()
    np.int64(7)
    """
    if not (math.isfinite(radius) and radius > 0):
        raise _bad_amount("radius", radius)
    excerpt = read_object(
        labels, label, near=near, frame=frame, background=background, margin=math.ceil(radius) + 1
    )
    mask = excerpt.pixels == label
    blurred = ndimage.gaussian_filter(mask.astype(np.float32), radius, mode="nearest")
    # only these can be the object's, which also counts for what hangs together
    smooth = (blurred > 0.5) & (mask | excerpt.free)
    if not smooth.any():
        raise _nothing_left(label, "smooth it less")
    whole = np.ones((3,) * mask.ndim, bool)
    pieces, count = ndimage.label(smooth, whole)
    allowed = ndimage.label(mask, whole)[1]
    if count > allowed:
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        smooth = np.isin(pieces, np.argsort(sizes, kind="stable")[-allowed:])
    return excerpt.reshape(label, smooth)


def grow_object(
    labels: Any,
    label: int,
    *,
    pixels: int = 1,
    near: Near | None = None,
    frame: Sequence[int] = (),
    background: Sequence[int] = ONLY_ZERO,
) -> Change:
    """Grow an object on all sides, into background alone.

    Parameters
    ----------
    labels : int array
        Anything with shape, dtype and slicing.
    label : int
        The object's number.
    pixels : int
        By how many pixels, as the crow flies; one: the neighbours across a face.
    near, frame
        Where it lies; see `object_window`.
    background : sequence of int
        The values that stand for no object.

    Returns
    -------
    Change

    Raises
    ------
    InputError
        If there is no such object.

    Examples
    --------
    >>> grow_object(np.array([[0, 0, 1, 2]]), 1).indices()[1].tolist()
    [1]
    """
    if pixels < 1:
        raise _bad_amount("pixels", pixels)
    excerpt = read_object(
        labels, label, near=near, frame=frame, background=background, margin=pixels
    )
    mask = excerpt.pixels == label
    around = edt.edt(~mask, black_border=False) <= pixels
    reached = ndimage.label((around & excerpt.free) | mask)[0]
    # background behind a neighbour is not reached
    grown = np.isin(reached, np.unique(reached[mask]))
    return excerpt.reshape(label, grown)


def shrink_object(
    labels: Any,
    label: int,
    *,
    pixels: int = 1,
    near: Near | None = None,
    frame: Sequence[int] = (),
    background: Sequence[int] = ONLY_ZERO,
) -> Change:
    """Shrink an object on all sides but the sides of the image, which cut it off.

    Parameters
    ----------
    labels : int array
        Anything with shape, dtype and slicing.
    label : int
        The object's number.
    pixels : int
        By how many pixels, as the crow flies.
    near, frame
        Where it lies; see `object_window`.
    background : sequence of int
        The values that stand for no object; the first is written.

    Returns
    -------
    Change

    Raises
    ------
    InputError
        If there is no such object, or nothing of it would be left.

    Examples
    --------
    >>> shrink_object(np.array([[0, 0, 1, 1, 1]]), 1).indices()[1].tolist()
    [2]
    """
    if pixels < 1:
        raise _bad_amount("pixels", pixels)
    excerpt = read_object(labels, label, near=near, frame=frame, background=background, margin=1)
    shrunk = edt.edt(excerpt.pixels == label, black_border=False) > pixels
    if not shrunk.any():
        raise _nothing_left(label, "delete it instead")
    return excerpt.reshape(label, shrunk)


def _bad_amount(parameter: str, value: float) -> InputError:
    return InputError(
        f"⟨{parameter}⟩ {value} is too small",
        "give a number above 0",
        parameter=parameter,
        value=value,
    )


def _nothing_left(label: int, remedy: str) -> InputError:
    return InputError(
        f"Nothing would be left of object {label}",
        remedy,
        parameter="label",
        value=label,
        code="nothing-left",
    )
