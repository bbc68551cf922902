"""What is learned: the task, its classes, and the range of a regression's values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from napari_unet.card import PALETTE, ClassInfo, Task
from napari_unet.dataset.labelled_image import LabelledImage
from napari_unet.errors import TrainingError
from napari_unet.image.normalization import check_finite
from napari_unet.instances import maps as instances

SAMPLE_PIXELS = 1_000_000


@dataclass(frozen=True)
class TargetSpec:
    """What is learned, in the form the network sees it.

    Attributes
    ----------
    task : str
        "instance", "semantic" or "regression".
    classes : tuple of ClassInfo
        Semantic classes in the order of the output channels.
    output_limits : tuple of (low, high)
        Regression: values that become 0 and 1, per output channel.
    """

    task: Task
    classes: tuple[ClassInfo, ...] = ()
    output_limits: tuple[tuple[float, float], ...] = ()

    @property
    def channels(self) -> int:
        """Output channels of the network."""
        if self.task == "instance":
            return len(instances.CHANNELS)
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
