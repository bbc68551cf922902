"""The results of a file, written one by one; the record, which says that all are there, last."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.axes import in_order
from napari_unet.batch.destinations import Targets
from napari_unet.batch.finished import identify
from napari_unet.batch.opened import OpenedTask
from napari_unet.batch.options import BatchOptions
from napari_unet.formats.export import export
from napari_unet.io import atomic_path, write_image, write_labels
from napari_unet.io.record import FILE, identity_of, write_record
from napari_unet.io.scratch import ScratchFolder
from napari_unet.io.slabs import SlabReader

if TYPE_CHECKING:
    from napari_unet.inference.results import Segmentation
    from napari_unet.inference.segmentation import RunResult

MAX_OVERLAY_PIXELS = 4096  # along a side; larger pictures are thinned out


def write_results(
    opened: OpenedTask,
    result: RunResult,
    targets: Targets,
    record: dict[str, Any],
    options: BatchOptions,
) -> dict[str, Any]:
    """Write what was chosen; gives the record as it stands beside the first of the files."""
    files: dict[str, Path] = {kind: Path(file) for kind, file in targets.files.items()}
    main = next(iter(files))
    late = main if main in ("labels", "scores") and options.file_format != "zarr" else None
    sizes: dict[str, int] = {}
    for kind, file in files.items():
        if kind != late:
            file.parent.mkdir(parents=True, exist_ok=True)
            _write(kind, file, opened, result, record, options)
            sizes[kind] = identify(file)["bytes"]
    whole = {**record, "output_bytes": sizes}
    file = files[main]
    if late is None:
        known = {FILE: identity_of(file)} if file.is_file() else {}
        write_record(file, {**whole, **known})
    else:  # this file gets its name together with the record, which then knows its size
        _write(late, file, opened, result, whole, options)
    return whole


def _write(
    kind: str,
    file: Path,
    opened: OpenedTask,
    result: RunResult,
    record: dict[str, Any],
    options: BatchOptions,
) -> None:
    labels = result.labels
    if kind == "scores":
        assert result.scores is not None
        found = result.scores.prediction
        _write_array(file, found.scores, found, record, options, is_labels=False)
        return
    assert labels is not None
    if kind == "labels":
        _write_array(file, labels.labels, labels, record, options, is_labels=True)
    elif kind == "measurements":
        _measure(file, opened, result, labels)
    elif kind == "overlay":
        _draw(file, opened, labels)
    else:
        export(
            labels.labels,
            file,
            axes=opened.image.axes,
            pixel_size=in_order(labels.pixel_size, labels.axes),
            image=opened.file.array,
            record=record,
        )


def _write_array(
    file: Path,
    array: Any,
    result: Any,
    record: dict[str, Any],
    options: BatchOptions,
    *,
    is_labels: bool,
) -> None:
    sizes = in_order(result.pixel_size, result.axes)
    if options.file_format == "zarr":
        _move_store(array, file, record)
        return
    if "Z" in result.axes and hasattr(array, "chunks"):
        array = SlabReader(array, result.axes.index("Z"))
    write = write_labels if is_labels else write_image
    write(file, array, axes=result.axes, pixel_size=sizes, record=record)


def _move_store(array: Any, target: Path, record: dict[str, Any]) -> None:
    """Give a complete zarr array its name; one that is there goes."""
    import json

    import zarr

    made = Path(str(array.store.root))
    zarr.open_array(made, mode="r+").attrs["napari_unet"] = json.loads(
        json.dumps(record, default=str)
    )
    if not os.path.lexists(target):
        made.rename(target)
        return
    away = ScratchFolder(target.parent)
    try:
        target.rename(away.path / "before")
        made.rename(target)
    except OSError:
        with suppress(OSError):
            (away.path / "before").rename(target)
        raise
    finally:
        away.remove()


def _measure(file: Path, opened: OpenedTask, result: RunResult, labels: Segmentation) -> None:
    from napari_unet.measurement import measure, write_table

    image = opened.image
    sizes = in_order(image.pixel_size, image.axes)
    kept = result.scores
    table = measure(
        labels.labels,
        opened.file.array,
        axes=image.axes,
        pixel_size=None if None in sizes else sizes,
        scores=None if kept is None else kept.prediction,
    )
    write_table(file, table)


def _draw(file: Path, opened: OpenedTask, labels: Segmentation) -> None:
    """Outlines over the image; of a stack, over its middle plane at the first time point."""
    from PIL import Image

    from napari_unet.image.overlay import draw_overlay

    image = opened.image
    step = max(1, -(-max(image.spatial_shape[-2:]) // MAX_OVERLAY_PIXELS))
    plane = slice(image.size("Z") // 2, image.size("Z") // 2 + 1)
    region = tuple(plane if axis == "Z" else slice(0, image.size(axis)) for axis in image.spatial)
    pixels = image.read(0, region)
    pixels = pixels[:, 0] if "Z" in image.spatial else pixels
    outlines = _plane_of(labels, plane.start)[::step, ::step]
    picture = draw_overlay(pixels[:, ::step, ::step], outlines)
    with atomic_path(file) as part:
        Image.fromarray(picture).save(part, "PNG")


def _plane_of(labels: Segmentation, z: int) -> NDArray[Any]:
    place: dict[str, Any] = {"T": 0, "Z": z}
    index = tuple(place.get(axis, slice(None)) for axis in labels.axes)
    plane = np.asarray(labels.labels[index])
    return plane if labels.axes.index("Y") < labels.axes.index("X") else plane.T
