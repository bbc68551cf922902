"""Histogram and scatter plot of the columns of a table, in which rows are chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QRectF, Qt
from qtpy.QtGui import QPalette
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_unet.widgets.qt.blocker import Blocker
from napari_unet.widgets.qt.choice_list import WheelGoesOn

COUNT = "count"
NO_PYQTGRAPH = (
    "Histograms and scatter plots need the package pyqtgraph: install it into this environment "
    "with ‘pip install pyqtgraph’, then start napari again."
)
TIP = (
    "Drag to choose the objects inside, click to choose one. The wheel zooms, the right button "
    "stretches; A in the corner shows all again."
)
COLOURS = {True: "#7a9cc6", False: "#3f6ea6"}  # of the objects, on a dark theme and on a light one
CHOSEN = "#ffb000"  # as in the viewer
MOST_POINTS = 20_000  # drawn of a scatter plot; more take longer than a move of the mouse
BINS = (5, 60)
CLICK_PIXELS = 12  # around a point

Rows = NDArray[np.int64]


class ObjectPlot(QWidget):
    """Plots of the rows that a table shows, in one of which the chosen ones are marked.

    Parameters
    ----------
    on_choose : callable
        Called with the rows, (n,) int64, when the user chooses some here; not for `choose`.
    """

    def __init__(self, on_choose: Callable[[Rows], None]) -> None:
        super().__init__()
        self._on_choose = on_choose
        self._blocker = Blocker()
        self._columns: dict[str, NDArray[np.float64]] = {}
        self._titles: dict[str, str] = {}
        self._shown: Rows = np.zeros(0, np.int64)
        self._chosen: Rows = np.zeros(0, np.int64)
        self._edges: NDArray[np.float64] | None = None  # of the bins; None: a scatter plot
        self.across, self.upward = QComboBox(), QComboBox()
        self.note = QLabel()
        self.note.setWordWrap(True)
        line = QHBoxLayout()
        line.setSpacing(4)
        for word, box in (("x", self.across), ("y", self.upward)):
            line.addWidget(QLabel(word))
            line.addWidget(box, 1)
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            box.setMinimumContentsLength(4)
            WheelGoesOn(box)
            box.currentIndexChanged.connect(lambda _: self._axes_changed())
        self.across.setToolTip("The column along the horizontal axis.")
        self.upward.setToolTip("The column along the vertical axis; count: a histogram.")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addLayout(line)
        self._area: Any = _make_area(self._rectangle, self._clicked)
        if self._area is None:
            self.note.setText(NO_PYQTGRAPH)
            self.across.setEnabled(False)
            self.upward.setEnabled(False)
            layout.addWidget(self.note, 1)
        else:
            self._area.setToolTip(TIP)
            self._area.setMinimumSize(120, 60)
            layout.addWidget(self._area, 1)
            layout.addWidget(self.note)
            self.note.hide()

    @property
    def can_plot(self) -> bool:
        """Whether there is what draws."""
        return self._area is not None

    def show_table(self, columns: Mapping[str, Any], titles: Mapping[str, str]) -> None:
        """Plot another table; the axes stay where it has their columns.

        Parameters
        ----------
        columns : mapping of str to (n,) array
            Of which those that hold numbers can be plotted.
        titles : mapping of str to str
            Names with units.
        """
        arrays = {name: np.asarray(columns[name]) for name in columns}
        self._columns = {
            name: values.astype(float)
            for name, values in arrays.items()
            if values.dtype.kind in "biuf"
        }
        self._titles = {name: titles.get(name, name) for name in self._columns}
        count = len(next(iter(self._columns.values()), ()))
        self._shown, self._chosen = np.arange(count), np.zeros(0, np.int64)
        with self._blocker:
            _list(self.across, list(self._columns), "area")
            _list(self.upward, [COUNT, *self._columns], COUNT)
        self._draw(anew=True)

    def show_rows(self, rows: Rows) -> None:
        """Plot these rows only."""
        self._shown = np.sort(rows)
        self._draw(anew=True)

    def choose(self, rows: Rows) -> None:
        """Mark rows, without telling ``on_choose``."""
        self._chosen = np.asarray(rows, np.int64)
        self._draw(anew=False)

    def plot(self, x: str, y: str = COUNT) -> None:
        """Choose the columns of the axes."""
        with self._blocker:
            self.across.setCurrentText(x)
            self.upward.setCurrentText(y)
        self._draw(anew=True)

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        """Qt's: the theme is another one."""
        super().changeEvent(event)
        kind = None if event is None else event.type()
        made = vars(self).get("_area") is not None
        if made and kind in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self._draw(anew=False)

    def _axes_changed(self) -> None:
        if not self._blocker.active:
            self._draw(anew=True)

    def _values(self, name: str) -> tuple[Rows, NDArray[np.float64]]:
        """The rows that are shown and have a value there, and their values."""
        values = self._columns[name][self._shown]
        known = np.isfinite(values)
        return self._shown[known], values[known]

    def _draw(self, *, anew: bool) -> None:
        """Draw; ``anew``: what was zoomed to is of no use now."""
        area = self._area
        if area is None:
            return
        area.clear()
        x, y = self.across.currentText(), self.upward.currentText()
        palette = self.palette()
        ink = palette.color(QPalette.ColorRole.WindowText)
        area.setBackground(palette.color(QPalette.ColorRole.Window))
        for side in ("left", "bottom"):
            area.getAxis(side).setPen(ink)
            area.getAxis(side).setTextPen(ink)
        said = ""
        if x in self._columns:
            colour = COLOURS[ink.lightness() > 128]
            area.setLabel("bottom", self._titles[x])
            area.setLabel("left", "objects" if y == COUNT else self._titles[y])
            said = self._draw_bars(x, colour) if y == COUNT else self._draw_points(x, y, colour)
        self.note.setText(said)
        self.note.setVisible(bool(said))
        if anew:
            area.getViewBox().autoRange()
            area.enableAutoRange()

    def _draw_bars(self, x: str, colour: str) -> str:
        from pyqtgraph import BarGraphItem

        rows, values = self._values(x)
        self._edges = edges = bin_edges(values)
        middles, width = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
        chosen = np.isin(rows, self._chosen)
        for part, brush in ((values, colour), (values[chosen], CHOSEN)):
            if len(part):
                height = np.histogram(part, edges)[0]
                self._area.addItem(
                    BarGraphItem(x=middles, height=height, width=width, brush=brush, pen=None)
                )
        return _missing(len(self._shown) - len(rows), x)

    def _draw_points(self, x: str, y: str, colour: str) -> str:
        from pyqtgraph import ScatterPlotItem

        self._edges = None
        rows, first, second = self._points(x, y)
        drawn = np.arange(len(rows))
        said = _missing(len(self._shown) - len(rows), f"{x} or {y}")
        if len(rows) > MOST_POINTS:  # spread over the table, always the same
            drawn = np.linspace(0, len(rows) - 1, MOST_POINTS).astype(np.int64)
            said = f"{MOST_POINTS:,} of {len(rows):,} points are drawn. {said}".strip()
        chosen = np.flatnonzero(np.isin(rows, self._chosen))[:MOST_POINTS]
        for part, brush, size in ((drawn, colour, 4), (chosen, CHOSEN, 7)):
            if len(part):
                points = ScatterPlotItem(
                    x=first[part], y=second[part], size=size, brush=brush, pen=None
                )
                self._area.addItem(points)
        return said

    def _points(self, x: str, y: str) -> tuple[Rows, NDArray[np.float64], NDArray[np.float64]]:
        first, second = self._columns[x][self._shown], self._columns[y][self._shown]
        known = np.isfinite(first) & np.isfinite(second)
        return self._shown[known], first[known], second[known]

    # what the mouse does

    def _rectangle(self, rectangle: QRectF) -> None:
        """Choose what lies in a rectangle; of a histogram, between its sides."""
        x, y = self.across.currentText(), self.upward.currentText()
        if x not in self._columns:
            return
        if self._edges is not None:
            rows, first = self._values(x)
            inside = (first >= rectangle.left()) & (first <= rectangle.right())
        else:
            rows, first, second = self._points(x, y)
            inside = (first >= rectangle.left()) & (first <= rectangle.right())
            inside &= (second >= rectangle.top()) & (second <= rectangle.bottom())
        self._tell(rows[inside])

    def _clicked(self, x: float, y: float, pixel: tuple[float, float]) -> None:
        """Choose the bar or the point at a place; nothing there: no row."""
        name, other = self.across.currentText(), self.upward.currentText()
        if name not in self._columns:
            return
        if self._edges is not None:
            rows, values = self._values(name)
            at = int(np.searchsorted(self._edges, x, "right")) - 1
            if not 0 <= at < len(self._edges) - 1:
                self._tell(rows[:0])
                return
            low, high = self._edges[at], self._edges[at + 1]
            last = at == len(self._edges) - 2  # which has its upper edge too
            self._tell(rows[(values >= low) & ((values <= high) if last else (values < high))])
            return
        rows, first, second = self._points(name, other)
        if not len(rows):
            return
        away = np.hypot((first - x) / pixel[0], (second - y) / pixel[1])
        nearest = int(np.argmin(away))
        self._tell(rows[[nearest]] if away[nearest] <= CLICK_PIXELS else rows[:0])

    def _tell(self, rows: Rows) -> None:
        self.choose(rows)
        self._on_choose(rows)


