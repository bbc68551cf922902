"""The curves of a training while it runs: loss and metric over the steps.

Drawn with Qt's painter; what pyqtgraph was seen to do instead: ``docs/decisions/plots.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QPointF, QRectF, QSize, Qt, QTimer
from qtpy.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent, QPalette, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from napari_unet.card import Task
from napari_unet.training.steps import TrainStep
from napari_unet.widgets.train.learning_curve import (
    LearningCurve,
    Scale,
    Score,
    loss_scale,
    score_scale,
    step_scale,
)

REDRAW_INTERVAL_MS = 200  # milliseconds between two pictures
EMPTY = "Loss and score will be drawn here while it trains."
# for a dark and for a light background; told apart by colour-blind people too
LOSS = ("#6fa8ff", "#1f62c4")
METRIC = ("#ffb000", "#b05a00")
MEANINGS = {
    "mean AP": "Average precision of the objects on the held-out part: 1 where each is found and "
    "none is invented. The mean over how well outlines must agree (IoU 0.5 to 0.95).",
    "Dice": "How well the labelled area agrees on the held-out part: 1 where it is the same, 0 "
    "where nothing is.",
    "PSNR": "Peak signal-to-noise ratio on the held-out part, in decibels: higher is better.",
}
MOST_MARKED_SCORES = 60  # scores that get a point each

# as numbers: that is what drawing text takes
_LEFT = (Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter).value
_RIGHT = (Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter).value
_CENTRE = Qt.AlignmentFlag.AlignCenter.value
_WRAPPED = _CENTRE | Qt.TextFlag.TextWordWrap.value


class Curves(QWidget):
    """Loss (left axis) and metric (right axis) over the steps of a training.

    The loss is drawn faintly as it is and strongly as its running mean. Of the metric the best
    point, whose weights are kept, has a ring around it.

    Parameters
    ----------
    task : {"instance", "semantic", "regression"}
        Whose scores they are; it sets the range of their axis.
    """

    def __init__(self, task: Task = "instance") -> None:
        super().__init__()
        self._task: Task = task
        self.curve = LearningCurve()
        self._plot = QRectF()  # where the curves lie, in pixels
        self._head = QRectF()  # where the metric is named
        self._at: float | None = None  # the step under the mouse
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(REDRAW_INTERVAL_MS)
        self._pause.timeout.connect(self._renew)
        self.setMinimumHeight(110)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        self.setAccessibleName("Loss and score while training")

    @property
    def metric_name(self) -> str:
        """What the metric is called."""
        return self.curve.metric_name or "score"

    def clear(self, task: Task | None = None) -> None:
        """Forget all, for another training, perhaps of another task."""
        self._task = task or self._task
        self.curve = LearningCurve()
        self._at = None
        self._renew()

    def add(self, step: TrainStep) -> None:
        """Take a step in; the picture follows within a fifth of a second."""
        self.curve.add(step)
        if not self._pause.isActive():
            self._pause.start()

    def values_text(self) -> str:
        """What the curves show, in words."""
        parts = []
        if (latest := self.curve.latest) is not None:
            parts.append(f"Step {latest.step} of {max(self.curve.total, latest.step)}.")
            parts.append(f"Loss {latest.loss:.3g}, smoothed {latest.smooth:.3g}.")
        if self.curve.best is not None:
            best = self.curve.best
            said = [f"{x.value:.3f} at step {x.step}," for x in self.curve.scores[-1:]]
            parts += [self.metric_name, *said, f"best {best.value:.3f} at step {best.step}."]
        return " ".join(parts) or EMPTY

    def text_at(self, step: float) -> str:
        """The values that are nearest to a step, in words."""
        loss, score = self.curve.loss_near(step), self.curve.score_near(step)
        lines = []
        if loss is not None:
            lines.append(f"step {loss.step}: loss {loss.loss:.3g}, smoothed {loss.smooth:.3g}")
        if score is not None:
            lines.append(f"{self.metric_name} {score.value:.3f} at step {score.step}")
        return "\n".join(lines)

    def sizeHint(self) -> QSize:  # noqa: N802  # Qt's name
        """Qt's: as large as it likes to be."""
        return QSize(280, 150)

    def mouseMoveEvent(self, event: Any) -> None:  # noqa: N802
        """Qt's: tell the values under the mouse."""
        place = event.position()
        if self.curve.latest is None or not self._plot.contains(place):
            self._leave()
            if self._head.contains(place) and self.metric_name in MEANINGS:
                meaning = f"<qt>{MEANINGS[self.metric_name]}</qt>"  # so that its lines are broken
                QToolTip.showText(event.globalPosition().toPoint(), meaning, self)
            return
        across = (place.x() - self._plot.left()) / self._plot.width()
        self._at = step_scale(self.curve).value(across)
        QToolTip.showText(event.globalPosition().toPoint(), self.text_at(self._at), self)
        self.update()

    def leaveEvent(self, event: Any) -> None:  # noqa: N802
        """Qt's: the mouse is gone."""
        del event
        self._leave()

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        """Qt's: draw it."""
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        try:
            self._draw(painter)
        finally:
            painter.end()  # one that stays open brings Qt down

    def _leave(self) -> None:
        if self._at is not None:
            self._at = None
            QToolTip.hideText()
            self.update()

    def _renew(self) -> None:
        self.setAccessibleDescription(self.values_text())
        self.update()

    def _draw(self, painter: QPainter) -> None:
        palette = self.palette()
        text = palette.color(QPalette.ColorRole.WindowText)
        dark = text.lightness() > 127
        faint = _with_alpha(text, 60)
        font = QFont(self.font())
        font.setPointSizeF(max(font.pointSizeF() * 0.85, 6.0))
        painter.setFont(font)
        size = QFontMetrics(font)
        curve = self.curve
        if curve.latest is None:
            painter.setPen(text)
            painter.drawText(QRectF(self.rect()), _WRAPPED, EMPTY)
            return
        loss_colour, metric_colour = (QColor(pair[not dark]) for pair in (LOSS, METRIC))
        line = size.height()
        top = 1.5 * line + 3  # the highest number stands beside the plot, under the legend
        high = self.height() - top - line - 5
        most = max(2, int(high / (1.6 * line)))
        left = loss_scale(curve.losses)
        scores: list[Score] = [*curve.scores, *([curve.best] if curve.best is not None else [])]
        right = score_scale(scores, self._task)
        left_ticks = left.ticks(most)
        right_ticks = right.ticks(most) if scores else []
        before, behind = (_width(size, ticks) + 6 for ticks in (left_ticks, right_ticks))
        self._plot = plot = QRectF(before, top, self.width() - before - behind, high)
        steps = step_scale(curve)

        painter.setPen(QPen(faint, 1))
        painter.drawRect(plot)
        # losses have the grid
        for tick in left_ticks:
            painter.drawLine(_at(plot, steps.low, tick, steps, left), _end(plot, tick, left))
        painter.setPen(loss_colour)
        for tick in left_ticks:
            y = _at(plot, steps.low, tick, steps, left).y()
            place = QRectF(0, y - line / 2, before - 4, line)
            painter.drawText(place, _RIGHT, f"{tick:g}")
        painter.setPen(metric_colour)
        for tick in right_ticks:
            y = _at(plot, steps.low, tick, steps, right).y()
            place = QRectF(plot.right() + 4, y - line / 2, behind, line)
            painter.drawText(place, _LEFT, f"{tick:g}")
        self._draw_steps(painter, size, steps, text)
        self._draw_heads(painter, size, loss_colour, metric_colour)

        painter.setClipRect(plot.adjusted(-4, -4, 4, 4))
        thin = -(-len(curve.losses) // max(int(plot.width()), 1))
        points = [*curve.losses[::thin], curve.latest]
        painter.setPen(QPen(_with_alpha(loss_colour, 90), 1))
        raw = [_at(plot, point.step, point.loss, steps, left) for point in points]
        painter.drawPolyline(QPolygonF(raw))
        painter.setPen(QPen(loss_colour, 1.8))
        smooth = [_at(plot, point.step, point.smooth, steps, left) for point in points]
        painter.drawPolyline(QPolygonF(smooth))
        painter.setPen(QPen(metric_colour, 1.8))
        dots = [_at(plot, score.step, score.value, steps, right) for score in curve.scores]
        painter.drawPolyline(QPolygonF(dots))
        if len(curve.scores) <= MOST_MARKED_SCORES:
            painter.setBrush(metric_colour)
            for dot in dots:
                painter.drawEllipse(dot, 1.8, 1.8)
        if curve.best is not None:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(_at(plot, curve.best.step, curve.best.value, steps, right), 5, 5)
        if self._at is not None:
            painter.setPen(QPen(_with_alpha(text, 140), 1))
            x = _at(plot, self._at, left.low, steps, left).x()
            painter.drawLine(QPointF(x, plot.top()), QPointF(x, plot.bottom()))

    def _draw_steps(
        self, painter: QPainter, size: QFontMetrics, steps: Scale, text: QColor
    ) -> None:
        plot, line = self._plot, size.height()
        painter.setPen(text)
        name = "step"
        room = size.horizontalAdvance(name) + 8
        painter.drawText(QRectF(0, plot.bottom() + 3, plot.right(), line), _RIGHT, name)
        for tick in steps.ticks(max(2, int(plot.width() / 60))):
            x = plot.left() + plot.width() * steps.place(tick)
            label = f"{tick:.0f}"
            half = size.horizontalAdvance(label) / 2
            if tick == int(tick) and half < x < plot.right() - room - half:
                place = QRectF(x - half - 1, plot.bottom() + 3, 2 * half + 2, line)
                painter.drawText(place, _CENTRE, label)

    def _draw_heads(
        self, painter: QPainter, size: QFontMetrics, loss: QColor, metric: QColor
    ) -> None:
        """What the axes mean, which is the legend too: each in the colour of its curve."""
        line = size.height()
        scale = loss_scale(self.curve.losses)
        first = "— loss (log)" if scale.log else "— loss"
        painter.setPen(loss)
        painter.drawText(QRectF(2, 1, self.width(), line), _LEFT, first)
        self._head = QRectF()
        if self.curve.best is None:
            return
        second = f"{self.metric_name}, best {self.curve.best.value:.3g} ●—"
        room = self.width() - size.horizontalAdvance(first) - 16
        painter.setPen(metric)
        second = size.elidedText(second, Qt.TextElideMode.ElideLeft, room)
        wide = size.horizontalAdvance(second)
        self._head = QRectF(self.width() - 2 - wide, 1, wide, line)
        painter.drawText(QRectF(0, 1, self.width() - 2, line), _RIGHT, second)


def _at(plot: QRectF, step: float, value: float, steps: Scale, values: Scale) -> QPointF:
    """Where a value at a step is drawn."""
    across = plot.left() + plot.width() * steps.place(step)
    return QPointF(across, plot.bottom() - plot.height() * values.place(value))


def _end(plot: QRectF, value: float, values: Scale) -> QPointF:
    return QPointF(plot.right(), plot.bottom() - plot.height() * values.place(value))


def _width(size: QFontMetrics, ticks: Sequence[float]) -> int:
    return max((size.horizontalAdvance(f"{tick:g}") for tick in ticks), default=0)


def _with_alpha(colour: QColor, alpha: int) -> QColor:
    found = QColor(colour)
    found.setAlpha(alpha)
    return found
