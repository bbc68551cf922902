"""What the dock "Train" has taken over from the last session: said, and dropped by a click."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from napari_unet.widgets.qt.blocker import Blocker
from napari_unet.widgets.qt.carried_line import (
    BASE,
    LAST_SESSION,
    OF_THE_MACHINE,
    Carried,
    CarriedLine,
)

if TYPE_CHECKING:
    from napari_unet.widgets.train.form import TrainForm

TASK = "task"
DROP_TIP = "Back to what the dock begins with. What was set since then stays."


class CarriedOver:
    """Task, base and settings of the last session, until they are changed or dropped.

    Parameters
    ----------
    form : TrainForm
        Before it is filled.

    Attributes
    ----------
    native : QWidget
        A line with a button, to be put into a dock; it hides where nothing was carried over.
    drop : PushButton
        The button.
    """

    def __init__(self, form: TrainForm) -> None:
        self._form = form
        self._carried: Carried = {}
        self._first: dict[str, Any] = {}  # what the dock begins with
        self._blocker = Blocker()
        self._line = CarriedLine(self._drop, DROP_TIP)
        self.native, self.drop = self._line.native, self._line.drop

    @property
    def text(self) -> str:
        """What is said of it; empty: nothing was carried over."""
        return self._line.text

    def start(self, values: Mapping[str, Any]) -> None:
        """Fill the form with what the last session left."""
        with self._blocker:
            self._form.start({})
            self._first = self._read()
            if values:
                self._form.set_values(values)
        found = self._read()
        # the base to begin with is that of the task
        suggested = next(iter(self._form.models.sources), None)
        first = {**self._first, BASE: None if suggested is None else str(suggested)}
        self._carried = {
            name: (value, LAST_SESSION)
            for name, value in found.items()
            if name not in OF_THE_MACHINE and value != first.get(name)
        }
        self._line.show(self._carried)

    def follow(self) -> None:
        """Take in that something in the form was changed: that is carried over no more."""
        if self._blocker.active or not self._carried:
            return
        values = self._read()
        self._carried = {n: e for n, e in self._carried.items() if values.get(n) == e[0]}
        self._line.show(self._carried)

    def hold(self, *, held: bool) -> None:
        """While a training runs, nothing can be dropped, and nothing is said."""
        self._line.show({} if held else self._carried)

    def _read(self) -> dict[str, Any]:
        values = self._form.values()
        return {TASK: values[TASK], BASE: values[BASE], **values["settings"]}

    def _drop(self) -> None:
        dropped, self._carried = self._carried, {}
        values = {name: value for name, value in self._read().items() if name not in dropped}
        task = values.pop(TASK, self._first[TASK])
        base = {BASE: values.pop(BASE)} if BASE in values and TASK not in dropped else {}
        values.pop(BASE, None)  # that of another task
        self._form.set_values({TASK: task, **base, "settings": values})
        self._line.show({})
