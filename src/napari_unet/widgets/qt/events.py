"""Hearing when a dock is closed, by its own button or with the whole window."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QWidget


class ClosingWatch(QObject):
    """Calls ``on_close`` when a widget is taken out of its dock, or destroyed.

    The viewer keeps the widget of a closed dock alive without a parent, so that being
    destroyed is not enough to listen for.

    Parameters
    ----------
    widget : QWidget
        The dock's content. The watch lives as long as it does.
    on_close : callable
        Must not touch the widget.
    """

    def __init__(self, widget: QWidget, on_close: Callable[[], None]) -> None:
        super().__init__(widget)
        self._widget = widget
        self._on_close = on_close
        widget.installEventFilter(self)
        widget.destroyed.connect(on_close)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Qt's: called before the widget sees an event."""
        if "_widget" not in vars(self):  # Python has taken it apart, Qt has not yet
            return False
        changed = event is not None and event.type() == QEvent.Type.ParentChange
        if changed and watched is self._widget and self._widget.parentWidget() is None:
            self._on_close()
        return False


class Follower(QObject):
    """Tells where a widget begins in the one around it, now and whenever that changes.

    Parameters
    ----------
    leader : QWidget
        Whose place matters.
    on_place : callable
        Called with its distance from the left, in pixels.
    """

    def __init__(self, leader: QWidget, on_place: Callable[[int], None]) -> None:
        super().__init__(leader)
        self._leader = leader
        self._on_place = on_place
        leader.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Qt's: called before the widget sees an event."""
        del watched
        if "_leader" not in vars(self):
            return False
        if event is not None and event.type() == QEvent.Type.Move:
            self._on_place(self._leader.x())
        return False
