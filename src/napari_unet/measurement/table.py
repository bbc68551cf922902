"""Measuring all objects of labels into one table."""

from __future__ import annotations

import math
import numbers
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.errors import SettingsError
from napari_unet.measurement.columns import (
    CONFIDENCE,
    INTENSITIES,
    NEIGHBOURS,
    Columns,
    choose_properties,
)
from napari_unet.measurement.inputs import Inputs, check_inputs
from napari_unet.measurement.windows import choose_block, fit_block, list_blocks
from napari_unet.progress import Progress, drain

if TYPE_CHECKING:
    import pandas as pd

    from napari_unet.inference.results import Prediction
    from napari_unet.measurement.sums import Totals

OF_MOMENTS = {
    "axis_major_length",
    "axis_middle_length",
    "axis_minor_length",
    "eccentricity",
    "orientation",
}


def measure(
    labels: Any,
    image: Any = None,
    *,
    axes: str | None = None,
    pixel_size: float | Sequence[float | None] | None = None,
    scores: Prediction | Any = None,
    properties: Sequence[str] | None = None,
    neighbour_distance: float | None = None,
) -> pd.DataFrame:
    """Measure the objects of labels: a row per object, and per time point if there are several.

    Columns are named as by scikit-image's ``regionprops_table``, whose values they have but for
    Feret's diameters; those with a number count axes in the order ZYX, or channels. Lengths,
    areas and volumes are in micrometres where the size of the pixels is known along all axes,
    else in pixels: ``table.attrs["units"]`` says it by column. What lies on a disk is read block
    by block, and memory is bounded by a block, the largest object and the table.

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
    neighbour_distance : float, optional
        Up to which distance objects are neighbours, in micrometres where the pixel size is known,
        else in pixels; None: neighbours are not counted.

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
    ``feret_diameter_max``, ``solidity``, ``touches_border`` (a pixel lies at the edge of the image,
    along an axis longer than 1).

    In two dimensions also ``eccentricity``, ``orientation`` (radians), ``perimeter`` (NaN if
    pixels are not square), ``feret_diameter_min``, and ``circularity`` as in ImageJ: 4 pi area /
    perimeter², at most 1, with the length of ImageJ's outline, which runs along the edges of the
    pixels and is a little longer than ``perimeter``; NaN if pixels are not square.

    In three dimensions also ``axis_middle_length``, ``orientation`` (the direction of the longest
    axis, as three parts of a unit vector), and ``surface_area`` (from lines that cut the object,
    as MorphoLibJ has it). ``solidity`` and ``feret_diameter_max`` need the hull of each volume,
    some milliseconds each: choose other `properties` where there are very many.

    Feret's diameters are those of ImageJ: of the outer corners of the pixels, up to a pixel more
    than scikit-image's, which end in the middles of sides.

    ``neighbours`` counts the objects that have a pixel within `neighbour_distance` of one of the
    object's pixels, from middle to middle: those that touch are one pixel apart.

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
    return drain(
        iter_measure(
            labels,
            image,
            axes=axes,
            pixel_size=pixel_size,
            scores=scores,
            properties=properties,
            neighbour_distance=neighbour_distance,
        )
    )


def iter_measure(
    labels: Any,
    image: Any = None,
    *,
    axes: str | None = None,
    pixel_size: float | Sequence[float | None] | None = None,
    scores: Prediction | Any = None,
    properties: Sequence[str] | None = None,
    neighbour_distance: float | None = None,
) -> Generator[Progress, None, pd.DataFrame]:
    """Measure step by step: `measure` as a generator, whose closing cancels.

    Yields
    ------
    Progress
        Of blocks and objects.

    Returns
    -------
    pandas.DataFrame
        As of `measure`, which see for the parameters.
    """
    import pandas as pd

    inputs = check_inputs(labels, image, axes, pixel_size, scores)
    distance = _check_distance(neighbour_distance)
    ndim, frames = len(inputs.spatial), inputs.labels.sizes.get("T")
    chosen = choose_properties(
        properties,
        ndim=ndim,
        has_image=image is not None,
        has_scores=scores is not None,
        has_distance=distance is not None,
    )
    columns = Columns(chosen, ndim, inputs.channels, has_frames=frames is not None)
    parts = []
    for frame in [None] if frames is None else range(frames):
        part = yield from _measure_frame(inputs, frame, columns, distance)
        parts.append(part)
    wide = any(part["label"].dtype == np.uint64 for part in parts)
    table = pd.DataFrame(
        {
            name: np.concatenate(
                [part[name].astype(_dtype_of(name, wide=wide), copy=False) for part in parts]
            )
            for name in columns.names
        },
        copy=False,
    )
    table.attrs = {
        "axes": inputs.axes,
        "pixel_size": inputs.pixel_size,
        "units": columns.units(physical=inputs.pixel_size is not None),
    }
    if distance is not None and NEIGHBOURS in chosen:
        table.attrs["neighbour_distance"] = distance
    return table


def _check_distance(distance: Any) -> float | None:
    if distance is None:
        return None
    fits = isinstance(distance, numbers.Real) and not isinstance(distance, bool)
    if not (fits and math.isfinite(distance) and distance > 0):
        raise SettingsError(
            f"⟨neighbour_distance⟩ {distance!r} is no distance",
            "give a number above 0, in micrometres where the pixel size is known, else in pixels",
            parameter="neighbour_distance",
            value=distance,
        )
    return float(distance)


def _dtype_of(name: str, *, wide: bool) -> type:
    if name == "touches_border":
        return bool
    if name == "label" and wide:
        return np.uint64
    whole = ("frame", "label", NEIGHBOURS)
    return np.int64 if name in whole or name.startswith("bbox") else np.float64


def _measure_frame(
    inputs: Inputs, frame: int | None, columns: Columns, distance: float | None
) -> Generator[Progress, None, dict[str, NDArray[Any]]]:
    """The columns of a time point."""
    from napari_unet.measurement.neighbours import count_neighbours
    from napari_unet.measurement.whole_objects import WHOLE, measure_whole

    source, wanted = inputs.labels, columns.properties
    shape = [source.sizes[axis] for axis in inputs.spatial]
    block = choose_block(source.arrays[0], source.axes, inputs.spatial)
    totals = yield from _add_up(inputs, frame, wanted, block)
    found = _from_sums(inputs, totals, wanted)
    whole = [name for name in wanted if name in WHOLE]
    ndim = len(inputs.spatial)
    if whole and len(totals.labels):
        lengths = (totals.high - totals.low)[:, 3 - ndim :]
        fitted = fit_block(block, lengths, shape)
        found |= yield from measure_whole(inputs, frame, totals, whole, fitted)
        if "intensity_integrated_corrected" in wanted:
            level = found["intensity_background"] * totals.count[:, None]
            corrected = totals.values[:, :, 0].T - level
            found["intensity_integrated_corrected"] = corrected
    if distance is not None and NEIGHBOURS in wanted:
        labels = totals.labels
        found[NEIGHBOURS] = yield from count_neighbours(inputs, frame, labels, distance, block)
    table: dict[str, NDArray[Any]] = {"label": totals.labels}
    if frame is not None:
        table["frame"] = np.full(len(totals.labels), frame)
    for name in wanted:
        names = columns.names_of(name)
        values = found.get(name, np.empty((0, len(names))))
        if names == (name,):
            table[name] = values.reshape(-1)
        else:
            table |= {each: values[:, i] for i, each in enumerate(names)}
    return table


def _add_up(
    inputs: Inputs, frame: int | None, wanted: Sequence[str], block: tuple[int, ...]
) -> Generator[Progress, None, Totals]:
    """Everything that sums of pixels tell, from one walk over all blocks."""
    from napari_unet.measurement.sums import Sums, add_block

    image = inputs.image if set(wanted) & set(INTENSITIES) else None
    scores = inputs.scores if CONFIDENCE in wanted else None
    sums = Sums(0 if image is None else image.channels, 0 if scores is None else scores.channels)
    frames = inputs.labels.sizes.get("T")
    message = "reading labels" if frames is None else f"time point {frame} of {frames}, reading"
    blocks = list_blocks([inputs.labels.sizes[axis] for axis in inputs.spatial], block)
    for done, box in enumerate(blocks):
        yield Progress(done, len(blocks), message, "reading")
        add_block(sums, inputs, box, frame, image=image, scores=scores)
    return sums.finish()


def _from_sums(inputs: Inputs, totals: Totals, wanted: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The properties that follow from sums."""
    from napari_unet.measurement.moments import find_intensities, find_shapes, find_sizes

    ndim = len(inputs.spatial)
    spacing = inputs.pixel_size or (1.0,) * ndim
    low, high = totals.low[:, 3 - ndim :], totals.high[:, 3 - ndim :]
    shape = np.array([inputs.labels.sizes[axis] for axis in inputs.spatial])
    area, diameter, centroid = find_sizes(totals, spacing)
    found: dict[str, NDArray[Any]] = {
        "area": area,
        "equivalent_diameter_area": diameter,
        "centroid": centroid,
        "bbox": np.concatenate([low, high], axis=1),
        "touches_border": (((low == 0) | (high == shape)) & (shape > 1)).any(axis=1),
    }
    if not OF_MOMENTS.isdisjoint(wanted):
        found |= find_shapes(totals, spacing, wanted)
    if len(totals.values):
        channels = [find_intensities(values, totals.count) for values in totals.values]
        found |= {name: np.stack([each[name] for each in channels], 1) for name in channels[0]}
    if len(totals.scores):
        found[CONFIDENCE] = (totals.scores / totals.count).max(axis=0)
    return found
