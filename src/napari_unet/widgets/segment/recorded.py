"""The dock "Segment" and run records: what it would run as one, and one taken over into it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image

from napari_unet.errors import InputError
from napari_unet.image.given import PIXEL_SIZE_KEY, origin_of_layer
from napari_unet.image.roi import Roi, pack_mask
from napari_unet.io.naming import plain_stem
from napari_unet.io.reading import TIFF_SUFFIXES
from napari_unet.replay.kept_arrays import HeldArray
from napari_unet.replay.records import describe_taken, read_run_of_kind
from napari_unet.replay.references import ArrayReference, describe_model
from napari_unet.replay.segmenting import SegmentRun
from napari_unet.widgets.viewer.docks import PLUGIN
from napari_unet.widgets.viewer.layer_image import shape_of

if TYPE_CHECKING:
    from napari import Viewer

    from napari_unet.widgets.segment.form import SegmentForm
    from napari_unet.widgets.segment.request import Request

NOT_IN_FORM = ("normalization",)


def draft_of(request: Request, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The record of what a request would run.

    Parameters
    ----------
    request : Request
        From the form.
    settings : mapping, optional
        The resolved ones, where the same was run already.
    """
    image, roi = request.image, request.roi
    if settings is None:
        settings = request.settings.model_dump(mode="json", exclude_defaults=True)
    draft = {
        "operation": "predict" if request.card.task == "regression" else "segment",
        "model": describe_model(request.source),
        "input": [
            HeldArray(array, image.name, origin)
            for array, origin in zip(image.arrays, image.origins, strict=True)
        ],
        "axes": request.axes,
        "channels": None if request.channels is None else list(request.channels),
        "pixel_size": list(image.pixel_size(request.axes)),
        "settings": dict(settings),
        "shape": list(image.shape),
    }
    part = {axis: [s.start, s.stop] for axis, s in roi.of(request.opened).items()}
    if any(each is not None for each in (roi.t, roi.z, roi.y, roi.x, roi.inside)):
        draft["extent"] = {axis: ends for axis, ends in part.items() if axis in request.axes}
    if roi.inside is not None:
        draft["outline"] = pack_mask(roi.inside)
    return draft


def take_over(path: Path, form: SegmentForm, viewer: Viewer) -> str:
    """Fill the form from a record, and open its image where no layer shows it.

    Returns
    -------
    str
        What is to be said of it.

    Raises
    ------
    UNetError
        If it is no record of a segmentation, its model is not here, or its image is gone or has
        changed.
    """
    run = read_run_of_kind(path, SegmentRun)
    model = run.model.find_to_choose()  # the same one, or an error
    layers, axes = _layers_of(run, viewer)
    form.models.choose(model)
    if len(layers) == 1:
        form.images.choose(layers[0])
    else:
        form.images.choose_channels(layers)
    _take_sizes(run, layers, form)
    if form.axes_text != axes:
        form.axes.value = axes
    if "C" in axes and run.channels is not None:
        form.channels.value = ", ".join(map(str, run.channels))
    level = run.input[0].level or 0
    if level:
        form.level.value = level
    values = run.settings.model_dump(exclude_defaults=True)
    left = [name for name in NOT_IN_FORM if values.pop(name, None) is not None]
    if form.card is not None and run.settings.normalization == form.card.normalization:
        left.clear()
    form.set_values(values)
    if run.roi is not None and not _take_part(run.roi, layers[0], form, viewer):
        left.append("region")
    return describe_taken(path, left)


def _layers_of(run: SegmentRun, viewer: Viewer) -> tuple[list[Image], str]:
    """The layers of a record's image, opened where there are none, and the axes of each."""
    axes = run.axes
    if len(run.input) > 1:
        return [_layer_of(each, viewer, axes) for each in run.input], axes
    (reference,) = run.input
    split = _split_layers(reference, viewer) if "C" in axes and run.channels else {}
    if run.channels is not None and set(run.channels) <= split.keys():
        return [split[channel] for channel in run.channels], axes.replace("C", "")
    return [_layer_of(reference, viewer, axes)], axes


def _split_layers(reference: ArrayReference, viewer: Viewer) -> dict[int, Image]:
    """Layers that each show one channel of a file, by the channel."""
    found = {}
    for layer in viewer.layers:
        if isinstance(layer, Image):
            origin = origin_of_layer(layer)
            if origin.get("path") == reference.path and "channel" in origin:
                found[int(origin["channel"])] = layer
    return found


