"""Scores of what lies around the part of an image that the network sees."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from napari_unet.inference.plan import PredictionPlan
from napari_unet.inference.tile_scores import Piece, clear_missing, cut, put_in_plane, window_of
from napari_unet.tiling import Region

BORDER_PIXELS = 1024  # a side of the pieces in which a border is filled in


def iter_border(plan: PredictionPlan, plane: int | None) -> Iterator[Piece]:
    """Regions of a frame in which nothing of the image is, and their scores."""
    if not plan.limits.window:
        return
    config = plan.card.architecture
    wanted, window = plan.region[-config.ndim :], window_of(plan)
    before: list[slice] = []
    for axis, (part, inner) in enumerate(zip(wanted, window, strict=True)):
        last = min(max(inner.start, part.start), part.stop)
        first = max(min(inner.stop, part.stop), part.start)
        for side in (slice(part.start, last), slice(first, part.stop)):
            for region in _pieces((*before, side, *wanted[axis + 1 :])):
                sizes = [each.stop - each.start for each in region]
                scores = np.zeros((config.out_channels, *sizes), np.float32)
                clear_missing(plan.card, scores, np.ones(sizes, bool))
                yield put_in_plane(plan, plane, *cut(region, scores, wanted))
        before.append(slice(last, max(first, last)))


def _pieces(region: Region) -> Iterator[Region]:
    """A region in pieces of `BORDER_PIXELS` a side; none where it is empty."""
    steps = [range(part.start, part.stop, BORDER_PIXELS) for part in region]
    for corner in itertools.product(*steps):
        yield tuple(
            slice(c, min(c + BORDER_PIXELS, part.stop))
            for c, part in zip(corner, region, strict=True)
        )
