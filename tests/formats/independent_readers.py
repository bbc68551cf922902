"""Readers of exported labels that know nothing of this package; tests load them by runpy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.geometry import Polygon, shape


def draw(polygons: Any, size: tuple[int, ...]) -> np.ndarray:
    """The pixels whose centre lies in a shape."""
    y, x = np.indices(size)
    return shapely.contains_xy(polygons, x.ravel() + 0.5, y.ravel() + 0.5).reshape(size)


def read_geojson(path: Path, size: tuple[int, ...]) -> np.ndarray:
    """Labels (T, Z, Y, X) of a collection of features, with shapely."""
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["type"] == "FeatureCollection"
    out = np.zeros(size, np.int64)
    for feature in content["features"]:
        polygons = shape(feature["geometry"])
        assert polygons.is_valid
        plane = feature["geometry"]["plane"]
        out[plane["t"], plane["z"]][draw(polygons, size[2:])] = feature["properties"]["label"]
    return out


def read_rois(path: Path, size: tuple[int, ...]) -> np.ndarray:
    """Labels (T, Z, Y, X) of regions, with roifile: of several paths the parity counts."""
    import roifile

    out = np.zeros(size, np.int64)
    for roi in roifile.roiread(path):
        paths = roi.coordinates(multi=True) if roi.composite else [roi.coordinates()]
        inside = np.zeros(size[2:], bool)
        for corners in paths:
            inside ^= draw(Polygon(corners), size[2:])
        time, z = max(roi.t_position, 1) - 1, max(roi.z_position, 1) - 1
        assert not out[time, z][inside].any()
        out[time, z][inside] = int(roi.name.split("-")[-1])
    return out


def read_coco(path: Path, size: tuple[int, ...]) -> np.ndarray:
    """Labels (T, Z, Y, X) of annotations, with pycocotools."""
    from pycocotools import mask

    content = json.loads(path.read_text(encoding="utf-8"))
    images = {image["id"]: image for image in content["images"]}
    categories = {category["id"] for category in content["categories"]}
    out = np.zeros(size, np.int64)
    for entry in content["annotations"]:
        image = images[entry["image_id"]]
        assert (image["height"], image["width"]) == size[2:]
        found = mask.decode(entry["segmentation"]).astype(bool)
        assert found.sum() == entry["area"] == mask.area(entry["segmentation"])
        assert mask.toBbox(entry["segmentation"]).tolist() == entry["bbox"]
        assert entry["category_id"] in categories
        out[image.get("t", 0), image.get("z", 0)][found] = entry["label"]
    return out


READERS: dict[str, Callable[[Path, tuple[int, ...]], np.ndarray]] = {
    "geojson": read_geojson,
    "zip": read_rois,
    "json": read_coco,
}
