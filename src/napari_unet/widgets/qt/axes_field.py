"""The fields for the axes and the channels of an image: guessed, shown, and typed over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from magicgui.widgets import LineEdit

from napari_unet.widgets.qt.fields import parse_channels
from napari_unet.widgets.qt.form import Row

AXES_TIP = (
    "What each axis of the image means, in order: T time, C channel, Z plane, Y row, X column."
)
TAKEN_OVER = "Taken as typed for another image: type them here if they differ."


class AxesField:
    """The axes of one image at a time, and its channels.

    What is typed belongs to the image, which keeps it. Only what an image cannot keep, since it
    does not fit, stays here, whichever image is shown meanwhile. Images are told apart by
    identity: any object that can be weakly referenced stands for one. The ``rows`` are to be put
    into a form.

    Parameters
    ----------
    guess : callable
        Gives the axes of an image, such as "ZYX", and the doubt about them in words; both are
        empty where there is no guess or no doubt.
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
    """

    def __init__(
        self,
        guess: Callable[[Any], tuple[str, str]],
        default_channels: Callable[[Any, str], tuple[int, ...]],
        on_change: Callable[[], None],
        keep: Callable[[Any, str], bool],
        *,
        channels_tip: str,
        holds_for: Callable[[Any, str], bool] | None = None,
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
        axes = "" if image is None else self.axes_of(image)
        if self.axes.value.strip().upper() != axes:
            with self.axes.changed.blocked():
                self.axes.value = axes
        self.rows["channels"].show(visible="C" in axes)
        if image is None or "C" not in axes:
            return
        channels = self.channels_text(image)
        if self.channels.value.strip() != channels:
            with self.channels.changed.blocked():
                self.channels.value = channels

    def axes_of(self, image: Any) -> str:
        """Axes of an image in upper case, not checked; empty: they cannot be guessed."""
        return self._find(image)[0]

    def doubt_about(self, image: Any) -> str:
        """Why the axes may be others, in words; empty where they were typed."""
        return self._find(image)[1]

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

    def _find(self, image: Any) -> tuple[str, str]:
        """Axes, and the doubt about them."""
        axes, doubt = self._guess(image)
        text, known = self._typed.get(image, ("", None))
        if known == axes:
            return text, ""
        self._typed.pop(image, None)  # the image has got others since
        if doubt and self._holds_for is not None:
            others = [self._guess(other)[0] for other in self._kept if other is not image]
            fitting = [other for other in others if self._holds_for(image, other)]
            if fitting and fitting[-1] != axes:
                return fitting[-1], TAKEN_OVER
        return axes, doubt

    def _store_axes(self) -> None:
        if self._image is None:
            return
        self._typed.pop(self._image, None)
        self._kept.pop(self._image, None)  # put in again as the last
        text = self.axes.value.strip().upper()
        if self._keep(self._image, text):
            self._kept[self._image] = text
        else:
            self._typed[self._image] = text, self._guess(self._image)[0]
        self._on_change()

    def _store_channels(self) -> None:
        text = self.channels.value.strip()
        if self._holds_for is not None:
            self._common_channels = text
        elif self._image is not None:
            self._typed_channels[self._image] = text
        self._on_change()
