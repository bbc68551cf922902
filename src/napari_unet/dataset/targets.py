"""What the network learns: the specification of its targets, and targets made from labels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.card import PALETTE, ClassInfo, InstanceRepresentation, Task
from napari_unet.dataset.labelled_image import LabelledImage
from napari_unet.errors import TrainingError
from napari_unet.image.normalization import check_finite
from napari_unet.instances import maps as instances
from napari_unet.instances.boundary import find_boundary, widen
from napari_unet.renumbering import compact_labels

SAMPLE_PIXELS = 1_000_000  # of the target images, for the percentiles of their values
TOUCHING_PIXELS = 2  # pixels between two objects, at most, that count as touching
INSTANCE_TARGETS = ("foreground", "height", "exact", "touching", "weight")
BALANCE_LIMITS = (0.5, 3.0)  # least and largest weight of an object's pixels
RIM_PIXELS = 2  # on each side of an outline
RIM_WEIGHT = 2.0  # further weight of these, in 2D: in volumes nothing came of it


@dataclass(frozen=True)
class TargetSpec:
    """What the network's outputs mean.

    Attributes
    ----------
    task : str
        "instance", "semantic" or "regression".
    classes : tuple of ClassInfo
        Semantic classes in the order of the output channels.
    output_limits : tuple of (low, high)
        Regression: values that become 0 and 1, per output channel.
    representation : InstanceRepresentation
        Instance: which maps stand for the objects.
    """

    task: Task
    classes: tuple[ClassInfo, ...] = ()
    output_limits: tuple[tuple[float, float], ...] = ()
    representation: InstanceRepresentation = instances.DISTANCE

    @property
    def channels(self) -> int:
        """Output channels of the network."""
        if self.task == "instance":
            return len(instances.CHANNELS[self.representation.name])
        return len(self.classes) if self.task == "semantic" else len(self.output_limits)


def find_classes(values: Iterable[int], named: Sequence[ClassInfo]) -> tuple[ClassInfo, ...]:
    """Semantic classes: the named ones, or one for each value in the labels.

    Raises
    ------
    TrainingError
        If a value has no class, or there are fewer than two classes.

    Examples
    --------
    >>> [c.name for c in find_classes([0, 2], ())]
    ['background', 'class 2']
    """
    found = sorted(set(values))
    if named:
        missing = sorted(set(found) - {c.value for c in named})
        if missing:
            raise TrainingError(
                f"The labels have the value {missing[0]}, which none of the classes names",
                "add it to ⟨classes⟩",
                parameter="classes",
                value=missing[0],
            )
        return tuple(named)
    if len(found) < 2:
        raise TrainingError(
            f"The labels have only the value {found[0] if found else 'none'}",
            "a semantic model needs two classes or more",
            parameter="labels",
        )
    if len(found) > 256 or found[0] < 0 or found[-1] > 65535:
        raise TrainingError(
            f"The labels have {len(found)} values from {found[0]} to {found[-1]}, which look "
            "like objects or intensities, not classes",
            "use ⟨task='instance'⟩ or ⟨task='regression'⟩",
            parameter="task",
            value="semantic",
        )
    return tuple(
        ClassInfo(
            value=value,
            name="background" if value == 0 else f"class {value}",
            colour=PALETTE[i % len(PALETTE)],
        )
        for i, value in enumerate(found)
    )


def find_output_limits(examples: Sequence[LabelledImage]) -> tuple[tuple[float, float], ...]:
    """Values of a regression's targets that become 0 and 1, one pair per target channel.

    Percentiles 1 and 99.8 over a sample of all known pixels of all channels together.

    Raises
    ------
    InputError
        If a known pixel is NaN or infinite.
    TrainingError
        If the targets are constant, or differ in their number of channels.
    """
    parts, counts = [], set()
    pixels = sum(int(np.prod(e.shape)) * len(e.times) for e in examples)
    step = max(1, pixels // SAMPLE_PIXELS)
    for example in examples:
        for time in example.times:
            for slab in example.slabs():
                target, known = example.read_labels(time, slab)
                counts.add(len(target))
                values = target[:, known]
                check_finite(values)
                parts.append(values[:, ::step].astype(np.float64).ravel())
    if len(counts) > 1:
        raise TrainingError(
            f"The target images have different numbers of channels {sorted(counts)}",
            "they must be equal",
            parameter="labels",
        )
    sample = np.concatenate(parts)
    if not sample.size:
        raise TrainingError(
            "No pixel of the target images is known", "check the regions", parameter="region"
        )
    low, high = np.percentile(sample, (1.0, 99.8))
    if low == high:
        low, high = sample.min(), sample.max()
    if low == high:
        raise TrainingError(
            f"The target images are constant ({low:g}): there is nothing to learn",
            parameter="labels",
        )
    return ((float(low), float(high)),) * counts.pop()


def encode_target(
    labels: NDArray[Any],
    known: NDArray[np.bool_],
    target_spec: TargetSpec,
    open_sides: Sequence[tuple[bool, bool]] | None = None,
    median_size: float | None = None,
) -> NDArray[Any]:
    """The target of a plane or volume.

    Parameters
    ----------
    labels : (K, *spatial) array
        Labels, or values; K is 1 but for regression.
    known : (*spatial) array of bool
        Where they can be trusted.
    target_spec : TargetSpec
        The task and its classes or range.
    open_sides : sequence of (bool, bool), optional
        For each axis whether the image goes on before and behind the array.
    median_size : float, optional
        Median size of the objects of the whole image, in pixels; None: all objects count by
        their pixels.

    Returns
    -------
    (M, *spatial) array
        Regression: values with the output range at 0..1, float32. Semantic: M = 1, indices
        of the classes. Instance: `INSTANCE_TARGETS`, float16 - the foreground; the height that
        the representation gives, of an unknown distance what it cannot exceed; whether it is
        exact; where two objects touch; a weight by which small objects count more than their
        few pixels, and in 2D what lies beside an outline more than the rest.
    """
    ndim = labels.ndim - 1
    if target_spec.task == "regression":
        check_finite(labels)
        low, high = np.array(target_spec.output_limits).T.reshape(2, -1, *(1,) * ndim)
        values: NDArray[Any] = ((labels - low) / (high - low)).astype(np.float32)
        return values
    if target_spec.task == "semantic":
        classes = np.array([c.value for c in target_spec.classes])
        order = np.argsort(classes)
        place = np.minimum(np.searchsorted(classes[order], labels), len(classes) - 1)
        index: NDArray[Any] = order[place].astype(np.min_scalar_type(len(classes) - 1))
        return index
    ids = compact_labels(labels[0])
    touching = _find_touching(ids)
    representation = target_spec.representation
    sides = open_sides or ((False, False),) * ndim
    if known.all() and not any(map(any, sides)):
        maps, exact = instances.encode(ids, representation), np.ones(ids.shape, bool)
        whole = exact
    elif representation == instances.BOUNDARY:
        maps, exact, whole = _encode_known_boundary(ids, known, sides)
    else:
        maps, exact = _encode_known_distance(ids, known, sides)
        whole = exact
    weight = _weigh_small_objects(ids, whole, median_size)
    if ndim == 2:
        weight = weight * (1 + RIM_WEIGHT * _find_rim(ids, known))
    rest = np.stack([exact, touching, weight])
    return np.concatenate([maps, rest]).astype(np.float16)


def _encode_known_boundary(
    ids: NDArray[np.uint32], known: NDArray[np.bool_], open_sides: Sequence[tuple[bool, bool]]
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
    """Foreground and interior, where the interior is determined, and where no object is cut.

    A pixel beside another known label is boundary, whatever lies beyond. One beside nothing
    but its own label is interior, where nothing unknown is as near as the boundary is wide.
    """
    width = [(int(before), int(behind)) for before, behind in open_sides]
    inner = tuple(slice(a, a + n) for (a, _), n in zip(width, ids.shape, strict=True))
    beside_unknown = widen(np.pad(~known, width, constant_values=True))[inner]
    boundary = find_boundary(ids, known)
    object_pixels = (ids > 0) & known
    exact = known & ~(object_pixels & beside_unknown & ~boundary)
    cut = np.zeros(int(ids.max(initial=0)) + 1, bool)
    cut[ids[object_pixels & beside_unknown]] = True
    maps = np.stack([object_pixels, object_pixels & ~boundary]).astype(np.float32)
    return maps, exact, known & ~cut[ids]


def _encode_known_distance(
    ids: NDArray[np.uint32], known: NDArray[np.bool_], open_sides: Sequence[tuple[bool, bool]]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Foreground and distance, and where the distance is determined.

    An object that may go on where nothing is known has an unknown largest distance. Of its
    pixels nearer to a known boundary than to anything unknown the distance itself is known,
    and the largest of them is at most the object's: their quotient is an upper bound.
    """
    width = [(int(before), int(behind)) for before, behind in open_sides]
    inner = tuple(slice(a, a + n) for (a, _), n in zip(width, ids.shape, strict=True))
    edge = edt.edt(np.pad(known, width).astype(np.uint8), black_border=False)[inner]
    number = int(ids.max(initial=0))
    # what is not known is a label of its own: no distance reaches past it
    parts = np.where(known, ids, np.uint32(number + 1))
    distance = np.asarray(edt.edt(np.ascontiguousarray(parts), black_border=False), np.float32)
    distance[~np.isfinite(distance)] = np.inf
    object_pixels = (ids > 0) & known
    near = edge <= math.sqrt(ids.ndim) + 1e-3  # neighbours, corners too
    may_go_on = object_pixels & (near | (distance >= edge - 1e-3)) & np.isfinite(edge)
    cut = np.zeros(number + 2, bool)
    cut[ids[may_go_on]] = True
    cut[0] = False
    sure = object_pixels & np.isfinite(distance) & ((distance < edge - 1e-3) | ~cut[ids])
    largest = np.ones(number + 2, np.float32)
    whole = np.full(number + 2, 1e-6, np.float32)
    np.maximum.at(largest, ids[sure], distance[sure])
    np.maximum.at(whole, ids[sure], distance[sure])
    largest = np.where(cut, largest, whole)
    relative = np.where(sure, distance / largest[ids], 1.0)
    relative = np.where(object_pixels, np.minimum(relative, 1), 0).astype(np.float32)
    maps = np.stack([object_pixels.astype(np.float32), relative])
    return maps, known & ~cut[ids]


