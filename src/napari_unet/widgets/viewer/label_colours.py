"""Colours of objects: none that looks like an error, and the same while a threshold moves.

Labels are numbered as they come in memory, so that equal settings give equal labels. One more
object at the top of the image renumbers all others; it must not recolour them too.
"""

from __future__ import annotations

import colorsys
from functools import cache
from typing import Any

import numpy as np
from napari.utils.colormaps import CyclicLabelColormap, DirectLabelColormap, label_colormap
from numpy.typing import NDArray

MOST_COLOURS = 1 << 16  # of a colormap of the viewer; further labels begin anew
LEAST_COLOURS = 1 << 9  # always 16 bits for a label: another width would be compiled anew
RED_HUES = (20, 330)  # degrees, red lies at 0
GREY_SATURATION = 0.2  # less is grey, as the image is
DARK_VALUE = 0.4
MATCHED_PIXELS = 1 << 22  # of rows evenly spread, that are compared within a tenth of a second


@cache
def palette() -> NDArray[np.float32]:
    """The viewer's own colours of labels, (N, 4) RGBA, without reds, greys and dark ones.

    The viewer gives the first label a dark red, which is the colour of errors.

    >>> bool((palette()[:, 0] > palette()[:, 1:3].max(1) + 0.6).any())
    False
    """
    colours = label_colormap(49).colors[1:]
    colours = colours[np.sort(np.unique(colours, axis=0, return_index=True)[1])]  # some come twice
    hues, saturations, values = np.array([colorsys.rgb_to_hsv(*c[:3]) for c in colours]).T
    red = (hues * 360 < RED_HUES[0]) | (hues * 360 > RED_HUES[1])
    found: NDArray[np.float32] = colours[
        ~red & (saturations >= GREY_SATURATION) & (values >= DARK_VALUE)
    ]
    return found


def object_colours(labels: int = 0) -> CyclicLabelColormap:
    """Colours for at least so many labels, one after the other."""
    count = min(max(labels + 1 + len(palette()), LEAST_COLOURS), MOST_COLOURS)
    colours = np.zeros((count, 4), np.float32)
    colours[1:] = palette()[np.arange(count - 1) % len(palette())]
    return CyclicLabelColormap(colors=colours)


def follow_colours(
    colours: CyclicLabelColormap, before: NDArray[np.integer], after: NDArray[np.integer]
) -> CyclicLabelColormap:
    """Colours with which objects look as they did before.

    Parameters
    ----------
    colours : CyclicLabelColormap
        Of the labels before.
    before, after : integer array
        Labels of one shape; 0 is background.

    Examples
    --------
    >>> shown = object_colours()
    >>> before, after = np.array([[1, 1, 0, 2, 2]]), np.array([[0, 0, 0, 1, 1]])
    >>> renewed = follow_colours(shown, before, after)
    >>> bool((renewed.colors[1] == shown.colors[2]).all())
    True
    """
    matches = match_labels(before, after)[:MOST_COLOURS]
    renewed = object_colours(matches.size)
    known = np.flatnonzero(matches)
    cycle = len(colours.colors) - 1
    table = np.array(renewed.colors, np.float32)
    table[known] = np.asarray(colours.colors)[(matches[known] - 1) % cycle + 1]
    return CyclicLabelColormap(colors=table)


def match_labels(before: NDArray[np.integer], after: NDArray[np.integer]) -> NDArray[np.int64]:
    """For each label, the one of the same object before.

    Parameters
    ----------
    before, after : integer array
        Labels of one shape; 0 is background.

    Returns
    -------
    (after.max() + 1,) int64 array
        The label before with which a label has most pixels in common, where that has most with
        it too; else 0. Of an object that is split the largest part stays the same.

    Examples
    --------
    >>> before = np.array([[1, 1, 1, 0, 2, 2, 0]])
    >>> match_labels(before, np.array([[1, 2, 2, 0, 3, 0, 4]])).tolist()
    [0, 0, 1, 2, 0]
    """
    found = np.zeros(int(after.max(initial=0)) + 1, np.int64)
    if after.size == 0:
        return found
    rows = [np.reshape(part, (-1, part.shape[-1])) for part in (before, after)]
    step = -(-after.size // MATCHED_PIXELS)
    old, new = (np.ravel(each[::step]) for each in rows)
    # stretches of pixels along the rows, which are far fewer
    ends = np.flatnonzero((old[1:] != old[:-1]) | (new[1:] != new[:-1])) + 1
    starts = np.concatenate([[0], ends])
    lengths = np.diff(np.append(starts, old.size))
    both = (old[starts] > 0) & (new[starts] > 0)
    starts, lengths = starts[both], lengths[both]
    base = int(old.max()) + 1
    pairs, where = np.unique(new[starts].astype(np.int64) * base + old[starts], return_inverse=True)
    order = np.argsort(-np.bincount(where, lengths, pairs.size), kind="stable")
    news, olds = np.divmod(pairs[order], base)
    best = np.zeros((2, order.size), bool)
    best[0, np.unique(olds, return_index=True)[1]] = True
    best[1, np.unique(news, return_index=True)[1]] = True
    mutual = best.all(0)
    found[news[mutual]] = olds[mutual]
    return found


def keep_colours(layer: Any, of: Any, before: NDArray[Any]) -> None:
    """Give objects of a layer the colours that they had in another, or before."""
    if isinstance(of.colormap, CyclicLabelColormap) and before.shape == layer.data.shape:
        layer.colormap = follow_colours(of.colormap, before, layer.data)


def number_as(data: NDArray[Any], index: tuple[Any, ...], labels: NDArray[Any]) -> NDArray[Any]:
    """Labels of a part with the numbers of the same objects there; new ones get new numbers."""
    numbers = match_labels(data[index], labels)
    new = np.flatnonzero(numbers[1:] == 0) + 1
    numbers[new] = int(data.max(initial=0)) + 1 + np.arange(new.size)
    found: NDArray[Any] = numbers[labels].astype(data.dtype)
    return found


def compile_colours(dtype: Any) -> None:
    """Compile napari's map from labels to colours for a data type.

    Its first use takes seconds, in which the window would stand still: call this in a worker.
    """
    colours: dict[int | None, Any] = {0: "transparent", 1: "white", None: "transparent"}
    DirectLabelColormap(color_dict=colours).map(np.ones((2, 2), dtype))
