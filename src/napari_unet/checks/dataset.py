"""Checks of all examples together: what there is to learn, and what is held out of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from napari_unet.card import ClassInfo, ModelCard
from napari_unet.checks.finding import Report
from napari_unet.checks.near_duplicates import find_near_copies
from napari_unet.checks.sampling import sample_places
from napari_unet.checks.scale import check_diameter, compare_pixel_sizes
from napari_unet.dataset.label_statistics import LabelStatistics
from napari_unet.dataset.labelled_image import LabelledImage
from napari_unet.dataset.properties import choose_classes, lacks_background
from napari_unet.dataset.split import array_identity, share_pixels, split_examples
from napari_unet.dataset.targets import find_classes, find_output_limits
from napari_unet.errors import Note
from napari_unet.settings import TrainConfig


@dataclass(frozen=True, eq=False)
class CheckedExample:
    """An example that can be used.

    Attributes
    ----------
    index : int
        Where it stands among the examples.
    labelled, statistics : LabelledImage, LabelStatistics
        The example, and what its labels hold.
    doubt : Note or None
        What is not certain of its axes.
    """

    index: int
    labelled: LabelledImage
    statistics: LabelStatistics
    doubt: Note | None

    def shares_pixels(self, other: CheckedExample) -> bool:
        """Whether both read the same pixels; a split keeps such examples on one side."""
        return share_pixels(self.labelled.source, other.labelled.source)


def check_together(
    report: Report,
    training: Sequence[CheckedExample],
    validation: Sequence[CheckedExample] | None,
    ndim: int,
    base: ModelCard | None,
    config: TrainConfig,
) -> None:
    """Look at examples beside one another.

    Parameters
    ----------
    report : Report
        Takes the findings.
    training, validation : sequences of CheckedExample
        What is learned from and what is validated on; ``validation`` is None where a share is
        held out.
    ndim : int
        Spatial axes of the network.
    base : ModelCard or None
        What the training starts from.
    config : TrainConfig
        The settings.
    """
    _check_content(report, training, config)
    if config.task == "semantic":
        _check_classes(report, training, validation or (), base, config)
    if config.task == "regression":
        _check_targets(report, [*training, *(validation or ())])
    everything = [*training, *(validation or ())]
    compare_pixel_sizes(report, [e.labelled.source for e in everything], ndim, base)
    if any(f.severity == "fault" or "look-like" in f.code for f in report.findings):
        return  # sizes and numbers of what the labels are not would only confuse
    if config.task == "instance":
        seen = [(each.labelled, each.statistics) for each in training]
        with report.errors_of("config-unusable", None, "config"):
            check_diameter(report, seen, ndim, base, config)
    _check_split(report, training, validation, ndim, config)


def _values(examples: Sequence[CheckedExample]) -> set[int]:
    return {value for each in examples for value in each.statistics.values}


def _check_content(report: Report, training: Sequence[CheckedExample], config: TrainConfig) -> None:
    single = training[0].index if len(training) == 1 else None
    if not any(each.statistics.known for each in training):
        report.drop_doubts("nothing-known")
        report.fault(
            "nothing-known",
            single,
            "region",
            "No pixel of the examples is known: the labels are empty, or the region is.",
            "Label something, or correct the region.",
        )
    elif config.task == "instance" and _values(training) == {0}:
        report.drop_doubts("labels-empty")
        report.fault(
            "labels-empty",
            single,
            "labels",
            "The labels are empty: no example has an object to learn from.",
            "Label some objects, each with a number of its own.",
        )
    elif lacks_background([(e.labelled, e.statistics) for e in training], config):
        report.drop_doubts("background-not-painted")
        report.fault(
            "no-background",
            single,
            "background",
            "The painted labels have no background, so that nothing tells what is not an object.",
            "Paint some background with a label of its own and name it as the background, or add "
            "a complete plane or a mask to the region.",
        )


def _check_classes(
    report: Report,
    training: Sequence[CheckedExample],
    validation: Sequence[CheckedExample],
    base: ModelCard | None,
    config: TrainConfig,
) -> None:
    values = _values(training)
    if not values:
        return
    single = training[0].index if len(training) == 1 else None
    named = choose_classes(base, config, values)
    if len(values) == 1:
        report.drop_doubts("labels-constant", "background-not-painted")
        note = report.doubt if named else report.fault
        note(
            "one-class",
            single,
            "labels",
            f"The labels have one class only: every known pixel has the value {min(values)}.",
            "Label a second class; background counts as one.",
        )
        return
    classes: tuple[ClassInfo, ...] = ()
    with report.errors_of("classes-unusable", single, "classes" if named else "labels"):
        classes = find_classes(values, named)
    if classes:
        with report.errors_of("classes-unusable", None, "classes"):
            find_classes(_values(validation), classes)


def _check_targets(report: Report, examples: Sequence[CheckedExample]) -> None:
    counts = {
        e.labelled.labels.shape[e.labelled.label_axes.index("C")]
        if "C" in e.labelled.label_axes
        else 1
        for e in examples
    }
    if len(counts) > 1:
        report.fault(
            "target-channels-differ",
            None,
            "labels",
            f"The target images have different numbers of channels, {sorted(counts)}.",
            "Give targets with equal numbers of channels.",
        )
    constant = {f.example for f in report.findings if f.code == "target-constant"}
    if constant == {e.index for e in examples}:
        # in what was looked at; here all of it is read
        report.drop_doubts("target-constant")
        with report.errors_of("target-constant", None, "labels"):
            find_output_limits([e.labelled for e in examples])


def _check_split(
    report: Report,
    training: Sequence[CheckedExample],
    validation: Sequence[CheckedExample] | None,
    ndim: int,
    config: TrainConfig,
) -> None:
    """What is validated on: that there is something, and that it is not learned from as well."""
    if validation is None and config.validation_fraction == 0:
        return
    pairs: Iterator[tuple[CheckedExample, CheckedExample]]
    if validation is not None:
        # parts of one image may well stand on either side
        pairs = ((a, b) for b in validation for a in training if not _known_apart(a, b))
    else:
        split = split_examples(
            [e.labelled for e in training],
            [e.statistics for e in training],
            fraction=config.validation_fraction,
            seed=config.seed,
            task=config.task,
            ndim=ndim,
        )
        if not split.validation:
            report.doubt(
                "nothing-held-out",
                None,
                "labels",
                split.summary,
                "Label more, or give examples to validate on; else nothing tells how good the "
                "new model is.",
            )
            return
        held = set(map(id, split.validation))
        apart = {e.index for e in training if id(e.labelled) in held}
        # of each image a part is held out, unless whole ones are
        pairs = (
            (a, b)
            for a, b in itertools.combinations(training, 2)
            if not a.shares_pixels(b) and (not apart or (a.index in apart) != (b.index in apart))
        )
    sources = {e.index: e.labelled.source for e in (*training, *(validation or ()))}
    for first, second in find_near_copies(sources, ((a.index, b.index) for a, b in pairs)):
        report.doubt(
            "near-copy",
            second,
            "image",
            f"It shows nearly the same pixels as the {_ordinal(first + 1)} example, and one is "
            "validated on what the other is learned from.",
            "Leave one of the two out; the scores would look better than they are.",
        )


def _known_apart(one: CheckedExample, other: CheckedExample) -> bool:
    """Whether labels of one and the same image lie in different parts of it, where looked at."""
    first, second = one.labelled, other.labelled
    places = [[array_identity(a) for a in each.source.arrays] for each in (first, second)]
    if places[0] != places[1] or first.source.axes != second.source.axes:
        return False
    looked = (
        window for each in (one, other) for window in sample_places(each.labelled, each.statistics)
    )
    return not any(
        (first.read_labels(*window)[1] & second.read_labels(*window)[1]).any() for window in looked
    )


def _ordinal(number: int) -> str:
    """The number as a word would say it.

    >>> _ordinal(1), _ordinal(12), _ordinal(23)
    ('1st', '12th', '23rd')
    """
    last = number % 10 if number % 100 // 10 != 1 else 0
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(last, 'th') }"
