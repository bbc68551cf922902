"""An image with labels and where they can be trusted, read part by part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.axes import check_axes, label_axes
from napari_unet.card import Task
from napari_unet.dataset.correction import Correction, find_correction
from napari_unet.dataset.example import Example
from napari_unet.dataset.label_values import WholeNumbers, is_label
from napari_unet.dataset.pixel_grid import explain_size
from napari_unet.errors import InputError, TrainingError
from napari_unet.image.source import ImageSource, open_image
from napari_unet.tiling import Region

REGIONS = ("all", "planes", "painted")
SLAB_PIXELS = 1 << 22  # labels that are read at a time


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """An example, opened: parts of image and labels in canonical order (C, then ZYX).

    Build it with `open_example`.

    Attributes
    ----------
    source : ImageSource
        The image.
    labels : array-like
        As given, with the axes ``label_axes``.
    label_axes : str
        Axes of ``labels``.
    regions : tuple of str
        Those of "all", "planes" and "painted" that hold.
    masks : tuple of array-like
        Further regions, with the axes of the labels less C; an axis may have length 1.
    background : int or None
        The label that means background.
    planes : (T, Z) array of bool or None
        The planes that carry any label; None where "planes" does not hold.
    times : range
        Time points that belong to it.
    window : tuple of slice
        The part of the spatial axes that belongs to it.
    hidden : tuple of LabelledImage
        Others of the same image: what they know is not known here, as it is held out.
    correction : Correction or None
        What somebody has looked at, where the labels began as a prediction and tell.
    """

    source: ImageSource
    labels: Any
    label_axes: str
    regions: tuple[str, ...]
    masks: tuple[Any, ...]
    background: int | None
    planes: NDArray[np.bool_] | None
    times: range
    window: Region
    hidden: tuple[LabelledImage, ...] = ()
    correction: Correction | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the spatial axes."""
        return tuple(part.stop - part.start for part in self.window)

    @property
    def known_everywhere(self) -> bool:
        """Whether every pixel is known without looking."""
        return "all" in self.regions and not self.hidden

    def within(self, times: range, part: Region) -> LabelledImage:
        """A piece of it; ``part`` counts from the start of its window."""
        return replace(self, times=times, window=self._source_region(part))

    def read_image(self, time: int, part: Region) -> NDArray[Any]:
        """Pixels, (C, *spatial), in the image's dtype."""
        return self.source.read(time, self._source_region(part))

    def read_labels(self, time: int, part: Region) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Labels (K, *spatial), background as 0, and (*spatial) where they are known.

        K is 1 but for regression targets with channels. Labels that are not known are 0; where
        planes and masks leave nothing known, they are not read at all.
        """
        place = self._source_region(part)
        known = self._known_without_labels(time, place)
        if "painted" not in self.regions and not known.any():
            return np.zeros((self._value_count, *known.shape), self.labels.dtype), known
        labels = _read_canonical(self.labels, self.label_axes, time, place)
        if "painted" in self.regions and "all" not in self.regions:
            known |= (labels != 0).any(0)
        for other in self.hidden:
            known &= ~other.read_labels(time, place)[1]
        if self.background is not None:
            labels = np.where(labels == self.background, 0, labels)
        if not known.all():
            labels = np.where(known, labels, 0)
        return labels, known

    def _known_without_labels(self, time: int, place: Region) -> NDArray[np.bool_]:
        """(*spatial) where whole planes and masks say that labels are known."""
        everywhere = "all" in self.regions
        known = np.full([p.stop - p.start for p in place], everywhere)
        if everywhere:
            return known
        if self.planes is not None:
            rows = self.planes[time, place[0] if "Z" in self.source.spatial else slice(0, 1)]
            known |= rows.reshape(-1, *(1,) * (known.ndim - 1)) if len(rows) > 1 else rows[0]
        for mask in self.masks:
            known |= _read_canonical(mask, self.label_axes.replace("C", ""), time, place)[0] != 0
        return known

    @property
    def _value_count(self) -> int:
        """Values of a pixel: channels of a regression's targets."""
        axes = self.label_axes
        return int(self.labels.shape[axes.index("C")]) if "C" in axes else 1

    def slabs(self) -> Iterator[Region]:
        """Parts that cover the window, along the chunks of the labels in Z."""
        return slabs(self.shape, SLAB_PIXELS, self._chunk_depth())

    def _chunk_depth(self) -> int:
        chunks = getattr(self.labels, "chunksize", getattr(self.labels, "chunks", None))
        if "Z" not in self.label_axes or not chunks:
            return 1
        depth = chunks[self.label_axes.index("Z")]
        return depth if isinstance(depth, int) else 1

    def _source_region(self, part: Region) -> Region:
        return tuple(
            slice(w.start + p.start, w.start + p.stop)
            for w, p in zip(self.window, part, strict=True)
        )


