"""Examples opened, their labels counted and their images sampled, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from napari_unet.dataset.label_statistics import LabelStatistics
from napari_unet.dataset.labelled_image import LabelledImage
from napari_unet.image.normalization import ImageSample

Given = TypeVar("Given")
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class OpenedExample:
    """An example, or a piece of it.

    Attributes
    ----------
    labelled : LabelledImage
        The example, opened.
    statistics : LabelStatistics
        What its labels hold.
    sample : ImageSample
        Of the whole image.
    """

    labelled: LabelledImage
    statistics: LabelStatistics
    sample: ImageSample


def map_side_by_side(
    work: Callable[[Given], Result],
    given: Sequence[Given],
    labelled: Sequence[LabelledImage],
    threads: int,
) -> list[Result]:
    """``work`` on each of ``given``, in their order, on several threads.

    On one thread where an image or its labels are no array in memory: what reads them may not
    bear more than one.
    """
    from napari_unet.network.threads import Workers  # imports torch

    in_memory = all(map(_is_in_memory, labelled))
    with Workers(threads if in_memory else 1, len(given)) as workers:
        futures = [workers.submit(work, each) for each in given]
        return [future.result() for future in futures]


def _is_in_memory(labelled: LabelledImage) -> bool:
    arrays = (*labelled.source.arrays, labelled.labels, *labelled.masks)
    own = all(isinstance(array, np.ndarray) for array in arrays)
    return own and labelled.correction is None and all(map(_is_in_memory, labelled.hidden))
