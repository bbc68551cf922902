"""Labels and images matched by where their pixels lie, never by shape alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_unet.axes import label_axes
from napari_unet.dataset.label_placement import AXIS_WORDS, LabelPlacement, joined
from napari_unet.errors import InputError

TOLERANCE_PIXELS = 0.25  # that labels may lie beside the pixels of their image, anywhere


class MismatchError(InputError):
    """Labels that are not on the pixels of an image; ``code`` names the kind of reason.

    One of "axes" (an axis that the image has not), "no-plane" (an axis is missing), "unplaced"
    (of the image's size, but nothing says where they lie), "turned", "flipped", "pixel-size",
    "between-pixels" and "apart".
    """


@dataclass(frozen=True, eq=False)
class PixelGrid:
    """Where the pixels of an array lie.

    Attributes
    ----------
    name : str
        What a message calls it, in the singular.
    shape : tuple of int
        Of the array.
    axes : str
        Over TCZYX, one per axis.
    to_world : (D + 1, D + 1) array
        From pixel indices to where they lie, as a homogeneous matrix. The places of two grids
        have equal units; axes of the same letter lie along one another.
    level : int
        Of a pyramid; 0 is the finest.
    """

    name: str
    shape: tuple[int, ...]
    axes: str
    to_world: NDArray[np.float64]
    level: int = 0

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each axis."""
        return dict(zip(self.axes, self.shape, strict=True))

    @property
    def is_bare(self) -> bool:
        """Whether nothing says where it lies: pixels of size 1, from the origin on."""
        return bool(np.allclose(self.to_world, np.eye(len(self.to_world)), atol=1e-9))

    def transform(self, axes: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Matrix and origin, for some of its axes."""
        rows = [self.axes.index(axis) for axis in axes]
        return self.to_world[np.ix_(rows, rows)], self.to_world[rows, -1]


def match_levels(images: Sequence[PixelGrid], labels: Sequence[PixelGrid]) -> LabelPlacement:
    """The finest levels of an image and of labels that have the same pixels.

    Parameters
    ----------
    images, labels : sequence of PixelGrid
        One for each level; several for a level whose place is not certain.

    Raises
    ------
    MismatchError
        If there are none; it is about the finest levels.
    """
    reasons: list[MismatchError] = []
    pairs = [(image, each) for image in images for each in labels]
    for image, each in sorted(pairs, key=lambda p: (p[0].level + p[1].level, p[0].level)):
        try:
            return match_grids(image, each)
        except MismatchError as error:
            reasons.append(error)
    raise reasons[0]


def match_grids(image: PixelGrid, labels: PixelGrid) -> LabelPlacement:
    """Place labels on the pixels of an image.

    Axes go by their letters; one of length 1 that only one of the two has does not matter.

    Parameters
    ----------
    image, labels : PixelGrid
        Of the image, and of the labels.

    Raises
    ------
    MismatchError
        If they do not lie on the pixels of the image; it says why.

    Examples
    --------
    >>> place = np.eye(3)
    >>> image = PixelGrid("cells", (192, 240), "YX", place)
    >>> shifted = place + np.array([[0, 0, 40], [0, 0, 60], [0, 0, 0]])
    >>> match_grids(image, PixelGrid("mask", (100, 100), "YX", shifted)).offset
    (40, 60)
    """
    target = label_axes(image.axes)
    sizes, lengths = image.sizes, labels.sizes
    _check_axes(image, labels, target)
    shared = "".join(axis for axis in target if axis in labels.axes)
    linear, centre = _relate(image, labels, shared)
    shape = tuple(lengths.get(axis, 1) for axis in target)
    image_shape = tuple(sizes[axis] for axis in target)
    reach = (np.array([lengths[axis] for axis in shared]) - 1) / 2
    middle = centre - reach  # of how far the labels are moved
    away = np.abs(linear - np.eye(len(shared))) @ reach
    nearest = np.rint(middle)
    fits = bool((np.abs(middle - nearest) + away <= TOLERANCE_PIXELS).all())
    bare = labels.is_bare and not image.is_bare and shape == image_shape
    if bare and not (fits and not nearest.any()):
        raise _unplaced(image, labels)
    if (away > TOLERANCE_PIXELS).any():
        raise _differently_laid(image, labels, shared, linear)
    if not fits:
        raise _between(image, labels, shared, middle)
    moved = dict(zip(shared, (int(n) for n in nearest), strict=True))
    found = LabelPlacement(
        axes=labels.axes,
        image_axes=image.axes,
        image_shape=image_shape,
        shape=shape,
        offset=tuple(moved.get(axis, 0) for axis in target),
        image_level=image.level,
        label_level=labels.level,
    )
    if any(part.stop <= part.start for part in found.part):
        raise _apart(image, labels, found)
    if not labels.is_bare or found.is_whole:
        return found
    ratio = 1 if any(found.offset) else size_ratio(image_shape, shape)
    return replace(found, is_declared=False, ratio=ratio)


def size_ratio(one: Sequence[int], other: Sequence[int]) -> int:
    """How many times larger one shape is than the other in its last two axes; 1 if it is not.

    Sizes of a pyramid may be rounded up or down.

    Examples
    --------
    >>> size_ratio((5, 192, 241), (5, 96, 120)), size_ratio((64, 64), (60, 64))
    (2, 1)
    """
    large, small = (one, other) if one[-1] >= other[-1] else (other, one)
    for ratio in range(2, max(large[-1] // max(small[-1], 1), 1) + 2):
        if all(
            n in (m // ratio, -(-m // ratio)) for m, n in zip(large[-2:], small[-2:], strict=True)
        ):
            return ratio
    return 1


def explain_size(image: Sequence[int], labels: Sequence[int]) -> str:
    """Why the size of labels may differ from that of their image, and what to do.

    Examples
    --------
    >>> explain_size((64, 96), (32, 48))
    'they have exactly half its size, as another level of a pyramid has: give both at one size'
    """
    if len(image) != len(labels) or 0 in labels:
        return ""
    if tuple(labels[-2:]) == tuple(image[-2:])[::-1]:
        return "rows and columns seem to be swapped: transpose one of the two"
    ratio = size_ratio(image, labels)
    if ratio > 1:
        half = "half" if ratio == 2 else f"1/{ratio} of"
        size = f"{half} its size" if labels[-1] < image[-1] else f"{ratio} times its size"
        return f"they have exactly {size}, as another level of a pyramid has: give both at one size"
    if all(a <= b for a, b in zip(labels, image, strict=True)):
        return (
            "they may be of a crop: give the image of that crop, or files that declare their place"
        )
    if all(a >= b for a, b in zip(labels, image, strict=True)):
        return "the image may be a crop: give the labels of that crop"
    return "check that these labels belong to this image"


def _relate(
    image: PixelGrid, labels: PixelGrid, axes: str
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """From the labels' pixels to those of the image: the matrix, and where their centre lies."""
    matrix, origin = image.transform(axes)
    other, start = labels.transform(axes)
    half = (np.array([labels.sizes[axis] for axis in axes]) - 1) / 2
    try:
        linear = np.linalg.solve(matrix, other)
        return linear, np.linalg.solve(matrix, other @ half + start - origin)
    except np.linalg.LinAlgError:
        raise MismatchError(
            f"{image.name} has a pixel size of 0", "correct its scale", code="pixel-size"
        ) from None


def _check_axes(image: PixelGrid, labels: PixelGrid, target: str) -> None:
    sizes, lengths = image.sizes, labels.sizes
    extra = [axis for axis in labels.axes if axis not in target and lengths[axis] > 1]
    if extra:
        told = joined([f"{axis} of length {lengths[axis]}" for axis in extra])
        if extra == ["C"]:
            problem = f"{labels.name} has {lengths['C']} channels, which labels have not"
            raise MismatchError(problem, "split them into layers, and choose one", code="axes")
        raise MismatchError(
            f"{labels.name} has an axis {told}, which {image.name} ({image.axes}) has not",
            "choose the labels of this image, or correct the axes of the image",
            code="axes",
        )
    missing = [axis for axis in target if axis not in labels.axes and sizes[axis] > 1]
    if missing:
        told = joined([f"{sizes[axis]} {AXIS_WORDS[axis]}" for axis in missing])
        raise MismatchError(
            f"{labels.name} has no axis {joined(missing)}, so that it is not known on which of "
            f"the {told} of {image.name} it lies",
            f"give it an axis {joined(missing)} of length 1, and its place along it",
            code="no-plane",
        )


def _unplaced(image: PixelGrid, labels: PixelGrid) -> MismatchError:
    matrix, origin = image.transform(image.axes)
    steps = np.linalg.norm(matrix, axis=0)
    size = " × ".join(f"{step:.4g}" for a, step in zip(image.axes, steps, strict=True) if a in "YX")
    moved = np.abs(origin) > 1e-9
    told = f"pixel size {size}" if not np.allclose(steps, 1) else ""
    told += (" and " if told and moved.any() else "") + ("place" if moved.any() else "")
    told = told or "rotation"
    return MismatchError(
        f"{labels.name} has the size of {image.name}, but not its {told}, so that the two do not "
        "lie on one another",
        "lay it on the image if it is of the whole image, else give it its own place",
        code="unplaced",
    )


def _differently_laid(
    image: PixelGrid, labels: PixelGrid, axes: str, linear: NDArray[np.floating]
) -> MismatchError:
    """What keeps pixels from being those of the image, other than a shift."""
    diagonal = np.diag(linear)
    lengths = np.array([labels.sizes[axis] for axis in axes])
    aside = np.abs(linear - np.diag(diagonal)) * (lengths - 1)
    if (aside > 2 * TOLERANCE_PIXELS).any():
        return MismatchError(
            f"{labels.name} {_turn(axes, linear)} against {image.name}",
            "lay both in the same way; labels are not resampled",
            code="turned",
        )
    flipped = [axis for axis, value in zip(axes, diagonal, strict=True) if value < 0]
    if flipped:
        return MismatchError(
            f"{labels.name} is flipped along {joined(flipped)} against {image.name}",
            "flip its data, and give it a positive scale",
            code="flipped",
        )
    factors = {
        axis: value for axis, value in zip(axes, diagonal, strict=True) if abs(value - 1) > 1e-3
    } or dict(zip(axes, diagonal, strict=True))
    groups: dict[str, list[str]] = {}
    for axis, value in factors.items():
        groups.setdefault(f"{value:.4g}", []).append(axis)
    told = joined([f"{n} times the size along {joined(a)}" for n, a in groups.items()])
    ratios = [max(value, 1 / value) for value in factors.values() if value]
    level = all(abs(value - round(value)) < 0.01 and round(value) > 1 for value in ratios)
    return MismatchError(
        f"{labels.name} has pixels of {told} against {image.name}",
        "it may be of another level of a pyramid: open image and labels at the same size"
        if level
        else "open image and labels at the same size, or correct the pixel size of one of them",
        code="pixel-size",
    )


def _turn(axes: str, linear: NDArray[np.floating]) -> str:
    if not {"Y", "X"} <= set(axes):
        return "is turned"
    y, x = axes.index("Y"), axes.index("X")
    block = linear[np.ix_([y, x], [y, x])]
    if np.allclose(np.diag(block), 0, atol=1e-3) and block[0, 1] * block[1, 0] > 0:
        return "has rows and columns swapped"
    if np.allclose(block @ block.T, np.eye(2) * (block @ block.T)[0, 0], atol=1e-3):
        angle = np.degrees(np.arctan2(block[1, 0], block[0, 0]))
        if abs(angle) > 1e-2:
            return f"is turned by {abs(angle):.3g}°"
    return "is turned or sheared"


def _between(
    image: PixelGrid, labels: PixelGrid, axes: str, moved: NDArray[np.floating]
) -> MismatchError:
    told = joined(
        [
            f"{abs(value):.4g} pixels beside {image.name} along {axis}"
            if not number
            else f"{abs(value):.4g} along {axis}"
            for number, (axis, value) in enumerate(
                (a, v) for a, v in zip(axes, moved, strict=True) if abs(v - round(v)) > 0.1
            )
        ]
    )
    return MismatchError(
        f"{labels.name} lies {told}, which is no whole number",
        "correct its place (its translation); labels are not resampled",
        code="between-pixels",
    )


def _apart(image: PixelGrid, labels: PixelGrid, found: LabelPlacement) -> MismatchError:
    axis = next(
        a
        for a, part in zip(label_axes(image.axes), found.part, strict=True)
        if part.stop <= part.start
    )
    return MismatchError(
        f"{labels.name} lies beside {image.name} along {axis}, without a pixel in common",
        "choose the labels that lie on the image, or correct its place (its translation)",
        code="apart",
    )
