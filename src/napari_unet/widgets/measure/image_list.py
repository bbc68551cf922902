"""The image layers below labels, each with a box to tick."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from napari.layers import Image
from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QSizePolicy

from napari_unet.widgets.qt.blocker import Blocker

MOST_LINES = 4  # more of them scroll


class ImageList:
    """Which images are measured; it stands in a row of a form.

    Parameters
    ----------
    on_change : callable
        Called when the user has ticked or unticked one.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self.native: Any = _Lines()
        self._on_change = on_change
        self._blocker = Blocker()
        self._layers: list[Image] = []
        self.native.itemChanged.connect(lambda _: self._changed())

    @property
    def tooltip(self) -> str:
        """Shown over the list."""
        return str(self.native.toolTip())

    @tooltip.setter
    def tooltip(self, text: str) -> None:
        self.native.setToolTip(text)

    @property
    def layers(self) -> list[Image]:
        """All that are listed."""
        return list(self._layers)

    @property
    def ticked(self) -> list[Image]:
        """Those that are ticked, in the order of the list."""
        items = [self.native.item(i) for i in range(self.native.count())]
        return [
            layer
            for layer, item in zip(self._layers, items, strict=True)
            if item.checkState() == Qt.CheckState.Checked
        ]

    def show(self, layers: Sequence[Image], ticked: Sequence[Image]) -> None:
        """List layers anew, without telling anybody."""
        with self._blocker:
            self.native.clear()
            self._layers = list(layers)
            for layer in layers:
                item = QListWidgetItem(layer.name)
                item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
                checked = any(layer is each for each in ticked)
                state = Qt.CheckState.Checked if checked else Qt.CheckState.Unchecked
                item.setCheckState(state)
                self.native.addItem(item)
            self.native.updateGeometry()

    def _changed(self) -> None:
        if not self._blocker.active:
            self._on_change()


class _Lines(QListWidget):
    """As high as its lines."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:  # noqa: N802  # Qt's name
        lines = min(max(self.count(), 1), MOST_LINES)
        height = max(self.sizeHintForRow(0), self.fontMetrics().height() + 4)
        return QSize(super().sizeHint().width(), lines * height + 2 * self.frameWidth() + 4)

    minimumSizeHint = sizeHint  # noqa: N815
