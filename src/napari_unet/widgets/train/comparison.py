"""Two models side by side: what each of them says of the same pixels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QImage, QMouseEvent, QPainter, QPaintEvent, QPalette, QPixmap, QResizeEvent
from qtpy.QtWidgets import QDialog, QSizePolicy, QVBoxLayout, QWidget

SIDE_PIXELS = 256  # of the part that is shown
SHIFT_PIXELS = 64  # between two parts that are looked at
EDGE_PIXELS = 16  # of a part, which does not count
GAP_PIXELS = 6  # between the pictures
TIP = "The part of the last view in which the two differ most. Click to see it larger."
TIP_ALONE = "A part of the last view. Click to see it larger."
TIP_VALUES = f"{TIP} Equal values of both models are equally bright."
LARGEST_RANGE_RATIO = 4.0  # of image to values, for both to be drawn with the same limits

Picture = tuple[str, NDArray[np.uint8]]  # a caption, and (Y, X, 3) colours


def draw_pictures(
    image: NDArray[Any],
    base: NDArray[Any] | None,
    new: NDArray[Any],
    names: tuple[str, str] = ("base", "new"),
) -> list[Picture]:
    """Outlines by two models over the same part of an image, or the values that they give.

    Of a large image the part is taken in which they differ most.

    Parameters
    ----------
    image : (Y, X) or (C, Y, X) array
        The pixels.
    base, new : (Y, X) array
        Labels, or values where they are no integers; without a base the image alone stands in
        its place.
    names : tuple of str
        Captions.

    Returns
    -------
    list of (str, (Y, X, 3) uint8 array)
        Pictures with their captions: two, and the image before them where there are values by
        two models.

    Examples
    --------
    >>> pictures = draw_pictures(np.eye(300), None, np.eye(300, dtype=int))
    >>> [(name, picture.shape) for name, picture in pictures]
    [('image', (256, 256, 3)), ('new', (256, 256, 3))]
    """
    if new.dtype.kind == "f":
        return _draw_values(image, base, new, names)
    from napari_unet.image.overlay import draw_overlay  # seconds; a training has loaded it

    before = np.zeros_like(new) if base is None else base
    part = _part_that_differs(_outlines(before) != _outlines(new))
    pixels = image[(..., *part)]
    left = "image" if base is None else names[0]
    return [
        (left, draw_overlay(pixels, before[part])),
        (names[1], draw_overlay(pixels, new[part])),
    ]


def _draw_values(
    image: NDArray[Any], base: NDArray[Any] | None, new: NDArray[Any], names: tuple[str, str]
) -> list[Picture]:
    """The image and what the models make of it, these with the same limits of contrast."""
    pixels = image.mean(0) if image.ndim == 3 else image
    planes = [np.nan_to_num(np.asarray(x, np.float64)) for x in (pixels, new)]
    given = [] if base is None else [np.nan_to_num(np.asarray(base, np.float64))]
    part = _part_that_differs(np.abs((given or planes)[0] - planes[1]))
    limits = _limits([plane[part] for plane in (*given, planes[1])])
    own = _limits([planes[0][part]])
    captions = ["image", *names[:1][: len(given)], names[1]]
    shown = [planes[0], *given, planes[1]]
    bounds = [limits if _alike(own, limits) else own, *[limits] * (len(shown) - 1)]
    return [
        (caption, _grey(plane[part], *ends))
        for caption, plane, ends in zip(captions, shown, bounds, strict=True)
    ]


def _limits(planes: list[NDArray[np.float64]]) -> tuple[float, float]:
    """Between which values nearly all pixels lie."""
    low, high = np.percentile(np.concatenate([plane.ravel() for plane in planes]), (0.5, 99.5))
    return float(low), float(high)


def _alike(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether two ranges seem to be of the same kind of values.

    >>> _alike((0, 100), (10, 60)), _alike((0, 100), (0, 1)), _alike((0, 1), (5, 6))
    (True, False, False)
    """
    widths = sorted(high - low for low, high in (one, other))
    overlap = min(one[1], other[1]) > max(one[0], other[0])
    return overlap and widths[1] <= LARGEST_RANGE_RATIO * widths[0]


def _grey(plane: NDArray[np.float64], low: float, high: float) -> NDArray[np.uint8]:
    share = np.clip((plane - low) / max(high - low, 1e-9), 0, 1)
    return np.repeat((share * 255).astype(np.uint8)[..., None], 3, axis=2)


