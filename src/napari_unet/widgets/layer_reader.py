"""Files to layers, for the viewer's menu File > Open.

The viewer's own reader takes the pixels alone; this one takes axes, pixel size, channels, and of
labels also their record and marks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_unet.errors import FileError, Note
from napari_unet.io import ImageFile, read_image
from napari_unet.io.cellpose_files import is_pickled, read_cellpose_labels
from napari_unet.io.naming import plain_stem
from napari_unet.io.pixel_size import unit_in_micrometres
from napari_unet.io.position import read_position, read_stage_position
from napari_unet.io.record import STALE, find_record
from napari_unet.io.zarr_files import level_paths
from napari_unet.io.zarr_members import images_inside, is_inside_zarr, labels_beside, store_of
from napari_unet.widgets.annotation.marks import JOURNAL_KEY, MARKS_KEY
from napari_unet.widgets.annotation.saved_marks import read_journal, read_marks
from napari_unet.widgets.qt.wording import label_of
from napari_unet.widgets.viewer.channel_layers import channel_colours, without_axis
from napari_unet.widgets.viewer.layer_image import FILE_PART_KEY, PIXEL_SIZE_KEY, RECORD_KEY
from napari_unet.widgets.viewer.placement import Placement

LayerData = tuple[Any, dict[str, Any], str]

CELLPOSE = "_seg.npy"
MOST_SCENES = 12  # images of one file that are opened at once
EAGER_BYTES = 64 * 2**20
PAINTABLE_BYTES = 2**29
"""Labels up to this size are read into memory, where they can be painted."""

PLACE_KEYS = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_COLOURS = (3, 4)
_INTEGER_LABELS = ("int32", "uint32", "int64", "uint64")  # which the viewer takes for labels too


def get_reader(path: str | Sequence[str]) -> Callable[[Any], list[LayerData]] | None:
    """A function that reads a path, or None where this plugin should not.

    It takes TIFF files, images in zarr stores and labels of Cellpose, one path at a time: a stack
    of files is left to others, and so is a folder that is no zarr store, or a file that is none in
    spite of its name.

    Parameters
    ----------
    path : str, or list of str
        One path, or several that make a stack.
    """
    if not isinstance(path, str):
        if len(path) != 1:
            return None
        (path,) = path
    place = Path(path)
    try:
        if place.is_dir():
            return read_layers if is_inside_zarr(place) else None
        if place.name.lower().endswith(CELLPOSE):
            return read_cellpose_layer if is_pickled(place) else None
        with place.open("rb") as file:
            return read_layers if file.read(4) in _TIFF_STARTS else None
    except (OSError, ValueError):  # also an address, which is no path
        return None


def read_cellpose_layer(path: str | Sequence[str]) -> list[LayerData]:
    """Read the labels of a ``_seg.npy`` file of Cellpose; nothing in it is run.

    Raises
    ------
    FileError
        If the file is damaged, or none of Cellpose.
    """
    place = Path(path if isinstance(path, str) else path[0])
    labels, _ = read_cellpose_labels(place)
    return [(labels, {"name": plain_stem(place)}, "labels")]


def read_layers(path: str | Sequence[str]) -> list[LayerData]:
    """Read the images of a file, and the labels beside an OME-Zarr image.

    Channels become layers with their names, colours stay one layer. Files that this package has
    written as labels, or that a run has made, become Labels where they were, with their record
    and marks. What is left out is told in the viewer.

    Parameters
    ----------
    path : str, or list of one str
        A TIFF file, or a folder of or in a zarr store.

    Returns
    -------
    list of (data, attributes, layer type)
        As napari takes them.

    Raises
    ------
    FileError
        If the file is damaged, or holds more images than can be opened at once.
    """
    place = Path(path if isinstance(path, str) else path[0])
    found = []
    for part, scene in _parts(place):
        file = read_image(part, scene=scene, eager_bytes=0)
        _tell(file.notes)
        if scene == 0 and read_stage_position(file) is not None:
            _tell(
                [Note("stage", "The images lie where the stage stood for each, as the file says")]
            )
        found += _layers_of(file, several=scene is not None or part != place)
    return found


def _parts(path: Path) -> list[tuple[Path, int | None]]:
    """Paths and scenes to open."""
    if path.is_dir():
        members = images_inside(path)
        if len(members) > MOST_SCENES:
            raise FileError(
                f"{path} holds {len(members)} images, more than can be shown at once",
                f"open one of them, such as {path / members[0]}",
            )
        if members:
            return [(path / member, None) for member in members]
        return [(path, None), *((labels, None) for labels in labels_beside(path))]
    file = read_image(path, eager_bytes=0)
    count = len(file.scenes)
    if count == 1 or count > MOST_SCENES or file.scene > 0:  # or the first is a thumbnail
        return [(path, None)]
    return [(path, scene) for scene in range(count)]


@dataclass(frozen=True)
class _Levels:
    """The array of an image, or those of its levels, the finest first."""

    arrays: list[Any]

    def without(self, axis: int, place: int) -> _Levels:
        index = (slice(None),) * axis + (place,)
        return _Levels([array[index] for array in self.arrays])

    @property
    def data(self) -> Any:
        return self.arrays[0] if len(self.arrays) == 1 else self.arrays

    @property
    def options(self) -> dict[str, Any]:
        return {"multiscale": True} if len(self.arrays) > 1 else {}


def _layers_of(file: ImageFile, *, several: bool) -> list[LayerData]:
    record = find_record(file.array) or find_record(file)
    stale = record is not None and STALE in record
    integers = np.dtype(file.array.dtype).kind in "bui"
    made = record is not None and record.get("operation") == "segment"
    values = np.dtype(file.array.dtype).name in _INTEGER_LABELS
    if integers and (file.is_labels or made or values):
        return [_labels_of(file, None if stale else record)]
    known = record is not None and not made and not stale
    metadata = {RECORD_KEY: dict(record)} if record is not None and known else {}
    return _images_of(file, metadata, several=several)


def _labels_of(file: ImageFile, record: Mapping[str, Any] | None) -> LayerData:
    stored = file
    if file.path.is_file():  # as it is stored, with no palette
        stored = read_image(file.path, scene=file.scene, as_labels=True, eager_bytes=0)
    array, place = stored.array, dict(stored.place or {})
    axes = str(place.get("axes", ""))
    if "C" in axes and len(axes) == array.ndim + 1:  # it lay beside channels
        array = Placement(axes, {}).lay(array)
    metadata: dict[str, Any] = {} if record is None else {RECORD_KEY: dict(record)}
    marks = read_marks(file.path)
    if marks is not None and array.ndim == len(marks.axes):
        metadata[MARKS_KEY] = marks.as_json()
        if marks.corrected is not None:  # a zarr array keeps the record of its run in itself
            metadata.pop(RECORD_KEY, None)
        journal = read_journal(file.path)
        if journal is not None:
            metadata[JOURNAL_KEY] = journal
    laid = _saved(place, array.ndim) or _place(stored, record)
    metadata |= _typed_size(stored, laid)
    small = array.nbytes <= PAINTABLE_BYTES
    data = np.asarray(array) if small else _lazily(array)
    if data.dtype == bool:
        data = data.astype(np.uint8)
    return data, {"name": _name(file), "metadata": metadata, **laid}, "labels"


def _images_of(file: ImageFile, metadata: dict[str, Any], *, several: bool) -> list[LayerData]:
    axes, name = file.axes, _name(file)
    place = _place(file, None)
    metadata = {**metadata, **_typed_size(file, place)}
    levels = _levels(file)
    rgb = axes is not None and axes.endswith("C") and file.array.shape[-1] in _COLOURS
    part = {"scene": file.scene} if several or file.notes else {}
    if axes is None or "C" not in axes or rgb:
        about = {"name": name, "metadata": _about_part(metadata, part), **levels.options, **place}
        if axes is not None:
            about["rgb"] = rgb
        return [(levels.data, about, "image")]
    axis = axes.index("C")
    count = int(file.array.shape[axis])
    names = list(file.channel_names) if len(file.channel_names) == count else []
    if several and names:
        names = [f"{name} {channel}" for channel in names]
    names = names or ([name] if count == 1 else [f"{name} C{i}" for i in range(count)])
    colours = channel_colours(count)
    layers = []
    for number in range(count):
        channel = levels.without(axis, number)
        about = {
            "name": names[number],
            "metadata": _about_part(metadata, {**part, "channel": number}),
            "colormap": colours[number],
            "blending": "additive" if number else "translucent_no_depth",
            "rgb": False,
            **channel.options,
            **_without(place, axis),
        }
        layers.append((channel.data, about, "image"))
    return layers


def _about_part(metadata: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata of a layer; also which part of the file it is, unless it is the whole."""
    return {**metadata, **({FILE_PART_KEY: dict(part)} if part else {})}


