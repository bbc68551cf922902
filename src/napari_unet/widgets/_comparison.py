"""Two models side by side: what each of them says of the same pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QImage, QMouseEvent, QPainter, QPaintEvent, QPalette, QPixmap
from qtpy.QtWidgets import QDialog, QSizePolicy, QVBoxLayout, QWidget

SIDE = 256  # pixels of the image that are shown
SHIFT = 64  # between two parts that are looked at
EDGE = 16  # of a part, which does not count
GAP = 6  # between the pictures
TIP = "The part of the last view in which the two differ most. Click to see it larger."
TIP_ALONE = "A part of the last view. Click to see it larger."

Picture = tuple[str, NDArray[np.uint8]]  # a caption, and (Y, X, 3) colours


def draw_pictures(
    image: NDArray[Any],
    base: NDArray[Any] | None,
    new: NDArray[Any],
    names: tuple[str, str] = ("base", "new"),
) -> list[Picture]:
    """Outlines by two models over the same part of an image.

    Of a large image the part is taken in which they differ most.

    Parameters
    ----------
    image : (Y, X) or (C, Y, X) array
        The pixels.
    base, new : (Y, X) integer array
        Labels; without a base the image alone stands in its place.
    names : tuple of str
        Captions.

    Returns
    -------
    list of (str, (Y, X, 3) uint8 array)
        Two pictures with their captions.

    Examples
    --------
    >>> pictures = draw_pictures(np.eye(300), None, np.eye(300, dtype=int))
    >>> [(name, picture.shape) for name, picture in pictures]
    [('image', (256, 256, 3)), ('new', (256, 256, 3))]
    """
    from napari_unet.overlay import draw_overlay  # seconds; a training has loaded it

    before = np.zeros_like(new) if base is None else base
    part = _part_that_differs(before, new)
    pixels = image[(..., *part)]
    left = "image" if base is None else names[0]
    return [
        (left, draw_overlay(pixels, before[part])),
        (names[1], draw_overlay(pixels, new[part])),
    ]


def _part_that_differs(base: NDArray[Any], new: NDArray[Any]) -> tuple[slice, slice]:
    """The window whose outlines differ in most pixels; at the centre where none differs."""
    if max(new.shape) <= SIDE:
        return slice(None), slice(None)
    differ = _outlines(base) != _outlines(new)
    sums = np.pad(differ.cumsum(0).cumsum(1), ((1, 0), (1, 0)))

    def count(*start: int) -> int:
        # an object at the edge of a window is not seen well, but at that of the image it is
        ends = [_inside(at, size) for at, size in zip(start, new.shape, strict=True)]
        (top, bottom), (left, right) = ends
        return int(sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left])

    starts = [_starts(n) for n in new.shape]
    y, x = max(((y, x) for y in starts[0] for x in starts[1]), key=lambda start: count(*start))
    return slice(y, y + SIDE), slice(x, x + SIDE)


def _inside(start: int, length: int) -> tuple[int, int]:
    """What of a window counts.

    >>> _inside(0, 500), _inside(200, 500), _inside(244, 500), _inside(0, 100)
    ((0, 240), (216, 440), (260, 500), (0, 100))
    """
    end = start + SIDE
    return start + EDGE * (start > 0), end - EDGE if end < length else length


def _starts(length: int) -> list[int]:
    """Where windows may begin; the one in the middle first, as it wins a draw.

    >>> _starts(100), _starts(384)
    ([0], [64, 0, 128])
    """
    last = max(length - SIDE, 0)
    return list(dict.fromkeys([last // 2, *range(0, last, SHIFT), last]))


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
        count = len(self._pictures)
        width = (self.width() - GAP * (count - 1)) / count
        try:
            for i, (caption, picture) in enumerate(self._pictures):
                left = i * (width + GAP)
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