def _layer_of(reference: ArrayReference, viewer: Viewer, axes: str) -> Image:
    given = reference.open()  # the same pixels, or an error
    for layer in viewer.layers:
        if not isinstance(layer, Image):
            continue
        origin = origin_of_layer(layer)
        same = all(
            origin.get(key) == getattr(reference, key)
            for key in ("path", "channel")
            if origin.get(key) is not None or getattr(reference, key) is not None
        )
        if same and (reference.level or shape_of(layer) == tuple(given.array.shape)):
            return layer
    path = Path(str(reference.path))
    if reference.channel is None and path.suffix.lower() in TIFF_SUFFIXES:
        opened = [each for each in viewer.open(path, plugin=PLUGIN) if isinstance(each, Image)]
        for layer in opened:
            if shape_of(layer) == tuple(given.array.shape):
                return layer
        for layer in opened:
            viewer.layers.remove(layer)
    return _add_image(reference, given.array, viewer, axes, path)


def _add_image(
    reference: ArrayReference, array: Any, viewer: Viewer, axes: str, path: Path
) -> Image:
    from napari_unet.image.given import FILE_KEY, FILE_PART_KEY

    rgb = axes.endswith("C") and array.shape[-1] in (3, 4)
    data = array
    if not isinstance(array, np.ndarray) and not hasattr(array, "dask"):
        import dask.array

        data = dask.array.from_array(array, chunks=array.chunks, name=False)  # type: ignore[no-untyped-call]
    part = {
        key: value for key in ("scene", "channel") if (value := getattr(reference, key)) is not None
    }
    metadata: dict[str, Any] = {FILE_KEY: str(path), **({FILE_PART_KEY: part} if part else {})}
    labels = axes[:-1] if rgb else axes
    if len(labels) != array.ndim - rgb:
        labels = ""
    more = {"axis_labels": tuple(labels.lower())} if labels else {}
    layer: Image = viewer.add_image(data, name=plain_stem(path), rgb=rgb, metadata=metadata, **more)
    return layer


def _take_sizes(run: SegmentRun, layers: list[Image], form: SegmentForm) -> None:
    """Pixel sizes that were typed are typed again."""
    form.refresh()
    if form.image is None or run.pixel_size is None or run.input[0].level:
        return
    spatial = [axis for axis in run.axes if axis in "ZYX"]
    sizes = dict(zip(spatial, run.pixel_size, strict=False))
    known = {axis: size for axis, size in sizes.items() if size is not None}
    axes = form.axes_text.replace("C", "") if len(layers) > 1 else form.axes_text
    shown = form.image.pixel_size(axes) if len(axes) == len(form.image.shape) else ()
    if tuple(shown) != tuple(run.pixel_size) and known:
        for layer in layers:
            layer.metadata = {**layer.metadata, PIXEL_SIZE_KEY: known}
        form.refresh()


def _take_part(roi: Roi, layer: Image, form: SegmentForm, viewer: Viewer) -> bool:
    """Choose the part of a record, a rectangle as a layer of shapes; False where it is none."""
    picker = form.roi_picker
    for editor, part in ((picker.times, roi.t), (picker.planes, roi.z)):
        if part is not None:
            editor.first.value, editor.last.value = part[0], part[1] - 1
    if roi.y is None and roi.x is None:
        return True
    axes = form.axes_text
    if roi.inside is not None or not axes.replace("C", "").endswith("YX"):
        return False
    shape = dict(zip(axes, shape_of(layer), strict=True))
    y, x = roi.y or (0, shape["Y"]), roi.x or (0, shape["X"])
    corners = [(y[0], x[0]), (y[0], x[1]), (y[1], x[1]), (y[1], x[0])]
    n = slice(-2, None)
    shapes = viewer.add_shapes(
        np.asarray([corners], float) - 0.5,
        shape_type="rectangle",
        name="region of the record",
        face_color="transparent",
        edge_color="#c08a30",
        scale=layer.scale[n],
        translate=layer.translate[n],
        units=layer.units[n],
        affine=layer.affine.set_slice([layer.ndim - 2, layer.ndim - 1]).affine_matrix,
    )
    viewer.layers.selection.active = layer
    picker.reset_choices()
    picker.region.value = next(
        (each for _, each in picker._items() if each == shapes), picker.region.value
    )
    return bool(picker.region.value == shapes)


def check_image(image: Any, viewer: Viewer) -> list[Image]:
    """Layers that a script names: a layer, its name, or several of them for the channels.

    Raises
    ------
    InputError
        If one is no image layer of the viewer.
    """
    given = image if isinstance(image, list | tuple) else [image]
    layers = []
    for each in given:
        names = [layer.name for layer in viewer.layers if isinstance(layer, Image)]
        known = [
            layer
            for layer in viewer.layers
            if isinstance(layer, Image) and each in (layer, layer.name)
        ]
        if not known:
            raise InputError(
                f"The viewer has no image layer {getattr(each, 'name', each)!r}",
                f"it has {', '.join(map(repr, names)) or 'none'}",
                parameter="image",
                value=each,
            )
        layers.append(known[0])
    return layers
