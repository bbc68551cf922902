"""Where labels are known of which somebody has looked at single objects."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.correction.change import bounding_box
from napari_unet.correction.window import widen
from napari_unet.dataset.correction import compare_objects
from napari_unet.dataset.review import Review, iter_frames
from napari_unet.renumbering import count_pixels

MARGIN_SHARE = 0.25  # of the objects' usual length: the background around them that was seen too
MARGIN_PIXELS = (2, 10)  # at least and at most
RIM_PIXELS = 2.5  # of a neighbour that nobody has looked at: it shows that the object ends there


def find_seen_region(
    labels: Any, axes: str, review: Review, began: str | None, background: int | None = None
) -> NDArray[np.bool_]:
    """The pixels of accepted and corrected objects with their surroundings.

    Around an object the background is known for a part of its length, and so is the rim of what
    touches it; over and under it a plane, where it reaches through several. Where an object was
    deleted is background.

    Parameters
    ----------
    labels : int array-like
        As they are now, with ``axes``; they are read a time point at a time.
    axes : str
        Some of TZYX.
    review : Review
        What was looked at.
    began : str or None
        The objects that the labels began as, from
        `napari_unet.dataset.correction.remember_objects`: others were corrected. None: not
        known, and the review's own counts.
    background : int, optional
        The label that stands for no object: what is painted with it was seen.

    Returns
    -------
    bool array
        With the axes of the labels.

    Raises
    ------
    InputError
        If a time point is too large to be looked at as a whole.
    """
    shape = tuple(int(n) for n in labels.shape)
    found = np.zeros(shape, bool)
    corrected = find_corrected(labels, axes, began or review.began)
    for time, index in iter_frames(axes, shape):
        frame = np.asarray(labels[index])
        own = np.union1d(review.accepted_labels(frame, time), corrected)
        painted = None
        if background is not None:
            own = own[own != background]
            painted = frame == background
        region = found[index]
        _add_surroundings(region, frame, own)
        for more in (review.cleared_pixels(frame, time), painted):
            if more is not None:
                region |= more
    return found


def find_corrected(labels: Any, axes: str, began: str | None) -> NDArray[np.int64]:
    """The objects that are others than those that labels began as, ascending."""
    change = None if began is None else compare_objects(labels, began, (), axes)
    if change is None:
        return np.zeros(0, np.int64)
    values = [
        count_pixels(np.asarray(labels[index]))[0] for _, index in iter_frames(axes, labels.shape)
    ]
    every = np.unique(np.concatenate(values)).astype(np.int64)
    return np.setdiff1d(every[every != 0], change.unchanged)


def _add_surroundings(
    region: NDArray[np.bool_], frame: NDArray[Any], own: NDArray[np.int64]
) -> None:
    """Mark objects and what is around them in the region of a time point."""
    if not own.size:
        return
    seen = np.isin(frame, own)
    box = bounding_box(seen)
    if box is None:
        return
    _, pixels = count_pixels(frame[seen])
    length = float(np.median(pixels)) ** (1 / frame.ndim)
    margin = int(np.clip(round(MARGIN_SHARE * length), *MARGIN_PIXELS))
    window = tuple(widen(part, margin, n) for part, n in zip(box, frame.shape, strict=True))
    labels, objects, known = frame[window], seen[window], region[window]
    if frame.ndim == 2:
        known |= _surround(labels, objects, margin)
        return
    through = objects & np.isin(labels, _spanning(labels, objects))
    for z in range(len(labels)):
        known[z] |= _surround(labels[z], objects[z], margin)
        if through[z].any():
            near = _distance(through[z]) <= RIM_PIXELS
            for other in (z - 1, z + 1):
                if 0 <= other < len(labels):
                    known[other] |= near


def _spanning(labels: NDArray[Any], objects: NDArray[np.bool_]) -> NDArray[Any]:
    """Objects that reach from one plane to the next."""
    both = objects[1:] & objects[:-1] & (labels[1:] == labels[:-1])
    return np.unique(labels[1:][both])


def _surround(labels: NDArray[Any], objects: NDArray[np.bool_], margin: int) -> NDArray[np.bool_]:
    """Objects of a plane, the background within a margin, and the rim of their neighbours."""
    if not objects.any():
        return objects
    distance = _distance(objects)
    found: NDArray[np.bool_] = distance <= np.where(labels == 0, margin, RIM_PIXELS)
    return found


def _distance(objects: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Distance to the nearest object, 0 in it."""
    import edt  # not before it is needed: docks open without it

    found: NDArray[np.float32] = edt.edt(np.ascontiguousarray(~objects), black_border=False)
    return found
