"""Which maps stand for the objects that a network learns: chosen from settings, base and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from napari_unet.card import InstanceRepresentation, ModelCard
from napari_unet.dataset.frames import Frame
from napari_unet.dataset.properties import knows_distance, object_windows
from napari_unet.errors import TrainingError
from napari_unet.instances.boundary import find_boundary
from napari_unet.instances.maps import BOUNDARY, DISTANCE, REPRESENTATIONS, check_representation
from napari_unet.settings import TrainConfig

MAX_BACKGROUND_SHARE = 0.1  # of the known pixels of dense tissue


@dataclass(frozen=True)
class RepresentationChoice:
    """The maps, and one sentence that says why; empty for the usual ones."""

    representation: InstanceRepresentation
    reason: str


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
        return RepresentationChoice(DISTANCE, "")
    own = None if base is None else check_representation(base.instances)
    if config.representation != "auto":
        wanted = REPRESENTATIONS[config.representation]
        if own is not None and own != wanted:
            return RepresentationChoice(
                wanted,
                f"Objects are parted by their {_NAMES[wanted.name]}, as ⟨representation⟩ asks; "
                f"the base parts them by their {_NAMES[own.name]}, so that its last layer is "
                "learned anew.",
            )
        asked = "Objects are parted by the boundary between them, as ⟨representation⟩ asks."
        return RepresentationChoice(wanted, asked if wanted == BOUNDARY else "")
    if own is not None:
        kept = "Objects are parted by the boundary between them, as by the base."
        return RepresentationChoice(own, kept if own == BOUNDARY else "")
    share = measure_background(frames)
    dense = share is not None and share < MAX_BACKGROUND_SHARE
    if not dense or not _any_touch(frames) or not _show_boundaries(frames):
        return RepresentationChoice(DISTANCE, "")
    few = f"only {share:.1%} of the labelled pixels are" if share else "no labelled pixel is"
    return RepresentationChoice(
        BOUNDARY,
        "Objects are parted by the boundary between them, not by their depth: they touch, and "
        f"{few} background (⟨representation='distance'⟩ takes the depth).",
    )


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


def _any_touch(frames: Sequence[Frame]) -> bool:
    """Whether two objects touch, in windows around a few objects."""
    for frame in frames:
        if 1 not in frame.statistics.places or _has_strokes(frame):
            continue
        for part in object_windows(frame):
            labels, known = frame.read_labels(part)
            if find_boundary(labels[0], known & (labels[0] > 0)).any():
                return True
    return False


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
