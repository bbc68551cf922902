"""What the objects of a training tell: how long they are, and whether distances are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.dataset.frames import Frame
from napari_unet.instances import maps as instances
from napari_unet.tiling import Region

PROBES = 8  # objects of a frame that are looked at for their distances
REACH = {2: 96, 3: 32}  # pixels to each side of them


def median_extents(frames: Sequence[Frame]) -> tuple[float, ...] | None:
    """Median lengths of the objects' bounding boxes, of frames in memory that are complete."""
    found = []
    for frame in frames:
        if frame.kept is None or not frame.survey.complete:
            continue
        labels, _ = frame.read_labels(tuple(slice(0, n) for n in frame.shape))
        boxes = ndimage.find_objects(instances.compact_labels(labels[0]).astype(np.int32))
        found += [[p.stop - p.start for p in box] for box in boxes if box is not None]
    return tuple(np.median(found, axis=0).tolist()) if found else None


def knows_distance(frames: Sequence[Frame]) -> bool:
    """Whether the distances of any object are determined.

    Of frames that are not in memory, the surroundings of a few objects are looked at.
    """
    with_objects = [frame for frame in frames if 1 in frame.survey.places]
    if any(frame.survey.complete for frame in with_objects):
        return True
    if any(_has_distance(frame.kept[1]) for frame in with_objects if frame.kept is not None):
        return True
    return any(
        _has_distance(frame.read_target(part))
        for frame in with_objects
        if frame.kept is None
        for part in _probes(frame)
    )


def _has_distance(target: NDArray[np.float16]) -> bool:
    """Whether a pixel of a target is inside an object, and its distance exact."""
    return bool(((target[0] > 0.5) & (target[2] > 0.5)).any())


def _probes(frame: Frame) -> Iterator[Region]:
    """Windows around objects, evenly spread among all of them."""
    positions = frame.survey.places[1].positions
    reach = REACH[len(frame.shape)]
    for number in np.unique(np.linspace(0, len(positions) - 1, PROBES).round().astype(int)):
        yield tuple(
            slice(max(0, int(c) - reach), min(n, int(c) + reach + 1))
            for c, n in zip(positions[number], frame.shape, strict=True)
        )
