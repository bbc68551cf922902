"""What the list of objects is made of: read in a thread, from labels in memory or on disk."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_unet.dataset.correction import remember_objects
from napari_unet.dataset.review import iter_frames
from napari_unet.dataset.seen_region import find_corrected
from napari_unet.evaluation.object_survey import ObjectSurvey, join_surveys, survey_objects
from napari_unet.progress import Progress
from napari_unet.widgets.annotation.marks import Marks
from napari_unet.widgets.correct.history import revert_steps
from napari_unet.widgets.viewer.kept_scores import read_foreground

LOOKING = "looking through the objects"


@dataclass(frozen=True, eq=False)
class Looked:
    """What was found.

    Attributes
    ----------
    survey : ObjectSurvey
        All objects.
    accepted : set of (int, int)
        Time point and label of those that are as they were accepted.
    corrected : set of int
        Labels of those that are others than the labels began with.
    began : str or None
        The objects that the labels began with; None: not known.
    """

    survey: ObjectSurvey
    accepted: set[tuple[int, int]]
    corrected: set[int]
    began: str | None


def look_through(
    labels: Any,
    axes: str,
    marks: Marks,
    read_scores: Callable[[int], NDArray[np.float32] | None],
    began: str | None,
    steps: Sequence[Any],
    shape: Sequence[int],
) -> Generator[Progress, None, Looked]:
    """A job that looks at all objects.

    Parameters
    ----------
    labels : array-like
        With ``axes`` over TZYX.
    marks : Marks
        Of their layer.
    read_scores : callable
        Gives the scores of a time point.
    began : str or None
        The objects that the labels began with, where that is known.
    steps : sequence
        Of the viewer's undo, the last first; without them the labels are as they began.
    shape : sequence of int
        Of the layer, which may have a C of length 1.
    """
    surveys = []
    background = () if marks.background is None else (marks.background,)
    accepted: set[tuple[int, int]] = set()
    for time, index in iter_frames(axes, labels.shape):
        yield Progress(time, 1, LOOKING)
        frame = np.array(labels[index])
        surveys.append(
            survey_objects(frame, scores=read_scores(time), frame=time, background=background)
        )
        accepted |= {(time, n) for n in marks.review.accepted_labels(frame, time).tolist()}
    yield Progress(0, 1, LOOKING)
    if began is None:
        before = labels
        if steps:
            before = np.array(labels)
            revert_steps(before.reshape(tuple(shape)), steps)
        began = remember_objects(before)
        if not steps:  # nothing was changed
            return Looked(join_surveys(surveys), accepted, set(), began)
    yield Progress(0, 1, LOOKING)
    corrected = find_corrected(labels, axes, began)
    return Looked(join_surveys(surveys), accepted, set(corrected.tolist()), began)


def read_scores_at(layer: Labels, axes: str, time: int) -> NDArray[np.float32] | None:
    """The foreground scores of a time point, (Z, Y, X) or (Y, X); None where there are none."""
    whole = tuple(slice(0, size) for size in layer.data.shape)
    window = tuple(
        slice(time, time + 1) if axis == "T" else part
        for axis, part in zip(axes, whole, strict=True)
    )
    scores = read_foreground(layer, window)
    if scores is None:
        return None
    return scores[tuple(0 if axis in "TC" else slice(None) for axis in axes)]
