"""Where an image lies, as its file declares it: OME-Zarr, OME-TIFF, and this package's files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_unet.axes import spatial_in_order
from napari_unet.io.pixel_size import unit_in_micrometres
from napari_unet.io.reading import TIFF_SUFFIXES, ImageFile
from napari_unet.io.zarr_members import containing_image, images_inside, ome_attributes

FARTHEST_UM = 1e6  # that a stage travels


@dataclass(frozen=True)
class Position:
    """Pixel size and place of the first pixel, by spatial axis.

    Attributes
    ----------
    steps, origin : dict of str to float
        In micrometres, or, where the file names no unit, in one of its own.
    in_micrometres : bool
        Whether the unit is known.
    is_declared : bool
        Whether the file states the place; else it is the origin by default.
    """

    steps: dict[str, float]
    origin: dict[str, float]
    in_micrometres: bool
    is_declared: bool


def read_position(file: ImageFile) -> Position | None:
    """Where an image lies by its file; None where this says nothing, or is damaged."""
    try:
        if file.place is not None:
            return _of_layer(file.place)
        if file.path.is_dir():
            return _of_zarr(file)
        return _of_ome_tiff(file) if file.path.suffix.lower() in TIFF_SUFFIXES else None
    except Exception:  # noqa: BLE001  # metadata of other programs may be anything
        return None


def read_stage_position(file: ImageFile) -> Position | None:
    """Where an image of an OME-TIFF of several lies, if the file says it of each of them.

    None where it does not: where a position is missing, has no unit of length, differs between the
    planes of an image, or is absurd, or all are the same.
    """
    if len(file.scenes) < 2 or file.path.suffix.lower() not in TIFF_SUFFIXES:
        return None
    try:
        places = [_stage_place(pixels) for pixels in _ome_pixels(file)]
        position = _of_ome_tiff(file)
    except Exception:  # noqa: BLE001  # metadata of other programs may be anything
        return None
    if None in places or len(set(places)) < 2 or len(places) != len(file.scenes):
        return None
    return position


def read_steps(file: ImageFile, axes: str | None = None) -> tuple[dict[str, float], bool] | None:
    """Pixel sizes that a file declares, by spatial axis, and whether they are in micrometres.

    A size of 1 in a unit that is not named is none: programs write it where they know nothing.

    Parameters
    ----------
    file : ImageFile
        The image or labels.
    axes : str, optional
        Of its array, where others than those of the file are used.

    Returns
    -------
    dict of str to float, and bool
        None where the file declares none.
    """
    along = spatial_in_order(axes or file.axes or "")
    sizes = file.pixel_size_along(axes)
    if sizes is not None:
        known = {a: size for a, size in zip(along, sizes, strict=True) if size is not None}
        return (known, True) if known else None
    steps = {a: size for a, size in file.unitless_size.items() if a in along}
    return (steps, False) if steps else None


def _of_layer(place: Mapping[str, Any]) -> Position | None:
    """Of a layer that was saved: `rotate`, `shear` and `affine` must do nothing."""
    axes, scale = str(place["axes"]), [float(n) for n in place["scale"]]
    moves = [float(n) for n in place["translate"]]
    affine = np.asarray(place.get("affine", np.eye(len(scale) + 1)), float)
    turned = np.asarray(place.get("rotate", np.eye(len(scale))), float)
    sheared = np.asarray(place.get("shear", 0.0), float)
    straight = np.allclose(affine, np.eye(len(affine))) and not sheared.any()
    if len(scale) != len(axes) or not straight or not np.allclose(turned, np.eye(len(scale))):
        return None
    units = {a: unit_in_micrometres(unit) for a, unit in zip(axes, place["units"], strict=True)}
    known = all(units[axis] is not None for axis in spatial_in_order(axes))
    factors = [(units[a] if known else 1.0) or 1.0 for a in axes]
    return Position(
        {a: n * f for a, n, f in zip(axes, scale, factors, strict=True) if a in "ZYX"},
        {a: n * f for a, n, f in zip(axes, moves, factors, strict=True) if a in "ZYX"},
        known,
        is_declared=known or any(moves) or any(n != 1 for n in scale),
    )


def _of_zarr(file: ImageFile) -> Position | None:
    import zarr

    node: Any = zarr.open(file.path, mode="r")
    if isinstance(node, zarr.Array):
        found = containing_image(file.path)
        if found is None:
            return None
        _, image, dataset = found
    else:
        members = images_inside(file.path)
        node = node[members[file.scene]] if members else node
        image = ome_attributes(node)["multiscales"][0]
        dataset = image["datasets"][0]
    entries = [each if isinstance(each, Mapping) else {"name": each} for each in image["axes"]]
    axes = [str(each["name"]).upper() for each in entries]
    steps, origin = np.ones(len(axes)), np.zeros(len(axes))
    has_size = is_declared = False
    # those of the level first, then those of the whole image
    for holder in (dataset, image):
        for each in holder.get("coordinateTransformations") or ():
            if each.get("type") == "scale":
                factors = np.asarray(each["scale"], float)
                steps, origin, has_size = steps * factors, origin * factors, True
            elif each.get("type") == "translation":
                origin, is_declared = origin + np.asarray(each["translation"], float), True
    if not has_size:
        return None
    units = {a: unit_in_micrometres(e.get("unit")) for a, e in zip(axes, entries, strict=True)}
    spatial = [axis for axis in axes if axis in "ZYX"]
    known = all(units[axis] is not None for axis in spatial)
    factor = {axis: (units[axis] if known else 1.0) or 1.0 for axis in spatial}
    return Position(
        {a: float(steps[axes.index(a)]) * factor[a] for a in spatial},
        {a: float(origin[axes.index(a)]) * factor[a] for a in spatial},
        known,
        is_declared,
    )


def _ome_pixels(file: ImageFile) -> list[Mapping[str, Any]]:
    """What OME-XML says of the pixels of each image; empty where there is none."""
    import tifffile

    with tifffile.TiffFile(file.path) as tif:
        text = tif.ome_metadata
    images = tifffile.xml2dict(text)["OME"]["Image"] if text else []
    return [each["Pixels"] for each in (images if isinstance(images, list) else [images])]


def _stage_place(pixels: Mapping[str, Any]) -> tuple[float, float] | None:
    """Y and X in micrometres of all planes of an image; None where they are not stated or sane."""
    planes: Any = pixels.get("Plane") or ()
    found = set()
    for plane in planes if isinstance(planes, list) else [planes]:
        units = [unit_in_micrometres(plane.get(f"Position{axis}Unit")) for axis in "YX"]
        if None in units:
            return None
        y, x = (
            float(plane[f"Position{axis}"]) * (unit or 1.0)
            for axis, unit in zip("YX", units, strict=True)
        )
        if not (abs(y) < FARTHEST_UM and abs(x) < FARTHEST_UM):  # nor NaN
            return None
        found.add((round(y, 2), round(x, 2)))
    return found.pop() if len(found) == 1 else None


def _of_ome_tiff(file: ImageFile) -> Position | None:
    if file.axes is None or file.pixel_size is None or None in file.pixel_size:
        return None
    images = _ome_pixels(file)
    if not images:
        return None
    planes = images[file.scene].get("Plane") or ()
    plane: Mapping[str, Any] = planes[0] if isinstance(planes, list) else dict(planes)
    spatial = spatial_in_order(file.axes)
    origin = {}
    for axis in spatial:
        if f"Position{axis}" not in plane:
            if axis in "YX":
                return None
            origin[axis] = 0.0
            continue
        # a reference frame, the unit where none is named, is taken as that of the pixel size
        unit = unit_in_micrometres(plane.get(f"Position{axis}Unit")) or 1.0
        origin[axis] = float(plane[f"Position{axis}"]) * unit
    steps = {a: float(n) for a, n in zip(spatial, file.pixel_size, strict=True) if n is not None}
    return Position(steps, origin, in_micrometres=True, is_declared=True)
