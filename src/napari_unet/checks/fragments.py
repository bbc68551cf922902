"""Whether a label lies in separate places: two objects that were given the same number."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import measure

from napari_unet.checks.finding import Report
from napari_unet.checks.sampling import around, sample_places
from napari_unet.dataset.label_statistics import LabelStatistics
from napari_unet.dataset.labelled_image import LabelledImage
from napari_unet.tiling import Region

CRUMB_PIXELS = 4  # up to which a piece is a slip of the brush
CRUMB_SHARE = 0.02  # of the largest piece of its label
WHOLE_PIXELS = 1 << 22  # of an example, up to which it is looked at as a whole
DEPTH = 8  # planes of a window of a larger stack
NAMED_LABELS = 4
OTHER_MEANINGS = {"labels-look-like-classes", "labels-look-like-intensities"}


def check_fragments(
    report: Report, index: int, labelled: LabelledImage, seen: LabelStatistics
) -> None:
    """Doubt labels of objects that lie in separate places, as far as a few windows tell.

    Pieces count as separate where they touch nowhere, not even at corners, and where nothing
    that is not known, or outside of the window, could join them. For a 2D network only pieces
    in the same plane count, which may be joined in the planes beside it.

    Parameters
    ----------
    report : Report
        Takes the finding; one that says that the labels are no objects keeps this one away.
    index : int
        Of the example.
    labelled, seen : LabelledImage, LabelStatistics
        An example with labels of objects.
    """
    if "painted" in labelled.regions and not labelled.known_everywhere:
        return  # one object may have several strokes
    if any(f.example == index and f.code in OTHER_MEANINGS for f in report.findings):
        return
    planewise = any(frame.plane is not None for frame in seen.frames)
    found: set[int] = set()
    for time, part in _windows(labelled, seen):
        labels, known = labelled.read_labels(time, part)
        cut = [(p.start > 0, p.stop < n) for p, n in zip(part, labelled.shape, strict=True)]
        found |= separate_labels(labels[0], known, cut, planewise=planewise)
    if not found:
        return
    first = [str(value) for value in sorted(found)[:NAMED_LABELS]]
    if len(found) == 1:
        problem = f"The label {first[0]} lies in separate places: it seems to be several objects."
    else:
        more = ", …" if len(found) > NAMED_LABELS else ""
        problem = (
            f"{len(found)} labels lie in separate places each, as if they were several objects: "
            f"{', '.join(first)}{more}."
        )
    report.doubt(
        "label-in-pieces",
        index,
        "labels",
        problem,
        "Give each object a number of its own; dismiss this if one object has several parts.",
    )


def separate_labels(
    labels: NDArray[np.integer],
    known: NDArray[np.bool_],
    cut: list[tuple[bool, bool]],
    *,
    planewise: bool,
) -> set[int]:
    """Labels with at least two pieces that nothing unseen can join.

    Parameters
    ----------
    labels : (*spatial) integer array
        Of a window.
    known : (*spatial) bool array
        Where they count.
    cut : list of (bool, bool)
        For each axis, whether the window ends there before the image does.
    planewise : bool
        Whether only pieces in the same plane count.

    Examples
    --------
    >>> labels = np.array([[7, 7, 0, 7, 7], [7, 7, 0, 7, 7], [7, 7, 0, 7, 7]])
    >>> known = np.ones(labels.shape, bool)
    >>> separate_labels(labels, known, [(False, False)] * 2, planewise=True)
    {7}
    >>> separate_labels(labels, known, [(False, True), (False, False)], planewise=True)
    set()
    """
    region: NDArray[Any] = measure.label(  # type: ignore[no-untyped-call]
        labels, background=0, connectivity=labels.ndim
    )
    count = int(region.max(initial=0))
    if count < 2:
        return set()
    sizes = np.bincount(region.ravel(), minlength=count + 1)
    place = np.zeros(count + 1, np.intp)  # of one pixel of each
    place[region.ravel()] = np.arange(region.size)
    values = labels.ravel()[place]
    numbers = np.arange(1, count + 1)
    _, inverse = np.unique(values[1:], return_inverse=True)
    largest = np.zeros(inverse.max() + 1, sizes.dtype)
    np.maximum.at(largest, inverse, sizes[1:])
    large = (sizes[1:] > CRUMB_PIXELS) & (sizes[1:] >= CRUMB_SHARE * largest[inverse])
    several = np.bincount(inverse, weights=large) > 1
    several &= np.bincount(inverse, weights=_open(region, known, cut, planewise)[1:]) == 0
    candidates = numbers[several[inverse] & large]
    if labels.ndim == 2 or not planewise:
        return {int(value) for value in values[candidates]}
    boxes = ndimage.find_objects(region)
    return {
        int(value)
        for value in np.unique(values[candidates])
        if _share_a_plane([boxes[n - 1][0] for n in candidates if values[n] == value])
    }


def _open(
    region: NDArray[Any], known: NDArray[np.bool_], cut: list[tuple[bool, bool]], planewise: bool
) -> NDArray[np.bool_]:
    """For each piece, whether it may go on where the window does not show it."""
    axes = [a for a in range(region.ndim) if not (planewise and region.ndim == 3 and a == 0)]
    edge = np.zeros(region.shape, bool)
    for axis in axes:
        for at_end, place in zip(cut[axis], (0, -1), strict=True):
            if at_end:
                edge[(slice(None),) * axis + (place,)] = True
    if not known.all():
        reach = tuple(3 if axis in axes else 1 for axis in range(region.ndim))
        edge |= ndimage.maximum_filter(~known, reach)
    found = np.zeros(int(region.max()) + 1, bool)
    found[region[edge]] = True
    return found


def _share_a_plane(ranges: list[slice]) -> bool:
    """Whether two ranges of planes overlap; a connected piece lies in each of its planes."""
    ordered = sorted((r.start, r.stop) for r in ranges)
    return any(later[0] < earlier[1] for earlier, later in pairwise(ordered))


def _windows(labelled: LabelledImage, seen: LabelStatistics) -> Iterator[tuple[int, Region]]:
    """The whole of small examples, a few windows of others."""
    shape = labelled.shape
    whole = int(np.prod(shape)) <= WHOLE_PIXELS
    done = set()
    for time, place in sample_places(labelled, seen):
        part: Region = tuple(slice(0, n) for n in shape) if whole else place
        if not whole and len(shape) == 3:
            centre = [(p.start + p.stop) // 2 for p in place]
            part = around(shape, centre, (DEPTH, *(p.stop - p.start for p in place[1:])))
        key = (time, *((p.start, p.stop) for p in part))
        if key not in done:
            done.add(key)
            yield time, part
