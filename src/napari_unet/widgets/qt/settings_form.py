"""What the fields of a settings model allow: their types and bounds."""

from __future__ import annotations

import math
import types
from typing import Annotated, Any, Union, get_args, get_origin

from psygnal import Signal
from pydantic.fields import FieldInfo
from qtpy.QtGui import QValidator
from qtpy.QtWidgets import QDoubleSpinBox

DECIMALS = 9


def members_of(annotation: Any) -> list[Any]:
    """Members of a union, without their annotations."""
    return [member for member, _ in _unfold(annotation, ())]


def _unfold(annotation: Any, bounds: tuple[Any, ...]) -> list[tuple[Any, tuple[Any, ...]]]:
    """Members of a union, each with what is required of it."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        found = [b for m in more for b in (m.metadata if isinstance(m, FieldInfo) else [m])]
        return _unfold(inner, (*bounds, *found))
    if get_origin(annotation) in (Union, types.UnionType):
        return [pair for part in get_args(annotation) for pair in _unfold(part, bounds)]
    return [(annotation, bounds)]


def bounds_of(number: type, info: FieldInfo) -> tuple[float, float]:
    """The smallest and the largest value that can be typed."""
    own = [b for member, bounds in _unfold(info.annotation, ()) if member is number for b in bounds]
    low, high, open_low, open_high = 0.0, 1e6, False, False
    for bound in (*info.metadata, *own):  # each says one of ge, gt, le and lt
        if (ge := getattr(bound, "ge", None)) is not None:
            low = float(ge)
        if (gt := getattr(bound, "gt", None)) is not None:
            low, open_low = float(gt), True
        if (le := getattr(bound, "le", None)) is not None:
            high = float(le)
        if (lt := getattr(bound, "lt", None)) is not None:
            high, open_high = float(lt), True
    step = 10.0 ** -digits_of(number, high)
    return low + step * open_low, high - step * open_high


def digits_of(number: type, high: float) -> int:
    """Number of decimals that a field of this type and upper bound shows."""
    return 0 if number is int else 2 if high <= 1 else 1


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
