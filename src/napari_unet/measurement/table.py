"""Measuring all objects of labels into one table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.measurement.columns import CONFIDENCE, INTENSITIES, Columns, choose_properties
from napari_unet.measurement.inputs import Inputs, check_inputs
from napari_unet.measurement.object_values import (
    measure_confidence,
    measure_intensity,
    measure_shape,
)
from napari_unet.measurement.windows import (
    Box,
    choose_block,
    find_boxes,
    group_by_block,
    slices_in,
    widen,
    window_of,
)

if TYPE_CHECKING:
    import pandas as pd

    from napari_unet.inference.results import Prediction

BACKGROUND_MARGINS = {"Z": 2, "Y": 10, "X": 10}
"""Pixels beyond its bounding box in which the background of an object is looked for."""


def measure(
    labels: Any,
    image: Any = None,
    *,
    axes: str | None = None,
    pixel_size: float | Sequence[float | None] | None = None,
    scores: Prediction | Any = None,
    properties: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Measure the objects of labels: a row per object, and per time point if there are several.

    Columns are named as by scikit-image's ``regionprops_table``, whose values they have; those
    with a number count axes in the order ZYX, or channels. Lengths, areas and volumes are in
    micrometres where the size of the pixels is known along all axes, else in pixels:
    ``table.attrs["units"]`` says it by column. What lies on a disk is read block by block, and
    memory is bounded by a block and the largest object.

    Parameters
    ----------
    labels : array-like of int
        0 is background, each other value an object; pieces of equal value are one object.
        Anything with shape, dtype and slicing; floats that are whole numbers are taken too.
    image : array-like, or list of array-like, optional
        To measure intensities: on the pixels of the labels, also with an axis C, or as a list of
        one array per channel. Columns of an image with channels end in ``-0``, ``-1``, ...
    axes : str, optional
        Axes over TCZYX of the image if there is one, else of the labels, which have no C. Can
        be left out in two dimensions and with a `Prediction` alone.
    pixel_size : float or sequence of float, optional
        Micrometres, one for all spatial axes or one for each in the order of ``axes``; None: not
        known, or as `scores` knows it.
    scores : Prediction or array-like, optional
        For the confidence: the prediction that the labels were decoded from, or an array of one
        score per pixel, with the shape of the labels.
    properties : sequence of str, optional
        What to measure; None: all that can be. See Notes.

    Returns
    -------
    pandas.DataFrame
        The columns ``frame`` (with an axis T), ``label``, and those of the properties, sorted by
        frame and label; without objects it has all columns and no row. ``attrs`` holds "axes" (of
        the labels), "pixel_size" (micrometres in the order ZYX, or None) and "units".

    Raises
    ------
    InputError
        If shapes differ, labels are negative, no whole numbers or a mask, axes are not known, or
        what a property needs is missing.
    SettingsError
        If a property is unknown, or not measured in three dimensions.

    Notes
    -----
    ``area`` (in three dimensions the volume), ``equivalent_diameter_area``, ``centroid``,
    ``bbox`` (in pixels: starts, then stops), ``axis_major_length``, ``axis_minor_length``,
    ``solidity``, ``touches_border`` (a pixel lies at the edge of the image, along an axis longer
    than 1). The hull of volumes, for ``solidity``, takes ten times as long as all else: choose
    other `properties` where there are many. In two dimensions also ``eccentricity``,
    ``orientation`` (radians), ``perimeter`` (NaN if pixels are not square) and
    ``circularity`` as in ImageJ: 4 pi area / perimeter², at most 1, with the length of ImageJ's
    outline, which runs along the edges of the pixels and is a little
    longer than ``perimeter``; NaN if pixels are not square.

    Of an image ``intensity_mean``, ``_median``, ``_std``, ``_min``, ``_max`` and ``_integrated``
    (sum); ``intensity_background``, the median of the pixels of no object in the bounding box and
    10 pixels around it (2 along Z), NaN if there are none; and
    ``intensity_integrated_corrected``, the sum of what lies above that.

    ``confidence`` is the mean score inside: of a prediction of objects, the foreground
    probability; of classes, the probability of the class that is the likeliest in the object.

    Examples
    --------
    >>> labels = np.zeros((20, 20), np.int32)
    >>> labels[5:9, 5:15] = 3
    >>> table = measure(labels, pixel_size=0.5, properties=["area", "centroid"])
    >>> table.columns.tolist(), table.loc[0].tolist()
    (['label', 'area', 'centroid-0', 'centroid-1'], [3.0, 10.0, 3.25, 4.75])
    >>> table.attrs["units"]["area"]
    'µm²'
    """
    import pandas as pd

    inputs = check_inputs(labels, image, axes, pixel_size, scores)
    ndim, frames = len(inputs.spatial), inputs.labels.sizes.get("T")
    chosen = choose_properties(
        properties,
        ndim=ndim,
        has_image=image is not None,
        has_scores=scores is not None,
    )
    columns = Columns(chosen, ndim, inputs.channels, has_frames=frames is not None)
    rows = [
        row
        for frame in ([None] if frames is None else range(frames))
        for row in _measure_frame(inputs, frame, columns)
    ]
    rows.sort(key=lambda row: row[: len(columns.keys)])
    values = zip(*rows, strict=True) if rows else [()] * len(columns.names)
    table = pd.DataFrame(
        {
            name: np.array(value, dtype=_dtype_of(name, value))
            for name, value in zip(columns.names, values, strict=True)
        }
    )
    table.attrs = {
        "axes": inputs.axes,
        "pixel_size": inputs.pixel_size,
        "units": columns.units(physical=inputs.pixel_size is not None),
    }
    return table


