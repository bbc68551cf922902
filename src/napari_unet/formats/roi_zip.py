"""Regions of ImageJ and Fiji: a zip file of the ROI Manager, one region for each object and plane.

Coordinates are corners of pixels, as ImageJ counts them for areas. `napari_unet.io.roi_files` reads
them.

References
----------
.. [1] ImageJ, ij.io.RoiDecoder and ij.gui.ShapeRoi.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.formats.labels import LabelSource, Plane
from napari_unet.formats.outlines import Outline, trace_outlines
from napari_unet.formats.record import MARK
from napari_unet.formats.steps import Steps
from napari_unet.io.label_colours import label_colours
from napari_unet.io.record import RUN
from napari_unet.progress import Progress

MAX_COMMENT_BYTES = 65_535
"""Of a zip file; its comment is the record, since readers take every member for a region."""

MAX_CORNER = 32_767
"""Beyond this ImageJ's whole numbers of 16 bits do not reach; floats do, up to 2**24."""

MAX_CORNERS = 65_535  # of a polygon
MAX_GROUP = 255
_MOVE, _LINE, _CLOSE = 0.0, 1.0, 4.0  # segments of a path, as in java.awt.geom.PathIterator
_HEADER_LIMIT = 32_767


def write_roi_zip(part: Path, labels: LabelSource, record: Mapping[str, Any]) -> Steps:
    """Write the regions; classes become groups."""
    times, depth = labels.shape[:2]
    names = {each.value: each.name for each in labels.classes}
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for plane in labels.planes():
            for outline in trace_outlines(plane.labels):
                name = region_name(outline.label, plane, (times, depth))
                roi = _region(outline, plane, (times, depth), name, names)
                archive.writestr(f"{name}.roi", roi.tobytes())
            yield Progress(plane.number + 1, labels.plane_count, "writing")
        comment = json.dumps({MARK: record}).encode("ascii")
        if len(comment) > MAX_COMMENT_BYTES:  # less that of the run, which is beside the labels
            comment = json.dumps({MARK: {**record, RUN: None}}).encode("ascii")
        archive.comment = comment[:MAX_COMMENT_BYTES]


def region_name(label: int, plane: Plane, sizes: tuple[int, int]) -> str:
    """The name of a region: its label, after time point and plane where there are several.

    >>> region_name(7, Plane(np.zeros((1, 1), int), 2, 0, 0), (3, 1))
    't0003-0007'
    """
    places = (("t", plane.time, sizes[0]), ("z", plane.z, sizes[1]))
    parts = [f"{axis}{place + 1:04d}" for axis, place, n in places if place is not None and n > 1]
    return "-".join([*parts, f"{label:04d}"])


def _region(
    outline: Outline, plane: Plane, sizes: tuple[int, int], name: str, classes: Mapping[int, str]
) -> Any:
    import roifile

    left, top, right, bottom = outline.box
    roi = roifile.ImagejRoi()
    ring = outline.polygons[0][0]
    if outline.is_simple and len(ring) <= MAX_CORNERS and max(right, bottom) <= MAX_CORNER:
        roi.roitype = roifile.ROI_TYPE.TRACED
        roi.integer_coordinates = ring - np.array([left, top], np.int32)
        roi.n_coordinates = len(ring)
    else:
        roi.roitype = roifile.ROI_TYPE.RECT  # so ImageJ marks what is made of several paths
        roi.multi_coordinates = _path(outline)
        roi.shape_roi_size = len(roi.multi_coordinates)
    roi.left, roi.top, roi.right, roi.bottom = (
        min(edge, _HEADER_LIMIT) for edge in (left, top, right, bottom)
    )
    times, depth = sizes
    if times > 1:
        roi.t_position = (plane.time or 0) + 1
    if depth > 1:
        roi.z_position = (plane.z or 0) + 1
    if min(times, depth) == 1 < max(times, depth):
        roi.position = max(roi.t_position, roi.z_position)  # in a stack that is no hyperstack
    roi.name = name
    roi.props = f"label: {outline.label}\n"
    if classes:
        roi.group = outline.label if outline.label <= MAX_GROUP else 0
        named = classes.get(outline.label)
        roi.props += f"class: {named}\n" if named is not None and named.isascii() else ""
    red, green, blue = label_colours(np.array([outline.label]))[0].tolist()
    roi.stroke_color = bytes([255, red, green, blue])
    return roi


def _path(outline: Outline) -> NDArray[np.float32]:
    """All rings of an object as one path."""
    parts: list[NDArray[np.float32]] = []
    for polygon in outline.polygons:
        for ring in polygon:
            steps = np.empty((len(ring), 3), np.float32)
            steps[:, 0] = _LINE
            steps[0, 0] = _MOVE
            steps[:, 1:] = ring
            parts += [steps.ravel(), np.array([_CLOSE], np.float32)]
    return np.concatenate(parts)
