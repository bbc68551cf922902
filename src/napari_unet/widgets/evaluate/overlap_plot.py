"""Average precision over the overlap that an object must have to count as found."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPalette, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

# for a dark and for a light background, told apart by colour-blind people too
LINES = (("#6fa8ff", "#1f62c4"), ("#ffb000", "#b05a00"))
TIP = (
    "Average precision, TP / (TP + FP + FN), over the IoU from which an object counts as found. A "
    "curve that falls late has good outlines."
)
MARGINS = (34, 16, 8, 18)  # left, top, right, bottom, in pixels
NAMED_PIXELS = 90  # width from which there is room for the name of the axis
TICKS = (0.0, 0.5, 1.0)


class OverlapPlot(QWidget):
    """The curve of each candidate, drawn with Qt's painter (``docs/decisions/plots.md``)."""

    def __init__(self) -> None:
        super().__init__()
        self.curves: dict[str, Mapping[float, float]] = {}
        self.setToolTip(TIP)
        self.setAccessibleName("Average precision over overlap")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def show_curves(self, curves: Mapping[str, Mapping[float, float]]) -> None:
        """Draw other curves."""
        self.curves = dict(curves)
        self.setVisible(bool(self.curves))
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        """Qt's."""
        return QSize(120, 100)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Qt's."""
        return QSize(100, 60)

    def paintEvent(self, _: QPaintEvent | None) -> None:  # noqa: N802
        """Qt's."""
        if not self.curves:
            return
        left, top, right, bottom = MARGINS
        area = QRectF(self.rect()).adjusted(left, top, -right, -bottom)
        text = self.palette().color(QPalette.ColorRole.WindowText)
        dark = text.lightness() > 127
        ious = [iou for curve in self.curves.values() for iou in curve]
        low, high = min(ious), max(*ious, min(ious) + 1e-6)

        def at(iou: float, ap: float) -> QPointF:
            across = area.left() + (iou - low) / (high - low) * area.width()
            return QPointF(across, area.bottom() - ap * area.height())

        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        faint = QColor(text)
        faint.setAlpha(70)
        for tick in TICKS:
            painter.setPen(QPen(faint, 1))
            painter.drawLine(at(low, tick), at(high, tick))
            painter.setPen(text)
            box = QRectF(0, at(low, tick).y() - 8, left - 4, 16)
            painter.drawText(box, _RIGHT, f"{tick:g}")
        for iou, flag in ((low, _LEFT), (high, _RIGHT)):
            box = QRectF(at(iou, 0).x() - (0 if flag == _LEFT else 80), area.bottom() + 1, 80, 16)
            named = flag == _LEFT and area.width() > NAMED_PIXELS
            painter.drawText(box, flag, f"IoU {iou:g}" if named else f"{iou:g}")
        place = area.left()
        for number, (name, curve) in enumerate(self.curves.items()):
            colour = QColor(LINES[number % len(LINES)][not dark])
            painter.setPen(QPen(colour, 2))
            painter.drawPolyline(QPolygonF([at(i, ap) for i, ap in sorted(curve.items())]))
            title = painter.fontMetrics().elidedText(
                name, Qt.TextElideMode.ElideRight, int(area.width() / len(self.curves)) - 8
            )
            painter.drawText(QRectF(place, 0, area.width(), 14), _LEFT, title)
            place += painter.fontMetrics().horizontalAdvance(title) + 12
        painter.end()


# as numbers: that is what drawing text takes
_LEFT = (Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter).value
_RIGHT = (Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter).value
