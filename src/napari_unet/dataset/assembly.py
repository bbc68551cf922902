"""The data of a training: examples opened, split, counted and made into frames."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from napari_unet.card import IntensityDomain, ModelCard
from napari_unet.dataset.example import Example
from napari_unet.dataset.frames import Frame, cache_frames, crop_to_image, make_frames
from napari_unet.dataset.label_statistics import (
    LabelStatistics,
    collect_frame_statistics,
    collect_statistics,
)
from napari_unet.dataset.labelled_image import LabelledImage, open_example
from napari_unet.dataset.opening import OpenedExample, map_side_by_side
from napari_unet.dataset.properties import (
    choose_classes,
    common_pixel_size,
    find_channels,
    find_ndim,
    knows_distance,
    lacks_background,
    median_diameter,
    median_extents,
)
from napari_unet.dataset.representation import RepresentationChoice, choose_representation
from napari_unet.dataset.split import HeldOutBlock, array_identity, divide_example, split_examples
from napari_unet.dataset.targets import TargetSpec, find_classes, find_output_limits
from napari_unet.dataset.validation_pieces import ValidationPiece, make_validation_pieces
from napari_unet.errors import TrainingError
from napari_unet.image.domain import measure_domain
from napari_unet.image.normalization import ImageSample, measure_sample
from napari_unet.image.source import ImageSource
from napari_unet.network.threads import count_threads
from napari_unet.settings import TrainConfig


@dataclass(frozen=True, eq=False)
class InitialImage:
    """The image of an example that training began with.

    Attributes
    ----------
    source : ImageSource
        The image.
    sample : ImageSample
        Identifies it.
    block : HeldOutBlock or None
        What is held out of it.
    """

    source: ImageSource
    sample: ImageSample
    block: HeldOutBlock | None


@dataclass(frozen=True, eq=False)
class DataPlan:
    """What is fixed when a training begins, whatever labels come later.

    Attributes
    ----------
    target_spec : TargetSpec
        Task, classes and output limits.
    ndim, channels : int
        Spatial axes and input channels of the network.
    named : tuple of int
        Label values that the classes of settings or base name.
    initial_images : dict
        The images of the examples by their numbers, in the order of the pieces.
    given : tuple of OpenedExample or None
        Validation examples; None where a share of the examples is held out.
    held_out : str
        One sentence that says what is held out; empty where validation examples were given.
    representation : RepresentationChoice
        Which maps stand for objects, and why.
    """

    target_spec: TargetSpec
    ndim: int
    channels: int
    named: tuple[int, ...]
    initial_images: dict[int, InitialImage]
    given: tuple[OpenedExample, ...] | None
    held_out: str
    representation: RepresentationChoice


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What is learned from and validated on.

    Attributes
    ----------
    plan : DataPlan
        What stays when the labels change.
    frames : list of Frame
        Planes or volumes to draw patches from.
    validation : list of ValidationPiece
        Never trained on; may be empty.
    sha256, validation_sha256 : str
        Of labels, regions and samples of the images.
    examples, labelled_pixels : int
        How many examples, whole or in part, and known pixels are learned from.
    held_out_pixels : int
        Known pixels that are held out.
    object_diameter : float or None
        Median, in pixels.
    object_extents : tuple of float or None
        Median lengths of the objects' bounding boxes, in pixels.
    pixel_size : tuple of float or None
        Micrometres per spatial axis, where all examples agree.
    distance_known : bool
        Instances: whether the distances, or boundaries, of any object are determined.
    domain : IntensityDomain or None
        What the intensities of the images have in common; None: there are too few.
    """

    plan: DataPlan
    frames: list[Frame]
    validation: list[ValidationPiece]
    sha256: str
    validation_sha256: str
    examples: int
    labelled_pixels: int
    held_out_pixels: int
    object_diameter: float | None
    object_extents: tuple[float, ...] | None
    pixel_size: tuple[float, ...] | None
    distance_known: bool
    domain: IntensityDomain | None

    @property
    def target_spec(self) -> TargetSpec:
        """Task, classes, output limits."""
        return self.plan.target_spec

    @property
    def ndim(self) -> int:
        """Spatial axes of the network."""
        return self.plan.ndim

    @property
    def channels(self) -> int:
        """Input channels of the network."""
        return self.plan.channels

    @property
    def held_out(self) -> str:
        """One sentence that says what is held out; empty for validation examples."""
        return self.plan.held_out


