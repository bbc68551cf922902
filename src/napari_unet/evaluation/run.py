"""The evaluation of one or two candidates on many images, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from napari_unet.errors import InputError, Note, UNetError
from napari_unet.evaluation.atlas import Atlas, errors_of_pair
from napari_unet.evaluation.comparison import Difference, compare_scores
from napari_unet.evaluation.settings import EvaluationSettings
from napari_unet.installation import versions
from napari_unet.metrics import Scores, Task
from napari_unet.metrics.evaluation import pool_scores, score_pairs
from napari_unet.metrics.pairs import Pair, pair_image
from napari_unet.progress import Progress
from napari_unet.unexpected import explain_error

RECORD_VERSION = 1


@dataclass(frozen=True, eq=False)
class LoadedImage:
    """Arrays of an image: what is predicted, by each candidate, and what is true.

    Attributes
    ----------
    predictions : tuple of array-like
        One per candidate.
    truth : array-like
        Of the same shape.
    axes : str or None
        Of both, a letter over TCZYX an axis; None: not known, they are one image.
    notes : tuple of Note
        What is to be told of the image.
    """

    predictions: tuple[Any, ...]
    truth: Any
    axes: str | None = None
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, eq=False)
class EvaluatedImage:
    """An image to be evaluated.

    Attributes
    ----------
    name : str
        In tables.
    load : callable
        Reads it; called when its turn comes.
    source : mapping
        Where it is from, for the record: "prediction", "second", "truth".
    """

    name: str
    load: Callable[[], LoadedImage]
    source: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """An image that could not be evaluated, and why."""

    image: str
    error: UNetError


@dataclass(frozen=True)
class ImageDone(Progress):
    """The step after an image: its scores, and its errors, one per candidate; or its fault."""

    image: str = ""
    scores: tuple[Scores, ...] = ()
    fault: Fault | None = None
    notes: tuple[Note, ...] = ()
    atlases: tuple[Atlas, ...] = ()


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores of one or two candidates on the same images.

    Attributes
    ----------
    task : {"instance", "semantic", "regression"}
        What was compared.
    candidates : tuple of str
        What the candidates are called.
    images : tuple of str
        Names of the images that were evaluated, in the order of `Scores.per_image`.
    scores : tuple of Scores
        One per candidate.
    intervals : tuple of dict
        Likewise, `Scores.intervals`.
    difference : Difference or None
        Second less first; None with one candidate.
    faults : tuple of Fault
        Images that could not be evaluated; they count nowhere.
    record : dict
        All that is needed to do it again, ready for JSON.
    """

    task: Task
    candidates: tuple[str, ...]
    images: tuple[str, ...]
    scores: tuple[Scores, ...]
    intervals: tuple[dict[str, Any], ...]
    difference: Difference | None
    faults: tuple[Fault, ...]
    record: dict[str, Any]


def iter_evaluate(
    images: Sequence[EvaluatedImage],
    candidates: Sequence[str],
    settings: EvaluationSettings,
    inputs: Mapping[str, Any],
    *,
    errors: bool = False,
) -> Generator[Progress, None, Evaluation]:
    """Evaluate images one after the other; one that cannot be is left out and told.

    Parameters
    ----------
    images : sequence of EvaluatedImage
        At least one.
    candidates : sequence of str
        Names of the one or two candidates, in the order of each image's predictions.
    settings : EvaluationSettings
        How.
    inputs : mapping
        What was given, for the record, ready for JSON.
    errors : bool
        Whether the errors of each image are found one by one (`find_errors`); of objects only.

    Yields
    ------
    Progress
        Before an image, and `ImageDone` after it.

    Returns
    -------
    Evaluation

    Raises
    ------
    InputError
        If no image could be evaluated.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    found: list[tuple[Scores, ...]] = []
    names: list[str] = []
    faults: list[Fault] = []
    sources = []
    for number, image in enumerate(images):
        yield Progress(number, len(images), f"evaluating {image.name}", "scoring")
        notes: tuple[Note, ...] = ()
        scores: tuple[Scores, ...] = ()
        atlases: tuple[Atlas, ...] = ()
        fault = None
        try:
            loaded = image.load()
            notes = loaded.notes
            pairs = _pairs_of(loaded, image.name, candidates, settings)
            scores = tuple(score_pairs([pair], settings.task) for pair in pairs)
            if errors and settings.task == "instance":
                atlases = tuple(errors_of_pair(p, settings.outline_iou, loaded.axes) for p in pairs)
        except Exception as error:  # noqa: BLE001 - one image must not end the others
            fault = Fault(image.name, explain_error(error))
            faults.append(fault)
        else:
            names.append(image.name)
            sources.append(dict(image.source))
            found.append(scores)
        yield ImageDone(
            number + 1,
            len(images),
            f"evaluated {image.name}",
            "scoring",
            image.name,
            scores,
            fault,
            notes,
            atlases,
        )
    if not names:
        raise _all_failed(faults)
    pooled = tuple(pool_scores(each) for each in zip(*found, strict=True))
    how = settings.model_dump(include={"confidence", "resamples", "seed"})
    intervals = tuple(each.intervals(**how) for each in pooled)
    difference = compare_scores(*pooled, **how) if len(pooled) > 1 else None
    record = {
        "operation": "evaluate",
        "format_version": RECORD_VERSION,
        "inputs": dict(inputs),
        "settings": settings.model_dump(mode="json"),
        "candidates": list(candidates),
        "images": [{"name": n, **s} for n, s in zip(names, sources, strict=True)],
        "versions": dict(versions()),
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - clock, 3),
    }
    return Evaluation(
        settings.task,
        tuple(candidates),
        tuple(names),
        pooled,
        intervals,
        difference,
        tuple(faults),
        record,
    )


def _pairs_of(
    loaded: LoadedImage, name: str, candidates: Sequence[str], settings: EvaluationSettings
) -> list[Pair]:
    pairs = []
    for candidate, prediction in zip(candidates, loaded.predictions, strict=True):
        called = name if len(candidates) == 1 else f"{name} ({candidate})"
        ignore = settings.ignore if settings.task != "regression" else None
        pairs.append(pair_image(prediction, loaded.truth, ignore, called, axes=loaded.axes))
    return pairs


def _all_failed(faults: Sequence[Fault]) -> UNetError:
    first = faults[0].error
    if len(faults) == 1:
        return first
    return InputError(
        f"None of the {len(faults)} images could be evaluated. The first, {faults[0].image}: "
        f"{first.problem.template}",
        first.remedy.template,
        code="none-evaluated",
    )
