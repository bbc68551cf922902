"""A settings model as a form: one row per field, with its description as the tooltip.

A field that may be empty or "auto" is a number with the check box "auto" beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Literal, get_args, get_origin

from magicgui.widgets import CheckBox, ComboBox, Container, FloatSpinBox, Label, SpinBox, Widget
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLayout,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_unet.widgets.qt.scrolling import ScrollingPart
from napari_unet.widgets.qt.settings_form import SmallNumber, bounds_of, digits_of, members_of

FAULT_COLOUR = "#e0565b"  # legible on the dark and on the light theme
UNIT_DECIMALS = 2  # more of them where a number is shown in another unit
SMALLEST_STEP = 0.01  # what the usual box for numbers shows


def text_label(text: str = "") -> Label:
    """A label that wraps its text instead of widening the dock."""
    label = Label(value=text)
    _wrap(label.native)
    return label


def _wrap(native: QLabel) -> None:
    native.setWordWrap(True)
    native.setTextFormat(Qt.TextFormat.PlainText)
    native.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    # wrapped text says its own height, but only where the height may depend on the width
    policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    policy.setHeightForWidth(True)
    native.setSizePolicy(policy)


def narrow(combo: ComboBox) -> ComboBox:
    """A combo box that cuts long names instead of widening the dock."""
    native: QComboBox = combo.native
    native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    native.setMinimumContentsLength(8)
    return combo


class Row:
    """An editor with a line under it that gives a hint, or says what is wrong.

    Parameters
    ----------
    editor : Widget
        Edits the value.
    label : str
        Stands before the editor; empty: the editor takes the whole width.
    tooltip : str
        What the field means.
    """

    def __init__(self, editor: Widget, label: str, tooltip: str) -> None:
        self.editor: Any = editor
        self.fault = ""
        self._relevant, self._folded = True, False
        self._said = ("", "", False)
        self.native = QWidget()
        self.label = QLabel(label)
        self._note: QLabel | None = None  # most rows never have anything to say
        self._layout = layout = QVBoxLayout(self.native)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        layout.addWidget(editor.native)
        editor.tooltip = tooltip
        for part in (self.native, self.label):
            part.setToolTip(tooltip)
        self.label.setBuddy(editor.native)

    def put_beside(self, part: QWidget) -> None:
        """Put a small widget to the right of the editor."""
        line = QHBoxLayout()
        line.setSpacing(4)
        self._layout.removeWidget(self.editor.native)
        line.addWidget(self.editor.native, 1)
        line.addWidget(part)
        self._layout.insertLayout(0, line)

    def put_under(self, part: QWidget) -> None:
        """Put a widget under the editor and what is said of it."""
        self._layout.addWidget(part)

    @property
    def note(self) -> str:
        """The text under the editor."""
        return "" if self._note is None else self._note.text()

    def show(self, *, visible: bool) -> None:
        """Show or hide the row with its label; one that is folded stays hidden."""
        self._relevant = visible
        self._update_visibility()

    def fold(self, *, folded: bool) -> None:
        """Hide the row while it is seldom needed, also where it would be shown."""
        self._folded = folded
        self._update_visibility()

    def _update_visibility(self) -> None:
        visible = self._relevant and not self._folded
        self.native.setVisible(visible)
        self.label.setVisible(visible)

    def show_message(self, hint: str = "", fault: str = "", *, calm: bool = False) -> None:
        """Show a fault, else a hint, else nothing; a ``calm`` fault is only not done yet."""
        said = (hint, fault, calm)
        if said == self._said:
            return  # a style sheet costs milliseconds, and a form has many rows
        self._said = said
        self.fault = fault
        if self._note is None:
            self._note = QLabel(self.native)
            _wrap(self._note)
            self._layout.insertWidget(1, self._note)
        self._note.setText(fault or hint)
        self._note.setVisible(bool(fault or hint))
        red = bool(fault) and not calm
        self._note.setStyleSheet(f"color: {FAULT_COLOUR};" if red else "font-style: italic;")
        kind = _qt_class(type(self.editor.native).__name__)
        border = f"{kind} {{ border: 1px solid {FAULT_COLOUR}; }}"
        self.editor.native.setStyleSheet(border if red else "")


class Form(ScrollingPart):
    """Rows under each other, with their labels in a column; it scrolls where it must.

    Rows that are seldom needed are hidden one by one: superqt's `QCollapsible` holds them in a
    layout of its own, in which their labels would not line up with the others.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        inside = QWidget()
        layout = QFormLayout(inside)
        layout.setContentsMargins(0, 0, 6, 0)
        layout.setVerticalSpacing(5)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
        for row in rows:
            if row.label.text():
                layout.addRow(row.label, row.native)
            else:
                layout.addRow(row.native)
        super().__init__(inside)


