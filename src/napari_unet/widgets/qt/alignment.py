"""Widgets that begin where another one does."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QWidget


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
        if event is not None and event.type() == QEvent.Type.Move:
            self._on_place(self._leader.x())
        return False
