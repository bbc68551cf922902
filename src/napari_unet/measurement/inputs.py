"""What `measure` was given, checked: labels, image and scores with the meaning of their axes."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.axes import check_axes, label_axes, spatial_axes, spatial_in_order
from napari_unet.errors import InputError
from napari_unet.io.pixel_size import check_pixel_size
from napari_unet.measurement.layers import take_in_layers

if TYPE_CHECKING:
    from napari_unet.inference.results import Prediction

Window = Mapping[str, int | slice]
"""A place along each axis, by letter; axes that it does not name are read whole."""


@dataclass(frozen=True, eq=False)
class Source:
    """Arrays that are read part by part, in canonical order.

    Attributes
    ----------
    arrays : tuple of array-like
        One array, or one per channel.
    axes : str
        Axes of each of them.
    fixed : mapping
        Where along an axis it is read always.
    """

    arrays: tuple[Any, ...]
    axes: str
    fixed: Mapping[str, int] = field(default_factory=dict)

    @property
    def sizes(self) -> dict[str, int]:
        """Lengths by axis."""
        return dict(zip(self.axes, map(int, self.arrays[0].shape), strict=True))

    @property
    def channels(self) -> int:
        """How many `read` gives."""
        if "C" in self.axes and "C" not in self.fixed:
            return self.sizes["C"]
        return len(self.arrays)

    def read(self, window: Window) -> NDArray[Any]:
        """The pixels of a window: the axes along which it is a range, in the order CZYX.

        The channels always stand first, also if there is only one.
        """
        place = {**window, **self.fixed}
        index = tuple(place.get(axis, slice(None)) for axis in self.axes)
        kept = [axis for axis, at in zip(self.axes, index, strict=True) if isinstance(at, slice)]
        order = [kept.index(axis) for axis in "CZYX" if axis in kept]
        parts = [np.asarray(array[index]).transpose(order) for array in self.arrays]
        if "C" in kept:
            return parts[0]
        return parts[0][None] if len(parts) == 1 else np.stack(parts)


@dataclass(frozen=True, eq=False)
class Inputs:
    """Labels, and what is measured below them.

    Attributes
    ----------
    labels : Source
        Of integers; read by `read_labels`.
    image, scores : Source or None
        On the pixels of the labels. Of scores, those channels that stand for objects.
    axes : str
        Axes of the labels.
    channels : int or None
        Length of the image's axis C; None without one.
    pixel_size : tuple of float or None
        Micrometres per spatial axis in the order ZYX; None where one is not known.
    """

    labels: Source
    image: Source | None
    scores: Source | None
    axes: str
    channels: int | None
    pixel_size: tuple[float, ...] | None

    @property
    def spatial(self) -> str:
        """The spatial axes in canonical order."""
        return spatial_axes(self.axes)

    def read_labels(self, window: Window) -> NDArray[Any]:
        """Labels of a window, with its spatial axes in canonical order.

        Raises
        ------
        InputError
            If a value is negative, or no whole number.
        """
        values: NDArray[Any] = self.labels.read(window)[0]
        if values.dtype.kind == "f":
            whole = np.isfinite(values) & (np.rint(values) == values)
            if not whole.all():
                raise InputError(
                    f"the labels are of type {values.dtype} and hold {values[~whole][0]:g}, which "
                    "is no whole number: they may be probabilities or intensities",
                    "give integers, one for each object and 0 for the background",
                    parameter="labels",
                    value=float(values[~whole][0]),
                )
            values = values.astype(np.int64)
        if values.dtype.kind == "i" and values.size and int(values.min()) < 0:
            lowest = int(values.min())
            raise InputError(
                f"the labels hold {lowest}, but objects have numbers above 0",
                "give 0 to what is no object",
                parameter="labels",
                value=lowest,
            )
        return values


def check_inputs(
    labels: Any,
    image: Any,
    axes: str | None,
    pixel_size: float | Sequence[float | None] | None,
    scores: Prediction | Any,
) -> Inputs:
    """Check what `measure` was given; see there.

    Raises
    ------
    InputError
        If something is no array of numbers, the shapes differ, or the axes are not known.
    """
    labels, image, axes, pixel_size = take_in_layers(labels, image, axes, pixel_size)
    labels = _as_array(labels, "labels", "uif")
    arrays = () if image is None else _as_channels(image)
    prediction = scores if hasattr(scores, "card") else None
    if axes is None:
        axes = _axes_that_are_sure(labels, arrays, prediction)
    axes = str(axes).upper()
    check_axes(axes, (1,) * len(axes))
    ours, source = label_axes(axes), Source((labels,), axes)
    if labels.ndim == len(axes):
        check_axes(axes, labels.shape)
        if "C" in axes:
            if source.sizes["C"] != 1:
                raise InputError(
                    f"the labels have {source.sizes['C']} channels (shape {tuple(labels.shape)}, "
                    f"⟨axes⟩ {axes!r})",
                    "give the labels of one of them, or correct ⟨axes=⟩, such as ⟨axes='TYX'⟩ for "
                    "time",
                    parameter="labels",
                    value=tuple(labels.shape),
                )
            source = Source((labels,), axes, {"C": 0})
    else:
        check_axes(ours, labels.shape)
        source = Source((labels,), ours)
    sizes = {axis: source.sizes[axis] for axis in ours}
    pictured, channels = _check_image(arrays, axes, sizes)
    if pixel_size is None and prediction is not None and prediction.pixel_size is not None:
        known = dict(zip(spatial_axes(ours), prediction.pixel_size, strict=True))
        pixel_size = [known[axis] for axis in spatial_in_order(ours)]
    return Inputs(
        source,
        pictured,
        None if scores is None else _check_scores(scores, prediction, ours, sizes),
        ours,
        channels,
        _check_size(pixel_size, ours),
    )


def _axes_that_are_sure(labels: Any, arrays: tuple[Any, ...], prediction: Any) -> str:
    """Axes where none are given: a wrong guess would be a wrong table."""
    if prediction is not None and not arrays:
        return label_axes(prediction.axes)
    if labels.ndim == 2:
        shapes = {tuple(array.shape) for array in arrays}
        if len(shapes) == 1 and len(arrays) == 1 and arrays[0].ndim == 3:
            (shape,) = shapes
            first, last = shape[1:] == labels.shape, shape[:2] == labels.shape
            if first != last:
                return "CYX" if first else "YXC"
        elif shapes <= {tuple(labels.shape)}:
            return "YX"
    raise InputError(
        f"the axes of labels of shape {tuple(labels.shape)} are not known"
        + (f", with an image of shape {tuple(arrays[0].shape)}" if arrays else ""),
        "give ⟨axes⟩, those of the image if there is one, such as ⟨axes='ZYX'⟩ for a stack or "
        "⟨axes='TYX'⟩ for time",
        parameter="axes",
        value=None,
    )


def _check_image(
    arrays: tuple[Any, ...], axes: str, sizes: Mapping[str, int]
) -> tuple[Source | None, int | None]:
    """The image as a source, and its number of channels if it has such an axis."""
    if not arrays:
        return None, None
    listed = len(arrays) > 1
    for used in dict.fromkeys([label_axes(axes)] if listed else [axes, label_axes(axes)]):
        if all(len(used) == array.ndim for array in arrays):
            sources = [Source((array,), used) for array in arrays]
            found = [{axis: each.sizes[axis] for axis in sizes} for each in sources]
            if all(each == sizes for each in found):
                channels = len(arrays) if listed else sources[0].sizes.get("C")
                return Source(arrays, used), channels
    raise InputError(
        f"the image has shape {tuple(arrays[0].shape)}, but the labels have "
        f"{tuple(sizes.values())} (axes {label_axes(axes)!r})",
        "give the image of these labels, and its axes in ⟨axes⟩, with C if it has channels",
        parameter="image",
        value=tuple(arrays[0].shape),
    )


def _check_scores(scores: Any, prediction: Any, axes: str, sizes: Mapping[str, int]) -> Source:
    fixed: dict[str, int] = {}
    used = axes
    if prediction is not None:
        card = prediction.card
        if card.task == "regression":
            raise InputError(
                "the scores are values of a regression, which are no confidence",
                "leave out ⟨scores⟩",
                parameter="scores",
                value=card.task,
            )
        scores, used = prediction.scores, prediction.axes
        if card.task == "instance":
            fixed["C"] = 0  # the foreground; the others are no probabilities
    array = _as_array(scores, "scores", "buif")
    source = Source((array,), used, fixed)
    if (
        array.ndim != len(used)
        or set(used) - {"C"} != set(axes)
        or {axis: source.sizes[axis] for axis in sizes} != dict(sizes)
    ):
        raise InputError(
            f"the scores have shape {tuple(array.shape)}, but the labels have "
            f"{tuple(sizes.values())} (axes {axes!r})",
            "give the prediction of this image, or an array of one score for each pixel",
            parameter="scores",
            value=tuple(array.shape),
        )
    if prediction is not None and prediction.card.task == "semantic":
        source = _without_background(source, prediction)
    return source


def _without_background(source: Source, prediction: Any) -> Source:
    """Scores of the classes that are no background, as one array per channel."""
    kept = [i for i, each in enumerate(prediction.card.classes) if each.value != 0]
    if not kept:
        return source
    axis = source.axes.index("C")
    parts = tuple(_Channel(source.arrays[0], axis, i) for i in kept)
    return Source(parts, label_axes(source.axes))


@dataclass(frozen=True, eq=False)
class _Channel:
    """One channel of an array, which is read when it is sliced."""

    array: Any
    axis: int
    number: int

    @property
    def shape(self) -> tuple[int, ...]:
        shape = tuple(int(n) for n in self.array.shape)
        return shape[: self.axis] + shape[self.axis + 1 :]

    def __getitem__(self, index: tuple[Any, ...]) -> NDArray[Any]:
        full = (*index[: self.axis], self.number, *index[self.axis :])
        return np.asarray(self.array[full])


def _as_channels(image: Any) -> tuple[Any, ...]:
    listed = tuple(image) if isinstance(image, list | tuple) else (image,)
    if not listed:
        raise InputError(
            "the list of channels is empty", "give one array per channel", parameter="image"
        )
    return tuple(_as_array(array, "image", "buif") for array in listed)


def _as_array(array: Any, parameter: str, kinds: str) -> Any:
    """An array of numbers as it is."""
    if not all(hasattr(array, name) for name in ("shape", "dtype", "__getitem__")):
        raise InputError(
            f"⟨{parameter}⟩ is a {type(array).__name__}",
            "give an array with shape, dtype and slicing",
            parameter=parameter,
        )
    try:
        kind = np.dtype(array.dtype).kind
    except TypeError:  # the dtype of another library
        kind = ""
    if kind == "b" and parameter == "labels":
        raise InputError(
            "the labels are a mask of True and False, which does not tell objects apart",
            "number the objects first, as scikit-image's measure.label does",
            parameter="labels",
            value="bool",
        )
    if not kind or kind not in kinds:
        raise InputError(
            f"⟨{parameter}⟩ is of type {array.dtype}",
            "give a NumPy array, or one like it, of numbers",
            parameter=parameter,
            value=str(array.dtype),
        )
    if not hasattr(array, "ndim"):
        return np.asarray(array)
    return array


def _check_size(value: Any, axes: str) -> tuple[float, ...] | None:
    """Micrometres in the order ZYX, from one number or one per spatial axis as in ``axes``."""
    if value is None:
        return None
    letters = spatial_in_order(axes)
    many = isinstance(value, Iterable) and not isinstance(value, str)
    sizes = tuple(value) if many else (value,) * len(letters)
    for size in sizes:
        if size is not None and (isinstance(size, bool) or not isinstance(size, numbers.Real)):
            raise InputError(
                f"⟨pixel_size⟩ {value!r} is no number of micrometres",
                "give one number, or one per spatial axis",
                parameter="pixel_size",
                value=value,
            )
    known = check_pixel_size(sizes, axes)
    if len(known) < len(letters):
        return None
    return tuple(known[axis] for axis in spatial_axes(axes))
