"""Which maps stand for the objects that a network learns: chosen from settings, base and labels.

The relative distance to the boundary suits objects that lie in background; the boundary itself
suits tissue, whose objects leave no gaps and have any shape and size. What labels that are known in
part teach differs too (`napari_unet.dataset.targets`):

- Of objects that are known whole, with what is beside them, both are learned.
- Of objects that are cut, by a box or by the border of the image, the distance is bounded at best;
  the boundary is learned all the same, but for the pixels next to what is not known.
- Of strokes neither is learned, but the foreground and, of boundaries, the inside of thick strokes:
  no stroke tells where an object ends, so that new networks do not learn boundaries from strokes.
- Of single planes of a volume, a 3D network learns only the boundary that is seen in the plane, and
  no inside, so that boundaries are not learned from planes either; a 2D network learns all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.card import InstanceRepresentation, ModelCard
from napari_unet.dataset.frames import Frame
from napari_unet.dataset.properties import knows_distance, object_windows
from napari_unet.errors import TrainingError
from napari_unet.instances.boundary import find_boundary
from napari_unet.instances.maps import BOUNDARY, DISTANCE, REPRESENTATIONS, check_representation
from napari_unet.renumbering import compact_labels
from napari_unet.settings import TrainConfig

MAX_BACKGROUND_SHARE = 0.1  # of the known pixels of dense tissue
LINE_REACH_PIXELS = 2  # from thin lines of background to the objects on both sides
MAX_LINES_SHARE = 0.4  # of the known pixels; more background is not looked at for lines
SAMPLED_FRAMES = 16  # whose labels are looked at


@dataclass(frozen=True)
class RepresentationChoice:
    """The maps, why in one sentence, and what else could be asked for; empty for the usual ones."""

    representation: InstanceRepresentation
    reason: str = ""
    remedy: str = ""


def choose_representation(
    frames: Sequence[Frame], base: ModelCard | None, config: TrainConfig
) -> RepresentationChoice:
    """The representation of the settings, of the base, or that suits the labels of instances.

    Parameters
    ----------
    frames : sequence of Frame
        Of all examples. Labels are read around a few objects, where hardly any background is
        known.
    base : ModelCard or None
        What training starts from.
    config : TrainConfig
        Its ``representation``.

    Raises
    ------
    ModelError
        If the base has maps that this version does not know.
    """
    if config.task != "instance":
        return RepresentationChoice(DISTANCE)
    own = None if base is None else check_representation(base.instances)
    if config.representation != "auto":
        wanted = REPRESENTATIONS[config.representation]
        if own is not None and own != wanted:
            return RepresentationChoice(
                wanted,
                f"Objects are parted by their {_NAMES[wanted.name]}, as ⟨representation⟩ asks; "
                f"the base parts them by their {_NAMES[own.name]}, so that its last layer is "
                "learned anew",
            )
        asked = "Objects are parted by the boundary between them, as ⟨representation⟩ asks"
        return RepresentationChoice(wanted, asked if wanted == BOUNDARY else "")
    if own == BOUNDARY:
        return RepresentationChoice(
            BOUNDARY, "Objects are parted by their boundary, as by the base"
        )
    why = _find_density(frames)
    if own is not None and why:
        return RepresentationChoice(
            own,
            f"Objects are parted by their depth, as by the base, although {why}",
            "⟨representation='boundary'⟩ may suit them better, and learns the last layer anew",
        )
    if why:
        return RepresentationChoice(
            BOUNDARY,
            f"Objects are parted by the boundary between them, not by their depth: {why}",
            "⟨representation='distance'⟩ takes the depth",
        )
    return RepresentationChoice(own or DISTANCE)


_NAMES = {DISTANCE.name: "depth", BOUNDARY.name: "boundary"}


def measure_background(frames: Sequence[Frame]) -> float | None:
    """Share of background among the known pixels; None where only strokes are known.

    Strokes say nothing of it: how much of each kind is painted is the painter's choice.
    """
    usable = [frame for frame in frames if not _has_strokes(frame)]
    known = sum(frame.statistics.known for frame in usable)
    if not known:
        return None
    return sum(frame.statistics.sizes.get(0, 0) for frame in usable) / known


def _has_strokes(frame: Frame) -> bool:
    return "painted" in frame.labelled.regions and "all" not in frame.labelled.regions


def _find_density(frames: Sequence[Frame]) -> str:
    """Why the labels are of tissue without gaps, as a clause; empty where they are not."""
    share = measure_background(frames)
    if share is None or share >= MAX_LINES_SHARE or not _show_boundaries(frames):
        return ""
    touch, wide = False, []
    for labels, known in _sample_labels(frames):
        touch = touch or bool(find_boundary(labels, known & (labels > 0)).any())
        background = known & (labels == 0)
        lines = background & find_lines(labels)
        touch = touch or bool(lines.any())
        wide.append((np.count_nonzero(background & ~lines), np.count_nonzero(known)))
    if not touch:
        return ""
    if share < MAX_BACKGROUND_SHARE:
        few = f"only {share:.1%} of the labelled pixels are" if share else "no labelled pixel is"
        return f"they touch, and {few} background"
    background, pixels = np.sum(wide, axis=0)
    if background < MAX_BACKGROUND_SHARE * pixels:
        return "next to all background is thin lines between them"
    return ""


def _sample_labels(frames: Sequence[Frame]) -> Iterator[tuple[NDArray[Any], NDArray[np.bool_]]]:
    """Labels, and where they are known, in windows around objects of some of the frames."""
    usable = [f for f in frames if 1 in f.statistics.places and not _has_strokes(f)]
    for frame in usable[:: -(-len(usable) // SAMPLED_FRAMES) or 1]:
        for part in object_windows(frame):
            labels, known = frame.read_labels(part)
            yield compact_labels(labels[0]), known


def find_lines(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels with two objects within `LINE_REACH_PIXELS` of them in the plane.

    >>> labels = np.array([[1, 1, 0, 2, 2, 2, 0, 0, 0, 0, 3]])
    >>> (find_lines(labels) & (labels == 0)).astype(int).tolist()
    [[0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]]
    """
    size = (1,) * (labels.ndim - 2) + (2 * LINE_REACH_PIXELS + 1,) * 2
    ids = labels.astype(np.int64)
    largest = ndimage.maximum_filter(ids, size, mode="nearest")
    far = np.where(ids > 0, ids, np.iinfo(np.int32).max)
    smallest = ndimage.minimum_filter(far, size, mode="nearest")
    found: NDArray[np.bool_] = (largest > 0) & (smallest < largest)
    return found


def _show_boundaries(frames: Sequence[Frame]) -> bool:
    """Whether the labels determine boundaries, and what lies inside them."""
    return knows_distance(
        [replace(f, target_spec=replace(f.target_spec, representation=BOUNDARY)) for f in frames]
    )


def check_boundary(base: ModelCard | None, config: TrainConfig, *, known: bool) -> None:
    """Raise `TrainingError` where boundaries are asked for, but neither labels nor base know any.

    Strokes show what an object is, and not where it ends; single planes of a volume do not show
    what lies inside a boundary.
    """
    learned = base is not None and base.instances == BOUNDARY
    if config.task == "instance" and config.representation == "boundary" and not (known or learned):
        raise TrainingError(
            "The labels show no boundary between objects: strokes alone do not tell where an "
            "object ends, nor do single planes to a 3D network",
            "label some whole objects together with those beside them, or take "
            "⟨representation='auto'⟩",
            parameter="representation",
            value="boundary",
            code="no-boundary",
        )
