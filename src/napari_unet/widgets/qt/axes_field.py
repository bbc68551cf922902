"""The fields for the axes and the channels of an image: guessed, shown, and typed over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from magicgui.widgets import LineEdit
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from napari_unet.widgets.qt.fields import FieldError, parse_channels
from napari_unet.widgets.qt.form import Row

AXES_TIP = (
    "What each axis of the image means, in order: T time, C channel, Z plane, Y row, X column."
)
SPLIT_TIP = "Make an image layer of each channel, and hide this one."
TAKEN_OVER = "Taken as typed for another image: type them here if they differ."


class AxesGuess(NamedTuple):
    """Axes of an image.

    Attributes
    ----------
    axes : str
        Such as "ZYX"; empty where there is no guess.
    doubt : str
        Why they may be others, in words; empty where there is no doubt.
    others : tuple of str
        What else they may be.
    """

    axes: str
    doubt: str = ""
    others: tuple[str, ...] = ()


class AxesField:
    """The axes of one image at a time, and its channels.

    What is typed belongs to the image, which keeps it. Only what an image cannot keep, since it
    does not fit, stays here, whichever image is shown meanwhile. Images are told apart by
    identity: any object that can be weakly referenced stands for one. The ``rows`` are to be put
    into a form.

    Parameters
    ----------
    guess : callable
        Gives the `AxesGuess` of an image.
    default_channels : callable
        Gives the channels that are taken of an image with these axes where none were typed.
    on_change : callable
        Called when something was typed.
    keep : callable
        Gives axes that were typed to an image; False where they cannot be its axes.
    channels_tip : str
        What the channels are for.
    holds_for : callable, optional
        Whether axes that were typed for another image may hold for this one, where its own are
        doubtful. Where it is given, the channels hold for all images.
    split : callable, optional
        Makes layers of the channels of an image: called with it, its axes, and the number of the
        first channel that is taken. Where it is given, a button offers that.
    """

    def __init__(
        self,
        guess: Callable[[Any], AxesGuess],
        default_channels: Callable[[Any, str], tuple[int, ...]],
        on_change: Callable[[], None],
        keep: Callable[[Any, str], bool],
        *,
        channels_tip: str,
        holds_for: Callable[[Any, str], bool] | None = None,
        split: Callable[[Any, str, int], None] | None = None,
    ) -> None:
        self._guess = guess
        self._default_channels = default_channels
        self._on_change = on_change
        self._keep = keep
        self._holds_for = holds_for
        # what images do not keep, with what was known of them then
        self._typed: WeakKeyDictionary[Any, tuple[str, str]] = WeakKeyDictionary()
        self._kept: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        self._typed_channels: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        self._common_channels: str | None = None
        self._image: Any = None
        self.axes = LineEdit()
        self.channels = LineEdit()
        self.rows = {
            "axes": Row(self.axes, "Axes", AXES_TIP),
            "channels": Row(self.channels, "Channels", channels_tip),
        }
        self.choices = _AxesButtons(self._settle)
        self.rows["axes"].put_under(self.choices)
        self._split = split
        self.split = QPushButton("Split")
        self.split.setToolTip(SPLIT_TIP)
        self.rows["channels"].put_beside(self.split)
        self.split.clicked.connect(lambda _: self._split_channels())
        self.axes.changed.connect(lambda _: self._store_axes())
        self.channels.changed.connect(lambda _: self._store_channels())

    @property
    def typed(self) -> tuple[Any, ...]:
        """All that was typed; equal while nothing else was."""
        axes = (*self._typed.values(), *self._kept.values())
        return self._common_channels, *axes, *self._typed_channels.values()

    def show(self, image: Any | None) -> None:
        """Show the axes and channels of an image; None: there is no image."""
        self._image = image
        axes, doubt, others = AxesGuess("") if image is None else self._find(image)
        self.choices.show_axes((axes, *others) if doubt and others else ())
        if self.axes.value.strip().upper() != axes:
            with self.axes.changed.blocked():
                self.axes.value = axes
        self.rows["channels"].show(visible="C" in axes)
        if image is None or "C" not in axes:
            return
        colours = bool(getattr(image, "rgb", False))  # which stay together
        self.split.setVisible(self._split is not None and not colours)
        channels = self.channels_text(image)
        if self.channels.value.strip() != channels:
            with self.channels.changed.blocked():
                self.channels.value = channels

    def axes_of(self, image: Any) -> str:
        """Axes of an image in upper case, not checked; empty: they cannot be guessed."""
        return self._find(image).axes

    def doubt_about(self, image: Any) -> str:
        """Why the axes may be others, in words; empty where they were typed."""
        return self._find(image).doubt

    def channels_text(self, image: Any) -> str:
        """The channels of an image as they stand in the field."""
        typed = self._typed_channels.get(image, self._common_channels)
        if typed is not None:
            return typed
        return ", ".join(map(str, self._default_channels(image, self.axes_of(image))))

    def channels_of(self, image: Any) -> tuple[int, ...]:
        """The channels of an image.

        Raises
        ------
        FieldError
            If they are no numbers.
        """
        return parse_channels(self.channels_text(image))

    def forget(self, image: Any) -> None:
        """Forget what was typed for an image and not kept by it."""
        self._typed.pop(image, None)
        self._typed_channels.pop(image, None)

    def _find(self, image: Any) -> AxesGuess:
        """Axes, and the doubt about them."""
        guess = self._guess(image)
        text, known = self._typed.get(image, ("", None))
        if known == guess.axes:
            return AxesGuess(text)
        self._typed.pop(image, None)  # the image has got others since
        if guess.doubt and self._holds_for is not None:
            others = [self._guess(other).axes for other in self._kept if other is not image]
            fitting = [other for other in others if self._holds_for(image, other)]
            if fitting and fitting[-1] != guess.axes:
                chosen = fitting[-1]
                rest = [axes for axes in (guess.axes, *guess.others) if axes != chosen]
                return AxesGuess(chosen, TAKEN_OVER, tuple(rest))
        return guess

    def _settle(self, axes: str) -> None:
        """Take axes that were chosen by a click."""
        with self.axes.changed.blocked():
            self.axes.value = axes
        self._store_axes()

    def _split_channels(self) -> None:
        if self._split is not None and self._image is not None:
            try:
                first = self.channels_of(self._image)[0]
            except (FieldError, IndexError):
                first = 0
            self._split(self._image, self.axes_of(self._image), first)

    def _store_axes(self) -> None:
        if self._image is None:
            return
        self._typed.pop(self._image, None)
        self._kept.pop(self._image, None)  # put in again as the last
        text = self.axes.value.strip().upper()
        if self._keep(self._image, text):
            self._kept[self._image] = text
        else:
            self._typed[self._image] = text, self._guess(self._image).axes
        self._on_change()

    def _store_channels(self) -> None:
        text = self.channels.value.strip()
        if self._holds_for is not None:
            self._common_channels = text
        elif self._image is not None:
            self._typed_channels[self._image] = text
        self._on_change()


class _AxesButtons(QWidget):
    """A button for each of the axes that an image may have; hidden where there is no doubt."""

    def __init__(self, on_choice: Callable[[str], None]) -> None:
        super().__init__()
        self._on_choice = on_choice
        self.buttons: dict[str, QPushButton] = {}
        self._line = QHBoxLayout(self)
        self._line.setContentsMargins(0, 2, 0, 0)
        self._line.setSpacing(4)
        self._line.addStretch(1)
        self.hide()

    def show_axes(self, axes: Sequence[str]) -> None:
        """Offer these; none: there is no doubt."""
        self.setVisible(bool(axes))
        if list(axes) == list(self.buttons) or not axes:
            return
        for button in self.buttons.values():
            self._line.removeWidget(button)
            button.hide()
            button.deleteLater()
        self.buttons = {letters: QPushButton(letters) for letters in axes}
        for place, (letters, button) in enumerate(self.buttons.items()):
            button.setToolTip(f"The axes are {' '.join(letters)}.")
            button.clicked.connect(lambda _=False, letters=letters: self._on_choice(letters))
            self._line.insertWidget(place, button)