def prepare_data(
    examples: Sequence[Example],
    validation: Sequence[Example] | None,
    base: ModelCard | None,
    config: TrainConfig,
    *,
    anew: bool = False,
) -> TrainingData:
    """Open the examples, hold some out, and make frames of the rest.

    ``anew``: the images are read as for the base, but the network is new, so that the maps of
    objects need not be the base's.

    Raises
    ------
    UNetError
        If the examples do not fit one another, the base or the settings.
    """
    ndim = find_ndim(examples, base, config)
    channels = find_channels(examples, base, ndim)
    named = config.classes or (base.classes if base else ())
    values = tuple(c.value for c in named) if config.task == "semantic" else ()

    threads = count_threads(config.threads)

    def open_with_statistics(
        examples: Sequence[Example],
    ) -> list[tuple[LabelledImage, LabelStatistics]]:
        labelled = [
            open_example(e, ndim=ndim, in_channels=channels, task=config.task, named=values)
            for e in examples
        ]
        count = functools.partial(collect_statistics, task=config.task, ndim=ndim)
        counted = map_side_by_side(count, labelled, labelled, threads)
        return list(zip(labelled, counted, strict=True))

    def measure(pairs: Sequence[tuple[LabelledImage, LabelStatistics]]) -> list[OpenedExample]:
        labelled = [each for each, _ in pairs]
        sample = functools.partial(measure_sample, normalization=config.normalization)
        samples = map_side_by_side(sample, [e.source for e in labelled], labelled, threads)
        return [OpenedExample(*pair, each) for pair, each in zip(pairs, samples, strict=True)]

    pairs = open_with_statistics(examples)
    # checked now, as an error in these must not end the training after minutes
    given_pairs = open_with_statistics(validation or ())
    check_background(pairs, config)
    target_spec = _choose_target_spec(pairs, given_pairs, config, base)
    opened, given = measure(pairs), measure(given_pairs)
    own = None if anew else base
    chosen = choose_representation(_make_frames(opened, target_spec), own, config)
    target_spec = replace(target_spec, representation=chosen.representation)
    summary = ""
    blocks: dict[int, HeldOutBlock | None] = dict.fromkeys(range(len(opened)))
    if validation is None:
        split = split_examples(
            [o.labelled for o in opened],
            [o.statistics for o in opened],
            fraction=config.validation_fraction,
            seed=config.seed,
            task=config.task,
            ndim=ndim,
        )
        summary, blocks = split.summary, split.blocks
    plan = DataPlan(
        target_spec=target_spec,
        ndim=ndim,
        channels=channels,
        named=values,
        initial_images={
            i: InitialImage(opened[i].labelled.source, opened[i].sample, block)
            for i, block in blocks.items()
        },
        given=None if validation is None else tuple(given),
        held_out=summary,
        representation=chosen,
    )
    return assemble(plan, opened, blocks, config)


def assemble(
    plan: DataPlan,
    opened: Sequence[OpenedExample],
    blocks: Mapping[int, HeldOutBlock | None],
    config: TrainConfig,
    earlier_frames: Sequence[Frame] = (),
) -> TrainingData:
    """Frames and pieces of opened examples.

    Parameters
    ----------
    plan : DataPlan
        What is fixed.
    opened : sequence of OpenedExample
        Whole examples.
    blocks : mapping
        What is held out of each by its number, in the order of the pieces.
    config : TrainConfig
        Settings.
    earlier_frames : sequence of Frame
        Frames that are not made again where they are needed as they were.

    Raises
    ------
    TrainingError
        If nothing is left to learn from.
    """
    training: list[OpenedExample] = []
    validation = [
        part for each in plan.given or () for part in _crop_opened(each.labelled, each, plan)
    ]
    examples = 0
    for number, block in blocks.items():
        whole = opened[number]
        learned, held = (
            [part for each in pieces for part in _crop_opened(each, whole, plan)]
            for pieces in divide_example(whole.labelled, block)
        )
        examples += any(each.statistics.known for each in learned)
        training += learned
        validation += held
    target_spec, ndim = plan.target_spec, plan.ndim
    made = _reuse_cached(_make_frames(training, target_spec), earlier_frames)
    frames = cache_frames(made, count_threads(config.threads))
    _check_content(frames, config)
    instance = target_spec.task == "instance"
    pairs = [(o.labelled, o.statistics) for o in training]
    return TrainingData(
        plan=plan,
        frames=frames,
        validation=make_validation_pieces(_make_frames(validation, target_spec)),
        sha256=_hash_examples(training),
        validation_sha256=_hash_examples(validation),
        examples=examples,
        labelled_pixels=sum(o.statistics.known for o in training),
        held_out_pixels=sum(o.statistics.known for o in validation),
        object_diameter=median_diameter(pairs, ndim) if instance else None,
        object_extents=median_extents(frames) if instance and ndim == 3 else None,
        pixel_size=common_pixel_size([o.labelled.source for o in training], ndim),
        distance_known=instance and knows_distance(frames),
        domain=measure_domain([o.sample.limits.profile for o in training]),
    )


