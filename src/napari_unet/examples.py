"""Images with labels, and the patches that are drawn from them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet import instances
from napari_unet.axes import check_axes, label_axes, spatial_axes
from napari_unet.card import ClassInfo, Normalization, Task
from napari_unet.errors import InputError, TrainingError
from napari_unet.image import ImageSource, open_image
from napari_unet.normalization import check_finite, find_limits, normalize


@dataclass(frozen=True, eq=False)
class Example:
    """An image and what is known of it.

    Parameters
    ----------
    image : array-like, or list of array-like
        As in `napari_unet.segment`.
    labels : array-like
        Integer labels (instance, semantic) with the image's axes less C; for regression
        the target image, which may have channels.
    region : "all"
        Where labels can be trusted; in this version everywhere.
    background : int, optional
        Reserved for painted labels.
    axes, channels, pixel_size
        As in `napari_unet.segment`.
    """

    image: Any
    labels: Any
    region: Any = "all"
    background: int | None = None
    axes: str | None = None
    channels: Sequence[int] | None = None
    pixel_size: float | Sequence[float | None] | None = None


@dataclass(frozen=True, eq=False)
class Frame:
    """One plane (2D network) or volume (3D network), ready to draw patches from.

    Attributes
    ----------
    image : (C, *spatial) float32 array
        Normalised.
    target : (K, *spatial) array
        What the network learns: instance maps, class indices (K = 1), or values.
    centres : (N, ndim) int array
        A pixel inside each object, to draw patches that show some.
    """

    image: NDArray[np.float32]
    target: NDArray[Any]
    centres: NDArray[np.intp]


@dataclass(frozen=True)
class LearningGoal:
    """What is learned, in the form the network sees it.

    Attributes
    ----------
    task : str
        "instance", "semantic" or "regression".
    classes : tuple of ClassInfo
        Semantic classes in the order of the output channels.
    output_limits : tuple of (low, high)
        Regression: values that become 0 and 1, per output channel.
    """

    task: Task
    classes: tuple[ClassInfo, ...] = ()
    output_limits: tuple[tuple[float, float], ...] = ()

    @property
    def channels(self) -> int:
        """Output channels of the network."""
        if self.task == "instance":
            return len(instances.CHANNELS)
        return len(self.classes) if self.task == "semantic" else len(self.output_limits)


def open_example(example: Example, *, ndim: int, in_channels: int | None) -> ImageSource:
    """Check an example's image, labels and region.

    Raises
    ------
    InputError, TrainingError
        If they do not fit one another or the network.
    """
    if not (isinstance(example.region, str) and example.region == "all"):
        name = repr(example.region) if isinstance(example.region, str) else "a mask"
        raise TrainingError(
            f"region {name} is not available in this version: "
            "label the whole image and use region='all'."
        )
    if example.background is not None:
        raise TrainingError(
            f"background={example.background!r} is for painted labels, which are not available "
            "in this version: label the whole image and leave background out."
        )
    images = example.image if isinstance(example.image, list | tuple) else [example.image]
    if in_channels is None:
        in_channels = _count_channels(images, example)
    source = open_image(
        example.image,
        axes=example.axes,
        channels=example.channels,
        pixel_size=example.pixel_size,
        ndim=ndim,
        in_channels=in_channels,
    )
    shape = getattr(example.labels, "shape", None)
    if shape is None or not hasattr(example.labels, "dtype"):
        raise InputError(f"labels are a {type(example.labels).__name__}; give an array.")
    return source


def _count_channels(images: Sequence[Any], example: Example) -> int:
    if example.channels is not None:
        return len(example.channels)
    if len(images) > 1:
        return len(images)
    shape = tuple(getattr(images[0], "shape", ()))
    if example.axes is not None:
        axes = check_axes(example.axes, shape)
        return int(shape[axes.index("C")]) if "C" in axes else 1
    return int(shape[-1]) if len(shape) == 3 and shape[-1] in (3, 4) and shape[0] > 4 else 1


def make_frames(
    source: ImageSource,
    labels: Any,
    goal: LearningGoal,
    normalization: Normalization,
    ndim: int,
) -> list[Frame]:
    """Frames of an example: one per time point and, for a 2D network, per plane."""
    limits = find_limits(source, normalization)
    planewise = ndim == 2 and "Z" in source.axes
    frames = []
    whole = tuple(slice(0, n) for n in source.spatial_shape)
    for time in range(source.times):
        target = read_labels(source, labels, time, goal.task)
        for plane in range(source.size("Z")) if planewise else (None,):
            region = whole if plane is None else (slice(plane, plane + 1), *whole[1:])
            pixels = source.read(time, region)
            check_finite(pixels)
            image = normalize(pixels, limits.at(time, plane or 0))
            part = target if plane is None else target[:, plane]
            if plane is not None:
                image = image[:, 0]
            encoded, centres = _encode(part, goal)
            frames.append(Frame(image, encoded, centres))
    return frames


def check_labels(source: ImageSource, labels: Any, task: Task) -> str:
    """Axes of the labels of an image, if their shape and dtype fit.

    Raises
    ------
    InputError
        If they do not.
    """
    expected = source.label_shape()
    shape = tuple(int(n) for n in labels.shape)
    axes = label_axes(source.axes)
    if task == "regression" and len(shape) == len(source.axes) and "C" in source.axes:
        axes = source.axes
        expected = tuple(
            shape[axes.index("C")] if a == "C" else source.size(a) for a in source.axes
        )
    if shape != expected:
        raise InputError(
            f"labels have shape {shape}, but an image with axes {source.axes!r} of shape "
            f"{tuple(source.arrays[0].shape)} needs {expected}."
        )
    kinds = {"instance": "ui", "semantic": "uib", "regression": "uibf"}[task]
    if np.dtype(labels.dtype).kind not in kinds:
        raise InputError(
            f"labels for the task {task!r} must be {'real' if 'f' in kinds else 'integers'}, "
            f"not {labels.dtype}; convert them, or choose another task."
        )
    return axes


def read_labels(source: ImageSource, labels: Any, time: int, task: Task) -> NDArray[Any]:
    """Labels of one time point, (K, *spatial) in canonical order; K = 1 but for regression.

    Raises
    ------
    InputError
        If the shape or dtype does not fit.
    """
    axes = check_labels(source, labels, task)
    index = tuple(time if axis == "T" else slice(None) for axis in axes)
    part = np.asarray(labels[index])
    kept = axes.replace("T", "")
    order = [kept.index(a) for a in ("C" + spatial_axes(axes)) if a in kept]
    part = part.transpose(order)
    return part if "C" in kept else part[None]


def find_classes(labels: Sequence[Any], named: Sequence[ClassInfo]) -> tuple[ClassInfo, ...]:
    """Semantic classes: the named ones, or one for each value in the labels.

    Raises
    ------
    TrainingError
        If a value has no class, or there are fewer than two classes.
    """
    found = sorted({int(v) for array in labels for v in np.unique(np.asarray(array))})
    if named:
        missing = sorted(set(found) - {c.value for c in named})
        if missing:
            raise TrainingError(
                f"The labels have the value {missing[0]}, which none of the classes names; "
                "add it to classes."
            )
        return tuple(named)
    if len(found) < 2:
        raise TrainingError(
            f"The labels have only the value {found[0] if found else 'none'}; "
            "a semantic model needs two classes or more."
        )
    if len(found) > 256 or found[0] < 0 or found[-1] > 65535:
        raise TrainingError(
            f"The labels have {len(found)} values from {found[0]} to {found[-1]}, which look "
            "like objects or intensities, not classes; use task='instance' or 'regression'."
        )
    palette = ("#000000", "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00")
    return tuple(
        ClassInfo(
            value=value,
            name="background" if value == 0 else f"class {value}",
            colour=palette[i % len(palette)],
        )
        for i, value in enumerate(found)
    )


def find_output_limits(targets: Sequence[Any]) -> tuple[tuple[float, float], ...]:
    """Values of a regression's targets that become 0 and 1: percentiles over all of them."""
    samples = [np.asarray(t, np.float64).ravel() for t in targets]
    for sample in samples:
        check_finite(sample)
    pixels = np.concatenate([s[:: max(1, s.size // 1_000_000)] for s in samples])
    low, high = np.percentile(pixels, (1.0, 99.8))
    if low == high:
        low, high = pixels.min(), pixels.max()
    if low == high:
        raise TrainingError(f"The target images are constant ({low:g}): there is nothing to learn.")
    return ((float(low), float(high)),)


def _encode(labels: NDArray[Any], goal: LearningGoal) -> tuple[NDArray[Any], NDArray[np.intp]]:
    ndim = labels.ndim - 1
    none = np.zeros((0, ndim), np.intp)
    if goal.task == "regression":
        check_finite(labels)
        low, high = np.array(goal.output_limits).T.reshape(2, -1, *(1,) * ndim)
        return ((labels - low) / (high - low)).astype(np.float32), none
    if goal.task == "semantic":
        values = np.array([c.value for c in goal.classes])
        order = np.argsort(values)
        index = order[np.searchsorted(values[order], labels)]
        small = np.min_scalar_type(len(values) - 1)
        return index.astype(small), _one_pixel_each(index[0])
    maps = instances.encode(labels[0])
    return maps.astype(np.float16), _one_pixel_each(labels[0], skip_zero=True)


def _one_pixel_each(labels: NDArray[Any], skip_zero: bool = False) -> NDArray[np.intp]:
    """The middle one, in memory order, of the pixels of each label."""
    flat = labels.ravel()
    order = np.argsort(flat, kind="stable")
    values, first, count = np.unique(flat[order], return_index=True, return_counts=True)
    places = order[first + count // 2]
    if skip_zero:
        places = places[values != 0]
    return np.stack(np.unravel_index(places, labels.shape), axis=1)


def draw_patches(
    frames: Sequence[Frame],
    window: tuple[int, ...],
    batch_size: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Draw windows: half of them on an object, half anywhere, larger frames more often.

    Returns
    -------
    images : (B, C, *window) float32
    targets : (B, K, *window) float32
    known : (B, 1, *window) float32
        1 inside the frame, 0 where the window reaches past it.
    """
    sizes = np.array([frame.image[0].size for frame in frames], float)
    weights = np.sqrt(sizes) / np.sqrt(sizes).sum()
    images, targets, known = [], [], []
    for pick in rng.choice(len(frames), batch_size, p=weights):
        frame = frames[pick]
        shape = np.array(frame.image.shape[1:])
        if len(frame.centres) and rng.random() < 0.5:
            centre = frame.centres[rng.integers(len(frame.centres))]
            centre = centre + rng.integers(-8, 9, size=len(shape))
        else:
            centre = rng.integers(0, shape)
        # inside the frame where it is large enough: what is outside teaches nothing
        room = shape - np.array(window)
        start = np.clip(centre - np.array(window) // 2, np.minimum(room, 0), np.maximum(room, 0))
        image, inside = _cut(frame.image, start, window)
        images.append(image)
        targets.append(_cut(frame.target, start, window)[0])
        known.append(inside)
    return (
        np.stack(images).astype(np.float32, copy=False),
        np.stack(targets).astype(np.float32),
        np.stack(known),
    )


def _cut(
    array: NDArray[Any], start: NDArray[np.intp], window: tuple[int, ...]
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """A window of (C, *spatial), edge-repeated past the border, and where it is inside."""
    shape = array.shape[1:]
    index = [
        np.clip(np.arange(s, s + w), 0, n - 1) for s, w, n in zip(start, window, shape, strict=True)
    ]
    inside = np.ones((1, *window), np.float32)
    for axis, (s, w, n) in enumerate(zip(start, window, shape, strict=True)):
        row = (np.arange(s, s + w) >= 0) & (np.arange(s, s + w) < n)
        extent = [1] * (len(window) + 1)
        extent[axis + 1] = w
        inside = inside * row.reshape(extent)
    channels = np.arange(array.shape[0])
    return array[np.ix_(channels, *index)], inside


def fingerprint(examples: Sequence[Example]) -> tuple[str, int]:
    """SHA-256 of images and labels, and the number of labelled pixels."""
    digest = hashlib.sha256()
    pixels = 0
    for example in examples:
        images = example.image if isinstance(example.image, list | tuple) else [example.image]
        chosen = [int(c) for c in example.channels or ()]
        digest.update(str((example.axes, chosen, len(images))).encode())
        for each in (*images, example.labels):
            array = np.ascontiguousarray(np.asarray(each))
            digest.update(str((array.shape, array.dtype.str)).encode())
            digest.update(array.data)
        pixels += int(array.size)  # the labels come last
    return digest.hexdigest(), pixels