def order_tabs(around: QWidget) -> None:
    """Let Tab walk the fields in the order of the layout, not in that of their making."""
    for field, after in pairwise(_fields(around)):
        QWidget.setTabOrder(field, after)


def _fields(around: QWidget) -> Iterator[QWidget]:
    """The widgets that Tab stops at, from top to bottom."""
    inside = around.widget() if isinstance(around, QScrollArea) else around
    layout = None if inside is None else inside.layout()
    if layout is None:
        if around.focusPolicy() & Qt.FocusPolicy.TabFocus:
            yield around
        return
    for part in _parts(layout):
        yield from _fields(part)


def _parts(layout: QLayout) -> Iterator[QWidget]:
    """The widgets of a layout, and of layouts in it."""
    for i in range(layout.count()):
        item = layout.itemAt(i)
        part = None if item is None else item.widget()
        inner = None if item is None else item.layout()
        if part is not None:
            yield part
        elif inner is not None:
            yield from _parts(inner)


def _qt_class(kind: str) -> str:
    """What a style sheet calls an editor; one of several parts is known by its number."""
    return kind if kind in ("QComboBox", "QLineEdit", "QCheckBox") else "QAbstractSpinBox"


class AutoNumber(Container):  # type: ignore[type-arg]
    """A number, or the check box "auto".

    Parameters
    ----------
    number : FloatSpinBox
        Edits the number.
    kind : type
        int or float.
    automatic : object
        The value that stands for "auto", such as None.
    start : float
        The number that editing begins with, where "auto" suggests none.
    """

    def __init__(self, number: FloatSpinBox, kind: type, automatic: Any, start: float) -> None:
        self.number = number
        self._kind = kind
        self.auto = CheckBox(text="auto", value=True)
        self._automatic = automatic
        self._start = start
        self._suggested: float | None = None
        self._unit = 1.0
        self._shown: tuple[float, float] = (0.0, 0.0)  # a number, and the value that it stands for
        self._range = float(number.min), float(number.max), int(number.native.decimals())
        super().__init__(widgets=[number, self.auto], layout="horizontal", labels=False)
        self.margins = (0, 0, 0, 0)
        self._switch(auto=True)
        self.auto.changed.connect(lambda auto: self._switch(auto=auto))

    @property
    def tooltip(self) -> str | None:
        """Shown over both parts."""
        return self.number.tooltip

    @tooltip.setter
    def tooltip(self, text: str | None) -> None:
        for widget in (self.number, self.auto):
            widget.tooltip = text

    @property
    def value(self) -> Any:
        """The number, or the value that stands for "auto"."""
        return self._automatic if self.auto.value else self._kind(self._in_own_unit())

    @value.setter
    def value(self, value: Any) -> None:
        is_number = isinstance(value, int | float)
        self.auto.value = not is_number
        if is_number:
            self._show_number(value)

    def set_unit(self, unit: float) -> None:
        """Show and take the number in another unit, of which one of its own has ``unit``.

        The value stays as it is. 1: its own unit.
        """
        if unit == self._unit:
            return
        value, (low, high, decimals) = self._in_own_unit(), self._range
        with self.number.changed.blocked():
            self._unit = unit
            self.number.native.setDecimals(decimals if unit == 1 else decimals + UNIT_DECIMALS)
            self.number.min, self.number.max = low * unit, high * unit
            self._show_number(value)
            if self.auto.value:
                self._switch(auto=True)

    def _in_own_unit(self) -> float:
        shown, value = self._shown
        number = float(self.number.value)
        return value if number == shown else round(number / self._unit, 6)

    def _show_number(self, value: float) -> None:
        self.number.value = value * self._unit
        self._shown = float(self.number.value), value

    def suggest(self, number: float | None) -> None:
        """Show what "auto" stands for; None: a dash, where that is known later only."""
        self._suggested = number
        if self.auto.value:
            self._switch(auto=True)

    def _switch(self, *, auto: bool) -> None:
        self.number.enabled = not auto
        # what Qt shows instead of the smallest number
        self.number.native.setSpecialValueText("–" if auto else "")
        if auto:
            self._show_number(self._range[0] if self._suggested is None else self._suggested)
        elif self.number.value == self.number.min:
            self._show_number(self._start)