def _crop_opened(
    piece: LabelledImage, whole: OpenedExample, plan: DataPlan
) -> Iterator[OpenedExample]:
    """A piece without the border of fill around the image; nothing where it is all border."""
    labelled = crop_to_image(piece, whole.sample.limits)
    if labelled is not None:
        seen = collect_frame_statistics(
            labelled, whole.labelled, whole.statistics, plan.target_spec.task, plan.ndim
        )
        yield OpenedExample(labelled, seen, whole.sample)


def _reuse_cached(frames: Sequence[Frame], earlier_frames: Sequence[Frame]) -> list[Frame]:
    """The frames, with the cached pixels and targets of equal earlier ones."""
    known = {
        _identify_frame(frame): frame.cached for frame in earlier_frames if frame.cached is not None
    }
    return [replace(frame, cached=known.get(_identify_frame(frame))) for frame in frames]


def _identify_frame(frame: Frame) -> Hashable:
    """A key that is equal for frames with the same pixels and the same labels."""
    labelled, seen = frame.labelled, frame.statistics
    source = labelled.source
    return (
        tuple(array_identity(array) for array in source.arrays),
        (source.axes, source.channels, tuple((w.start, w.stop) for w in labelled.window)),
        (seen.time, seen.plane, seen.digest),
    )


def check_background(
    pairs: Sequence[tuple[LabelledImage, LabelStatistics]], config: TrainConfig
) -> None:
    """Raise `TrainingError` where only objects are painted and no background."""
    if lacks_background(pairs, config):
        raise TrainingError(
            "The painted labels have no background, so that nothing tells what is not an object",
            "paint some background with a label of its own and name it with ⟨background=⟩, or add "
            "a complete plane or a mask to the region",
            parameter="background",
            code="no-background",
        )


def _choose_target_spec(
    opened: Sequence[tuple[LabelledImage, LabelStatistics]],
    validation: Sequence[tuple[LabelledImage, LabelStatistics]],
    config: TrainConfig,
    base: ModelCard | None,
) -> TargetSpec:
    """Target specification; semantic classes are those of all examples, held out or not."""
    if config.task == "instance":
        return TargetSpec("instance")
    if config.task == "semantic":
        values = {v for _, seen in opened for v in seen.values}
        classes = find_classes(values, choose_classes(base, config, values))
        find_classes({v for _, seen in validation for v in seen.values}, classes)
        return TargetSpec("semantic", classes)
    limits = find_output_limits([labelled for labelled, _ in opened])
    known = base.output_limits if base is not None else None
    if known is not None and len(known) == len(limits):
        return TargetSpec("regression", output_limits=known)
    return TargetSpec("regression", output_limits=limits)


def _make_frames(opened: Sequence[OpenedExample], target_spec: TargetSpec) -> list[Frame]:
    return [
        frame
        for each in opened
        for frame in make_frames(each.labelled, each.statistics, target_spec, each.sample.limits)
    ]


def _check_content(frames: Sequence[Frame], config: TrainConfig) -> None:
    if not frames:
        raise TrainingError(
            "No pixel of the examples is known: the labels are empty, or the region is",
            parameter="labels",
            code="nothing-known",
        )
    if config.task == "instance" and not any(1 in frame.statistics.places for frame in frames):
        raise TrainingError(
            "The labels are empty: no example has an object to learn from",
            parameter="labels",
            code="labels-empty",
        )


def _hash_examples(opened: Sequence[OpenedExample]) -> str:
    """SHA-256 of what is known of the labels and of the sampled pixels of the images."""
    digest = hashlib.sha256()
    for each in opened:
        labelled = each.labelled
        source = labelled.source
        place = (source.axes, source.channels, source.spatial_shape, str(source.dtype))
        part = (labelled.times, [(w.start, w.stop) for w in labelled.window])
        digest.update(repr((place, part, each.statistics.digest)).encode())
        digest.update(each.sample.sha256.encode())
    return digest.hexdigest()
