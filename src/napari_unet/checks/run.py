"""All checks of examples, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.card import ModelCard
from napari_unet.checks.completeness import check_complete
from napari_unet.checks.dataset import CheckedExample, check_together
from napari_unet.checks.finding import Field, Finding, Report
from napari_unet.checks.images import check_image, report_axes_doubt
from napari_unet.checks.labels import check_labels
from napari_unet.checks.misplacement import check_place
from napari_unet.checks.placement import check_placement
from napari_unet.dataset.example import Example
from napari_unet.dataset.label_statistics import collect_statistics
from napari_unet.dataset.label_values import is_label
from napari_unet.dataset.labelled_image import (
    LabelledImage,
    open_example,
    open_example_image,
)
from napari_unet.dataset.properties import check_task, choose_classes, find_channels, find_ndim
from napari_unet.errors import ModelError
from napari_unet.network.files import find_model, read_header
from napari_unet.settings import TrainConfig, resolve

if TYPE_CHECKING:
    from napari_unet.network.model import Model


def check_examples(
    examples: Sequence[Example],
    *,
    base: Model | str | Path | None = None,
    config: TrainConfig | None = None,
    validation: Sequence[Example] | None = None,
    **overrides: Any,
) -> list[Finding]:
    """Look for what would keep a training from starting, or spoil it.

    Labels are looked at a slab at a time; of the images, a sample of bounded size. Of
    the base only the card is read.

    **Faults**: images, axes, labels, regions or classes that do not fit one another or the
    base; NaN; nothing labelled; objects painted without a background.

    **Doubts**: guessed axes; labels that lie on a part of the image, or that would fit it much
    better if they were flipped or shifted; regions that leave others beside them no effect;
    empty or constant labels; hardly anything labelled where the rest counts as background; one
    class only; intensities or classes given for objects, and objects for classes; labels in
    separate places; constant images; intensities far from a fixed range of the base; objects
    larger than what the network sees, or of another size than those of the base; pixel sizes
    that differ by more than a factor of 1.5; the same pixels on both sides of the validation;
    nothing held out; labels that carry the record of a prediction.

    Whether objects are bright as those of the base, or dark, cannot be checked: its card does
    not tell. Nor can a prediction that is handed over as an array in memory be known as such.

    Parameters
    ----------
    examples, base, config, validation
        As in `napari_unet.train`; ``overrides`` are single fields of ``config``.

    Returns
    -------
    list of Finding
        Faults, then doubts, each in the order of the examples; empty if all is well. Bad
        input is a finding and raises nothing.

    Examples
    --------
    >>> import numpy as np
    >>> image, labels = np.zeros((32, 32)), np.zeros((32, 30), np.uint8)
    >>> [(f.severity, f.code, f.field) for f in check_examples([Example(image, labels)])]
    [('fault', 'labels-unusable', 'labels')]
    """
    report = Report()
    settings = None
    with report.errors_of("config-unusable", None, "config"):
        settings = resolve(TrainConfig, config, overrides)
    if settings is None:
        return report.findings
    card = _read_card(report, base, settings)
    training = _listed(report, examples, 0)
    held = None if validation is None else _listed(report, validation, len(training))
    given = [*training, *(held or [])]
    usable = _usable_images(report, given, card, settings)
    ndim, opened = _open_all(report, usable, len(training), card, settings)
    normalization = card.normalization if card is not None else settings.normalization
    for each in opened:
        report_axes_doubt(report, each.index, each.doubt)
        check_image(report, each.index, each.labelled.source, normalization, card)
        check_placement(report, each.index, each.labelled)
        with report.errors_of("labels-unusable", each.index, "labels"):
            classes = choose_classes(card, settings, each.statistics.values)
            seen = each.labelled, each.statistics, settings.task
            check_labels(report, each.index, *seen, bool(classes))
            zero = any(c.value == 0 for c in classes)
            check_complete(report, each.index, *seen, background_named=zero)
        with Report().errors_of("image-unusable", each.index, "image"):  # of which others tell
            check_place(report, each.index, each.labelled, each.statistics, settings.task)
    if training and len(opened) == len(given):
        # an example that is missing would make these speak of what is in it
        count = len(training)
        apart = None if held is None else opened[count:]
        with report.errors_of("labels-unusable", None, "labels"):
            check_together(report, opened[:count], apart, ndim, card, settings)
    return report.sorted()


def _read_card(
    report: Report, base: Model | str | Path | None, config: TrainConfig
) -> ModelCard | None:
    """The card of the base, if there is one that fits the task."""
    if base is None:
        return None
    with report.errors_of("base-unusable", None, "base"):
        card = getattr(base, "card", None)
        if isinstance(base, str | Path):
            card = read_header(find_model(base))
        if not isinstance(card, ModelCard):
            raise ModelError(
                f"The base is a {type(base).__name__}", "give a model, its name or its file"
            )
        check_task(card, config)
        return card
    return None


def _listed(report: Report, examples: Any, start: int) -> list[Any]:
    """The examples, whatever they are; indices count on from ``start``."""
    what = "a list of napari_unet.Example(image, labels)"
    if isinstance(examples, Example) or not isinstance(examples, Sequence):
        message = f"The examples are a {type(examples).__name__}, not {what}."
        report.fault("no-examples", None, "image", message, f"Give {what}.")
        return []
    if not examples and not start:
        message = "There are no examples."
        report.fault("no-examples", None, "image", message, "Give at least one image with labels.")
    for index, each in enumerate(examples, start):
        if not isinstance(each, Example):
            message = f"This is a {type(each).__name__}, not an example."
            report.fault("no-example", index, "image", message, f"Give {what}.")
    return list(examples)


def _usable_images(
    report: Report, examples: list[Any], card: ModelCard | None, config: TrainConfig
) -> dict[int, Example]:
    """Examples by index, less those whose image cannot be opened."""
    ndim = card.architecture.ndim if card is not None else config.ndim
    usable = {}
    for index, each in enumerate(examples):
        if isinstance(each, Example):
            with report.errors_of("image-unusable", index, "image"):
                open_example_image(each, ndim=3 if ndim == 3 else 2, in_channels=None)
                usable[index] = each
    return usable


def _open_all(
    report: Report,
    examples: dict[int, Example],
    count: int,
    card: ModelCard | None,
    config: TrainConfig,
) -> tuple[int, list[CheckedExample]]:
    """Axes of the network, and the examples that fit; the first ``count`` are learned from."""
    training = [each for index, each in examples.items() if index < count]
    ndim = channels = 0
    if training:
        with report.errors_of("config-unusable", None, "config"):
            ndim = find_ndim(training, card, config)
    if ndim:
        with report.errors_of("channels-differ", None, "image"):
            channels = find_channels(training, card, ndim)
    if not channels:
        return ndim, []
    found = (
        _open(report, index, each, ndim, channels, card, config) for index, each in examples.items()
    )
    return ndim, [each for each in found if each is not None]


def _open(
    report: Report,
    index: int,
    example: Example,
    ndim: int,
    channels: int,
    card: ModelCard | None,
    config: TrainConfig,
) -> CheckedExample | None:
    """An example, or a fault that names the part of it that does not fit."""
    known = config.classes or (card.classes if card is not None else ())
    values = [c.value for c in known] if config.task == "semantic" else []

    def look(part: Example) -> LabelledImage:
        return open_example(part, ndim=ndim, in_channels=channels, task=config.task, named=values)

    trial = Report()
    with trial.errors_of("labels-unusable", index, "labels"):
        labelled = look(example)
        doubt = labelled.source.doubt
        if ndim == 3 and card is None and config.ndim == "auto":
            # nobody asked for volumes: it may be a time series
            doubt = open_example_image(example, ndim=2, in_channels=None).doubt
        return CheckedExample(
            index, labelled, collect_statistics(labelled, config.task, ndim), doubt
        )
    # a background that is none is a fault of its own, one that contradicts the region of that
    label = example.background if is_label(example.background) and example.background else None
    stages: dict[Field, Callable[[], Any]] = {
        "image": lambda: open_example_image(example, ndim=ndim, in_channels=channels),
        "labels": lambda: look(replace(example, region="all", background=None)),
        "region": lambda: look(replace(example, background=label)),
        "background": lambda: look(example),
    }
    for where, stage in stages.items():
        before = len(report.findings)
        with report.errors_of(f"{where}-unusable", index, where):
            stage()
        if len(report.findings) > before:
            return None
    report.findings += trial.findings
    return None