class SettingsForm:
    """Rows for fields of a settings model, to be put into a container.

    Parameters
    ----------
    kind : type of BaseModel
        The settings model.
    fields : iterable of str
        The fields that get a row, in this order.
    labels : mapping, optional
        Labels by field; else the name in words.
    choices : mapping, optional
        Choices of text fields.
    on_change : callable
        Called after each change.
    """

    def __init__(
        self,
        kind: type[BaseModel],
        fields: Iterable[str],
        *,
        labels: Mapping[str, str] | None = None,
        choices: Mapping[str, list[str]] | None = None,
        on_change: Callable[[], None],
    ) -> None:
        self._kind = kind
        self.rows: dict[str, Row] = {}
        for name in fields:
            info = kind.model_fields[name]
            editor = _editor(info, (choices or {}).get(name))
            label = (labels or {}).get(name, name.replace("_", " ").capitalize())
            self.rows[name] = Row(editor, label, info.description or label)
        for row in self.rows.values():
            parts = (
                (row.editor.number, row.editor.auto)
                if isinstance(row.editor, AutoNumber)
                else (row.editor,)
            )
            for part in parts:
                part.changed.connect(lambda _: on_change())

    def values(self) -> dict[str, Any]:
        """The fields that differ from their defaults."""
        found = {name: row.editor.value for name, row in self.rows.items()}
        return {n: v for n, v in found.items() if v != self._kind.model_fields[n].default}

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Take over the values that the model accepts; the other fields get their defaults."""
        for name, row in self.rows.items():
            value = self._kind.model_fields[name].default
            if name in values and _accepts(self._kind, name, values[name]):
                value = values[name]
            if isinstance(row.editor, ComboBox) and value not in row.editor.choices:
                value = self._kind.model_fields[name].default
            row.editor.value = value

    def set_choices(self, name: str, choices: list[str]) -> None:
        """Offer other choices in a text field; what is chosen stays, and is among them."""
        editor = self.rows[name].editor
        chosen = editor.value
        editor.choices = [*choices, *({chosen} - set(choices))]
        editor.value = chosen

    def suggest(self, values: Mapping[str, float | None]) -> None:
        """Show what "auto" stands for, by field."""
        for name, value in values.items():
            row = self.rows.get(name)
            if row is not None and isinstance(row.editor, AutoNumber):
                row.editor.suggest(value)


def _accepts(kind: type[BaseModel], name: str, value: Any) -> bool:
    try:
        kind.model_validate({name: value})
    except ValidationError:
        return False
    return True


def _editor(info: FieldInfo, choices: list[str] | None) -> Any:
    members = members_of(info.annotation)
    literals = [value for m in members if get_origin(m) is Literal for value in get_args(m)]
    number = int if int in members else float if float in members else None
    if bool in members:
        return CheckBox(value=info.default, text="")
    if number is None:
        return narrow(ComboBox(choices=choices or literals, value=info.default))
    least, most = bounds_of(number, info)
    if type(None) in members or literals:
        start = min(256, most) if number is int else least
        return AutoNumber(_spin(number, least, most, least), number, info.default, start)
    if number is int:
        return SpinBox(min=int(least), max=int(most), value=info.default)
    if 0 < info.default < SMALLEST_STEP:
        return SmallNumber(most, info.default)
    return _spin(number, least, most, info.default)


def _spin(number: type, least: float, most: float, value: float) -> FloatSpinBox:
    # whole numbers too: the box for them cannot show a dash
    digits = digits_of(number, most)
    spin = FloatSpinBox(min=least, max=most, step=0.05 if digits == 2 else 1.0, value=value)
    spin.native.setDecimals(digits)
    return spin
