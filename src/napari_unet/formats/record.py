"""The record of an export: what was written from what, complete enough to write it again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from napari_unet.axes import spatial_in_order
from napari_unet.formats.kinds import Kind
from napari_unet.formats.labels import Extent, LabelSource
from napari_unet.installation import versions
from napari_unet.io.record import EXPORT, RUN, encode_record

MARK = "napari_unet"
"""Under this key a file of another format holds the record of its export."""


def describe_export(
    kind: Kind,
    labels: LabelSource,
    extent: Extent,
    files: Mapping[str, str | None],
    run: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The record.

    Parameters
    ----------
    kind : Kind
        The format.
    labels : LabelSource
        What was exported.
    extent : Extent
        What it holds.
    files : mapping of str to str or None
        Files of the labels and of the image, where they are known.
    run : mapping or None
        The record of the run that made the labels.

    Returns
    -------
    dict
        JSON values only.
    """
    record = {
        "operation": EXPORT,
        "format": kind.name,
        "labels": files.get("labels"),
        "image": files.get("image"),
        "axes": labels.axes,
        "image_axes": labels.given_axes,
        "shape": [labels.sizes[axis] for axis in labels.axes],
        "pixel_size": [labels.pixel_size.get(a) for a in spatial_in_order(labels.axes)],
        "pixel_size_unit": "micrometer",
        "count": extent.count,
        "largest_label": extent.largest,
        "task": "semantic" if labels.classes else "instance",
        "classes": [
            {"value": each.value, "name": each.name, "colour": each.colour}
            for each in labels.classes
        ],
        RUN: None if run is None else dict(run),
        "versions": dict(versions()),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return json.loads(encode_record(record))  # type: ignore[no-any-return]


def file_of(array: Any) -> str | None:
    """The file that an array is read from, as far as it knows."""
    if isinstance(array, list | tuple):
        return file_of(array[0]) if array else None
    path = getattr(array, "path", None)
    path = path if isinstance(path, Path) else getattr(array, "filename", None)
    if isinstance(path, str | Path):
        return str(Path(path).absolute())
    store = getattr(getattr(array, "store", None), "root", None)
    if isinstance(store, Path):
        return str((store / str(getattr(array, "path", ""))).absolute())
    return None
