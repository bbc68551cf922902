"""A part of a dock that scrolls, so that what stands under it stays in sight."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtWidgets import QFrame, QScrollArea, QSizePolicy, QWidget

LEAST_HEIGHT_PIXELS = 120  # of what is seen at a time, where there is more


class ScrollingPart(QScrollArea):
    """Scrolls up and down where it has not the height that its content wants.

    Parameters
    ----------
    content : QWidget
        With a layout. It is never cut at the right: the part is at least as wide.
    grows : bool
        Whether it takes more height than the content wants.
    """

    def __init__(self, content: QWidget, *, grows: bool = True) -> None:
        super().__init__()
        self.setWidget(content)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # Tab goes to the fields
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        if not grows:
            self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Qt's: parts that come or widen change how large the dock must be."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)

    def minimumSizeHint(self) -> QSize:  # noqa: N802  # Qt's name
        """Wide enough for everything: there is no scrolling to the side."""
        inside, bar = self.widget(), self.verticalScrollBar()
        width = inside.minimumSizeHint().width() if inside is not None else 0
        width += bar.sizeHint().width() if bar is not None else 0
        return QSize(width, min(LEAST_HEIGHT_PIXELS, self._height_wanted()))

    def sizeHint(self) -> QSize:  # noqa: N802
        """As high as the content at this width."""
        return QSize(super().sizeHint().width(), self._height_wanted())

    def _height_wanted(self) -> int:
        inside = self.widget()
        layout = None if inside is None else inside.layout()
        if inside is None or layout is None:
            return 0
        if layout.hasHeightForWidth():
            return layout.totalHeightForWidth(max(self.width(), inside.minimumSizeHint().width()))
        return inside.sizeHint().height()
