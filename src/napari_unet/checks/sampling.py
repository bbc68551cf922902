"""Where labels are looked at closely: a few windows, spread over the planes that have any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from napari_unet.dataset.label_statistics import ANYWHERE, LabelStatistics
from napari_unet.dataset.labelled_image import LabelledImage
from napari_unet.tiling import Region

WINDOWS = 3  # parts of an example whose labels are looked at closely


PLANE = (512, 512)  # their largest size


def sample_places(labelled: LabelledImage, seen: LabelStatistics) -> Iterator[tuple[int, Region]]:
    """A few windows in planes with labels, of different frames where there are several."""
    frames = [f for f in seen.frames if any(f.sizes)] or list(seen.frames)
    # one in each of some frames, or several in the only one
    done = set()
    for frame in _spread(frames, WINDOWS):
        marked = [p for v, p in frame.places.items() if v > 0] or [frame.places[ANYWHERE]]
        positions = np.concatenate([p.positions for p in marked])
        for position in _spread(positions, max(1, WINDOWS // len(frames))):
            centre = [int(n) for n in position]
            if frame.plane is not None:
                centre.insert(0, frame.plane)
            sizes = (1, *PLANE) if len(centre) == 3 else PLANE
            part = around(labelled.shape, centre, sizes)
            key = (frame.time, *(p.start for p in part))
            if key not in done:
                done.add(key)
                yield frame.time, part


def _spread(items: Any, count: int) -> list[Any]:
    """At most so many of the items, from evenly spread places."""
    count = min(count, len(items))
    return [items[int((i + 0.5) * len(items) / count)] for i in range(count)]


def around(shape: tuple[int, ...], centre: list[int], sizes: tuple[int, ...]) -> Region:
    """A part of an array of at most these sizes, about a centre.

    >>> around((100, 8), [99, 4], (10, 10))
    (slice(90, 100, None), slice(0, 8, None))
    """
    starts = [max(0, min(c - s // 2, n - s)) for c, s, n in zip(centre, sizes, shape, strict=True)]
    return tuple(slice(a, min(a + s, n)) for a, s, n in zip(starts, sizes, shape, strict=True))
