"""An image of any kind, read part by part as (C, [Z,] Y, X) of one time point."""

from __future__ import annotations

import numbers
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.axes import check_axes, guess_axes, label_axes, spatial_axes
from napari_unet.errors import InputError, Note
from napari_unet.image.given import Given, take_in
from napari_unet.tiling import Region

PixelSize = tuple[float | None, ...]
Window = Mapping[str, slice]  # of spatial axes, with plain start and stop


@dataclass(frozen=True)
class ImageSource:
    """Anything with shape, dtype and slicing, with the meaning of its axes.

    Build it with `open_image`. Reads are in canonical order whatever the order of
    ``axes``: C first, then the spatial axes in the order ZYX.

    Attributes
    ----------
    arrays : tuple of array-like
        One array, or one per channel, each of shape ``shape``.
    axes : str
        Axes of each array.
    doubt : Note or None
        Where the axes were guessed and could be others: what they could be.
    channels : tuple of int
        Input channels to read, in order.
    pixel_size : tuple of float or None
        Micrometres per spatial axis in canonical order; None where unknown.
    inverted : bool
        Whether reads give the negative of the image, in its dtype: see `invert`.
    origins : tuple of mapping
        Where each array is from, for the run record; see `Given`.
    window : mapping of str to slice
        The part of the spatial axes that is the image; an axis that is not named is whole.
    """

    arrays: tuple[Any, ...]
    axes: str
    doubt: Note | None
    channels: tuple[int, ...]
    pixel_size: PixelSize
    inverted: bool = False
    origins: tuple[Mapping[str, Any], ...] = ()
    window: Window = field(default_factory=dict)

    @property
    def spatial(self) -> str:
        """Spatial axes in canonical order."""
        return spatial_axes(self.axes)

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        """Sizes of the spatial axes in canonical order."""
        return tuple(self.size(axis) for axis in self.spatial)

    @property
    def times(self) -> int:
        """Number of time points."""
        return self.size("T")

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the pixels."""
        return np.result_type(*(a.dtype for a in self.arrays))

    def size(self, axis: str) -> int:
        """Length of an axis; 1 where the image has none of it."""
        if axis in self.window:
            return int(self.window[axis].stop - self.window[axis].start)
        return int(self.arrays[0].shape[self.axes.index(axis)]) if axis in self.axes else 1

    def label_shape(self) -> tuple[int, ...]:
        """Shape of the labels: that of the image less C, in its order of axes."""
        return tuple(self.size(axis) for axis in label_axes(self.axes))

    def read(self, time: int, region: Region) -> NDArray[Any]:
        """Pixels of one time point and region, (C, *spatial) in the image's dtype."""
        parts = []
        for channel in self.channels:
            array = self.arrays[channel] if len(self.arrays) > 1 else self.arrays[0]
            place = dict(zip(self.spatial, region, strict=True))
            index: list[int | slice] = []
            kept = ""
            for axis in self.axes:
                if axis in place:
                    first = self.window[axis].start if axis in self.window else 0
                    index.append(slice(place[axis].start + first, place[axis].stop + first))
                    kept += axis
                else:
                    index.append(time if axis == "T" else channel)
            part = np.asarray(array[tuple(index)])
            parts.append(part.transpose([kept.index(axis) for axis in self.spatial]))
        return invert(np.stack(parts)) if self.inverted else np.stack(parts)


def invert(pixels: NDArray[Any]) -> NDArray[Any]:
    """The negative of pixels, exact in their dtype: dark becomes bright.

    Unsigned integers are taken from the largest one, signed ones from -1, floats from 0, whatever
    the image holds, so that parts of an image are inverted as the whole is.

    >>> [invert(np.array([0, 9], dtype)).tolist() for dtype in ("u1", "i2", "f4")]
    [[255, 246], [-1, -10], [-0.0, -9.0]]
    """
    return -pixels if pixels.dtype.kind == "f" else np.invert(pixels)


