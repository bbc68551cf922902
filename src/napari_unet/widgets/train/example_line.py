"""One example of a training: an image, its labels, and where these can be trusted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Image, Labels, Shapes
from qtpy.QtWidgets import QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from napari_unet.checks.completeness import SPARSE, in_few_planes
from napari_unet.widgets.annotation.marks import marks_of
from napari_unet.widgets.qt.blocker import Blocker
from napari_unet.widgets.qt.choice_list import ChoiceList
from napari_unet.widgets.qt.wording import TRUSTED_NAMES
from napari_unet.widgets.train.finding_lines import FindingLines
from napari_unet.widgets.viewer.layer_image import level_of, plain

Way = Literal["all", "planes", "painted", "seen", "mask"]

SAMPLED_PIXELS = 1 << 22  # pixels, of labels about which nothing is said
SAMPLED_PLANES, READ_PLANES = 64, 3  # of them; where they are not in memory
SPACING_PIXELS = 4  # pixels between widgets beside one another
SHORT_LETTERS, LONG_LETTERS = 8, 30  # letters of a name, as far as they count for the room it gets
NOTHING = object()  # in a list; None is a value that is not told of
NO_IMAGE = "no image yet"
NO_LABELS = "no labels yet"
NO_TARGET = "no target yet"
IMAGE_TIP = "The image layer to learn from."
LABELS_TIP = "The layer with its labels; for values of pixels the image that is to come out."
TRUSTED_TIP = (
    "Where the labels can be trusted. Everywhere: what is not labelled is background. Done "
    "planes: those that you marked as done. Painted pixels: nothing else counts. What was looked "
    "at: these planes, and the objects that were accepted or corrected in the dock ‘Correct’, with "
    "a little around them. Or inside the rectangles, ellipses and polygons of a Shapes layer."
)
REMOVE_TIP = "Leave this example out; its layers stay."


class ExampleLine:
    """Three choices, a button that takes the line away, and what is wrong with it.

    Parameters
    ----------
    images : callable
        Gives the image layers.
    labels : callable
        Gives the layers that may be labels of an image layer.
    regions : callable
        Gives the Shapes layers.
    on_change : callable
        Called when another choice was made.
    """

    def __init__(
        self,
        images: Callable[[], Iterable[Image]],
        labels: Callable[[Image | None], list[Any]],
        regions: Callable[[], list[Shapes]],
        on_change: Callable[[], None],
    ) -> None:
        self._images = images
        self._labels = labels
        self._regions = regions
        self._on_change = on_change
        self._blocker = Blocker()
        self._by_hand = False  # the region was chosen, not suggested
        self.is_image_chosen = False  # by the user, not suggested
        self.target = False  # a regression
        # of labels that had no marks: the identity of their data, and the guess
        self._guesses: WeakKeyDictionary[Any, tuple[int, Way]] = WeakKeyDictionary()
        self.image_choice = ChoiceList(self._image_items)
        self.labels_choice = ChoiceList(self._labels_items)
        self.trusted_choice = ChoiceList(self._trusted_items)
        self.remove = QToolButton()
        self.remove.setText("✕")
        self.remove.setToolTip(REMOVE_TIP)
        self.findings = FindingLines()
        self.native = QWidget()
        column = QVBoxLayout(self.native)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        first, second = self._first, _ = QHBoxLayout(), QHBoxLayout()
        for row in (first, second):
            row.setSpacing(SPACING_PIXELS)
            column.addLayout(row)
        first.addWidget(self.image_choice.native, 1)
        first.addWidget(self.labels_choice.native, 1)
        self._where = QLabel("Trusted")
        self._where.setToolTip(TRUSTED_TIP)
        second.addWidget(self._where)
        second.addWidget(self.trusted_choice.native, 1)
        second.addWidget(self.remove)
        column.addWidget(self.findings.native)
        self.image_choice.changed.connect(lambda _: self._image_changed())
        self.labels_choice.changed.connect(lambda _: self._changed(anew=True))
        self.trusted_choice.changed.connect(lambda _: self._changed(by_hand=True))

    @property
    def image(self) -> Image | None:
        """The image layer."""
        found: Image | None = self.image_choice.value
        return found

    @property
    def labels(self) -> Any:
        """The layer with the labels, or the target; None: there is none yet."""
        value = self.labels_choice.value
        return None if value is NOTHING else value

    @property
    def where(self) -> Way | Shapes:
        """Where the labels can be trusted: a word, or inside a Shapes layer."""
        found: Way | Shapes = self.trusted_choice.value
        return found

    @property
    def region(self) -> Shapes | None:
        """The Shapes layer inside of which the labels can be trusted."""
        return self.where if isinstance(self.where, Shapes) else None

    @property
    def content(self) -> tuple[Any, ...]:
        """Equal while the same layers are chosen."""
        where = id(self.where) if self.region is not None else self.where
        return id(self.image), id(self.labels), where

    def align(self, left: int) -> None:
        """Let the last choice begin so many pixels from the left, as the form's other fields."""
        self._where.setMinimumWidth(max(left - SPACING_PIXELS, 0))

    def choose(self, image: Image | None, labels: Any) -> None:
        """Choose layers without telling anybody; where they hold is suggested anew."""
        with self._blocker:
            self.image_choice.reset_choices()
            self.image_choice.select(image)
            self.labels_choice.reset_choices()
            self.labels_choice.select(NOTHING if labels is None else labels)
            self._by_hand = False
        self.refresh()

    def trust(self, value: Any) -> None:
        """Say where the labels hold: a word, or a Shapes layer."""
        self.trusted_choice.value = value

    def reset_choices(self) -> None:
        """List the layers anew; what is still there stays."""
        with self._blocker:
            for choice in (self.image_choice, self.labels_choice, self.trusted_choice):
                choice.reset_choices()
        self.refresh()

    def refresh(self) -> None:
        """Suggest where the labels hold, from what is marked; a choice by hand stays."""
        with self._blocker:
            self.trusted_choice.reset_choices()
            if not self._by_hand:
                self.trusted_choice.select(self._suggestion())
            self._show_names()

    def _show_names(self) -> None:
        """Give longer names more room, and whole ones to the tooltips."""
        tips = (IMAGE_TIP, LABELS_TIP, TRUSTED_TIP)
        choices = (self.image_choice, self.labels_choice, self.trusted_choice)
        for place, (choice, tip) in enumerate(zip(choices, tips, strict=True)):
            name = choice.native.currentText()
            choice.tooltip = f"{name}\n{tip}"
            if place < self._first.count():
                self._first.setStretch(place, min(max(len(name), SHORT_LETTERS), LONG_LETTERS))

    def _suggestion(self) -> Way:
        labels = self.labels
        if self.target or not isinstance(labels, Labels):
            return "all"
        if marks_of(labels) is None:
            data = level_of(labels)
            if self._guesses.get(plain(labels), (0, ""))[0] != id(data):
                self._guesses[plain(labels)] = id(data), guessed(data)
        # what was guessed stays while they are painted on, and get marks by that
        return suggested(labels, self._guesses.get(plain(labels), (0, "painted"))[1])

    def _image_changed(self) -> None:
        if not self._blocker.active:
            self.is_image_chosen = True
        self._changed()

    def _changed(self, *, anew: bool = False, by_hand: bool = False) -> None:
        if self._blocker.active:
            return
        self._by_hand = by_hand or (self._by_hand and not anew)
        if not by_hand:
            with self._blocker:
                self.labels_choice.reset_choices()
        self.refresh()
        self._on_change()

    def _image_items(self) -> list[tuple[str, Any]]:
        items: list[tuple[str, Any]] = [(layer.name, layer) for layer in self._images()]
        return items or [(NO_IMAGE, None)]

    def _labels_items(self) -> list[tuple[str, Any]]:
        nothing = NO_TARGET if self.target else NO_LABELS
        found = self._labels(self.image)
        return [(nothing, NOTHING), *((layer.name, layer) for layer in found)]

    def _trusted_items(self) -> list[tuple[str, Any]]:
        names = {"all": TRUSTED_NAMES["all"]} if self.target else TRUSTED_NAMES
        items: list[tuple[str, Any]] = [(text, name) for name, text in names.items()]
        return items + [(f"inside ‘{layer.name}’", layer) for layer in self._regions()]


