"""Rows that are seldom needed, behind a button until it is pressed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from magicgui.widgets import PushButton

from napari_unet.widgets.qt.form import Row


class Fold:
    """Hides rows, but for those that have something to say.

    Parameters
    ----------
    rows : mapping of str to Row
        Which rows, by name.
    on_toggle : callable
        Called with whether they are shown, when the user pressed the button.

    Attributes
    ----------
    button : PushButton
        Shows and hides them.
    row : Row
        With the button.
    opened : bool
        Whether they are shown.
    """

    def __init__(self, rows: Mapping[str, Row], on_toggle: Callable[[bool], None]) -> None:
        self._rows = rows
        self._on_toggle = on_toggle
        self.opened = False
        self.button = PushButton()
        self.button.native.setFlat(True)
        self.button.native.setStyleSheet("text-align: left; background: transparent;")
        self.row = Row(self.button, "", "Settings that are seldom needed.")
        self.button.changed.connect(lambda _: self._toggle())

    def show(self, needed: Collection[str], *, changed: int = 0) -> None:
        """Hide the rows until opened, but for those ``needed``; say how many ``changed``."""
        for name, row in self._rows.items():
            row.fold(folded=not self.opened and name not in needed)
        count = f" ({changed} changed)" if changed else ""
        self.button.text = f"{'▾' if self.opened else '▸'} More settings{count}"

    def _toggle(self) -> None:
        self.opened = not self.opened
        self._on_toggle(self.opened)
