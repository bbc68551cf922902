"""Zarr arrays and OME-Zarr images, in a local folder, or inside one."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path, PurePath
from typing import Any

from napari_unet.errors import FileError, Note, UNetError
from napari_unet.io.lazy import LazyArray
from napari_unet.io.opened import Opened
from napari_unet.io.pixel_size import (
    believable_sizes,
    order_sizes,
    sizes_without_unit,
    unit_in_micrometres,
)
from napari_unet.io.reason import reason_of
from napari_unet.io.scenes import Scene, choose_scene
from napari_unet.io.zarr_members import (
    containing_image,
    images_inside,
    is_labels_path,
    ome_attributes,
)

DOUBTED_CHUNKS = 100_000  # from which on an array is doubted of which next to nothing is stored
MOST_HOLLOW = 1000  # chunks that are declared for one that is stored, at most
METADATA_NAMES = ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")

_Unitless = tuple[dict[str, float], tuple[Note, ...]]


def open_zarr(path: Path, scene: int | str | None = None) -> Opened:
    """Open a Zarr array, or the full resolution of an OME-Zarr image (0.1 to 0.5).

    Axes come from OME-Zarr's metadata, else from the names of the array's dimensions. An array
    that is a level of an OME-Zarr image has that image's axes, and the pixel size of the level.

    Parameters
    ----------
    path : Path
        The folder of the array or group.
    scene : int, str or None
        Which image of several, as of a file that bioformats2raw has converted: its number, or
        its path in the store.

    Raises
    ------
    FileError
        If the folder is damaged, or holds no image or several, as a plate does.
    InputError
        If it has no such image.
    """
    import zarr

    try:
        scenes: tuple[Scene, ...] = ()
        chosen = 0
        notes: tuple[Note, ...] = ()
        node = zarr.open(path, mode="r")
        if isinstance(node, zarr.Group):
            members = images_inside(path)
            if scene is not None or "bioformats2raw.layout" in ome_attributes(node):
                scenes = tuple(_describe(node, name) for name in members) or (_describe(node, ""),)
                chosen, notes = choose_scene(path, scenes, scene)
                node = node[members[chosen]] if members else node
            elif members:
                raise _not_one(path, members)
        elif scene not in (None, 0):
            shape = tuple(int(n) for n in node.shape)
            choose_scene(path, (Scene("", shape, _plane(shape)),), scene)
        array, axes, sizes, unitless, names, more = read_node(path, node)
        is_labels = is_labels_path(path) or "image-label" in ome_attributes(node)
        if not is_labels and "napari_unet" not in array.attrs:  # labels may well be empty
            _check_content(path, array)
        notes += more
        sizes, told = believable_sizes(sizes)
        steps, without = unitless
        notes += told + without
        return Opened(
            LazyArray(path, array),
            axes,
            order_sizes(sizes, axes) if axes else None,
            notes,
            scenes,
            chosen,
            names,
            is_labels,
            unitless_size=steps,
        )
    except UNetError:
        raise
    except MemoryError:
        raise  # it is not the file's fault
    except Exception as error:
        # Stores, codecs and metadata of other programs raise errors of any kind.
        raise FileError(
            f"{path} is no Zarr image, or a damaged one ({reason_of(error)})",
            "copy or export it anew",
        ) from error


def _check_content(path: Path, array: Any) -> None:
    """Doubt a shape of which next to nothing is stored: one wrong number makes days of work.

    Chunks that hold nothing need not be stored, so that only great numbers of them are doubted, and
    those of labels are not.

    Raises
    ------
    FileError
        Where fewer than one of `MOST_HOLLOW` chunks is in a file.
    """
    from zarr.storage import LocalStore

    pieces = array.shards or array.chunks
    if 0 in pieces:
        return  # which is told elsewhere
    declared = math.prod(math.ceil(n / m) for n, m in zip(array.shape, pieces, strict=True))
    if declared < DOUBTED_CHUNKS or not isinstance(array.store, LocalStore):
        return
    enough = declared // MOST_HOLLOW
    if sum(1 for _ in islice(_chunk_files(array.store.root / array.path), enough)) < enough:
        raise FileError(
            f"{path} declares a shape of {array.shape}, of which next to nothing is stored",
            "correct its metadata, or cut the image to the part that holds something",
        )


def _chunk_files(folder: Path) -> Iterator[str]:
    for _, _, names in os.walk(folder):
        yield from (name for name in names if name not in METADATA_NAMES)


def level_paths(path: Path) -> list[Path]:
    """Folders of the levels of an OME-Zarr image, the finest first; none for an array."""
    import zarr

    node = zarr.open(path, mode="r")
    if isinstance(node, zarr.Array):
        return []
    image = _multiscale(path, node, ome_attributes(node))
    return [path / str(dataset["path"]) for dataset in image["datasets"]]


def read_node(
    path: PurePath, node: Any
) -> tuple[Any, str | None, dict[str, float | None], _Unitless, tuple[str, ...], tuple[Note, ...]]:
    """The array of a node, its axes, sizes by axis, those without unit, channels, and notes."""
    array, image, dataset, told = _array_of(path, node)
    axes, sizes, unitless, names = _ome_axes(image, dataset, array)
    return array, axes, sizes, unitless, names, told


def _array_of(
    path: PurePath, node: Any
) -> tuple[Any, Mapping[str, Any], Mapping[str, Any], tuple[Note, ...]]:
    """The array to read, the metadata of the image that it belongs to and those of its level.

    Last what is to be told.
    """
    import zarr

    if isinstance(node, zarr.Array):
        inside = containing_image(path) if isinstance(path, Path) else None
        attributes, image, dataset = inside or ({}, {}, {})
        return node, {**image, **_omero(attributes)}, dataset, ()
    attributes = ome_attributes(node)
    image = _multiscale(path, node, attributes)
    others = len(attributes.get("multiscales") or ()) - 1
    text = f"The group lists {others + 1} images, of which the first was taken"
    notes = (Note("scenes-left-out", text),) if others > 0 else ()
    array = node[str(image["datasets"][0]["path"])]
    return array, {**image, **_omero(attributes)}, {}, notes


def _omero(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {"omero": attributes.get("omero")}


def _describe(node: Any, name: str) -> Scene:
    """An image of a store; its shape is left out where it cannot be read."""
    try:
        member = node[name] if name else node
        image = _multiscale(Path(name), member, ome_attributes(member))
        shape = tuple(int(n) for n in member[str(image["datasets"][0]["path"])].shape)
    except Exception:  # noqa: BLE001  # one damaged image must not hide the others
        shape = ()
    return Scene(name, shape, _plane(shape))


def _plane(shape: tuple[int, ...]) -> tuple[int, int]:
    return (shape[-2], shape[-1]) if len(shape) > 1 else (0, 0)


def _not_one(path: Path, members: list[str]) -> FileError:
    inside = ", ".join(members[:5]) + (", ..." if len(members) > 5 else "")
    count = "one image" if len(members) == 1 else f"{len(members)} images"
    return FileError(
        f"{path} is no image but holds {count}: {inside}",
        f"give the path of one, such as {path / members[0]}",
    )


def _multiscale(path: PurePath, node: Any, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    images = attributes.get("multiscales")
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


def _ome_axes(
    image: Mapping[str, Any], dataset: Mapping[str, Any], array: Any
) -> tuple[str | None, dict[str, float | None], _Unitless, tuple[str, ...]]:
    """Axes, sizes by axis letter (NaN for what is no number), those without unit, channels."""
    declared = image.get("axes")
    if declared is None:
        if image.get("version") in ("0.1", "0.2") and array.ndim == 5:
            return "TCZYX", {}, ({}, ()), _channel_names(image, "TCZYX", array)
        return _dimension_axes(array, dict(array.attrs)), {}, ({}, ()), ()
    entries = [item if isinstance(item, Mapping) else {"name": item} for item in declared]
    axes = _over_tczyx([item["name"] for item in entries], array.ndim)
    if axes is None:
        return None, {}, ({}, ()), ()
    scale = [1.0] * len(axes)
    known = False
    # A scale of the whole image multiplies that of the resolution level.
    for holder in (dataset or image["datasets"][0], image):
        for step in holder.get("coordinateTransformations") or ():
            if step.get("type") == "scale" and len(step.get("scale") or ()) == len(axes):
                scale = [a * _number(b) for a, b in zip(scale, step["scale"], strict=True)]
                known = True
    sizes: dict[str, float | None] = {}
    without: dict[str, float] = {}
    named = ""
    for letter, item, step_size in zip(axes, entries, scale, strict=True):
        unit = unit_in_micrometres(item.get("unit")) if known and letter in "ZYX" else None
        sizes[letter] = None if unit is None else step_size * unit
        if unit is None and letter in "ZYX":
            without[letter], named = step_size, str(item.get("unit") or named)
    return axes, sizes, sizes_without_unit(without, named), _channel_names(image, axes, array)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _channel_names(image: Mapping[str, Any], axes: str, array: Any) -> tuple[str, ...]:
    """Labels of the channels in the metadata of OMERO; empty where one of them has none."""
    omero = image.get("omero")
    channels = omero.get("channels") if isinstance(omero, Mapping) else None
    if "C" not in axes or len(channels or ()) != array.shape[axes.index("C")]:
        return ()
    names = [str(c.get("label") or "") if isinstance(c, Mapping) else "" for c in channels or ()]
    return tuple(names) if all(names) else ()


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
