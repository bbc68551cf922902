"""Layers as what `napari_unet.measure` takes: labels, the images below them, and their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels

from napari_unet.axes import label_axes
from napari_unet.dataset.pixel_grid import MismatchError
from napari_unet.errors import InputError
from napari_unet.image.given import origin_of_layer
from napari_unet.replay.kept_arrays import HeldArray
from napari_unet.widgets.annotation.label_matching import looks_like_labels, match_layers
from napari_unet.widgets.viewer.kept_scores import scores_of
from napari_unet.widgets.viewer.label_data import PLACE, LabelData
from napari_unet.widgets.viewer.layer_image import RECORD_KEY, LayerImage, level_of, shape_of
from napari_unet.widgets.viewer.placement import as_sliceable

if TYPE_CHECKING:
    from napari import Viewer

MOST_CHANNELS = 10  # of an axis that nothing names; a longer one is one of planes or times


@dataclass(frozen=True, eq=False)
class Below:
    """An image on the pixels of labels.

    Attributes
    ----------
    name : str
        Of the layer.
    array : array-like
        The pixels that have labels.
    axes : str
        Of the array: those of the labels, and C where there are channels.
    origin : mapping
        The file, where the array is all that the layer has; see `origin_of_layer`.
    """

    name: str
    array: Any
    axes: str
    origin: dict[str, Any]

    @property
    def channels(self) -> int:
        """How many there are."""
        return int(self.array.shape[self.axes.index("C")]) if "C" in self.axes else 1

    def channel(self, number: int) -> tuple[Any, dict[str, Any]]:
        """One channel and where it is from."""
        if "C" not in self.axes:
            return self.array, self.origin
        index = tuple(number if axis == "C" else slice(None) for axis in self.axes)
        origin = {**self.origin, "channel": number} if self.origin else {}
        return as_sliceable(self.array)[index], origin


def label_data(layer: Labels, axes: str) -> LabelData:
    """Labels of a layer as they are now, with the axes of the layer; nothing is copied."""
    attributes = {name: getattr(layer, name) for name in PLACE}
    attributes["affine"] = layer.affine.affine_matrix
    attributes |= {"metadata": layer.metadata, "multiscale": layer.multiscale}
    attributes["axis_labels"] = tuple(axes.lower())
    return LabelData.of(layer.data, attributes)


def axes_below(image: Image, labels: Labels, axes: str) -> str:
    """Axes of the array of an image layer below labels.

    Parameters
    ----------
    image : Image
        The image.
    labels : Labels
        The labels.
    axes : str
        Of the labels' layer.

    Raises
    ------
    InputError
        If an axis more than the labels have is not known to be that of channels.
    """
    flat = label_axes(axes)
    known: str | None = LayerImage.of(image).known_axes
    if known is not None:
        return known
    count = len(shape_of(image)) - bool(image.rgb)
    tail = "C" * bool(image.rgb)
    for found in (axes, flat):
        if count == len(found):
            return found + tail
    sizes = shape_of(image)
    if count == len(flat) + 1 and not image.rgb:
        own = dict(zip(axes, shape_of(labels), strict=True))
        wanted = tuple(own[axis] for axis in flat)
        places = [i for i in range(count) if sizes[:i] + sizes[i + 1 :] == wanted]
        # layers lie on each other by their last axes: of several places the first is meant
        at = next(iter(places), 0)
        if sizes[at] <= MOST_CHANNELS:
            return f"{flat[:at]}C{flat[at:]}"
    raise InputError(
        f"‘{image.name}’ has {count} axes, ‘{labels.name}’ {labels.ndim}, and nothing says which "
        "of them holds channels",
        "choose the image as the image in the dock Segment, and type its axes there",
        parameter="image",
    )


def lay_below(image: Image, labels: Labels, data: LabelData) -> Below:
    """The pixels of an image that have labels.

    Raises
    ------
    InputError
        If the labels do not lie on the pixels of the image.
    """
    axes = axes_below(image, labels, data.layer_axes)
    found = match_layers(image, axes, labels)
    if found.image_level or found.label_level:
        raise InputError(
            f"The pixels of ‘{image.name}’ have another size than those of ‘{labels.name}’",
            "scale one of them to the size of the other",
            parameter="image",
        )
    parts = dict(zip(label_axes(found.image_axes), found.part, strict=True))
    lengths = dict(zip(label_axes(found.image_axes), found.shape, strict=True))
    if any(part.stop - part.start != lengths[axis] for axis, part in parts.items()):
        raise InputError(
            f"‘{labels.name}’ reaches beyond ‘{image.name}’",
            "crop both to the part that they share",
            parameter="image",
        )
    index: list[Any] = []
    kept = ""
    for axis in axes:
        if axis == "C" or axis in data.axes:
            index.append(parts.get(axis, slice(None)))
            kept += axis
        else:
            index.append(parts[axis].start)  # the labels are of one plane of it
    if label_axes(kept) != data.axes:
        raise MismatchError(
            f"‘{image.name}’ has the axes {axes}, ‘{labels.name}’ {data.axes}",
            "give both the same order of axes",
            parameter="image",
            code="axes",
        )
    array, origin = level_of(image), origin_of_layer(image)
    if not found.is_whole or kept != axes:
        array, origin = as_sliceable(array)[tuple(index)], {}
    return Below(image.name, array, kept, origin)


def join_channels(below: list[Below], axes: str) -> tuple[Any, str, tuple[str, ...], list[Any]]:
    """Images as `measure` takes them, their axes, the names of channels, and what is recorded."""
    names = tuple(
        each.name if "C" not in each.axes else f"{each.name} [{number}]"
        for each in below
        for number in range(each.channels)
    )
    if not below:
        return None, axes, (), []
    if len(below) == 1:
        first = below[0]
        return first.array, first.axes, names, [HeldArray(first.array, first.name, first.origin)]
    channels = [each.channel(number) for each in below for number in range(each.channels)]
    arrays = [
        HeldArray(array, name, origin)
        for (array, origin), name in zip(channels, names, strict=True)
    ]
    return [array for array, _ in channels], axes, names, arrays


def suggest_images(labels: Labels, data: LabelData, images: Sequence[Image]) -> list[Image]:
    """The image that labels are probably of, and its other channels where each is a layer."""
    fitting = []
    for image in images:
        if RECORD_KEY in image.metadata:
            continue  # what a network has predicted
        try:
            lay_below(image, labels, data)
        except InputError:
            continue
        fitting.append(image)
    if not fitting:
        return []
    named = [image for image in fitting if labels.name.startswith(image.name)]
    first = max(named, key=lambda image: len(image.name)) if named else fitting[0]
    file = origin_of_layer(first).get("path")
    return [
        image
        for image in fitting
        if image is first or (file is not None and origin_of_layer(image).get("path") == file)
    ]


def scores_below(layer: Labels, data: LabelData) -> Any:
    """The prediction that labels were decoded from, on their pixels; None where there is none."""
    known = scores_of(layer)
    if known is None:
        return None
    found, _, corner = known
    prediction = found.prediction
    if any(corner) or prediction.card.task == "regression":
        return None
    sizes = dict(zip(prediction.axes, found.scores.shape, strict=True))
    if set(sizes) - {"C"} != set(data.axes):
        return None
    if any(sizes[axis] != n for axis, n in zip(data.axes, data.array.shape, strict=True)):
        return None
    return replace(prediction, scores=found.scores)


def check_labels(viewer: Viewer, layer: Labels | None) -> Labels:
    """The chosen labels, or why there are none.

    Raises
    ------
    InputError
        If there are none.
    """
    if layer is not None:
        return layer
    for each in viewer.layers:
        if isinstance(each, Image) and looks_like_labels(each):
            whole = np.dtype(level_of(each).dtype).kind in "iu"
            raise InputError(
                f"There is no labels layer; ‘{each.name}’ looks like labels, but is an image",
                "right-click it in the list of layers, and choose ‘Convert to Labels’"
                + ("" if whole else " (its floating-point numbers become whole ones)"),
                code="no-labels",
            )
    raise InputError(
        "There is no labels layer",
        "segment an image in the dock Segment first, or open labels",
        code="no-labels",
    )
