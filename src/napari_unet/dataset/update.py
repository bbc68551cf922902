"""New labels while a network is trained: taken in, without a look at what is held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from napari_unet.dataset.assembly import (
    DataPlan,
    OpenedExample,
    Origin,
    TrainingData,
    assemble,
    check_background,
)
from napari_unet.dataset.example import Example
from napari_unet.dataset.goal import find_output_limits
from napari_unet.dataset.label_statistics import LabelStatistics, collect_statistics
from napari_unet.dataset.labelled_image import LabelledImage, open_example
from napari_unet.dataset.split import WHOLE, Cut, array_place, share_pixels
from napari_unet.errors import TrainingError, UNetError
from napari_unet.image.normalization import ImageSample, measure_sample
from napari_unet.image.source import ImageSource
from napari_unet.settings import TrainConfig

ROWS = 32  # that two images are compared by


def renew_data(
    data: TrainingData, examples: Sequence[Example], config: TrainConfig
) -> TrainingData:
    """The data of a training with its labels as they are now.

    The same parts of the same images are held out as at the beginning, with the labels that
    they have now. Further examples are learned from, but for what is held out of their images;
    they are known again by their arrays, or by a sample of their pixels.

    Parameters
    ----------
    data : TrainingData
        What is learned from so far.
    examples : sequence of Example
        First those that training began with, in their order, then any further ones.
    config : TrainConfig
        Settings of the training, resolved.

    Returns
    -------
    TrainingData
        With the same plan.

    Raises
    ------
    UNetError
        If the examples do not fit the training.
    """
    plan = data.plan
    if isinstance(examples, Example) or not all(isinstance(e, Example) for e in examples):
        raise TrainingError(
            "⟨examples⟩ must be a list of napari_unet.Example(image, labels)", parameter="examples"
        )
    if len(examples) < len(plan.origins):
        raise TrainingError(
            f"Training began with {len(plan.origins)} examples, but there are {len(examples)}",
            "give all of them first, then any further ones",
            parameter="examples",
        )
    opened: list[OpenedExample] = []
    cuts: dict[int, Cut | None] = {i: origin.cut for i, origin in plan.origins.items()}
    for number, example in enumerate(examples):
        try:
            labelled, sample = _open(example, plan, config)
            if number in plan.origins:
                _check_image(labelled.source, plan.origins[number].source)
            else:
                cuts[number] = _find_cut(labelled.source, plan.origins)
            labelled = _hide_given(labelled, plan)
            seen = collect_statistics(labelled, config.task, plan.ndim)
        except UNetError as error:
            place = f"Example {number + 1}: "
            raise TrainingError(place + error.problem.template, **error.fields) from error
        opened.append(OpenedExample(labelled, seen, sample))
    pairs = [(o.labelled, o.statistics) for o in opened]
    check_background(pairs, config)
    _check_goal(pairs, plan)
    renewed = assemble(plan, opened, cuts, config, data.frames)
    if data.validation and not renewed.validation:
        raise TrainingError(
            "No label is left in what is held out to validate on",
            "keep some of those labels, or start a new training",
        )
    return renewed


def _open(
    example: Example, plan: DataPlan, config: TrainConfig
) -> tuple[LabelledImage, ImageSample]:
    """The example, and the sample of its image; one that is known is not read again."""
    labelled = open_example(
        example,
        ndim=plan.ndim,
        in_channels=plan.channels,
        task=config.task,
        named=plan.named,
    )
    source = labelled.source
    for origin in plan.origins.values():
        same_channels = source.channels == origin.source.channels
        if same_channels and _same_arrays(source, origin.source):
            return labelled, origin.sample
    return labelled, measure_sample(source, config.normalization)


def _check_image(source: ImageSource, first: ImageSource) -> None:
    """Raise `TrainingError` where an example has another image than it began with."""
    for what in ("axes", "channels", "dtype"):
        if getattr(source, what) != getattr(first, what):
            raise TrainingError(
                f"the {what} of its image are {getattr(source, what)} now, but "
                f"{getattr(first, what)} when training began",
                "start a new training with them",
            )
    if not _same_image(source, first):
        raise TrainingError(
            "its image is not the one that training began with",
            "give that one first, and the new image as a further example",
        )


def _find_cut(source: ImageSource, origins: Mapping[int, Origin]) -> Cut | None:
    """What is held out of a further example: the same as of the same image."""
    cuts = set()
    for origin in origins.values():
        if origin.cut is None:
            continue
        if _same_image(source, origin.source):
            cuts.add(origin.cut)
        elif share_pixels(source, _held_part(origin.source, origin.cut)):
            raise _overlapping()
    # of an image that was given twice and cut in different ways nothing is learned from
    return None if not cuts else cuts.pop() if len(cuts) == 1 else WHOLE


def _hide_given(labelled: LabelledImage, plan: DataPlan) -> LabelledImage:
    """An example, without what the validation examples know of the same image."""
    hidden = []
    for given in plan.given or ():
        other = given.labelled.source
        if _same_image(labelled.source, other):
            hidden.append(given.labelled)
        elif share_pixels(labelled.source, other):
            raise _overlapping()
    return replace(labelled, hidden=tuple(hidden))


def _overlapping() -> TrainingError:
    return TrainingError(
        "its image overlaps what is held out to validate on, in a way that leaves open which "
        "pixels those are",
        "add its labels to those of the whole image",
    )


def _same_image(one: ImageSource, other: ImageSource) -> bool:
    """Whether an index means the same pixel in both: the same arrays, or equal ones."""
    return _same_arrays(one, other) or (_alike(one, other) and _equal_pixels(one, other))


def _same_arrays(one: ImageSource, other: ImageSource) -> bool:
    places = [array_place(array) for array in other.arrays]
    # a list of channels is known by any of them
    return _alike(one, other) and any(array_place(array) in places for array in one.arrays)


def _alike(one: ImageSource, other: ImageSource) -> bool:
    shapes = [[tuple(array.shape) for array in source.arrays] for source in (one, other)]
    return one.axes == other.axes and shapes[0] == shapes[1]


def _equal_pixels(one: ImageSource, other: ImageSource) -> bool:
    """Whether some rows of two images of one shape are equal, however they are chunked."""
    one = replace(one, channels=other.channels)
    rng = np.random.default_rng(0)
    for _ in range(ROWS):
        corner = [int(rng.integers(n)) for n in one.spatial_shape[:-1]]
        part = (*(slice(c, c + 1) for c in corner), slice(0, one.spatial_shape[-1]))
        time = int(rng.integers(one.times))
        if not np.array_equal(one.read(time, part), other.read(time, part)):
            return False
    return True


def _held_part(source: ImageSource, cut: Cut) -> ImageSource:
    """What is held out of an image."""
    held = slice(cut.place, cut.end)
    index = tuple(held if axis == cut.axis else slice(None) for axis in source.axes)

    def part(array: Any) -> Any:
        # only of NumPy arrays a part shares memory; of others it would be read
        return array[index] if isinstance(array, np.ndarray) else array

    return replace(source, arrays=tuple(part(array) for array in source.arrays))


def _check_goal(pairs: Sequence[tuple[LabelledImage, LabelStatistics]], plan: DataPlan) -> None:
    """Raise `TrainingError` where the network has no output for what the labels say."""
    goal = plan.goal
    if goal.task == "semantic":
        known = {c.value for c in goal.classes}
        new = sorted({value for _, seen in pairs for value in seen.values} - known)
        if new:
            raise TrainingError(
                f"the labels have the value {new[0]}, which is none of the classes of this "
                f"training ({', '.join(str(v) for v in sorted(known))})",
                "start a new training for a new class",
            )
    if goal.task == "regression":
        channels = len(find_output_limits([labelled for labelled, _ in pairs]))
        if channels != goal.channels:
            raise TrainingError(
                f"the target images have {channels} channels now, but {goal.channels} when "
                "training began",
                "start a new training with them",
            )