def _levels(file: ImageFile) -> _Levels:
    """The pixels: in memory where they are small, else lazily, with the levels of an OME-Zarr."""
    if file.array.nbytes <= EAGER_BYTES:
        return _Levels([np.asarray(file.array)])
    arrays = [file.array]
    if file.path.is_dir() and len(file.scenes) <= 1:
        paths = level_paths(file.path)[1:]
        arrays += [read_image(path).array for path in paths]
    return _Levels([_lazily(array) for array in arrays])


def _lazily(array: Any) -> Any:
    import dask.array

    return dask.array.from_array(array, chunks=array.chunks, name=False)  # type: ignore[no-untyped-call]


def _place(file: ImageFile, record: Mapping[str, Any] | None) -> dict[str, Any]:
    """Where the array lies: as it was saved, else by its axes and pixel size."""
    axes, ndim = file.axes, file.array.ndim
    if axes is not None and axes.endswith("C") and file.array.shape[-1] in _COLOURS:
        axes, ndim = axes[:-1], ndim - 1
    saved = _saved(file.place, ndim)
    if saved or axes is None:
        return saved
    sizes = dict(zip([a for a in axes if a in "ZYX"], file.pixel_size or (), strict=False))
    if not sizes and record is not None:  # a zarr array that a run has written has no sizes
        given = zip(
            [a for a in str(record["axes"]) if a in "ZYX"], record["pixel_size"], strict=False
        )
        sizes = dict(given)
    known = [sizes.get(axis) for axis in axes]
    place = {
        "axis_labels": tuple(axes.lower()),
        "scale": tuple(
            size or file.unitless_size.get(axis, 1.0)
            for axis, size in zip(axes, known, strict=True)
        ),
        "units": tuple("pixel" if size is None else "micrometer" for size in known),
    }
    origin = _origin(file, {axis for axis in axes if sizes.get(axis)})
    if any(origin.values()):
        place["translate"] = tuple(origin.get(axis, 0.0) for axis in axes)
    return place


