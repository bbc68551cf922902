"""The data of a training: opened, held out in part, counted and made into frames."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet import instances
from napari_unet.card import ModelCard
from napari_unet.errors import TrainingError
from napari_unet.example_facts import (
    common_pixel_size,
    find_channels,
    find_ndim,
    lacks_background,
    median_diameter,
    named_classes,
)
from napari_unet.examples import Example
from napari_unet.frames import Frame, keep_in_memory, make_frames
from napari_unet.held_out import HeldOut, held_out_pieces
from napari_unet.holding_out import hold_out
from napari_unet.image_sample import ImageSample, look_at_sample
from napari_unet.labelled_image import LabelledImage, open_example
from napari_unet.learning_goal import LearningGoal, find_classes, find_output_limits
from napari_unet.settings import TrainConfig
from napari_unet.survey import Survey, survey, survey_piece
from napari_unet.tiling import Region


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What is learned from and validated on.

    Attributes
    ----------
    goal : LearningGoal
        Task, classes, output limits.
    ndim, channels : int
        Spatial axes and input channels of the network.
    frames : list of Frame
        Planes or volumes to draw patches from.
    validation : list of HeldOut
        Never trained on; may be empty.
    held_out : str
        One sentence that says what is held out; empty where validation examples were given.
    sha256, validation_sha256 : str
        Of labels, regions and samples of the images.
    examples, labelled_pixels : int
        How many images, or pieces of them, and known pixels are learned from.
    object_diameter : float or None
        Median, in pixels.
    object_extents : tuple of float or None
        Median lengths of the objects' bounding boxes, in pixels.
    pixel_size : tuple of float or None
        Micrometres per spatial axis, where all examples agree.
    distance_known : bool
        Instances: whether the distances of any object are determined.
    """

    goal: LearningGoal
    ndim: int
    channels: int
    frames: list[Frame]
    validation: list[HeldOut]
    held_out: str
    sha256: str
    validation_sha256: str
    examples: int
    labelled_pixels: int
    object_diameter: float | None
    object_extents: tuple[float, ...] | None
    pixel_size: tuple[float, ...] | None
    distance_known: bool


PROBES = 8  # objects of a frame that are looked at for their distances
REACH = {2: 96, 3: 32}  # pixels to each side of them


@dataclass(frozen=True, eq=False)
class _Opened:
    """An example, or a piece of it, and what its labels hold."""

    labelled: LabelledImage
    survey: Survey


def prepare_data(
    examples: Sequence[Example],
    validation: Sequence[Example] | None,
    base: ModelCard | None,
    config: TrainConfig,
) -> TrainingData:
    """Open the examples, hold some out, and make frames of the rest.

    Raises
    ------
    UNetError
        If the examples do not fit one another, the base or the settings.
    """
    ndim = find_ndim(examples, base, config)
    channels = find_channels(examples, base, ndim)
    named = config.classes or (base.classes if base else ())
    values = [c.value for c in named] if config.task == "semantic" else []

    def look(example: Example) -> _Opened:
        labelled = open_example(
            example, ndim=ndim, in_channels=channels, task=config.task, named=values
        )
        return _Opened(labelled, survey(labelled, config.task, ndim))

    opened = [look(e) for e in examples]
    # a fault in these must not come to light after minutes of training
    given = [look(e) for e in validation or ()]
    _check_background(opened, config)
    goal = _find_goal(opened, given, config, base)
    # once, however many pieces an image is cut into
    samples = {
        id(o.labelled.source): look_at_sample(o.labelled.source, config.normalization)
        for o in (*opened, *given)
    }
    how = ""
    if validation is None:
        split = hold_out(
            [o.labelled for o in opened],
            [o.survey for o in opened],
            fraction=config.validation_fraction,
            seed=config.seed,
            task=config.task,
            ndim=ndim,
        )
        how = split.how
        wholes = {id(o.labelled.source): o for o in opened}

        def piece(labelled: LabelledImage) -> _Opened:
            whole = wholes[id(labelled.source)]
            seen = survey_piece(labelled, whole.labelled, whole.survey, config.task, ndim)
            return _Opened(labelled, seen)

        opened = [piece(e) for e in split.training]
        given = [piece(e) for e in split.validation]
    frames = keep_in_memory(_frames(opened, goal, samples))
    _check_content(frames, config)
    instance = goal.task == "instance"
    pairs = [(o.labelled, o.survey) for o in opened]
    return TrainingData(
        goal=goal,
        ndim=ndim,
        channels=channels,
        frames=frames,
        validation=held_out_pieces(_frames(given, goal, samples)),
        held_out=how,
        sha256=_fingerprint(opened, samples),
        validation_sha256=_fingerprint(given, samples),
        examples=len(opened),
        labelled_pixels=sum(o.survey.known for o in opened),
        object_diameter=median_diameter(pairs, ndim) if instance else None,
        object_extents=_median_extents(frames) if instance and ndim == 3 else None,
        pixel_size=common_pixel_size([o.labelled.source for o in opened], ndim),
        distance_known=instance and _distance_known(frames),
    )


