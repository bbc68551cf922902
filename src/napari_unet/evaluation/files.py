"""Files and folders of predictions against files and folders of truth."""

from __future__ import annotations

import os
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from napari_unet.errors import FileError, Note, describe_validation
from napari_unet.evaluation.label_pairs import LabelPair, find_label_pairs
from napari_unet.evaluation.reading import load_files
from napari_unet.evaluation.run import EvaluatedImage, Evaluation, ImageDone, iter_evaluate
from napari_unet.evaluation.settings import EvaluationSettings
from napari_unet.io.naming import list_names
from napari_unet.progress import Progress, drain

PathLike = str | os.PathLike[str]


def evaluate_files(
    predictions: PathLike,
    truth: PathLike,
    *,
    second: PathLike | None = None,
    axes: str | None = None,
    settings: EvaluationSettings | None = None,
    **overrides: Any,
) -> Evaluation:
    """Score files, or folders of files, against the truth.

    Parameters
    ----------
    predictions, truth : path
        Two files, or two folders. Of folders, the truth of a prediction is found by its name as
        labels of an image are for a training: ``a_labels.tif`` has ``a.tif``, ``a_masks.png``,
        ``a_seg.npy``, a folder ``a`` with a mask per object, and so on.
    second : path, optional
        Predictions of another model, or with other settings, of the same images. Only images
        that both have are scored.
    axes : str, optional
        Of the labels, a letter over TZYX an axis; as the files say where it is left out. Objects
        are matched at each time point by itself.
    settings : EvaluationSettings, optional
        How, with `**overrides` as its fields: task, ignore, components, confidence, ...

    Returns
    -------
    Evaluation

    Raises
    ------
    FileError
        If there is no pair, or names do not decide.
    InputError
        If no image could be evaluated. Single ones that cannot be are in `Evaluation.faults`.
    SettingsError
        For a setting that is unknown or out of bounds.
    """
    return drain(
        iter_evaluate_files(
            predictions, truth, second=second, axes=axes, settings=settings, **overrides
        )
    )


def iter_evaluate_files(
    predictions: PathLike,
    truth: PathLike,
    *,
    second: PathLike | None = None,
    axes: str | None = None,
    settings: EvaluationSettings | None = None,
    errors: bool = False,
    **overrides: Any,
) -> Generator[Progress, None, Evaluation]:
    """As `evaluate_files`; yields `Progress`, and `ImageDone` after each image.

    With `errors`, that has the errors of the image one by one (`find_errors`).
    """
    chosen = check_settings(settings, overrides)
    yield Progress(0, 1, "looking for files", "finding")
    sources = [Path(predictions)] + ([] if second is None else [Path(second)])
    values = chosen.task == "regression"
    found = [find_label_pairs(source, Path(truth), values=values) for source in sources]
    pairs, notes = _join_pairs(sources, [each.pairs for each in found])
    told = tuple(dict.fromkeys(note for each in found for note in each.notes))
    if found[0].recognised:
        told = (Note("pairs", found[0].recognised), *told)
    yield ImageDone(0, len(pairs), "found files", "finding", notes=(*told, *notes))
    candidates = name_candidates(sources)
    images = [
        EvaluatedImage(
            pair[0].name,
            partial(load_files, [p.prediction for p in pair], pair[0].truth, chosen, axes),
            _describe_source(pair),
        )
        for pair in pairs
    ]
    inputs = {
        "predictions": str(Path(predictions).absolute()),
        "truth": str(Path(truth).absolute()),
        "second": None if second is None else str(Path(second).absolute()),
        "axes": axes,
    }
    return (yield from iter_evaluate(images, candidates, chosen, inputs, errors=errors))


def check_settings(
    settings: EvaluationSettings | None, overrides: dict[str, Any]
) -> EvaluationSettings:
    """The settings with the overrides; raises SettingsError."""
    given = {} if settings is None else settings.model_dump()
    try:
        return EvaluationSettings(**{**given, **overrides})
    except ValidationError as error:
        raise describe_validation(error) from None


def _join_pairs(
    sources: list[Path], found: list[tuple[LabelPair, ...]]
) -> tuple[list[tuple[LabelPair, ...]], list[Note]]:
    """Pairs of the candidates with the same truth, and which images only one has."""
    if len(found) == 1:
        return [(pair,) for pair in found[0]], []
    by_truth = [{pair.truth: pair for pair in pairs} for pairs in found]
    common = [truth for truth in by_truth[0] if truth in by_truth[1]]
    if not common:
        raise FileError(
            f"{sources[0]} and {sources[1]} have no image in common that has truth",
            "give predictions of the same images",
        )
    notes = []
    for mine, other, source in ((0, 1, sources[1]), (1, 0, sources[0])):
        alone = [
            pair.name for truth, pair in by_truth[mine].items() if truth not in by_truth[other]
        ]
        if alone:
            be = "is" if len(alone) == 1 else "are"
            text = f"{len(alone)} of the images {be} not in {source} and {be} left out: "
            notes.append(Note("labels-left-out", text + list_names(alone)))
    return [(by_truth[0][truth], by_truth[1][truth]) for truth in common], notes


def _describe_source(pair: tuple[LabelPair, ...]) -> dict[str, Any]:
    keys = ("prediction", "second")
    found: dict[str, Any] = {k: str(p.prediction) for k, p in zip(keys, pair, strict=False)}
    return {**found, "truth": [str(path) for path in pair[0].truth]}


def name_candidates(sources: list[Path]) -> tuple[str, ...]:
    """Names that tell the candidates apart, as short as they can be.

    >>> name_candidates([Path("out/a"), Path("out/b")])
    ('a', 'b')
    >>> name_candidates([Path("first/out"), Path("second/out")])
    ('first/out', 'second/out')
    """
    for parts in range(1, 8):
        names = tuple("/".join(source.absolute().parts[-parts:]) for source in sources)
        if len({*names}) == len(names):
            return names
    return tuple(f"{source.name} ({i})" for i, source in enumerate(sources, 1))