def _origin(file: ImageFile, known: set[str]) -> dict[str, float]:
    """Where the first pixel lies, by axis, in the units of its pixel size.

    Of an OME-Zarr as it says, of the images of an OME-TIFF where the stage stood for each.
    """
    position = read_position(file) if file.path.is_dir() else read_stage_position(file)
    if position is None or not position.is_declared:
        return {}
    same = known == set(position.steps) if position.in_micrometres else not known
    return position.origin if same else {}


def _typed_size(file: ImageFile, place: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata with the pixel size of a file whose layer had none of its own: it was typed."""
    units = [unit_in_micrometres(unit) for unit in place.get("units", ())]
    spatial = [axis for axis in file.axes or "" if axis in "ZYX"]
    known = dict(zip(spatial, file.pixel_size or (), strict=False))
    sizes = {axis: size for axis, size in known.items() if size is not None}
    return {PIXEL_SIZE_KEY: sizes} if sizes and not any(units) else {}


def _saved(place: Mapping[str, Any] | None, ndim: int) -> dict[str, Any]:
    """A place that was saved, if it is one for an array of so many axes; else nothing."""
    if place is None:
        return {}
    try:
        fits = len(place["scale"]) == len(place["axis_labels"]) == ndim
    except (KeyError, TypeError):
        return {}
    return {key: place[key] for key in place if key in PLACE_KEYS} if fits else {}


def _without(place: Mapping[str, Any], axis: int) -> dict[str, Any]:
    """A place less one axis."""
    ndim = len(place.get("scale", ()))
    if not ndim:
        return {}
    kept = [i for i in range(ndim) if i != axis]
    left = without_axis(place, axis, ndim)
    return left | {key: [place[key][i] for i in kept] for key in ("units", "axis_labels")}


def _name(file: ImageFile) -> str:
    store = store_of(file.path)
    inside = file.path.relative_to(store).parts
    scene = file.scenes[file.scene].name if len(file.scenes) > 1 else ""
    if len(file.scenes) > 1 and not scene:
        scene = str(file.scene)
    return " ".join(part for part in (plain_stem(store), *inside, scene) if part)


def _tell(notes: Sequence[Note]) -> None:
    from napari.utils.notifications import show_info

    for note in notes:
        show_info(note.worded(label_of))
