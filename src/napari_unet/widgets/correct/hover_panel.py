"""What lies under the cursor: number, area or volume, and confidence of an object."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from qtpy.QtCore import QTimer

from napari_unet.correction.edits import Point
from napari_unet.correction.window import object_window
from napari_unet.errors import UNetError
from napari_unet.widgets.correct.session import CorrectionSession
from napari_unet.widgets.correct.target import Target
from napari_unet.widgets.qt.form import text_label
from napari_unet.widgets.viewer.kept_scores import confidence_of

PAUSE_MS = 60  # between two looks
MOST_PIXELS = 1 << 24  # of a box around an object that is counted while the mouse moves
NOTHING = "Under the cursor: –"


class HoverPanel:
    """A line that follows the cursor.

    Parameters
    ----------
    session : CorrectionSession
        Whose labels are looked at.
    """

    def __init__(self, session: CorrectionSession) -> None:
        self._session = session
        self._label = text_label(NOTHING)
        self._label.tooltip = (
            "The object under the cursor: its number, its size by the pixel size of the layer, and "
            "the mean score inside it, where a run of this session has left scores."
        )
        self.native = self._label.native
        self._timer = QTimer(self.native)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE_MS)
        self._timer.timeout.connect(self.refresh)
        self._events = session.viewer.cursor.events.position
        self._events.connect(self._moved)
        session.corrected.connect(self._moved)
        session.target_changed.connect(self._moved)

    @property
    def text(self) -> str:
        """What the line says."""
        return str(self._label.value)

    def close(self) -> None:
        """Stop listening; no widget is touched."""
        self._events.disconnect(self._moved)
        self._session.corrected.disconnect(self._moved)
        self._session.target_changed.disconnect(self._moved)

    def refresh(self) -> None:
        """Look at what is under the cursor now."""
        point, target = self._session.point_under_cursor(), self._session.target
        self._label.value = NOTHING if point is None or target is None else describe(target, point)

    def _moved(self, _: Any = None) -> None:
        if not self._timer.isActive():
            self._timer.start()


def describe(target: Target, point: Point) -> str:
    """An object in a line, such as "7 · 41.2 µm² · confidence 0.93"."""
    label = target.label_at(point)
    if label <= 0:
        return "Under the cursor: background"
    parts = [f"Object {label}"]
    frame = point[: target.frame_depth]
    near = target.scene.near(label, point)
    try:
        window = object_window(target.labels, label, near=near, frame=frame)
    except UNetError:  # the labels were changed meanwhile
        return f"Object {label}"
    if math.prod(part.stop - part.start for part in window) <= MOST_PIXELS:
        mask = np.asarray(target.labels[window]) == label
        parts.append(size_text(int(mask.sum()), target.spacing, mask.ndim - len(frame)))
        confidence = confidence_of(target.layer, window, mask)
        if confidence is not None:
            parts.append(f"confidence {confidence:.2f}")
    return " · ".join(parts)


def size_text(pixels: int, spacing: tuple[float, ...] | None, ndim: int) -> str:
    """An area or a volume; in pixels where their size is not known.

    >>> size_text(50, (0.5, 0.5), 2), size_text(50, None, 3)
    ('12.5 µm² (50 pixels)', '50 voxels')
    """
    unit = "pixels" if ndim == 2 else "voxels"
    if spacing is None:
        return f"{pixels} {unit}"
    size = pixels * math.prod(spacing)
    return f"{size:.4g} {'µm²' if ndim == 2 else 'µm³'} ({pixels} {unit})"
