"""The dock "Measure" and run records: one taken over into it, one written beside a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels

from napari_unet.errors import InputError, UNetError
from napari_unet.image.given import origin_of_layer
from napari_unet.io.reading import TIFF_SUFFIXES
from napari_unet.replay.kept_arrays import settle
from napari_unet.replay.measuring import MeasureRun, write_table_record
from napari_unet.replay.records import describe_taken, read_run_of_kind
from napari_unet.replay.references import ArrayReference
from napari_unet.widgets.measure.request import ALWAYS, GROUPS
from napari_unet.widgets.viewer.docks import PLUGIN
from napari_unet.widgets.viewer.layer_axes import name_axes
from napari_unet.widgets.viewer.layer_image import plain

if TYPE_CHECKING:
    from napari import Viewer

    from napari_unet.widgets.measure.form import MeasureForm


def record_beside(table: Path, draft: Mapping[str, Any]) -> None:
    """Write the record of a table beside it."""
    content, _ = settle(draft)
    write_table_record(table, content)


def take_over(path: Path, form: MeasureForm, viewer: Viewer) -> str:
    """Fill the form from a record, and open its labels and images where no layer shows them.

    Returns
    -------
    str
        What is to be said of it.

    Raises
    ------
    UNetError
        If it is no record of a measurement, or what was measured is gone or has changed.
    """
    run = read_run_of_kind(path, MeasureRun)
    labels: Any = _layer_of(run.labels, viewer, Labels)
    images: list[Any] = []
    for reference in run.image:
        layer = _layer_of(reference, viewer, Image)
        if layer not in images:
            images.append(layer)
    if run.axes is not None:
        name_axes(labels, run.axes.replace("C", "") if run.image else run.axes)
    form.choose(labels, images)
    known = form.request.pixel_size if form.request is not None else None
    if run.pixel_size is not None and run.pixel_size != known and None not in run.pixel_size:
        form.pixel_size.value = ", ".join(format(size, "g") for size in run.pixel_size if size)
    form.distance.value = run.neighbour_distance or 0
    left: list[str] = []
    if run.properties is not None:
        for name, box in form.groups.items():
            box.value = name == "confidence" or any(each in run.properties for each in GROUPS[name])
        form.refresh()
        offered = () if form.request is None else form.request.properties
        more = set(offered) - {*run.properties, *ALWAYS, "confidence"}
        left = ["the choice of single properties"] if more else []
    return describe_taken(path, left)


def _layer_of(reference: ArrayReference, viewer: Viewer, kind: Any) -> Any:
    """The layer that shows an array, opened where there is none."""
    reference.open()  # an error where it is gone or has changed
    path = Path(str(reference.path))
    for layer in viewer.layers:
        origin = origin_of_layer(layer)
        same = origin.get("path") and Path(origin["path"]) == path
        if same and isinstance(layer, kind) and reference.channel in (None, origin.get("channel")):
            return plain(layer)
    own = path.suffix.lower() in TIFF_SUFFIXES or path.suffix.lower() == ".zarr"
    try:
        opened = viewer.open(
            path,
            plugin=PLUGIN if own else "napari",
            layer_type="labels" if kind is Labels else "image",
        )
    except UNetError:
        raise
    except Exception as error:  # noqa: BLE001  # readers of others raise what they like
        raise InputError(f"{path} cannot be opened ({error})", "open it by hand first") from None
    found = [layer for layer in opened if isinstance(layer, kind)]
    for layer in found:
        if reference.channel in (None, origin_of_layer(layer).get("channel")):
            return plain(layer)
    raise InputError(f"{path} holds no such layer", "open it by hand first")
