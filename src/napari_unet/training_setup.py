"""What a training works on: frames, network, goal and the card to be."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError

from napari_unet import instances
from napari_unet.card import ClassInfo, ModelCard, TrainingRecord, UNetConfig
from napari_unet.errors import SettingsError, TrainingError
from napari_unet.examples import (
    Example,
    Frame,
    LearningGoal,
    check_labels,
    find_classes,
    find_output_limits,
    fingerprint,
    make_frames,
    open_example,
    read_labels,
)
from napari_unet.image import ImageSource
from napari_unet.model import Model
from napari_unet.record import versions
from napari_unet.settings import TrainConfig, describe
from napari_unet.tiling import per_axis
from napari_unet.unet import UNet

VOLUME_PLANES = 8


@dataclass(frozen=True, eq=False)
class TrainingSetup:
    """All that the training loop needs, checked.

    Attributes
    ----------
    config : TrainConfig
        The settings.
    goal : LearningGoal
        Task, classes, output limits.
    frames : list of Frame
        Training images, normalised, with encoded targets.
    validation : list of Example
        Never trained on; may be empty.
    network : UNet
        New, or a copy of the base's.
    patch : tuple of int
        Size of the patches.
    base : Model or None
        What training starts from.
    """

    config: TrainConfig
    goal: LearningGoal
    frames: list[Frame]
    validation: list[Example]
    network: UNet
    patch: tuple[int, ...]
    base: Model | None
    data_sha256: str
    examples: int
    labelled_pixels: int
    object_diameter: float | None
    pixel_size: tuple[float, ...] | None
    channel_names: tuple[str, ...] = field(default=())

    def make_card(self, steps: int, seconds: float) -> ModelCard:
        """The card of the network after so many steps."""
        ndim = self.network.config.ndim
        base = self.base
        return ModelCard(
            name=self.config.name,
            description=self.config.description,
            task=self.goal.task,
            axes="CZYX" if ndim == 3 else "CYX",
            channels=self.channel_names,
            classes=self._classes(),
            instances=instances.REPRESENTATION if self.goal.task == "instance" else None,
            pixel_size=self.pixel_size,
            object_diameter=self.object_diameter,
            normalization=self.config.normalization,
            output_limits=self.goal.output_limits or None,
            architecture=self.network.config,
            training=TrainingRecord(
                base=base.card.name if base else None,
                base_sha256=base.sha256 if base else None,
                examples=self.examples,
                labelled_pixels=self.labelled_pixels,
                data_sha256=self.data_sha256,
                steps=steps,
                seconds=round(seconds, 1),
                seed=self.config.seed,
                versions=versions(),
                config=self.config.model_dump(mode="json"),
            ),
        )

    def _classes(self) -> tuple[ClassInfo, ...]:
        if self.goal.task == "instance":
            return (ClassInfo(value=1, name="object"),)
        return self.goal.classes


def set_up(
    examples: Sequence[Example],
    *,
    base: Model | None,
    config: TrainConfig,
    validation: Sequence[Example] | None,
) -> TrainingSetup:
    """Check examples and settings against one another and make the frames.

    Raises
    ------
    UNetError
        If something does not fit; the message says what.
    """
    for each in (examples, validation or ()):
        if isinstance(each, Example) or not all(isinstance(e, Example) for e in each):
            raise TrainingError("examples must be a list of napari_unet.Example(image, labels).")
    if not examples:
        raise TrainingError("There are no examples; give at least one image with labels.")
    if config.patch is not None and config.ndim != "auto" and len(config.patch) != config.ndim:
        raise TrainingError(f"patch {config.patch} does not have {config.ndim} sizes.")
    if base is not None and base.card.task != config.task:
        raise TrainingError(
            f"The base model {base.card.name!r} is for the task {base.card.task!r}, "
            f"not {config.task!r}; choose another base, or train a new network."
        )
    ndim, in_channels = _dimensions(examples, base, config)
    opened = [open_example(e, ndim=ndim, in_channels=in_channels) for e in examples]
    held_out = [] if validation is None else list(validation)
    # those of the validation too: a fault must not come to light after minutes of training
    sources = opened + [
        open_example(e, ndim=ndim, in_channels=len(opened[0].channels)) for e in held_out
    ]
    for source, example in zip(sources, [*examples, *held_out], strict=True):
        check_labels(source, example.labels, config.task)
    kept = list(range(len(examples)))
    if validation is None and len(examples) > 1 and config.validation_fraction > 0:
        count = max(1, round(config.validation_fraction * len(examples)))
        order = np.random.default_rng(config.seed).permutation(len(examples))
        held_out = [examples[i] for i in sorted(order[:count])]
        kept = sorted(int(i) for i in order[count:])
    pairs = [(opened[i], examples[i].labels) for i in kept]
    goal = _find_goal(pairs, [e.labels for e in examples], config, base)
    if goal.task == "semantic" and validation:
        find_classes([e.labels for e in validation], goal.classes)
    if base is not None:
        config = config.model_copy(update={"normalization": base.card.normalization})
    frames = [
        frame
        for source, labels in pairs
        for frame in make_frames(source, labels, goal, config.normalization, ndim)
    ]
    if goal.task == "instance" and not any(len(frame.centres) for frame in frames):
        raise TrainingError("The labels are empty: no example has an object to learn from.")
    channels = len(opened[0].channels)
    network = _make_network(config, base, goal, ndim, channels)
    digest, pixels = fingerprint([examples[i] for i in kept])
    patch = _choose_patch(config, frames, network.config)
    _check_statistics(patch, config.batch_size, network.config)
    return TrainingSetup(
        config=config,
        goal=goal,
        frames=frames,
        validation=held_out,
        network=network,
        patch=patch,
        base=base,
        data_sha256=digest,
        examples=len(kept),
        labelled_pixels=pixels,
        object_diameter=_median_diameter(pairs, ndim) if goal.task == "instance" else None,
        pixel_size=_common_pixel_size([source for source, _ in pairs], ndim),
        channel_names=base.card.channels
        if base
        else tuple(f"channel {i}" for i in range(channels)),
    )


def _dimensions(
    examples: Sequence[Example], base: Model | None, config: TrainConfig
) -> tuple[int, int | None]:
    """Spatial axes of the network, and its input channels where they are known already."""
    if base is not None:
        return base.card.architecture.ndim, base.card.architecture.in_channels
    if config.ndim != "auto":
        ndim = config.ndim
    elif config.patch is not None:
        ndim = len(config.patch)
    else:
        sources = [open_example(e, ndim=2, in_channels=None) for e in examples]
        ndim = 3 if min(s.size("Z") for s in sources) >= VOLUME_PLANES else 2
    if ndim not in (2, 3):
        raise TrainingError(f"patch {config.patch} needs 2 or 3 sizes, one per spatial axis.")
    counts = {len(open_example(e, ndim=ndim, in_channels=None).channels) for e in examples}
    if len(counts) > 1:
        raise TrainingError(
            f"The examples have different numbers of channels {sorted(counts)}; "
            "choose equal numbers with channels=."
        )
    return ndim, counts.pop()


def _find_goal(
    pairs: Sequence[tuple[ImageSource, Any]],
    every: Sequence[Any],
    config: TrainConfig,
    base: Model | None,
) -> LearningGoal:
    """The goal; semantic classes are those of every example, whichever are held out."""
    if config.task == "instance":
        return LearningGoal("instance")
    if config.task == "semantic":
        named = config.classes or (base.card.classes if base else ())
        return LearningGoal("semantic", find_classes(every, named))
    if base is not None and base.card.output_limits is not None:
        return LearningGoal("regression", output_limits=base.card.output_limits)
    limits = find_output_limits([labels for _, labels in pairs])
    source, labels = pairs[0]
    return LearningGoal(
        "regression",
        output_limits=limits * read_labels(source, labels, 0, "regression").shape[0],
    )


def _make_network(
    config: TrainConfig, base: Model | None, goal: LearningGoal, ndim: int, channels: int
) -> UNet:
    if base is not None:
        known = base.card.architecture
        if known.out_channels != goal.channels:
            raise TrainingError(
                f"The base model {base.card.name!r} has {known.out_channels} outputs, but the "
                f"labels need {goal.channels}; use the same classes, or train a new network."
            )
        return copy.deepcopy(base.network)
    features = config.features
    if ndim == 3 and "features" not in config.model_fields_set:
        features = (16, 32, 64)  # what a laptop trains in minutes
    try:
        architecture = UNetConfig.model_validate(
            {
                "ndim": ndim,
                "in_channels": channels,
                "out_channels": goal.channels,
                "features": features,
                "strides": config.strides,
                "norm": config.norm,
                "upsampling": config.upsampling,
            }
        )
    except ValidationError as error:
        raise SettingsError(describe(error)) from None
    with torch.random.fork_rng(devices=[]):  # the caller's random state stays as it was
        torch.manual_seed(config.seed)
        return UNet(architecture)


def _choose_patch(
    config: TrainConfig, frames: Sequence[Frame], architecture: UNetConfig
) -> tuple[int, ...]:
    ndim = architecture.ndim
    if config.patch is not None:
        wanted = config.patch
        if len(wanted) != ndim:
            raise TrainingError(f"patch {wanted} needs {ndim} sizes, one per spatial axis.")
    else:
        wanted = per_axis(256, 2) if ndim == 2 else (32, 96, 96)
        largest = np.max([frame.image.shape[1:] for frame in frames], axis=0)
        wanted = tuple(min(w, int(n)) for w, n in zip(wanted, largest, strict=True))
    return tuple(-(-w // s) * s for w, s in zip(wanted, architecture.stride, strict=True))


def _check_statistics(patch: tuple[int, ...], batch_size: int, config: UNetConfig) -> None:
    """Batch norm cannot train on one value per channel, at the deepest level."""
    deepest = batch_size * math.prod(n // s for n, s in zip(patch, config.stride, strict=True))
    if config.norm == "batch" and deepest < 2:
        raise TrainingError(
            f"patch {patch} and batch_size {batch_size} leave a single pixel at the deepest "
            "level; make one of them larger, or take fewer levels (features)."
        )


def _median_diameter(pairs: Sequence[tuple[ImageSource, Any]], ndim: int) -> float | None:
    """Of disks (2D) or balls (3D) as large as the objects of the network's ndim, in pixels."""
    diameters: list[float] = []
    for source, labels in pairs:
        for time in range(source.times):
            part = read_labels(source, labels, time, "instance")[0]
            for frame in part if part.ndim > ndim else [part]:
                _, sizes = np.unique(frame[frame > 0], return_counts=True)
                if ndim == 2:
                    diameters.extend(np.sqrt(4 / np.pi * sizes))
                else:
                    diameters.extend(np.cbrt(6 / np.pi * sizes))
    return round(float(np.median(diameters)), 2) if diameters else None


def _common_pixel_size(sources: Sequence[ImageSource], ndim: int) -> tuple[float, ...] | None:
    """The pixel size, where all examples know it and agree within 5 %."""
    sizes = [source.pixel_size[-ndim:] for source in sources]
    if any(value is None for size in sizes for value in size):
        return None
    table = np.array(sizes, float)
    middle = np.median(table, axis=0)
    if np.abs(table / middle - 1).max() > 0.05:
        return None
    return tuple(round(float(v), 6) for v in middle)
