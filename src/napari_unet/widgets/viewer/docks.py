"""One dock of each kind in a window, in tabs, whichever way it was opened."""

from __future__ import annotations

from abc import ABCMeta
from typing import TYPE_CHECKING, Any

from npe2 import PluginManager
from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from napari_unet.widgets.viewer.layer_image import plain

if TYPE_CHECKING:
    from napari import Viewer

PLUGIN = "napari-unet-torch"


class OneDock(ABCMeta):
    """Metaclass of a dock that is there once in a window: asked for again, it is the same one.

    napari calls a dock that is opened by the menu "Segment (U-Net)", and one that a script or
    another plugin opens with ``add_plugin_dock_widget`` "Segment (napari-unet-torch)": it looks
    for one by that title, finds none that has the other, and makes a second dock. Here it gets
    the first one again, and puts that into the new frame; the frame that is left empty goes.
    """

    def __call__(cls, viewer: Viewer) -> Any:
        """The dock of a window, made if there is none."""
        found = _find(viewer, cls)
        if found is None:
            found = super().__call__(viewer)
            _Frame(found.native)
        else:
            left = frame_of(found)
            # when napari has taken the dock out of it, without its being closed
            QTimer.singleShot(0, lambda: _remove_empty(viewer, left))
        return found


def open_dock(viewer: Viewer, name: str) -> Any:
    """Open a dock of this plugin, or bring it to the front.

    Parameters
    ----------
    viewer : Viewer
        In a window.
    name : str
        As in the plugin's menu, such as "Train".

    Returns
    -------
    Container
        The dock.
    """
    manager = PluginManager.instance()
    kind = next(
        each
        for each in manager.iter_widgets()
        if each.plugin_name == PLUGIN and each.display_name == name
    ).get_callable()
    dock = _find(viewer, kind)
    if dock is None:
        dock = kind(viewer)
        # the menu's title, so that the menu knows it
        title = f"{name} ({manager.get_manifest(PLUGIN).display_name})"
        viewer.window.add_dock_widget(dock, name=title, tabify=True)
    frame = frame_of(dock)
    if frame is not None:
        keeper = frame.findChild(_Frame)
        if keeper is not None:
            keeper.arrange()  # now: else it would come in front of a dock that is opened next
        _raise(frame)
    return dock


def frame_of(dock: Any) -> QDockWidget | None:
    """The frame of a dock with its title; None where it is in no window."""
    widget = dock.native.parent()
    while widget is not None and not isinstance(widget, QDockWidget):
        widget = widget.parent()
    return widget


def _find(viewer: Viewer, kind: Any) -> Any:
    """The dock of a kind that is in the window of a viewer."""
    window = getattr(plain(viewer), "window", None)
    docks = {} if window is None else window.dock_widgets
    return next((found for name in docks if type(found := docks[name]) is kind), None)


def _remove_empty(viewer: Viewer, frame: QDockWidget | None) -> None:
    try:
        if frame is not None and frame.widget() is None:
            plain(viewer).window.remove_dock_widget(frame)
    except (RuntimeError, AttributeError):
        pass  # the window was closed meanwhile


def _raise(frame: QDockWidget) -> None:
    frame.show()
    frame.raise_()  # it may lie behind another one


class _Frame(QObject):
    """Looks after the frame that a dock is put into: it goes into tabs with the other docks.

    napari puts a dock that the menu opens under the others, where two have no room. And it
    takes a dock behind another tab for an open one: the menu would hide it.
    """

    def __init__(self, content: QWidget) -> None:
        super().__init__(content)
        self._content = content
        self._frame: QDockWidget | None = None
        self._behind = False
        self._later = QTimer(self)  # the frame is put into the window after this
        self._later.setSingleShot(True)
        self._later.setInterval(0)
        self._later.timeout.connect(self.arrange)
        content.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Qt's: called before the content or its frame sees an event."""
        if "_content" not in vars(self):  # Python has taken it apart, Qt has not yet
            return False
        kind = None if event is None else event.type()
        moved = watched is self._content and kind == QEvent.Type.ParentChange
        hidden = watched is self._frame and kind == QEvent.Type.Hide
        if moved or (hidden and self._was_behind):
            self._later.start()
        return False

    @property
    def _was_behind(self) -> bool:
        """Whether the frame is hidden though it was not seen before."""
        return self._behind and self._frame is not None and self._frame.isHidden()

    def arrange(self) -> None:
        """Put the frame into tabs with the others where it is new, and bring it to the front."""
        self._later.stop()
        frame: Any = self._content.parent()
        while frame is not None and not isinstance(frame, QDockWidget):
            frame = frame.parent()
        window = None if frame is None else frame.parent()
        if frame is None or not isinstance(window, QMainWindow):
            return
        if frame is not self._frame:
            self._frame = frame
            frame.installEventFilter(self)
            frame.visibilityChanged.connect(self._note)
            self._tabify(window, frame)
        _raise(frame)

    def _tabify(self, window: QMainWindow, frame: QDockWidget) -> None:
        area = window.dockWidgetArea(frame)
        for other in window.findChildren(QDockWidget):
            if other is frame or other.findChild(_Frame) is None:
                continue
            if not other.isFloating() and window.dockWidgetArea(other) == area:
                if frame not in window.tabifiedDockWidgets(other):
                    window.tabifyDockWidget(other, frame)
                return

    def _note(self, visible: bool) -> None:
        """Qt says so when another tab is chosen, too."""
        frame = self._frame
        self._behind = frame is not None and not visible and not frame.isHidden()
