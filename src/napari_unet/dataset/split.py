"""Which labelled pixels are held out to validate on: no pixel is on both sides."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_unet.card import Task
from napari_unet.dataset.label_statistics import ANYWHERE, LabelStatistics
from napari_unet.dataset.labelled_image import LabelledImage
from napari_unet.image.source import ImageSource

MIN_IMAGES = 3  # images from which whole ones are held out
MIN_PLANES = 4  # planes, or time points, from which some are held out
MIN_BLOCK_PIXELS = 24  # rows or columns on either side of a cut through a plane
MIN_BLOCK_PLANES = 8  # planes on either side of a cut through a volume
MAX_OVERLAP_WORK = 10_000  # steps after which two arrays count as overlapping


@dataclass(frozen=True)
class HeldOutBlock:
    """What is held out of an image: the known pixels from an index of an axis on.

    Attributes
    ----------
    axis : str
        "T" or a spatial axis; empty: the whole image is held out.
    start : int
        The first index that is held out.
    stop : int or None
        One past the last, where nothing is known from there on: what is labelled there later
        can be trained on. None: all the rest is held out.
    """

    axis: str
    start: int
    stop: int | None = None


WHOLE_IMAGE = HeldOutBlock("", 0)


@dataclass(frozen=True, eq=False)
class Split:
    """What to learn from and what to validate on.

    Attributes
    ----------
    training, validation : list of LabelledImage
        Examples, or pieces of them; ``validation`` may be empty.
    summary : str
        One sentence that says it.
    blocks : dict
        What is held out of each example by its number, in the order of the pieces; None:
        nothing.
    """

    training: list[LabelledImage]
    validation: list[LabelledImage]
    summary: str
    blocks: dict[int, HeldOutBlock | None]


def split_examples(
    examples: Sequence[LabelledImage],
    statistics: Sequence[LabelStatistics],
    *,
    fraction: float,
    seed: int,
    task: Task,
    ndim: int,
) -> Split:
    """Hold out whole images where there are three or more, else a block of each.

    Examples with pixels in common are kept on the same side, and of each class something is
    left to learn from where it can. A block is the end of an image along time, along z, or along
    the longer side of its planes, that holds about the wanted share of the objects (of the
    known pixels, where there are no objects).

    Parameters
    ----------
    examples, statistics : sequences of equal length
        The opened examples and what they hold.
    fraction : float
        The share to hold out; 0: nothing.
    seed : int
        Decides which images.
    task : str
        Objects are counted for "instance", known pixels otherwise.
    ndim : int
        Spatial axes of the network.
    """
    if fraction == 0:
        summary = "Nothing is held out to validate on."
        return _make_split(examples, dict.fromkeys(range(len(examples))), summary)
    members = _group_overlapping(examples)
    key = 1 if task == "instance" else ANYWHERE
    # the others have nothing to train or validate on
    filled = [g for g in members if any(key in f.places for i in g for f in statistics[i].frames)]
    if len(filled) >= MIN_IMAGES:
        chosen = _choose_groups(filled, statistics, fraction, seed, task)
        held = {i for group in chosen for i in group}
        summary = f"{len(chosen)} of {len(filled)} images are held out to validate on."
        return _make_split(
            examples, {i: WHOLE_IMAGE if i in held else None for i in range(len(examples))}, summary
        )
    blocks: dict[int, HeldOutBlock | None] = {}
    for group in members:
        pieces = [examples[i] for i in group]
        seen = [statistics[i] for i in group]
        block = _find_block(pieces, seen, fraction, task, ndim)
        if block is not None:
            block = replace(block, stop=_find_known_stop(pieces, seen, block.axis, ndim))
        blocks |= dict.fromkeys(group, block)
    found = [block.axis for block in blocks.values() if block is not None]
    if found:
        names = {"T": "time points", "Z": "planes", "Y": "rows", "X": "columns"}
        what = " and ".join(dict.fromkeys(names[axis] for axis in found))
        summary = f"The last {what} are held out to validate on."
    elif any(_are_shifted([examples[i] for i in group]) for group in members):
        summary = (
            "The examples are parts of one image that overlap, so that none of them is held "
            "out to validate on."
        )
    else:
        summary = "The labels are too few to hold some out to validate on."
    return _make_split(examples, blocks, summary)


def _make_split(
    examples: Sequence[LabelledImage], blocks: dict[int, HeldOutBlock | None], summary: str
) -> Split:
    parts = [divide_example(examples[i], block) for i, block in blocks.items()]
    training, validation = ([e for part in parts for e in part[side]] for side in (0, 1))
    return Split(training, validation, summary, blocks)


def divide_example(
    example: LabelledImage, block: HeldOutBlock | None
) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Pieces to learn from, and pieces that are held out."""
    if block is None:
        return [example], []
    if block == WHOLE_IMAGE:
        return [], [example]
    first = example.times.start if block.axis == "T" else 0
    size = _axis_stop(example, block.axis)
    end = size if block.stop is None else min(block.stop, size)
    held = _crop_example(example, block.axis, block.start, end)
    learned = [_crop_example(example, block.axis, first, block.start)]
    if end < size:
        learned.append(_crop_example(example, block.axis, end, size))
    return learned, [held]