def bin_edges(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Edges of the bins of a histogram, by the rule of Freedman and Diaconis within limits.

    Examples
    --------
    >>> bin_edges(np.array([1.0, 2, 3])).tolist()
    [1.0, 1.4, 1.8, 2.2, 2.6, 3.0]
    >>> len(bin_edges(np.zeros(0))), len(bin_edges(np.full(9, 4.0)))
    (6, 6)
    """
    if not len(values):
        return np.linspace(0, 1, BINS[0] + 1)
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return np.linspace(low - 0.5, high + 0.5, BINS[0] + 1)
    quarter, rest = np.quantile(values, [0.25, 0.75])
    width = 2 * (rest - quarter) / len(values) ** (1 / 3)
    count = BINS[1] if width <= 0 else np.clip((high - low) / width, *BINS)
    if len(values) <= BINS[0]:
        count = BINS[0]
    return np.linspace(low, high, int(np.ceil(count)) + 1)


def _missing(count: int, what: str) -> str:
    if not count:
        return ""
    return f"{count:,} object{'s have' if count > 1 else ' has'} no {what}."


def _list(box: QComboBox, names: list[str], first: str) -> None:
    """List names; what was chosen stays where it can."""
    before = box.currentText()
    box.clear()
    box.addItems(names)
    for wanted in (before, first):
        if wanted in names:
            box.setCurrentText(wanted)
            return


def _make_area(on_rectangle: Callable[[QRectF], None], on_click: Callable[..., None]) -> Any:
    """What draws; None without pyqtgraph."""
    try:
        import pyqtgraph as pg
    except ImportError:
        return None

    class SelectingBox(pg.ViewBox):  # type: ignore[misc]
        """A drag with the left button chooses instead of moving the view."""

        def mouseDragEvent(self, event: Any, axis: int | None = None) -> None:  # noqa: N802
            if axis is not None or event.button() != Qt.MouseButton.LeftButton:
                super().mouseDragEvent(event, axis)
                return
            event.accept()
            if event.isFinish():
                self.rbScaleBox.hide()
                corners = QRectF(event.buttonDownPos(), event.pos()).normalized()
                on_rectangle(self.childGroup.mapRectFromParent(corners))
            else:
                self.updateScaleBox(event.buttonDownPos(), event.pos())

        def mouseClickEvent(self, event: Any) -> None:  # noqa: N802
            if event.button() != Qt.MouseButton.LeftButton:
                return
            event.accept()
            place = self.mapToView(event.pos())
            on_click(place.x(), place.y(), self.viewPixelSize())

    area = pg.PlotWidget(viewBox=SelectingBox(enableMenu=False))
    area.getPlotItem().setMenuEnabled(False)
    return area