def slabs(shape: Sequence[int], pixels: int, depth: int = 1) -> Iterator[Region]:
    """Boxes of at most so many pixels that cover an array, whole along the last axis.

    ``depth`` is how many planes of a stack are best read together.

    >>> [(z.stop, y.stop) for z, y, x in slabs((3, 4, 10), 40, 2)]
    [(2, 2), (2, 4), (3, 2), (3, 4)]
    """
    planes = max(1, min(depth, shape[0])) if len(shape) == 3 else 1
    rows = max(1, pixels // max(1, planes * shape[-1]))
    if len(shape) == 3 and rows >= shape[1]:
        planes = max(planes, pixels // (shape[1] * shape[2]) // planes * planes)
    starts = range(0, shape[0], planes) if len(shape) == 3 else range(1)
    for z in starts:
        for y in range(0, shape[-2], rows):
            part = (slice(y, min(y + rows, shape[-2])), slice(0, shape[-1]))
            yield (slice(z, min(z + planes, shape[0])), *part) if len(shape) == 3 else part


def open_example(
    example: Example, *, ndim: int, in_channels: int | None, task: Task, named: Sequence[int] = ()
) -> LabelledImage:
    """Check an example's image, labels and region against one another.

    Parameters
    ----------
    example : Example
        The example.
    ndim, in_channels : int
        Spatial axes and input channels of the network; None: as the image has them.
    task : str
        What the labels are for.
    named : sequence of int
        Label values that the classes name: a background label among them keeps its value.

    Raises
    ------
    InputError, TrainingError
        If something does not fit; the message says what.
    """
    source = open_example_image(example, ndim=ndim, in_channels=in_channels)
    labels = example.labels
    if getattr(labels, "shape", None) is None or not hasattr(labels, "dtype"):
        raise InputError(
            f"labels are a {type(labels).__name__}", "give an array", parameter="labels"
        )
    if task != "regression" and np.dtype(labels.dtype).kind == "f":
        labels = WholeNumbers(labels)
    axes = _check_labels(source, labels, task)
    regions, masks = _split_region(example.region)
    if task == "regression" and "painted" in regions:
        raise TrainingError(
            "⟨region='painted'⟩ is for painted labels, but the task is ⟨task:'regression'⟩",
            "mark where the target is known by a mask",
            parameter="region",
            value="painted",
        )
    if "painted" in regions and example.background == 0:
        raise TrainingError(
            "⟨background=0⟩ cannot be painted: 0 is what nothing was painted on",
            "paint the background with a label of its own and name that",
            parameter="background",
            value=0,
        )
    if not is_label(example.background):
        raise TrainingError(
            f"⟨background={example.background!r}⟩ must be the label, a whole number, that means "
            "background",
            parameter="background",
            value=example.background,
        )
    if task != "regression" and "all" in regions and example.background:
        raise TrainingError(
            f"⟨background={example.background}⟩ says that 0 is not labelled, but "
            "⟨region='all'⟩ takes every 0 for background",
            "use ⟨region='painted'⟩, or a mask of what is labelled",
            parameter="region",
            value="all",
            code="zero-is-background",
        )
    for mask in masks:
        _check_mask(mask, source)
    keeps = task == "regression" or example.background in named
    opened = LabelledImage(
        source=source,
        labels=labels,
        label_axes=axes,
        regions=regions,
        masks=masks,
        background=None if keeps or example.background is None else int(example.background),
        planes=None,
        times=range(source.times),
        window=tuple(slice(0, n) for n in source.spatial_shape),
        correction=None if task == "regression" else find_correction(example.labels),
    )
    if "planes" in regions:
        opened = replace(opened, planes=_find_labelled_planes(opened))
    return opened


def open_example_image(example: Example, *, ndim: int, in_channels: int | None) -> ImageSource:
    """The image of an example; as many channels as it has where ``in_channels`` is None."""
    if in_channels is None:
        in_channels = _count_channels(example)
    return open_image(
        example.image,
        axes=example.axes,
        channels=example.channels,
        pixel_size=example.pixel_size,
        ndim=ndim,
        in_channels=in_channels,
    )


def _count_channels(example: Example) -> int:
    images = example.image if isinstance(example.image, list | tuple) else [example.image]
    if example.channels is not None:
        return len(example.channels)
    if len(images) > 1:
        return len(images)
    shape = tuple(getattr(images[0], "shape", ()))
    if example.axes is not None:
        axes = check_axes(example.axes, shape)
        return int(shape[axes.index("C")]) if "C" in axes else 1
    return int(shape[-1]) if len(shape) == 3 and shape[-1] in (3, 4) and shape[0] > 4 else 1


def _check_labels(source: ImageSource, labels: Any, task: Task) -> str:
    """Axes of the labels, if their shape and dtype fit the image."""
    expected = source.label_shape()
    shape, axes = tuple(int(n) for n in labels.shape), label_axes(source.axes)
    wanted = str(expected)
    if task == "regression":
        wanted += f" or, with channels of the target, (channels, {str(expected)[1:]}"
        if len(shape) == len(source.axes) and "C" in source.axes:
            column = source.axes.index("C")
            if shape[:column] + shape[column + 1 :] == expected:
                axes, expected = source.axes, shape
        if len(shape) == len(axes) + 1 and shape[1:] == expected:
            axes, expected = "C" + axes, shape
    if shape in {(*expected, 3), (*expected, 4)} and task != "regression":
        raise InputError(
            f"labels have shape {shape}, as a colour picture of shape {expected} has",
            "give the numbers of the objects or classes; where each has a colour of its own, "
            "numpy.unique(labels.reshape(-1, 3), axis=0, return_inverse=True) numbers them",
            parameter="labels",
            value=shape,
            code="labels-are-colours",
        )
    if shape != expected or 0 in shape:
        raise InputError(
            f"labels have shape {shape}, but an image with axes {source.axes!r} of shape "
            f"{tuple(source.arrays[0].shape)} needs {wanted}",
            explain_size(source.label_shape(), shape),
            parameter="labels",
            value=shape,
        )
    kinds = {"instance": "ui", "semantic": "uib", "regression": "uibf"}[task]
    if np.dtype(labels.dtype).kind == "b" and task == "instance":
        raise InputError(
            "labels are a mask of one bit (bool), in which touching objects are one",
            "number the objects, for example by skimage.measure.label, or choose ⟨task='semantic'⟩",
            parameter="labels",
            code="labels-are-a-mask",
        )
    if np.dtype(labels.dtype).kind not in kinds:
        raise InputError(
            f"labels for the task ⟨task:{task!r}⟩ must be "
            f"{'real' if 'f' in kinds else 'integers'}, not {labels.dtype}",
            "convert them, or choose another task",
            parameter="labels",
        )
    return axes


def _split_region(region: Any) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """Names and masks of a region, or of a tuple of them."""
    parts = region if isinstance(region, tuple | list) else (region,)
    names, masks = [], []
    for part in parts:
        if isinstance(part, str):
            if part not in REGIONS:
                raise TrainingError(
                    f"⟨region⟩ {part!r} is unknown",
                    "choose ⟨region:'all'⟩, ⟨region:'planes'⟩, ⟨region:'painted'⟩ or a mask",
                    parameter="region",
                    value=part,
                )
            names.append(part)
        elif hasattr(part, "shape") and hasattr(part, "dtype"):
            masks.append(part)
        else:
            raise TrainingError(
                f"⟨region⟩ holds a {type(part).__name__}",
                "choose ⟨region:'all'⟩, ⟨region:'planes'⟩, ⟨region:'painted'⟩ "
                "or a mask, an array that is not 0 where the labels can be trusted",
                parameter="region",
            )
    if not parts:
        raise TrainingError(
            "⟨region⟩ is empty",
            "choose ⟨region:'all'⟩, ⟨region:'planes'⟩, ⟨region:'painted'⟩ or a mask",
            parameter="region",
        )
    return tuple(names), tuple(masks)


def _check_mask(mask: Any, source: ImageSource) -> None:
    expected = source.label_shape()
    shape = tuple(int(n) for n in mask.shape)
    fits = len(shape) == len(expected) and all(
        n in (1, size) for n, size in zip(shape, expected, strict=True)
    )
    if not fits or np.dtype(mask.dtype).kind not in "buif":
        raise InputError(
            f"The region is a mask of shape {shape} ({mask.dtype}), but the labels have shape "
            f"{expected}",
            "give a mask of that shape (axes may have length 1)",
            parameter="region",
            code="mask-unlike-labels",
        )


def _find_labelled_planes(opened: LabelledImage) -> NDArray[np.bool_]:
    """(T, Z): which planes carry any label."""
    source = opened.source
    depth = source.size("Z")
    marked = np.zeros((source.times, depth), bool)
    for time in opened.times:
        for part in opened.slabs():
            raw = _read_canonical(opened.labels, opened.label_axes, time, part) != 0
            if "Z" in source.spatial:
                marked[time, part[0]] |= raw.any(axis=(0, *range(2, raw.ndim)))
            else:
                marked[time, 0] |= raw.any()
    return marked


def _read_canonical(array: Any, axes: str, time: int, part: Region) -> NDArray[Any]:
    """(K, *spatial) of one time point; axes of length 1 are taken as they are."""
    spatial = [a for a in "ZYX" if a in axes]
    place: dict[str, slice] = dict(zip(spatial, part, strict=True))
    index: list[int | slice] = []
    for axis, size in zip(axes, array.shape, strict=True):
        if axis == "T":
            index.append(time if size > 1 else 0)
        elif axis == "C":
            index.append(slice(None))
        else:
            index.append(place[axis] if size > 1 else slice(0, 1))
    found = np.asarray(array[tuple(index)])
    kept = axes.replace("T", "")
    found = found.transpose([kept.index(a) for a in ("C", *spatial) if a in kept])
    return found if "C" in kept else found[None]
