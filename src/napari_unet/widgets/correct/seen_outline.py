"""Lines around the object that is looked at, and around those that were."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox

from napari_unet.widgets.viewer.object_outline import Box, ObjectOutline

if TYPE_CHECKING:
    from napari import Viewer

    from napari_unet.evaluation.object_survey import ObjectSurvey
    from napari_unet.widgets.correct.target import Target

SEEN_COLOUR = "#56b4e9"  # beside orange also for colour-blind people
SEEN_LINE_PIXELS = 2  # of the screen
DELAY_MS = 80  # after the last change: tools need not wait for it

Key = tuple[int, int]  # time point and label


class SeenOutline:
    """Outlines of objects; a check box says whether those that were looked at have one.

    Parameters
    ----------
    viewer : Viewer
        Where.

    Attributes
    ----------
    box : QCheckBox
        To be put into the dock.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._current = ObjectOutline(viewer)
        self._seen = ObjectOutline(viewer, SEEN_COLOUR, SEEN_LINE_PIXELS)
        self.box = QCheckBox("Outline what was looked at")
        self.box.setToolTip("Objects that you have accepted or corrected get a blue outline.")
        self.box.setChecked(True)
        self._draw: Callable[[], None] = lambda: None
        self._timer = QTimer(self.box)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY_MS)
        self._timer.timeout.connect(self._redraw)
        self.box.toggled.connect(lambda _: self._timer.start())

    def show(
        self,
        target: Target | None,
        survey: ObjectSurvey | None,
        current: Key | None,
        seen: Collection[Key],
    ) -> None:
        """Outline an object and others, soon."""

        def draw() -> None:
            if target is None or survey is None:
                self._current.clear()
                self._seen.clear()
                return
            keys = list(zip(survey.frames.tolist(), survey.labels.tolist(), strict=True))
            found = {
                key: (key[1], box_of(target.axes, survey, row)) for row, key in enumerate(keys)
            }
            others = [found[key] for key in seen if key in found and key != current]
            self._current.show(target.layer, [found[current]] if current in found else [])
            self._seen.show(target.layer, others if self.box.isChecked() else [])

        self._draw = draw
        self._timer.start()

    def _redraw(self) -> None:
        self._draw()

    def close(self) -> None:
        """Outline nothing, and follow the viewer no more."""
        self._timer.stop()
        self._current.close()
        self._seen.close()


def box_of(axes: str, survey: ObjectSurvey, row: int) -> Box:
    """Where an object of a survey lies, per axis of its layer."""
    ends = iter(zip(survey.starts[row], survey.stops[row], strict=True))
    time = int(survey.frames[row])
    box = []
    for axis in axes:
        first, stop = next(ends) if axis in "ZYX" else np.add(time * (axis == "T"), (0, 1))
        box.append(slice(int(first), int(stop)))
    return tuple(box)
