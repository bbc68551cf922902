"""What is wrong with the examples of the dock "Train", and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari_unet.errors import UNetError
from napari_unet.widgets.annotation.painting import correct
from napari_unet.widgets.qt.wording import is_next_step, worded
from napari_unet.widgets.train.finding_lines import Line
from napari_unet.widgets.train.request import UncorrectedError
from napari_unet.widgets.viewer.layer_image import RECORD_KEY

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Labels

    from napari_unet.widgets.train.example_line import ExampleLine
    from napari_unet.widgets.train.example_table import ExampleTable


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
        actions: tuple[tuple[str, Callable[[], None]], ...] = ()
        if isinstance(error, UncorrectedError):
            first = "Correct and train on this", lambda: self._correct(line)
            if RECORD_KEY not in line.labels.metadata:  # that has begun
                first = "Done planes", lambda: line.trust("planes")
            actions = (first, ("Take as truth", lambda: self._table.take_as_truth(line.labels)))
        return [Line(worded(error), fault=True, actions=actions, calm=is_next_step(error))]

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
