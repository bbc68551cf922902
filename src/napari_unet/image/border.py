"""Straight borders of fill around an image: what is inside is predicted as if there were none.

A network sees a border, whatever value it gets; where an image ends, it sees nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.image.source import ImageSource, Window

BAND_PIXELS = 1 << 22  # of an image that are read at a time
FIRST_LINES = 16  # rows or columns of the first band, as most images have no border
STRAIGHT = 0.5  # share of the first line inside a border that is image; less of a turned image


def find_window(source: ImageSource, fill: Sequence[Sequence[float]]) -> Window:
    """Rows and columns inside the straight borders of fill of all planes and times.

    Every line that is left out was read: nothing of the image is lost.

    Parameters
    ----------
    source : ImageSource
        The image.
    fill : sequence of sequence of float
        Values of each channel that are fill; NaN and infinities are taken for fill as well.

    Returns
    -------
    dict of str to slice
        Of the axes Y and X; empty where no side has a border.

    Examples
    --------
    >>> from napari_unet.image.source import open_image
    >>> image = np.random.default_rng(0).integers(90, 110, (40, 50))
    >>> find_window(open_image(np.pad(image, ((3, 0), (0, 7)))), [[0]])
    {'Y': slice(3, 43, None), 'X': slice(0, 50, None)}
    >>> find_window(open_image(image), [[0]])
    {}
    """
    sides = {(axis, back): _measure_border(source, fill, axis, back) for axis, back in SIDES}
    widths = {side: width for side, (width, _) in sides.items()}
    window = _inside(source, widths)
    if any(part.stop <= part.start for part in window.values()):
        return {}
    for (axis, back), (width, place) in sides.items():
        if width and not _is_straight(source, fill, window, axis, back, place):
            widths[axis, back] = 0
    window = _inside(source, widths)
    whole = {axis: slice(0, source.size(axis)) for axis in "YX"}
    return {} if window == whole else window


SIDES = tuple((axis, back) for axis in "YX" for back in (False, True))
_Place = tuple[int, int]  # time and plane


def _inside(source: ImageSource, widths: dict[tuple[str, bool], int]) -> Window:
    return {
        axis: slice(widths[axis, False], source.size(axis) - widths[axis, True]) for axis in "YX"
    }


def _measure_border(
    source: ImageSource, fill: Sequence[Sequence[float]], axis: str, back: bool
) -> tuple[int, _Place]:
    """Lines of fill at a side in all frames, and the frame that has the fewest of them."""
    least, place = source.size(axis), (0, 0)
    for time in range(source.times):
        for plane in range(source.size("Z")):
            width = _count_lines(source, fill, axis, back, (time, plane), least)
            if width < least:
                least, place = width, (time, plane)
            if not least:
                return least, place
    return least, place


def _count_lines(
    source: ImageSource,
    fill: Sequence[Sequence[float]],
    axis: str,
    back: bool,
    place: _Place,
    most: int,
) -> int:
    """Lines of fill at a side of a frame, up to ``most``."""
    size, across = source.size(axis), source.size("X" if axis == "Y" else "Y")
    done, lines = 0, FIRST_LINES
    while done < most:
        lines = min(lines, most - done, max(BAND_PIXELS // across, 1))
        part = slice(size - done - lines, size - done) if back else slice(done, done + lines)
        image = _read_image_pixels(source, fill, place, {axis: part})
        content = np.flatnonzero(image.any(1 if axis == "Y" else 0))
        if content.size:
            return done + int(lines - 1 - content[-1] if back else content[0])
        done, lines = done + lines, lines * 4
    return most


def _is_straight(
    source: ImageSource,
    fill: Sequence[Sequence[float]],
    window: Window,
    axis: str,
    back: bool,
    place: _Place,
) -> bool:
    """Whether most of the first line inside a border is image, as where it was padded.

    Of a turned image a corner lies there, of a dark background an object.
    """
    part = window[axis]
    line = slice(part.stop - 1, part.stop) if back else slice(part.start, part.start + 1)
    image = _read_image_pixels(source, fill, place, {**window, axis: line})
    return bool(image.mean() >= STRAIGHT)


def _read_image_pixels(
    source: ImageSource, fill: Sequence[Sequence[float]], place: _Place, window: Window
) -> NDArray[np.bool_]:
    """(Y, X) pixels of a part of a frame that are no fill in all channels."""
    time, plane = place
    parts = {"Z": slice(plane, plane + 1), **window}
    region = tuple(
        parts.get(axis, slice(0, size))
        for axis, size in zip(source.spatial, source.spatial_shape, strict=True)
    )
    block = source.read(time, region)
    found = np.zeros(block.shape[1:], bool)
    for channel, pixels in enumerate(block):
        found |= ~_is_fill(pixels, fill[channel] if fill else ())
    return found.reshape(found.shape[-2:])


def _is_fill(pixels: NDArray[Any], values: Sequence[float]) -> NDArray[np.bool_]:
    found = ~np.isfinite(pixels) if pixels.dtype.kind == "f" else np.zeros(pixels.shape, bool)
    for value in values:
        found |= pixels == value
    return found
