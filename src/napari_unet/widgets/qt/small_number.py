"""An editor of small numbers, such as 0.0003, which shows the digits that count."""

from __future__ import annotations

import math
from typing import Any

from psygnal import Signal
from qtpy.QtGui import QValidator
from qtpy.QtWidgets import QDoubleSpinBox

DECIMALS = 9


class SmallNumber:
    """A number above 0; a step doubles or halves it.

    The usual box has a fixed number of decimals: it shows 0.001 as 0.0, or 1 as 1.00000.

    Parameters
    ----------
    most : float
        Its upper bound.
    value : float
        To begin with.
    """

    changed = Signal(float)

    def __init__(self, most: float, value: float) -> None:
        self.native = _Box()
        self.native.setDecimals(DECIMALS)
        self.native.setRange(10.0**-DECIMALS, most)
        self.native.setValue(value)
        self.native.setKeyboardTracking(False)  # 0.0003 is not 0 on the way
        self.native.valueChanged.connect(self.changed.emit)

    @property
    def value(self) -> float:
        """The number."""
        return round(self.native.value(), DECIMALS)

    @value.setter
    def value(self, value: float) -> None:
        self.native.setValue(value)

    @property
    def tooltip(self) -> str:
        """Shown over it."""
        return self.native.toolTip()

    @tooltip.setter
    def tooltip(self, text: str) -> None:
        self.native.setToolTip(text)


class _Box(QDoubleSpinBox):
    def textFromValue(self, v: float) -> str:  # noqa: N802  # Qt's
        return format(v, f".{DECIMALS}f").rstrip("0").rstrip(".") or "0"

    def valueFromText(self, text: str | None) -> float:  # noqa: N802
        try:
            return float((text or "").replace(",", "."))
        except ValueError:
            return self.value()

    def validate(self, text: str | None, pos: int) -> Any:
        typed = (text or "").replace(",", ".")
        try:
            number = float(typed)
        except ValueError:
            on_the_way = all(letter in "0123456789.eE-" for letter in typed)
            state = QValidator.State.Intermediate if on_the_way else QValidator.State.Invalid
            return state, text, pos
        inside = math.isfinite(number) and self.minimum() <= number <= self.maximum()
        state = QValidator.State.Acceptable if inside else QValidator.State.Intermediate
        return state, text, pos

    def stepBy(self, steps: int) -> None:  # noqa: N802
        self.setValue(self.value() * 2.0**steps)