def share_pixels(one: ImageSource, other: ImageSource) -> bool:
    """Whether two images have pixels in common: arrays that are the same, or overlap in memory.

    >>> import numpy as np
    >>> from napari_unet.image.source import open_image
    >>> stack = np.zeros((6, 32, 32))
    >>> first, second, last = (open_image(stack[a : a + 3]) for a in (0, 2, 3))
    >>> share_pixels(first, second), share_pixels(first, last)
    (True, False)
    """
    return any(_arrays_overlap(a, b) for a in one.arrays for b in other.arrays)


def _arrays_overlap(a: object, b: object) -> bool:
    if a is b or not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)):
        return a is b
    if not np.may_share_memory(a, b):
        return False
    try:  # halves of a plane lie between one another in memory, but share nothing
        return np.shares_memory(a, b, max_work=MAX_OVERLAP_WORK)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def _group_overlapping(examples: Sequence[LabelledImage]) -> list[list[int]]:
    """Numbers of the examples, those together that have pixels in common."""
    groups: list[list[int]] = []
    for i, example in enumerate(examples):
        joined = [
            group
            for group in groups
            if any(share_pixels(example.source, examples[j].source) for j in group)
        ]
        groups = [group for group in groups if group not in joined]
        groups.append([*(number for group in joined for number in group), i])
    return sorted(sorted(numbers) for numbers in groups)


def _are_shifted(examples: Sequence[LabelledImage]) -> bool:
    """Whether arrays overlap but are not the same, so that an index means different pixels."""
    arrays = [array for example in examples for array in example.source.arrays]
    return any(
        _arrays_overlap(a, b) and array_identity(a) != array_identity(b)
        for a, b in itertools.combinations(arrays, 2)
    )


def array_identity(array: object) -> Hashable:
    """A key that is equal for arrays of exactly the same pixels in memory."""
    if isinstance(array, np.ndarray):
        return array.__array_interface__["data"][0], array.shape, array.strides
    return id(array)


def _choose_groups(
    groups: Sequence[list[int]],
    statistics: Sequence[LabelStatistics],
    fraction: float,
    seed: int,
    task: Task,
) -> list[list[int]]:
    """Groups to hold out; where possible, every class stays in the training part too."""
    count = max(1, round(fraction * len(groups)))
    order = [groups[i] for i in np.random.default_rng(seed).permutation(len(groups))]
    if task != "semantic":
        return order[:count]
    values = [set().union(*(statistics[i].values for i in group)) for group in order]
    spare: list[int] = []
    for i, own in enumerate(values):
        others = (v for j, v in enumerate(values) if j != i and j not in spare)
        if len(spare) < count and own <= set().union(*others):
            spare.append(i)
    return [order[i] for i in spare] or order[:count]