def suggested(labels: Labels, otherwise: Way) -> Way:
    """Where labels can be trusted, by what is marked in their layer; else what was guessed.

    Where objects were looked at one by one, these count beside the done planes. What began as a
    prediction counts where it was marked as done, whatever else is said.
    """
    marks = marks_of(labels)
    if marks is None:
        return otherwise
    if marks.review:
        return "seen"
    if marks.done or marks.corrected is not None:
        return "planes"
    return otherwise if marks.background is None else "painted"


def guessed(labels: Any) -> Way:
    """Where labels seem to hold: not everywhere, where most of an image has none.

    At most 4 million pixels are looked at, and a few planes where they are not in memory.

    >>> guessed(np.ones((8, 8), int)), guessed(np.zeros((8, 8), int))
    ('all', 'painted')
    """
    *stack, rows, columns = labels.shape
    total, size = math.prod(stack), rows * columns
    in_memory = type(labels) is np.ndarray
    count = min(total, SAMPLED_PLANES if in_memory else READ_PLANES)
    if not count * size:
        return "all"
    step = math.ceil(math.sqrt(count * size / SAMPLED_PIXELS))
    if step > 1 and not in_memory:
        return "all"  # the checks, which read all of it elsewhere, tell if it is not so
    marked = 0
    stacks: dict[int, list[bool]] = {}
    for number in np.linspace(0, total - 1, count).round().astype(int).tolist():
        place = tuple(int(n) for n in np.unravel_index(number, stack)) if stack else ()
        found = -1
        with suppress(Exception):  # of other libraries, of any kind
            found = int(np.count_nonzero(np.asarray(labels[(*place, ...)])[::step, ::step]))
        if found < 0:
            return "all"  # the checks tell what is wrong
        marked += found
        stacks.setdefault(place[0] if len(stack) > 1 else 0, []).append(found > 0)
    looked = count * math.ceil(rows / step) * math.ceil(columns / step)
    return "painted" if marked < SPARSE * looked or in_few_planes(stacks) else "all"
