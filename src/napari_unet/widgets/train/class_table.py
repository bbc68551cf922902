"""The classes of pixels: value, colour and name of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from magicgui.widgets import LineEdit
from qtpy.QtCore import QSize
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QColorDialog, QGridLayout, QLabel, QToolButton, QWidget

from napari_unet.card import PALETTE, ClassInfo
from napari_unet.widgets.qt.form import Row

TIP = (
    "What the values in the labels mean. The values that were painted are listed by themselves; "
    "the colours are those in which results are shown."
)
EMPTY = "Paint two labels or more: each becomes a class."
SWATCH_PIXELS = 16

AskColour = Callable[[str, QWidget], str | None]


def ask_for_colour(colour: str, parent: QWidget) -> str | None:
    """Let the user choose a colour; None: the dialog was left without one."""
    found = QColorDialog.getColor(QColor(colour), parent, "Colour of the class")
    return found.name() if found.isValid() else None


@dataclass(eq=False)
class _Line:
    value: int
    swatch: QToolButton
    name: LineEdit


class ClassTable:
    """A line for each class; what was typed for a value stays when it comes again.

    Its ``row`` is to be put into a form.

    Parameters
    ----------
    on_change : callable
        Called when a name or a colour was changed.
    ask_colour : callable, optional
        Asks for a colour; gets the present one and the widget that asks.
    """

    def __init__(
        self, on_change: Callable[[], None], ask_colour: AskColour = ask_for_colour
    ) -> None:
        self._on_change = on_change
        self._ask_colour = ask_colour
        self._chosen: dict[int, dict[str, str]] = {}  # names and colours given by hand
        self._known: dict[int, ClassInfo] = {}
        self._lines: list[_Line] = []
        self.native = QWidget()
        self._grid = QGridLayout(self.native)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(2, 1)
        self.tooltip = ""
        self.row = Row(self, "Classes", TIP)  # type: ignore[arg-type]  # all that a row needs
        self._show_empty()

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """The classes, by value."""
        return tuple(
            known.model_copy(update=self._chosen.get(value, {}))
            for value, known in sorted(self._known.items())
        )

    @property
    def values(self) -> set[int]:
        """The values that have a line."""
        return set(self._known)

    def show_values(
        self, values: Iterable[int], suggested: Mapping[int, Mapping[str, str]] | None = None
    ) -> bool:
        """List these values.

        Parameters
        ----------
        values : iterable of int
            Values in the labels.
        suggested : mapping, optional
            Name and colour by value, as far as they are known.

        Returns
        -------
        bool
            Whether anything is listed otherwise than before.
        """
        known = {}
        for place, value in enumerate(sorted({*values})):
            look = {"name": default_name(value), "colour": PALETTE[place % len(PALETTE)]}
            known[value] = ClassInfo(value=value, **{**look, **(suggested or {}).get(value, {})})
        if known == self._known:
            return False
        self._known = known
        self._fill()
        return True

    def rename(self, value: int, name: str) -> None:
        """Give a class a name, as if it was typed."""
        next(line for line in self._lines if line.value == value).name.value = name

    def _fill(self) -> None:
        while self._grid.count():
            item = self._grid.takeAt(0)
            part = None if item is None else item.widget()
            if part is not None:
                part.hide()
                part.deleteLater()
        self._lines = [self._line(place, info) for place, info in enumerate(self.classes)]
        self._show_empty()

    def _show_empty(self) -> None:
        self.row.show_message(hint="" if len(self._known) > 1 else EMPTY)

    def _line(self, place: int, info: ClassInfo) -> _Line:
        value = QLabel(str(info.value))
        value.setToolTip("The value in the labels.")
        swatch = QToolButton()
        swatch.setToolTip("Choose the colour in which results are shown.")
        swatch.setIconSize(QSize(SWATCH_PIXELS, SWATCH_PIXELS))
        paint(swatch, info.colour)
        name = LineEdit(value=info.name)
        name.tooltip = "What the class is called."
        line = _Line(info.value, swatch, name)
        swatch.clicked.connect(lambda: self._recolour(line))
        name.changed.connect(lambda text: self._renamed(line, text))
        parts: list[Any] = [value, swatch, name.native]
        for column, part in enumerate(parts):
            self._grid.addWidget(part, place, column)
        return line

    def _renamed(self, line: _Line, text: str) -> None:
        chosen = self._chosen.setdefault(line.value, {})
        if text.strip():
            chosen["name"] = text.strip()
        else:
            chosen.pop("name", None)  # an empty name: as suggested
        self._on_change()

    def _recolour(self, line: _Line) -> None:
        info = next(each for each in self.classes if each.value == line.value)
        colour = self._ask_colour(info.colour, self.native)
        if colour is not None:
            self._chosen.setdefault(line.value, {})["colour"] = colour
            paint(line.swatch, colour)
            self._on_change()


def default_name(value: int) -> str:
    """What a class is called that nobody has named.

    >>> default_name(0), default_name(2)
    ('background', 'class 2')
    """
    return "background" if value == 0 else f"class {value}"


def paint(button: QToolButton, colour: str) -> None:
    """Show a colour on a button."""
    pixels = QPixmap(SWATCH_PIXELS, SWATCH_PIXELS)
    pixels.fill(QColor(colour))
    button.setIcon(QIcon(pixels))


def appearance_of(layer: Any, value: int) -> dict[str, str]:
    """Name and colour that a layer gives a label."""
    look: dict[str, str] = {}
    names = getattr(layer, "features", None)
    if names is not None and {"index", "class"} <= set(names.columns):
        found = names["class"][names["index"] == value]
        if len(found) and str(found.iloc[0]).strip():
            look["name"] = str(found.iloc[0]).strip()
    get_colour = getattr(layer, "get_color", None)
    colour = None if get_colour is None or value == 0 else get_colour(value)
    if colour is not None and len(colour) > 2:
        red, green, blue = (round(255 * float(part)) for part in colour[:3])
        look["colour"] = f"#{red:02x}{green:02x}{blue:02x}"
    return look
