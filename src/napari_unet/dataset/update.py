"""New labels in mid-training: examples updated, the same pixels held out as before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from napari_unet.dataset.assembly import (
    DataPlan,
    InitialImage,
    TrainingData,
    assemble,
    check_background,
)
from napari_unet.dataset.example import Example
from napari_unet.dataset.label_statistics import LabelStatistics, collect_statistics
from napari_unet.dataset.labelled_image import LabelledImage, open_example
from napari_unet.dataset.opening import OpenedExample
from napari_unet.dataset.split import WHOLE_IMAGE, HeldOutBlock, array_identity, share_pixels
from napari_unet.dataset.targets import find_output_limits
from napari_unet.errors import TrainingError, UNetError
from napari_unet.image.normalization import ImageSample, measure_sample
from napari_unet.image.source import ImageSource
from napari_unet.settings import TrainConfig

COMPARED_ROWS = 32  # of two images, to tell whether they are equal


def update_data(
    data: TrainingData, examples: Sequence[Example], config: TrainConfig
) -> TrainingData:
    """The data of a training with its labels as they are now.

    The same parts of the same images are held out as at the beginning, with the labels that
    they have now. Further examples are trained on, except for what is held out of their images,
    which are recognised by their arrays or by a sample of their pixels.

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
    if len(examples) < len(plan.initial_images):
        raise TrainingError(
            f"Training began with {len(plan.initial_images)} examples, but there are "
            f"{len(examples)}",
            "give all of them first, then any further ones",
            parameter="examples",
        )
    opened: list[OpenedExample] = []
    blocks: dict[int, HeldOutBlock | None] = {
        i: initial.block for i, initial in plan.initial_images.items()
    }
    for number, example in enumerate(examples):
        try:
            labelled, sample = _open_with_sample(example, plan, config)
            if number in plan.initial_images:
                _check_image(labelled.source, plan.initial_images[number].source)
            else:
                blocks[number] = _find_block(labelled.source, plan.initial_images)
            labelled = _hide_validation(labelled, plan)
            seen = collect_statistics(labelled, config.task, plan.ndim)
        except UNetError as error:
            place = f"Example {number + 1}: "
            raise TrainingError(place + error.problem.template, **error.fields) from error
        opened.append(OpenedExample(labelled, seen, sample))
    pairs = [(o.labelled, o.statistics) for o in opened]
    check_background(pairs, config)
    _check_target_spec(pairs, plan)
    renewed = assemble(plan, opened, blocks, config, data.frames)
    if data.validation and not renewed.validation:
        raise TrainingError(
            "No label is left in what is held out to validate on",
            "keep some of those labels, or start a new training",
        )
    return renewed


def _open_with_sample(
    example: Example, plan: DataPlan, config: TrainConfig
) -> tuple[LabelledImage, ImageSample]:
    """The example and the sample of its image, which is reused for a known image."""
    labelled = open_example(
        example,
        ndim=plan.ndim,
        in_channels=plan.channels,
        task=config.task,
        named=plan.named,
    )
    source = labelled.source
    for initial in plan.initial_images.values():
        same_channels = source.channels == initial.source.channels
        if same_channels and _same_arrays(source, initial.source):
            return labelled, initial.sample
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


def _find_block(
    source: ImageSource, initial_images: Mapping[int, InitialImage]
) -> HeldOutBlock | None:
    """What is held out of a further example: the same as of the same image."""
    blocks = set()
    for initial in initial_images.values():
        if initial.block is None:
            continue
        if _same_image(source, initial.source):
            blocks.add(initial.block)
        elif share_pixels(source, _crop_held_out(initial.source, initial.block)):
            raise _overlapping()
    # of an image that was given twice with different blocks, nothing is trained on
    return None if not blocks else blocks.pop() if len(blocks) == 1 else WHOLE_IMAGE


def _hide_validation(labelled: LabelledImage, plan: DataPlan) -> LabelledImage:
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
    return _same_arrays(one, other) or (_have_same_layout(one, other) and _equal_pixels(one, other))


def _same_arrays(one: ImageSource, other: ImageSource) -> bool:
    places = [array_identity(array) for array in other.arrays]
    # a list of channels is known by any of them
    return _have_same_layout(one, other) and any(
        array_identity(array) in places for array in one.arrays
    )


def _have_same_layout(one: ImageSource, other: ImageSource) -> bool:
    shapes = [[tuple(array.shape) for array in source.arrays] for source in (one, other)]
    return one.axes == other.axes and shapes[0] == shapes[1]


def _equal_pixels(one: ImageSource, other: ImageSource) -> bool:
    """Whether some rows of two images of one shape are equal, however they are chunked."""
    one = replace(one, channels=other.channels)
    rng = np.random.default_rng(0)
    for _ in range(COMPARED_ROWS):
        corner = [int(rng.integers(n)) for n in one.spatial_shape[:-1]]
        part = (*(slice(c, c + 1) for c in corner), slice(0, one.spatial_shape[-1]))
        time = int(rng.integers(one.times))
        if not np.array_equal(one.read(time, part), other.read(time, part)):
            return False
    return True


def _crop_held_out(source: ImageSource, block: HeldOutBlock) -> ImageSource:
    """What is held out of an image."""
    held = slice(block.start, block.stop)
    index = tuple(held if axis == block.axis else slice(None) for axis in source.axes)

    def part(array: Any) -> Any:
        # only of NumPy arrays a part shares memory; of others it would be read
        return array[index] if isinstance(array, np.ndarray) else array

    return replace(source, arrays=tuple(part(array) for array in source.arrays))


def _check_target_spec(
    pairs: Sequence[tuple[LabelledImage, LabelStatistics]], plan: DataPlan
) -> None:
    """Raise `TrainingError` where the network has no output for what the labels say."""
    target_spec = plan.target_spec
    if target_spec.task == "semantic":
        known = {c.value for c in target_spec.classes}
        new = sorted({value for _, seen in pairs for value in seen.values} - known)
        if new:
            raise TrainingError(
                f"the labels have the value {new[0]}, which is none of the classes of this "
                f"training ({', '.join(str(v) for v in sorted(known))})",
                "start a new training for a new class",
            )
    if target_spec.task == "regression":
        channels = len(find_output_limits([labelled for labelled, _ in pairs]))
        if channels != target_spec.channels:
            raise TrainingError(
                f"the target images have {channels} channels now, but {target_spec.channels} when "
                "training began",
                "start a new training with them",
            )