def _part_that_differs(differ: NDArray[Any]) -> tuple[slice, slice]:
    """The window with the largest differences in all; at the centre where nothing differs."""
    if max(differ.shape) <= SIDE_PIXELS:
        return slice(None), slice(None)
    sums = np.pad(differ.cumsum(0).cumsum(1), ((1, 0), (1, 0)))

    def count(*start: int) -> float:
        # an object at the edge of a window is not seen well, but at that of the image it is
        ends = [_inside(at, size) for at, size in zip(start, differ.shape, strict=True)]
        (top, bottom), (left, right) = ends
        return float(sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left])

    starts = [_starts(n) for n in differ.shape]
    y, x = max(((y, x) for y in starts[0] for x in starts[1]), key=lambda start: count(*start))
    return slice(y, y + SIDE_PIXELS), slice(x, x + SIDE_PIXELS)


def _inside(start: int, length: int) -> tuple[int, int]:
    """What of a window counts.

    >>> _inside(0, 500), _inside(200, 500), _inside(244, 500), _inside(0, 100)
    ((0, 240), (216, 440), (260, 500), (0, 100))
    """
    end = start + SIDE_PIXELS
    return start + EDGE_PIXELS * (start > 0), end - EDGE_PIXELS if end < length else length


def _starts(length: int) -> list[int]:
    """Where windows may begin; the one in the middle first, as it wins a draw.

    >>> _starts(100), _starts(384)
    ([0], [64, 0, 128])
    """
    last = max(length - SIDE_PIXELS, 0)
    return list(dict.fromkeys([last // 2, *range(0, last, SHIFT_PIXELS), last]))


def _outlines(labels: NDArray[Any]) -> NDArray[np.bool_]:
    from skimage.segmentation import find_boundaries

    found: NDArray[np.bool_] = find_boundaries(labels, mode="inner")  # type: ignore[no-untyped-call]
    return found


class SideBySide(QWidget):
    """Pictures beside each other with their captions, as large as there is room.

    Parameters
    ----------
    size : QSize
        As large as it likes to be.
    """

    def __init__(self, size: QSize) -> None:
        super().__init__()
        self._size = size
        self._pictures: list[tuple[str, QPixmap]] = []
        self.setMinimumSize(120, 70)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)

    @property
    def captions(self) -> list[str]:
        """What is written over the pictures."""
        return [caption for caption, _ in self._pictures]

    def show_pictures(self, pictures: list[Picture]) -> None:
        """Show other pictures; none at all hides the widget."""
        self._pictures = [(caption, _pixmap(colours)) for caption, colours in pictures]
        self.setAccessibleName(" | ".join(self.captions))
        self.setVisible(bool(pictures))
        self._limit()
        self.update()

    def enlarge(self) -> QDialog:
        """The same in a window of its own."""
        window = QDialog(self)
        window.setWindowTitle(" | ".join(self.captions))
        window.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        large = SideBySide(QSize(1040, 560))
        large._pictures = self._pictures
        layout = QVBoxLayout(window)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(large)
        window.show()
        return window

    def sizeHint(self) -> QSize:  # noqa: N802  # Qt's name
        """Qt's: as large as it likes to be."""
        return self._size

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Qt's: it has another size."""
        self._limit()
        super().resizeEvent(event)

    def _limit(self) -> None:
        """Take no more height than the pictures fill at this width."""
        width = self._width_of_one()
        heights = [p.height() * width / max(p.width(), 1) for _, p in self._pictures]
        if heights:
            height = math.ceil(max(heights)) + self.fontMetrics().height() + 2
            self.setMaximumHeight(max(height, self.minimumHeight()))

    def _width_of_one(self) -> float:
        count = len(self._pictures)
        return (self.width() - GAP_PIXELS * (count - 1)) / max(count, 1)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Qt's: a click enlarges it, once."""
        if not isinstance(self.window(), QDialog):
            self.enlarge()
        super().mouseReleaseEvent(event)

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        """Qt's: draw it."""
        del event
        if not self._pictures:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        line = painter.fontMetrics().height()
        width = self._width_of_one()
        try:
            for i, (caption, picture) in enumerate(self._pictures):
                left = i * (width + GAP_PIXELS)
                room = QSize(max(int(width), 1), max(self.height() - line - 2, 1))
                size = picture.size().scaled(room, Qt.AspectRatioMode.KeepAspectRatio)
                middle = left + (width - size.width()) / 2
                place = QRectF(middle, line + 2, size.width(), size.height())
                painter.drawPixmap(place, picture, QRectF(picture.rect()))
                text = painter.fontMetrics().elidedText(
                    caption, Qt.TextElideMode.ElideMiddle, int(width)
                )
                centre = Qt.AlignmentFlag.AlignCenter.value
                painter.drawText(QRectF(left, 0, width, line), centre, text)
        finally:
            painter.end()  # one that stays open brings Qt down


def _pixmap(colours: NDArray[np.uint8]) -> QPixmap:
    colours = np.ascontiguousarray(colours)
    height, width, _ = colours.shape
    kind = QImage.Format.Format_RGB888
    # Qt does not copy the bytes; a pixmap does
    return QPixmap.fromImage(QImage(colours.tobytes(), width, height, 3 * width, kind))
