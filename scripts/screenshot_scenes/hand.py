"""What a user does before a training: brush strokes over objects and background of a sample."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion

from napari_unet.samples import load_sample
from screenshot_scenes.stage import Stage

BRUSH = 3  # pixels
BACKGROUND = 999  # the label of strokes on it
PART = slice(0, 260), slice(0, 340)  # of the sample, which is painted on
GAP = 3  # pixels that strokes on background keep from objects


def paint_object(layer: Any, truth: NDArray[Any], number: int, plane: tuple[int, ...] = ()) -> None:
    """Go over one object of a plane with the brush, in a single stroke.

    Parameters
    ----------
    layer : Labels
        Painted on.
    truth : (Y, X) array
        Of the plane; it says which pixels the object has.
    number : int
        The object's label in ``truth``, which it also gets.
    plane : tuple of int
        Where in the layer, before Y and X.
    """
    inside = truth == number
    core = binary_erosion(inside)
    layer.mode = "paint"
    layer.selected_label = number
    layer.brush_size = BRUSH
    with layer.block_history():
        for y, x in np.argwhere(core if core.any() else inside):
            layer.paint((*plane, y, x), number, refresh=False)
    layer.refresh()


def paint_background(layer: Any, truth: NDArray[Any], lines: list[int], label: int) -> int:
    """Draw lines along rows of an image, lifting the brush over objects.

    Returns
    -------
    int
        How many strokes it took.
    """
    free = ~binary_dilation(truth > 0, iterations=GAP)
    layer.mode = "paint"
    layer.selected_label = label
    layer.brush_size = BRUSH
    strokes = 0
    for y in lines:
        xs = np.flatnonzero(free[y])
        for run in np.split(xs, np.flatnonzero(np.diff(xs) > 1) + 1):
            if len(run) > BRUSH:
                with layer.block_history():
                    for x in run[BRUSH // 2 : -(BRUSH // 2)]:
                        layer.paint((y, x), label, refresh=False)
                strokes += 1
    layer.refresh()
    return strokes


def objects_within(truth: NDArray[Any], rows: slice, columns: slice) -> list[int]:
    """Objects of a plane that lie in a part of it wholly, in reading order."""
    part = truth[rows, columns]
    inside = np.unique(part[part > 0])
    counts = np.bincount(truth.ravel())
    own = np.bincount(part.ravel(), minlength=counts.size)
    return [int(n) for n in inside if own[n] == counts[n]]


def begin(stage: Stage) -> tuple[Any, Any]:
    """The dock, and new labels over the sample."""
    dock = stage.open_dock("Train")
    stage.sample("nuclei_2d")
    stage.press(dock.form.painting.new)
    return dock, stage.viewer.layers["nuclei labels"]


def paint(stage: Stage, *, background: bool = True) -> None:
    """Some nuclei, and strokes on the background."""
    labels = stage.viewer.layers["nuclei labels"]
    truth = load_sample("nuclei_2d").truth
    for number in objects_within(truth, *PART)[:20]:
        paint_object(labels, truth, number)
    if background:
        paint_background(labels, truth[:, : PART[1].stop], [30, 90, 150, 210], BACKGROUND)
        panel = stage.open_dock("Train").form.painting
        stage.wait(lambda: not panel.counting)
        panel.background.value = BACKGROUND