def _find_block(
    examples: Sequence[LabelledImage],
    statistics: Sequence[LabelStatistics],
    fraction: float,
    task: Task,
    ndim: int,
) -> HeldOutBlock | None:
    """The block to hold out; every class also occurs before it."""
    if len({(example.source.axes, example.shape) for example in examples}) > 1:
        return None  # the same array with different axes
    if _are_shifted(examples):
        return None
    axes = "T" + examples[0].source.spatial
    sizes = (len(examples[0].times), *examples[0].shape)
    positions, weights = _labelled_places(statistics, 1 if task == "instance" else ANYWHERE)
    if len(positions) < 2:
        return None
    keys = {key for each in statistics for frame in each.frames for key in frame.places}
    classes = [_labelled_places(statistics, key)[0] for key in keys - {ANYWHERE}]
    order = sorted("YX", key=lambda axis: -sizes[axes.index(axis)])
    if "Z" in axes:  # of a volume the longest axis
        order.insert(0 if ndim == 2 or sizes[1] >= max(sizes[2:]) else 2, "Z")
    best: tuple[float, str, int] | None = None
    for axis in ("T", *order):
        column = axes.index(axis)
        values = positions[:, column]
        whole_planes = axis == "T" or (axis == "Z" and ndim == 2)
        if whole_planes and len(np.unique(values)) < MIN_PLANES:
            continue
        least = 1 if whole_planes else MIN_BLOCK_PIXELS if axis != "Z" else MIN_BLOCK_PLANES
        first = examples[0].times.start if axis == "T" else 0
        met = max((int(places[:, column].min()) for places in classes), default=-1)
        fits = False
        for place in np.unique(values):
            if place - first < least or sizes[column] - (place - first) < least or place <= met:
                continue
            share = float(weights[values >= place].sum() / weights.sum())
            if not 0 < share < 1:
                continue
            miss = abs(share - fraction)
            if best is None or miss < best[0]:
                best = miss, axis, int(place)
                fits = miss <= max(0.1, fraction) and share >= fraction / 3
        if fits:
            break
    return None if best is None else HeldOutBlock(*best[1:])


def _labelled_places(
    statistics: Sequence[LabelStatistics], key: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(N, 1 + ndim) time and position of places of a key, and what each stands for."""
    positions, weights = [], []
    for frame in (frame for each in statistics for frame in each.frames):
        places = frame.places.get(key)
        if places is None:
            continue
        columns = [np.full(len(places.positions), frame.time)[:, None], places.positions]
        if frame.plane is not None:
            columns.insert(1, np.full(len(places.positions), frame.plane)[:, None])
        positions.append(np.concatenate(columns, axis=1))
        weights.append(places.weights)
    if not positions:
        return np.zeros((0, 0), np.int64), np.zeros(0)
    return np.concatenate(positions), np.concatenate(weights)


def _find_known_stop(
    examples: Sequence[LabelledImage], statistics: Sequence[LabelStatistics], axis: str, ndim: int
) -> int | None:
    """One past the last index of an axis at which anything is known; None: near its end."""
    by_planes = axis == "T" or (axis == "Z" and ndim == 2)
    if not by_planes and any(frame.complete for each in statistics for frame in each.frames):
        return None
    positions, _ = _labelled_places(statistics, ANYWHERE)
    if not len(positions):
        return None
    column = ("T" + examples[0].source.spatial).index(axis)
    end = int(positions[:, column].max()) + 1
    room = _axis_stop(examples[0], axis) - end
    return end if room >= (1 if by_planes else MIN_BLOCK_PIXELS) else None


def _axis_stop(example: LabelledImage, axis: str) -> int:
    """One past the last index of an axis."""
    if axis == "T":
        return example.times.stop
    return example.shape[example.source.spatial.index(axis)]


def _crop_example(example: LabelledImage, axis: str, start: int, stop: int) -> LabelledImage:
    """What lies between two indices of an axis."""
    whole = tuple(slice(0, n) for n in example.shape)
    if axis == "T":
        return example.within(range(start, stop), whole)
    column = example.source.spatial.index(axis)
    part = tuple(slice(start, stop) if i == column else w for i, w in enumerate(whole))
    return example.within(example.times, part)
