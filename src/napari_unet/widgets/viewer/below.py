"""A frame below the viewer's canvas, for what is wider than a dock at the side."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QMainWindow, QWidget

from napari_unet.widgets.viewer.layer_image import plain

if TYPE_CHECKING:
    from napari import Viewer

HEIGHT_PIXELS = 230  # leaves most of a window of 768 pixels to the image


class BelowViewer:
    """Shows a widget below the viewer, between the docks at its sides.

    Parameters
    ----------
    viewer : Viewer
        Without a window the widget is shown nowhere.
    content : QWidget
        The widget. It outlives its frame: a user may close that, and it is shown again later.
    title : str
        Of the frame.
    """

    def __init__(self, viewer: Viewer, content: QWidget, title: str) -> None:
        self._viewer, self._content, self._title = plain(viewer), content, title
        self._frame: Any = None

    @property
    def is_shown(self) -> bool:
        """Whether the user has not closed it."""
        return self._frame is not None and self._content.parent() is not None

    def show(self) -> None:
        """Show the widget, and bring it to the front."""
        window = getattr(self._viewer, "window", None)
        if window is None:
            return
        if not self.is_shown:
            self._frame = window.add_dock_widget(
                self._content, name=self._title, area="bottom", add_vertical_stretch=False
            )
            self._arrange()
        self._frame.show()
        self._frame.raise_()

    def close(self) -> None:
        """Take the widget out of the window."""
        frame, self._frame = self._frame, None
        window = getattr(self._viewer, "window", None)
        if frame is None or window is None or self._content.parent() is None:
            return
        with suppress(LookupError, RuntimeError, AttributeError):  # the window is being closed
            window.remove_dock_widget(frame)

    def _arrange(self) -> None:
        """Leave the docks at the sides their height."""
        around = self._frame.parent()
        if not isinstance(around, QMainWindow):
            return
        around.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        around.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
        around.resizeDocks([self._frame], [HEIGHT_PIXELS], Qt.Orientation.Vertical)
