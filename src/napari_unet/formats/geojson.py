"""GeoJSON as QuPath reads it: a feature for each object and plane, in pixels.

References
----------
.. [1] QuPath documentation, "Exporting annotations": the origin is the upper left corner of the
   image, and coordinates count pixels.
.. [2] RFC 7946, The GeoJSON Format.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from napari_unet.formats.json_text import JsonText
from napari_unet.formats.labels import LabelSource, Plane
from napari_unet.formats.outlines import Outline, Ring, trace_outlines
from napari_unet.formats.record import MARK
from napari_unet.formats.steps import Steps
from napari_unet.progress import Progress

_NAMESPACE = uuid.UUID("6d0b0b6e-52a2-4c38-9d2b-6a3f3f3f0c19")  # of the identifiers of objects


def write_geojson(part: Path, labels: LabelSource, record: Mapping[str, Any]) -> Steps:
    """Write a feature collection; objects are detections, classes annotations."""
    names = {each.value: each for each in labels.classes}
    with JsonText(part) as text:
        text.write("type", "FeatureCollection")
        text.write(MARK, record)
        text.open_list("features")
        for plane in labels.planes():
            text.add(_features(plane, names, str(record.get("started"))))
            yield Progress(plane.number + 1, labels.plane_count, "writing")
        text.close_list()


def _features(plane: Plane, names: Mapping[int, Any], seed: str) -> Iterator[dict[str, Any]]:
    time, z = plane.time or 0, plane.z or 0
    for outline in trace_outlines(plane.labels):
        named = names.get(outline.label)
        properties: dict[str, Any] = {
            "objectType": "annotation" if names else "detection",
            "name": str(outline.label) if named is None else named.name,
            "label": outline.label,
        }
        if named is not None:
            properties["classification"] = {"name": named.name, **_colour(named.colour)}
        yield {
            "type": "Feature",
            "id": str(uuid.uuid5(_NAMESPACE, f"{seed} {outline.label} {time} {z}")),
            "geometry": {**_geometry(outline), "plane": {"c": -1, "z": z, "t": time}},
            "properties": properties,
        }


def _geometry(outline: Outline) -> dict[str, Any]:
    polygons = [[_closed(ring) for ring in polygon] for polygon in outline.polygons]
    if len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return {"type": "MultiPolygon", "coordinates": polygons}


def _closed(ring: Ring) -> list[list[int]]:
    """A path whose first corner stands at the end too.

    Outer paths go to the right along their upper edge, which is against the clock where y points
    up, as the format wants it; holes go the other way round.
    """
    corners: list[list[int]] = ring.tolist()
    return [*corners, corners[0]]


def _colour(colour: str | None) -> dict[str, Any]:
    if colour is None or len(colour) != 7:
        return {}
    return {"color": [int(colour[i : i + 2], 16) for i in (1, 3, 5)]}
