"""An evaluation in every detail, as a job of a worker thread."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.dataset.review import iter_frames
from napari_unet.errors import InputError
from napari_unet.evaluation.atlas import Atlas
from napari_unet.evaluation.files import iter_evaluate_files
from napari_unet.evaluation.object_survey import ObjectSurvey, join_surveys, survey_objects
from napari_unet.evaluation.reading import bring_together
from napari_unet.evaluation.run import (
    EvaluatedImage,
    Evaluation,
    ImageDone,
    LoadedImage,
    iter_evaluate,
)
from napari_unet.evaluation.settings import EvaluationSettings
from napari_unet.progress import Progress


@dataclass(frozen=True, eq=False)
class Found:
    """What an evaluation gave.

    Attributes
    ----------
    evaluation : Evaluation or None
        The scores; None where there is no truth.
    atlas : Atlas or None
        The errors of the first prediction; of objects in layers only.
    survey : ObjectSurvey or None
        All objects, where there is no truth.
    """

    evaluation: Evaluation | None = None
    atlas: Atlas | None = None
    survey: ObjectSurvey | None = None


@dataclass(frozen=True, eq=False)
class LayersRequest:
    """Predictions against a truth, all of them arrays.

    Attributes
    ----------
    predictions : tuple of array-like
        One or two.
    names : tuple of str
        Of these.
    truth : array-like
        Of their shape.
    true_name : str
        What it is called.
    axes : str or None
        Of all; None: they are one image.
    settings : EvaluationSettings
        How.
    """

    predictions: tuple[Any, ...]
    names: tuple[str, ...]
    truth: Any
    true_name: str
    axes: str | None
    settings: EvaluationSettings

    def snapshot(self) -> LayersRequest:
        """The same with copies of what is in memory, which may be painted on meanwhile."""
        return replace(
            self,
            predictions=tuple(copy_array(each) for each in self.predictions),
            truth=copy_array(self.truth),
        )

    def job(self) -> Generator[Progress, None, Found]:
        """Evaluate."""

        def load() -> LoadedImage:
            given = zip((*self.names, self.true_name), (*self.predictions, self.truth), strict=True)
            arrays = [(name, array, self.axes) for name, array in given]
            *found, true = bring_together(arrays, self.axes, self.settings)
            return LoadedImage(tuple(found), true, self.axes)

        image = EvaluatedImage(self.names[0], load)
        inputs = {"layers": list(self.names)}
        steps = iter_evaluate([image], self.names, self.settings, inputs, errors=True)
        atlases: tuple[Atlas, ...] = ()
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                return Found(end.value, atlases[0] if atlases else None)
            if isinstance(step, ImageDone):
                atlases = step.atlases
            yield step


@dataclass(frozen=True)
class FilesRequest:
    """Files or folders against the truth."""

    predictions: Path
    truth: Path
    second: Path | None
    settings: EvaluationSettings

    def snapshot(self) -> FilesRequest:
        """The same."""
        return self

    def job(self) -> Generator[Progress, None, Found]:
        """Evaluate."""
        found = yield from iter_evaluate_files(
            self.predictions, self.truth, second=self.second, settings=self.settings
        )
        return Found(found)


@dataclass(frozen=True, eq=False)
class ConfidenceRequest:
    """Objects without a truth: what the model itself is least certain of.

    Attributes
    ----------
    labels, scores : array-like
        Of one shape, axes as in ``axes``.
    axes : str
        Of both, without C.
    """

    labels: Any
    scores: NDArray[np.float32]
    axes: str

    def snapshot(self) -> ConfidenceRequest:
        """The same with a copy of the labels."""
        return replace(self, labels=copy_array(self.labels))

    def job(self) -> Generator[Progress, None, Found]:
        """Look through the objects."""
        surveys = []
        for time, index in iter_frames(self.axes, self.labels.shape):
            yield Progress(0, 0, "looking through the objects")
            frame = np.asarray(self.labels[index])
            surveys.append(survey_objects(frame, scores=self.scores[index], frame=time))
        if not surveys or not sum(map(len, surveys)):
            raise InputError("There are no objects in these labels", "choose others")
        return Found(survey=join_surveys(surveys))


Request = LayersRequest | FilesRequest | ConfidenceRequest


def copy_array(array: Any) -> Any:
    """A copy of what is in memory; what lies in files stays there."""
    return array.copy() if isinstance(array, np.ndarray) else array
