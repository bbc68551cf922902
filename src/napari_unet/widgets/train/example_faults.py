"""What is wrong with the examples of the dock "Train", and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer

from napari_unet.errors import UNetError
from napari_unet.widgets.annotation.label_matching import convert_to_labels, lay_on
from napari_unet.widgets.annotation.painting import correct
from napari_unet.widgets.annotation.reinterpretation import mark_unknown, number_objects
from napari_unet.widgets.qt.wording import is_next_step, worded
from napari_unet.widgets.train.finding_lines import Action, Line
from napari_unet.widgets.train.label_candidates import Unmatched
from napari_unet.widgets.train.labelled_layers import UncorrectedError, UnmatchedError
from napari_unet.widgets.viewer.layer_image import RECORD_KEY

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Labels

    from napari_unet.checks.finding import Finding
    from napari_unet.widgets.train.example_line import ExampleLine
    from napari_unet.widgets.train.example_table import ExampleTable


NUMBER_OBJECTS = "Number the objects"
NEGATIVE_UNKNOWN = "Negative is unknown"
MASK_CODES = frozenset({"labels-look-like-classes", "labels-are-a-mask"})
NEGATIVE_CODE = "labels-negative"


class ExampleFaults:
    """A fault for each example that cannot be learned from.

    Parameters
    ----------
    viewer : Viewer
        Where corrected copies of labels are added.
    table : ExampleTable
        Of the examples.
    axes_of : callable
        Gives the axes of an image layer.
    take : callable
        Called with an image and labels that can be painted on, to learn from these.
    """

    def __init__(
        self,
        viewer: Viewer,
        table: ExampleTable,
        axes_of: Callable[[Image], str],
        take: Callable[[Image, Labels], None],
    ) -> None:
        self._viewer = viewer
        self._table = table
        self._axes_of = axes_of
        self._take = take
        self._faults: dict[ExampleLine, UNetError] = {}

    @property
    def first(self) -> UNetError | None:
        """The fault of the first example that has one."""
        return next(iter(self._faults.values()), None)

    def clear(self) -> None:
        """Forget all faults."""
        self._faults = {}

    def add(self, line: ExampleLine, error: UNetError) -> None:
        """Take in what is wrong with an example."""
        self._faults[line] = error

    def lines(self, line: ExampleLine) -> list[Line]:
        """What is to be said of an example, with buttons for what helps."""
        error = self._faults.get(line)
        if error is None:
            return []
        actions: tuple[Action, ...] = ()
        if isinstance(error, UncorrectedError):
            first = "Correct and train on this", lambda: self._correct(line)
            if RECORD_KEY not in line.labels.metadata:  # that has begun
                first = "Done planes", lambda: line.trust("planes")
            actions = (first, ("Take as truth", lambda: self._table.take_as_truth(line.labels)))
        if isinstance(error, UnmatchedError) and line.image is not None:
            actions = tuple(self._remedies(error.found, line.image))
        return [Line(worded(error), fault=True, actions=actions, calm=is_next_step(error))]

    def _remedies(self, found: Unmatched, image: Image) -> Iterator[tuple[str, Callable[[], None]]]:
        """Buttons that make labels of layers that are none yet, or do not lie on the image."""
        for picture in found.pictures:
            yield f"Convert ‘{picture.name}’ to Labels", partial(self._convert, picture)
        for layer, error in found.mismatches:
            if error.code == "unplaced":
                yield (
                    f"Lay ‘{layer.name}’ on ‘{image.name}’",
                    partial(lay_on, image, self._axes_of(image), layer),
                )

    def _convert(self, picture: Image) -> None:
        """Add the labels that an image layer holds, and hide that."""
        layers = self._viewer.layers
        place = next(i for i, each in enumerate(layers) if each == picture) + 1
        layers.insert(place, convert_to_labels(picture))
        picture.visible = False

    def mends(self, finding: Finding, line: ExampleLine) -> tuple[Action, ...]:
        """Buttons that mend what was found about a line: labels that mean something else."""
        codes = {finding.code, finding.cause}
        if codes & MASK_CODES:
            return ((NUMBER_OBJECTS, lambda: self._replace_soon(line, number_objects)),)
        if NEGATIVE_CODE in codes and self._table.task == "instance":
            return ((NEGATIVE_UNKNOWN, lambda: self._replace_soon(line, mark_unknown)),)
        return ()

    def _replace_soon(self, line: ExampleLine, make: Callable[..., Labels]) -> None:
        # not within the click: the button goes with its line
        QTimer.singleShot(0, lambda: self._replace(line, make))

    def _replace(self, line: ExampleLine, make: Callable[..., Labels]) -> None:
        """Learn from a copy of the labels of a line, which takes its place."""
        image, labels, where = line.image, line.labels, line.where
        if image is None or labels is None or line not in self._table.lines:
            return
        try:
            layer = make(self._viewer, labels, image, self._axes_of(image))
        except UNetError as error:
            line.findings.show([Line(worded(error), fault=True)])
            return
        for other in [x for x in self._table.lines if x is not line and x.labels == layer]:
            self._table.remove(other)  # it took the new layer by itself
        line.choose(image, layer)
        self._table.take(image, layer)
        if make is number_objects:
            line.trust(where)

    def _correct(self, line: ExampleLine) -> None:
        """Make a copy that can be painted on; it takes the place of the prediction."""
        image, labels = line.image, line.labels
        if image is None or labels is None:
            return
        try:
            layer = correct(self._viewer, labels, image, self._axes_of(image))
        except UNetError as error:
            line.findings.show([Line(worded(error), fault=True)])
            return
        self._take(image, layer)