def _check_background(opened: Sequence[_Opened], config: TrainConfig) -> None:
    """Painted objects alone do not tell what is none."""
    if lacks_background([(o.labelled, o.survey) for o in opened], config):
        raise TrainingError(
            "The painted labels have no background, so that nothing tells what is not an "
            "object: paint some background with a label of its own and name it with "
            "background=, or add a complete plane or a mask to the region."
        )


def _find_goal(
    opened: Sequence[_Opened],
    validation: Sequence[_Opened],
    config: TrainConfig,
    base: ModelCard | None,
) -> LearningGoal:
    """The goal; semantic classes are those of every example, whichever are held out."""
    if config.task == "instance":
        return LearningGoal("instance")
    if config.task == "semantic":
        values = {v for o in opened for v in o.survey.values}
        classes = find_classes(values, named_classes(base, config, values))
        find_classes({v for o in validation for v in o.survey.values}, classes)
        return LearningGoal("semantic", classes)
    limits = find_output_limits([o.labelled for o in opened])
    known = base.output_limits if base is not None else None
    if known is not None and len(known) == len(limits):
        return LearningGoal("regression", output_limits=known)
    return LearningGoal("regression", output_limits=limits)


def _frames(
    opened: Sequence[_Opened], goal: LearningGoal, samples: Mapping[int, ImageSample]
) -> list[Frame]:
    return [
        frame
        for each in opened
        for frame in make_frames(
            each.labelled, each.survey, goal, samples[id(each.labelled.source)].limits
        )
    ]


def _check_content(frames: Sequence[Frame], config: TrainConfig) -> None:
    if not frames:
        raise TrainingError(
            "No pixel of the examples is known: the labels are empty, or the region is."
        )
    if config.task == "instance" and not any(1 in frame.survey.places for frame in frames):
        raise TrainingError("The labels are empty: no example has an object to learn from.")


def _median_extents(frames: Sequence[Frame]) -> tuple[float, ...] | None:
    """Median lengths of the objects' bounding boxes, of frames in memory that are complete."""
    found = []
    for frame in frames:
        if frame.kept is None or not frame.survey.complete:
            continue
        labels, _ = frame.read_labels(tuple(slice(0, n) for n in frame.shape))
        boxes = ndimage.find_objects(instances.compact_labels(labels[0]).astype(np.int32))
        found += [[p.stop - p.start for p in box] for box in boxes if box is not None]
    return tuple(np.median(found, axis=0).tolist()) if found else None


def _distance_known(frames: Sequence[Frame]) -> bool:
    """Whether the distances of any object are determined.

    Of frames that are not in memory, the surroundings of a few objects are looked at.
    """
    with_objects = [frame for frame in frames if 1 in frame.survey.places]
    if any(frame.survey.complete for frame in with_objects):
        return True
    if any(_has_distance(frame.kept[1]) for frame in with_objects if frame.kept is not None):
        return True
    return any(
        _has_distance(frame.read_target(part))
        for frame in with_objects
        if frame.kept is None
        for part in _probes(frame)
    )


def _has_distance(target: NDArray[np.float16]) -> bool:
    """Whether a pixel of a target is inside an object, and its distance exact."""
    return bool(((target[0] > 0.5) & (target[2] > 0.5)).any())


def _probes(frame: Frame) -> Iterator[Region]:
    """Windows around objects, evenly spread among all of them."""
    positions = frame.survey.places[1].positions
    reach = REACH[len(frame.shape)]
    for number in np.unique(np.linspace(0, len(positions) - 1, PROBES).round().astype(int)):
        yield tuple(
            slice(max(0, int(c) - reach), min(n, int(c) + reach + 1))
            for c, n in zip(positions[number], frame.shape, strict=True)
        )


def _fingerprint(opened: Sequence[_Opened], samples: Mapping[int, ImageSample]) -> str:
    """SHA-256 of what is known of the labels and of the sampled pixels of the images."""
    digest = hashlib.sha256()
    for each in opened:
        labelled = each.labelled
        source = labelled.source
        place = (source.axes, source.channels, source.spatial_shape, str(source.dtype))
        part = (labelled.times, [(w.start, w.stop) for w in labelled.window])
        digest.update(repr((place, part, each.survey.digest)).encode())
        digest.update(samples[id(source)].sha256.encode())
    return digest.hexdigest()