def open_image(
    image: Any,
    *,
    axes: str | None = None,
    channels: Sequence[int] | None = None,
    pixel_size: float | Sequence[float | None] | None = None,
    ndim: int = 2,
    in_channels: int = 1,
    origins: Sequence[Mapping[str, Any]] = (),
    takes_colours: bool = False,
) -> ImageSource:
    """Check an image against a model's needs.

    Parameters
    ----------
    image : array-like, ImageFile, layer, list of these, or ImageSource
        Anything with ``shape``, ``dtype`` and slicing; a file that `read_image` has opened or a
        layer of napari, whose axes and pixel size count where none are given; a list has one of
        them per channel. An image that is open already is returned as it is; it must suit the
        model too.
    axes : str, optional
        Axes over TCZYX of the array (of each array in a list); None: guessed.
    channels : sequence of int, optional
        Which channels to use, in the model's order; None: all of them.
    pixel_size : float or sequence, optional
        Micrometres, one for all spatial axes or one per spatial axis in the image's order.
    ndim, in_channels : int
        Spatial axes and input channels of the model.
    origins : sequence of mapping
        Where each array is from, for the run record, where the arrays do not know it.
    takes_colours : bool
        The model's channels are red, green and blue: an image of one channel is grey, and its
        channel is taken for each of them.

    Raises
    ------
    InputError
        If the image cannot be used; the message says why.
    """
    if isinstance(image, ImageSource):
        if any(each is not None for each in (axes, channels, pixel_size)):
            raise InputError(
                "the image is open already",
                "give ⟨axes⟩, ⟨channels⟩ and ⟨pixel_size⟩ when it is opened",
                parameter="axes",
                value=axes,
            )
        _check_ndim(image.axes, ndim)
        _choose_channels(image.channels, max(image.channels) + 1, in_channels, image.axes)
        return image
    images = tuple(image) if isinstance(image, list | tuple) else (image,)
    if not images:
        raise InputError(
            "The list of channels is empty", "give one array per channel", parameter="image"
        )
    given = [take_in(each) for each in images]
    arrays = tuple(_as_array(each.array) for each in given)
    shapes = {tuple(int(n) for n in array.shape) for array in arrays}
    if len(shapes) > 1:
        raise InputError(
            f"The channels have different shapes {sorted(shapes)}",
            "they must be equal",
            parameter="image",
        )
    shape = shapes.pop()
    doubt: Note | None = None
    if axes is None:
        axes = _known_axes(given, shape)
    if axes is None:
        in_axis = 1 if len(arrays) > 1 else in_channels
        axes, doubt = guess_axes(
            shape,
            ndim=ndim,
            channels=in_axis if channels is None or len(arrays) > 1 else None,
        )
    axes = check_axes(axes, shape)
    if len(arrays) > 1 and "C" in axes:
        raise InputError(
            f"A list has one array per channel, so ⟨axes⟩ {axes!r} must not contain C",
            parameter="axes",
            value=axes,
        )
    _check_ndim(axes, ndim)
    available = shape[axes.index("C")] if "C" in axes else len(arrays)
    if takes_colours and channels is None and available == 1:
        channels = (0,) * in_channels
    chosen = _choose_channels(channels, available, in_channels, axes)
    if pixel_size is None:
        pixel_size = given[0].pixel_size(axes)
    sizes = _pixel_size(pixel_size, axes)
    origins = tuple(origins) or tuple(each.origin for each in given)
    return ImageSource(arrays, axes, doubt, chosen, sizes, origins=origins)


def _known_axes(given: Sequence[Given], shape: tuple[int, ...]) -> str | None:
    """Axes that a file or a layer names; None where they cannot be those of the arrays."""
    axes = given[0].axes
    return axes if axes is not None and len(axes) == len(shape) else None


def _check_ndim(axes: str, ndim: int) -> None:
    if ndim == 3 and "Z" not in axes:
        raise InputError(
            f"The model is 3D and needs a Z axis, but the axes are {axes!r}",
            "give a stack, or use a 2D model",
            parameter="axes",
            value=axes,
        )


def _as_array(array: Any) -> Any:
    if not all(hasattr(array, name) for name in ("shape", "dtype", "__getitem__")):
        raise InputError(
            f"The image is a {type(array).__name__}",
            "give an array with shape, dtype and slicing",
            parameter="image",
        )
    try:
        kind = np.dtype(array.dtype).kind
    except TypeError:  # the dtype of another library, such as torch
        raise InputError(
            f"The image has dtype {array.dtype}, which NumPy does not know",
            "convert it to a NumPy array first",
            parameter="image",
        ) from None
    if kind == "c":
        raise InputError(
            f"The image is complex ({array.dtype})",
            "give a real one, such as its absolute value",
            parameter="image",
        )
    if kind not in "buif":
        raise InputError(
            f"The image has dtype {array.dtype}",
            "integers or floats are expected",
            parameter="image",
        )
    return array


def _choose_channels(
    channels: Sequence[int] | None, available: int, wanted: int, axes: str
) -> tuple[int, ...]:
    if channels is None:
        if available != wanted:
            need = f"{wanted} channel" + ("s" if wanted > 1 else "")
            raise InputError(
                f"The model takes {need} but the image (axes {axes!r}) has {available}",
                f"name {wanted} of them with ⟨channels=⟩, or correct ⟨axes=⟩",
                parameter="channels",
            )
        return tuple(range(available))
    try:
        chosen = tuple(operator.index(c) for c in channels)
    except TypeError:
        raise InputError(
            f"⟨channels={channels!r}⟩ must be a list of channel numbers from 0, such as [0]",
            parameter="channels",
            value=channels,
        ) from None
    if len(chosen) != wanted:
        raise InputError(
            f"⟨channels={chosen}⟩ names {len(chosen)}, but the model takes {wanted}",
            parameter="channels",
            value=chosen,
        )
    wrong = [c for c in chosen if not 0 <= c < available]
    if wrong:
        raise InputError(
            f"⟨channels={chosen}⟩: the image has no channel {wrong[0]}, only 0 to {available - 1}",
            parameter="channels",
            value=chosen,
        )
    return chosen


def _pixel_size(value: float | Sequence[float | None] | None, axes: str) -> PixelSize:
    spatial = spatial_axes(axes)
    if value is None:
        return (None,) * len(spatial)
    given = [axis for axis in axes if axis in spatial]  # the user's order is the image's
    sizes = list(value) if isinstance(value, Iterable) else [value] * len(given)
    if len(sizes) != len(given):
        raise InputError(
            f"⟨pixel_size⟩ has {len(sizes)} values for the {len(given)} spatial axes of {axes!r}",
            parameter="pixel_size",
            value=value,
        )
    size: Any
    for size in sizes:
        number = isinstance(size, numbers.Real) and np.isfinite(float(size)) and float(size) > 0
        if size is not None and not number:
            raise InputError(
                f"⟨pixel_size⟩ {value!r} must be positive micrometres, or None: unknown",
                parameter="pixel_size",
                value=value,
            )
    table = dict(zip(given, sizes, strict=True))
    return tuple(None if table[a] is None else float(table[a] or 0) for a in spatial)
