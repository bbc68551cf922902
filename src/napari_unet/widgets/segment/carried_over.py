"""Settings that were found on one image and are used on another: said, and dropped by a click."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari_unet.widgets.qt.blocker import Blocker
from napari_unet.widgets.qt.carried_line import (
    DIAMETER,
    LAST_SESSION,
    MODEL,
    OF_THE_MACHINE,
    Carried,
    CarriedLine,
)

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_unet.widgets.segment.form import SegmentForm

DROP_TIP = (
    "Back to what the model suggests and, where the model was carried over, to the model that "
    "the dock begins with. What was set for the image itself stays."
)


class CarriedOver:
    """What is set in a form for one image at a time.

    An image that was chosen before gets its own settings back. Another one begins with those of
    the image before, or of the last session, which is said until they are changed or dropped.

    Parameters
    ----------
    form : SegmentForm
        Before it is filled: the model that is chosen now is the one to go back to.

    Attributes
    ----------
    native : QWidget
        A line with a button, to be put into a dock; it hides where nothing was carried over.
    drop : PushButton
        The button.
    """

    def __init__(self, form: SegmentForm) -> None:
        self._form = form
        self._first_model = form.models.source
        self._own: WeakKeyDictionary[Image, tuple[dict[str, Any], Carried]] = WeakKeyDictionary()
        self._carried: Carried = {}
        self._image: Image | None = None
        self._origin = ""  # the image before, by its name
        self._blocker = Blocker()
        self._line = CarriedLine(self._drop, DROP_TIP)
        self.native, self.drop = self._line.native, self._line.drop

    @property
    def text(self) -> str:
        """What is said of it; empty: nothing was carried over."""
        return self._line.text

    def start(self, values: Mapping[str, Any], model: object) -> None:
        """Fill the form with what the last session left; a diameter is not among it."""
        values = {name: value for name, value in values.items() if name != DIAMETER}
        with self._blocker:
            self._form.start(values, model)
        self._carried = {name: (value, LAST_SESSION) for name, value in self._read().items()}
        self._image = self._form.layer
        self._show()

    def follow(self) -> bool:
        """Take in that another image is chosen, or that something in the form was changed.

        Returns
        -------
        bool
            Whether the form was filled in anew, of which it has told already.
        """
        if self._blocker.active:
            return False
        before, image = self._image, self._form.layer
        if image is before or image is None:
            self._forget_changed()
            if image is not None and before is not None:
                self._own[image] = self._read(), self._carried
                self._origin = image.name  # it may be gone when the next one comes
            return False
        self._image = image
        known = self._own.get(image)
        if known is None:
            if self._origin:  # else it is the first one, with what the last session left
                current = self._read().items()
                self._carried = {
                    name: (value, self._source_of(name, value)) for name, value in current
                }
            self._own[image] = self._read(), self._carried
            self._origin = image.name
            self._show()
            return False
        self._origin = image.name
        values, self._carried = known[0], dict(known[1])
        return self._write(values)

    def _source_of(self, name: str, value: Any) -> str:
        """Where a value was found: carried on twice, it is still that of the first image."""
        known = self._carried.get(name)
        return known[1] if known is not None and known[0] == value else f"‘{self._origin}’"

    def _read(self) -> dict[str, Any]:
        """What in the form differs from its defaults, but for what belongs to the machine."""
        values = self._form.values()
        found = {name: value for name, value in values.items() if name not in OF_THE_MACHINE}
        source = self._form.models.source
        return found if source == self._first_model else {**found, MODEL: source}

    def _write(self, values: Mapping[str, Any]) -> bool:
        """Fill the form in; gives whether that changed anything."""
        if self._read() == values:
            self._show()
            return False
        machine = {n: v for n, v in self._form.values().items() if n in OF_THE_MACHINE}
        settings = {name: value for name, value in values.items() if name != MODEL}
        with self._blocker:
            self._form.models.choose(values.get(MODEL, self._first_model))
        self._form.set_values({**settings, **machine})
        self._show()
        return True

    def _drop(self) -> None:
        dropped, self._carried = self._carried, {}
        self._write({n: v for n, v in self._read().items() if n not in dropped})

    def _forget_changed(self) -> None:
        """What was set for the image itself is carried over no more."""
        values = self._read()
        kept = {n: found for n, found in self._carried.items() if values.get(n) == found[0]}
        if kept != self._carried:
            self._carried = kept
            self._show()

    def _show(self) -> None:
        self._line.show(self._carried)
