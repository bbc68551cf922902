"""Zarr arrays and OME-Zarr images, in a local folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_unet.errors import FileError
from napari_unet.io.lazy import LazyArray
from napari_unet.io.pixel_size import PixelSize, order_sizes, tidy, unit_in_micrometres
from napari_unet.io.reason import reason_of

_MARKERS = ("zarr.json", ".zarray", ".zgroup", ".zattrs")


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr array or group, whatever its name."""
    return any((path / marker).is_file() for marker in _MARKERS)


def open_zarr(path: Path) -> tuple[LazyArray, str | None, PixelSize]:
    """Open a Zarr array, or the full resolution of an OME-Zarr image (0.1 to 0.5).

    Axes come from OME-Zarr's metadata, else from the names of the array's dimensions.

    Raises
    ------
    FileError
        If the folder is damaged, or holds no image or several.
    """
    import zarr

    try:
        node = zarr.open(path, mode="r")
        attributes: Mapping[str, Any] = dict(node.attrs)
        if isinstance(node, zarr.Array):
            axes = _dimension_axes(node, attributes)
            return LazyArray(path, node), axes, None
        if "bioformats2raw.layout" in _ome(attributes) and "0" in node:
            node = node["0"]
            attributes = dict(node.attrs)
        image = _multiscale(path, node, attributes)
        array = node[image["datasets"][0]["path"]]
        axes, sizes = _ome_axes(image, array)
        return LazyArray(path, array), axes, order_sizes(sizes, axes) if axes else None
    except FileError:
        raise
    except Exception as error:
        # Stores, codecs and metadata of other programs raise errors of any kind.
        raise FileError(
            f"{path} is no Zarr image, or a damaged one ({reason_of(error)})",
            "copy or export it anew",
        ) from error


def _ome(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """OME metadata: under ``ome`` since version 0.5, before at the top."""
    nested = attributes.get("ome")
    return nested if isinstance(nested, Mapping) else attributes


def _multiscale(path: Path, node: Any, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    images = _ome(attributes).get("multiscales")
    if images:
        return images[0]  # type: ignore[no-any-return]
    members = sorted(node.keys())
    if len(members) == 1 and members[0] in set(node.array_keys()):
        return {"datasets": [{"path": members[0]}]}
    inside = ", ".join(members[:5]) + (", ..." if len(members) > 5 else "")
    raise FileError(
        f"{path} is a Zarr group without an image of its own (it holds: {inside or 'nothing'})",
        "give the path of one image inside it",
    )


def _ome_axes(image: Mapping[str, Any], array: Any) -> tuple[str | None, dict[str, float | None]]:
    declared = image.get("axes")
    if declared is None:
        if image.get("version") in ("0.1", "0.2") and array.ndim == 5:
            return "TCZYX", {}
        return _dimension_axes(array, dict(array.attrs)), {}
    entries = [item if isinstance(item, Mapping) else {"name": item} for item in declared]
    axes = _over_tczyx([item["name"] for item in entries], array.ndim)
    if axes is None:
        return None, {}
    scale = [1.0] * len(axes)
    known = False
    # A scale of the whole image multiplies that of the resolution level.
    for holder in (image["datasets"][0], image):
        for step in holder.get("coordinateTransformations", ()):
            if step.get("type") == "scale" and len(step.get("scale", ())) == len(axes):
                scale = [a * float(b) for a, b in zip(scale, step["scale"], strict=True)]
                known = True
    sizes: dict[str, float | None] = {}
    for letter, item, step_size in zip(axes, entries, scale, strict=True):
        unit = unit_in_micrometres(item.get("unit")) if known else None
        sizes[letter] = None if unit is None else tidy(step_size * unit)
    return axes, sizes


def _dimension_axes(array: Any, attributes: Mapping[str, Any]) -> str | None:
    names = getattr(array.metadata, "dimension_names", None) or attributes.get("_ARRAY_DIMENSIONS")
    if names is None:
        return "YX" if array.ndim == 2 else None
    return _over_tczyx(names, array.ndim)


def _over_tczyx(names: Any, ndim: int) -> str | None:
    letters = [str(name).upper() for name in names]
    letters = ["C" if letter in ("CHANNEL", "S") else letter for letter in letters]
    letters = ["T" if letter == "TIME" else letter for letter in letters]
    valid = all(len(letter) == 1 and letter in "TCZYX" for letter in letters)
    distinct = len(set(letters)) == len(letters) == ndim
    return "".join(letters) if valid and distinct and {"Y", "X"} <= set(letters) else None
