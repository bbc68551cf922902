"""One slider for what most people want of the decoding: split touching objects more, or less."""

from __future__ import annotations

import math
from collections.abc import Callable

from magicgui.widgets import Container, Label, Slider

from napari_unet.widgets.qt.choice_list import WheelGoesOn

STEPS = 8  # to either side
STEPS_PER_DOUBLING = 4
LEAST_DEPTH, MOST_DEPTH = 0.01, 0.95
DIGITS = 2  # as the field of the depth has them
TIP = (
    "Further right, touching objects are split sooner; further left, they stay together. In the "
    "middle it is as the model suggests. It sets ‘Split depth’."
)


class SplitSlider(Container):  # type: ignore[type-arg]
    """A slider from "less" to "more" for the split depth.

    Parameters
    ----------
    on_change : callable
        Called with the split depth when the user moves the slider; None: as the model suggests.
    """

    def __init__(self, on_change: Callable[[float | None], None]) -> None:
        self._on_change = on_change
        self._suggested = 0.2
        self.slider = Slider(min=-STEPS, max=STEPS, value=0, readout=False)
        self.slider.native.setMinimumWidth(60)
        self._wheel = WheelGoesOn(self.slider.native)
        super().__init__(
            widgets=[Label(value="less"), self.slider, Label(value="more")],
            layout="horizontal",
            labels=False,
        )
        self.margins = (0, 0, 0, 0)
        self.slider.changed.connect(self._moved)

    @property
    def tooltip(self) -> str | None:
        """Shown over all parts."""
        return self.slider.tooltip

    @tooltip.setter
    def tooltip(self, text: str | None) -> None:
        for widget in self:
            widget.tooltip = text

    def show_depth(self, depth: float | None, suggested: float) -> None:
        """Show a split depth without telling of it; None: the suggested one."""
        self._suggested = suggested
        if depth != self._depth():  # neighbouring places may stand for the same
            with self.slider.changed.blocked():
                self.slider.value = 0 if depth is None else place_of(depth, suggested)

    def _depth(self) -> float | None:
        place = int(self.slider.value)
        return depth_at(place, self._suggested) if place else None

    def _moved(self, _: object = None) -> None:
        self._on_change(self._depth())


def depth_at(place: int, suggested: float) -> float:
    """The split depth that a place of the slider stands for.

    >>> [depth_at(place, 0.2) for place in (-8, -4, 0, 4, 8)]
    [0.8, 0.4, 0.2, 0.1, 0.05]
    """
    depth = suggested * 2 ** (-place / STEPS_PER_DOUBLING)
    return round(min(max(depth, LEAST_DEPTH), MOST_DEPTH), DIGITS)


def place_of(depth: float, suggested: float) -> int:
    """The place of the slider that is nearest to a split depth.

    >>> [place_of(depth, 0.2) for depth in (0.9, 0.4, 0.21, 0.1, 0.001)]
    [-8, -4, 0, 4, 8]
    """
    place = round(STEPS_PER_DOUBLING * math.log2(suggested / max(depth, 1e-6)))
    return min(max(place, -STEPS), STEPS)