def _dtype_of(name: str, values: Sequence[Any]) -> type:
    if name == "touches_border":
        return bool
    if name == "label" and max(values, default=0) > np.iinfo(np.int64).max:
        return np.uint64
    return np.int64 if name in ("frame", "label") or name.startswith("bbox") else np.float64


def _measure_frame(
    inputs: Inputs, frame: int | None, columns: Columns
) -> Iterator[tuple[Any, ...]]:
    """The rows of a time point."""
    source = inputs.labels
    block = choose_block(source.arrays[0], source.axes, inputs.spatial)
    boxes = find_boxes(inputs, frame, block)
    shape = [source.sizes[axis] for axis in inputs.spatial]
    margins = [BACKGROUND_MARGINS[axis] for axis in inputs.spatial]
    wanted = columns.properties
    image = inputs.image if set(wanted) & set(INTENSITIES) else None
    scores = inputs.scores if CONFIDENCE in wanted else None
    spacing = inputs.pixel_size or (1.0,) * len(inputs.spatial)
    for around, group in group_by_block(boxes, block):
        wide = around if image is None else widen(around, margins, shape)
        window = window_of(wide, inputs.spatial, frame)
        numbers = inputs.read_labels(window)
        pixels = None if image is None else image.read(window)
        probabilities = None if scores is None else scores.read(window)
        for label in group:
            box = boxes[label]
            part = slices_in(box, wide)
            mask = np.ascontiguousarray(numbers[part] == label)
            start = [first for first, _ in box]
            found = measure_shape(mask, start, spacing, wanted)
            found["touches_border"] = _touches_border(box, shape)
            if pixels is not None:
                near = slices_in(widen(box, margins, shape), wide)
                outside = pixels[(slice(None), *near)][:, numbers[near] == 0]
                inside = pixels[(slice(None), *part)][:, mask]
                for name, channels in measure_intensity(inside, outside, wanted).items():
                    found[name] = channels
            if probabilities is not None:
                found[CONFIDENCE] = measure_confidence(probabilities[(slice(None), *part)][:, mask])
            key = (label,) if frame is None else (frame, label)
            yield (*key, *_flatten(found, columns))


def _flatten(found: dict[str, Any], columns: Columns) -> Iterator[Any]:
    for name in columns.properties:
        value = found[name]
        if isinstance(value, list | tuple):
            yield from value
        else:
            yield value


def _touches_border(box: Box, shape: Sequence[int]) -> bool:
    return any(
        start == 0 or stop == n for (start, stop), n in zip(box, shape, strict=True) if n > 1
    )
