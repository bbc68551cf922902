"""From a result to training: a copy that can be painted on, in the dock "Train"."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from magicgui.widgets import PushButton
from napari.layers import Image, Labels

from napari_unet.errors import UNetError
from napari_unet.widgets.annotation.marks import axes_of_labels
from napari_unet.widgets.annotation.painting import correct
from napari_unet.widgets.qt.form import Row
from napari_unet.widgets.qt.wording import worded
from napari_unet.widgets.viewer.docks import open_dock
from napari_unet.widgets.viewer.layer_image import RECORD_KEY, shape_of

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer

TEXT = "Correct and train on this"
TIP = (
    "Make a copy of these labels, put it right with the tools of ‘Correct’ or the brush, and train "
    "the model in ‘Train’ on what you corrected. Meant is the selected result, or the newest one."
)


class CorrectButton:
    """A button for results. Its ``row`` is to be put into a form; it hides where there are none.

    Parameters
    ----------
    viewer : Viewer
        Whose layers it is about.
    open_train : callable, optional
        Opens the dock "Train", and gives it.
    open_correct : callable, optional
        Opens the dock "Correct", which then lies before "Train".
    image_of : callable
        Gives the image that a result is of, where that is known; else it is found by its name
        and axes, as for a result that was read from a file.
    """

    def __init__(
        self,
        viewer: Viewer,
        open_train: Callable[[], Any] | None = None,
        open_correct: Callable[[], Any] | None = None,
        image_of: Callable[[Layer], Image | None] = lambda _: None,
    ) -> None:
        self._viewer = viewer
        self._known_image = image_of
        self._open_train = open_train or (lambda: open_dock(viewer, "Train"))
        self._open_correct = open_correct or (lambda: open_dock(viewer, "Correct"))
        self.button = PushButton(text=TEXT)
        self.row = Row(self.button, "", TIP)
        self.button.changed.connect(lambda _: self._correct())
        viewer.layers.selection.events.active.connect(self.refresh)
        self.refresh()

    @property
    def target(self) -> tuple[Labels, Image] | None:
        """The result that is meant, and its image."""
        active = self._viewer.layers.selection.active
        for layer in [active, *reversed(self._viewer.layers)]:
            if isinstance(layer, Labels) and RECORD_KEY in layer.metadata:
                image = self._image_of(layer)
                if image is not None:
                    return layer, image
        return None

    def refresh(self, _: object = None) -> None:
        """Look for results; to be called when layers come and go."""
        self.row.show(visible=self.target is not None)

    def close(self) -> None:
        """Stop listening; no widget is touched."""
        self._viewer.layers.selection.events.active.disconnect(self.refresh)

    def _image_of(self, layer: Labels) -> Image | None:
        """The image that a result is of: the one it was made from, else that of its name."""
        known = self._known_image(layer)
        if known is not None:
            return known if _axes(layer, known) else None
        fitting = [
            each
            for each in self._viewer.layers
            if isinstance(each, Image) and _axes(layer, each) and layer.name.startswith(each.name)
        ]
        return max(fitting, key=lambda each: len(each.name), default=None)

    def _correct(self) -> None:
        target = self.target
        if target is None:
            return
        layer, image = target
        try:
            corrected = correct(self._viewer, layer, image, _axes(layer, image))
        except UNetError as error:
            self.row.show_message(fault=worded(error))
            return
        self.row.show_message()
        self._open_train().take(image, corrected)
        self._open_correct()
        # the docks may have turned to another layer: the brush belongs to this one
        self._viewer.layers.selection.active = corrected


def _axes(layer: Labels, image: Image) -> str:
    """Axes of the image's array by the record of a result; empty where they do not fit."""
    record: Any = layer.metadata.get(RECORD_KEY)
    axes = str(record.get("axes", "")) if isinstance(record, dict) else ""
    fits = len(axes) == len(shape_of(image)) and axes_of_labels(layer, image, axes)
    return axes if fits else ""