def _weigh_small_objects(
    ids: NDArray[np.uint32], whole: NDArray[np.bool_], median_size: float | None
) -> NDArray[np.float32]:
    """The root of the usual size over an object's own, within `BALANCE_LIMITS`; 1 where unknown."""
    if median_size is None:
        return np.ones(ids.shape, np.float32)
    sizes = np.bincount(ids[whole], minlength=int(ids.max(initial=0)) + 1)
    weight = np.ones(sizes.size, np.float32)
    objects = sizes > 0
    objects[0] = False
    weight[objects] = np.clip(np.sqrt(median_size / sizes[objects]), *BALANCE_LIMITS)
    balance: NDArray[np.float32] = weight[ids]
    return balance


def _find_rim(ids: NDArray[np.uint32], known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Known pixels within `RIM_PIXELS` of an outline of the foreground, on both sides of it.

    All else is learned soon; how well an outline fits is decided here, by a few pixels. Where an
    object meets what is not known, there is no outline.
    """
    inside, outside = (ids > 0) & known, (ids == 0) & known
    for _ in range(RIM_PIXELS):
        inside, outside = widen(inside), widen(outside)
    rim: NDArray[np.bool_] = known & inside & outside
    return rim


def _find_touching(ids: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Pixels near two objects that lie `TOUCHING_PIXELS` apart in the plane at most."""
    if not ids.size:
        return np.zeros(ids.shape, bool)
    size = (1,) * (ids.ndim - 2) + (2 * TOUCHING_PIXELS + 1,) * 2
    largest = ndimage.maximum_filter(ids, size, mode="nearest")
    # above all labels, and a number that the filter's floats hold
    far = np.where(ids > 0, ids, ids.max() + np.uint32(1))
    smallest = ndimage.minimum_filter(far, size, mode="nearest")
    touching: NDArray[np.bool_] = (largest > 0) & (smallest < largest)
    return touching
