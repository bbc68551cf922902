"""A list to choose from that keeps the choice when names and order change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from magicgui.widgets import ComboBox
from qtpy.QtCore import QEvent, QObject, Qt
from superqt.utils import signals_blocked

from napari_unet.widgets.qt.form import narrow


class ChoiceList(ComboBox):
    """A combo box whose items are listed anew on demand.

    The plain one knows its choice by its text: a renamed layer is no longer chosen. This one
    knows it by its value, shows equal texts with numbers, keeps the order of the items, and
    lets the wheel scroll the form.

    Parameters
    ----------
    items : callable
        Gives the pairs of text and value.
    """

    def __init__(self, items: Callable[[], Iterable[tuple[str, Any]]]) -> None:
        self._items = items
        super().__init__()
        narrow(self)
        self._wheel = WheelGoesOn(self.native)

    def reset_choices(self, *_: Any) -> None:
        """List the items anew; ``changed`` is emitted where the chosen one is gone."""
        before, items, names = self.value, list(self._items()), set[str]()
        with signals_blocked(self.native):
            self.native.clear()
            for text, value in items:
                name, number = text, 2
                while name in names:
                    name, number = f"{text} ({number})", number + 1
                names.add(name)
                self.native.addItem(name, value)
                self.native.setItemData(self.native.count() - 1, name, Qt.ItemDataRole.ToolTipRole)
            self.native.setCurrentIndex(max(0, self._index(before)))
        if self.value != before:
            self.changed.emit(self.value)

    def select(self, value: Any) -> None:
        """Choose an item, where there is such, without telling anybody."""
        if self._index(value) >= 0:
            with signals_blocked(self.native):
                self.native.setCurrentIndex(self._index(value))

    def _index(self, value: Any) -> int:
        return next((i for i, choice in enumerate(self.choices) if choice == value), -1)


class WheelGoesOn(QObject):
    """Leaves the wheel to the form around a widget: scrolling past must not choose."""

    def __init__(self, widget: QObject) -> None:
        super().__init__(widget)
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Qt's: called before the widget sees an event."""
        del watched
        if event is None or event.type() != QEvent.Type.Wheel:
            return False
        event.ignore()
        return True
