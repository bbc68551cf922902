"""What the axes of the images mean: guessed, shown, and typed where the guess is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from magicgui.widgets import LineEdit
from napari.layers import Image

from napari_unet.axes import check_axes, guess_axes
from napari_unet.card import ModelCard
from napari_unet.errors import UNetError
from napari_unet.widgets.qt.fields import parse_channels
from napari_unet.widgets.qt.form import Row
from napari_unet.widgets.qt.wording import label_of
from napari_unet.widgets.viewer.layer_image import LayerImage

AXES_TIP = (
    "What each axis of the image means, in order: T time, C channel, Z plane, Y row, X column."
)
CHANNELS_TIP = "Which channels the model gets, counted from 0; of all images that have channels."


class AxesField:
    """The axes of one image at a time, and the channels of all.

    What was typed for an image holds for it, and for others with as many axes until
    something was typed for them. Its ``rows`` are to be put into a form.

    Parameters
    ----------
    on_change : callable
        Called when something was typed.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._typed: WeakKeyDictionary[Image, str] = WeakKeyDictionary()
        self._channels = ""  # typed; empty: as many as the model takes
        self._image: Image | None = None
        self._card: ModelCard | None = None
        self._ndim = 2
        self._labels_of: Callable[[Image], Any] = lambda _: None
        self.axes = LineEdit()
        self.channels = LineEdit()
        self.rows = {
            "axes": Row(self.axes, "Axes", AXES_TIP),
            "channels": Row(self.channels, "Channels", CHANNELS_TIP),
        }
        self.axes.changed.connect(lambda _: self._edited())
        self.channels.changed.connect(lambda _: self._channels_edited())

    @property
    def typed(self) -> tuple[str, ...]:
        """All that was typed."""
        return self._channels, *self._typed.values()

    def set_model(self, card: ModelCard | None, ndim: int) -> None:
        """Guess for a model to start from; None: for a new network of ``ndim`` axes."""
        self._card = card
        self._ndim = ndim if card is None else card.architecture.ndim

    def show(self, image: Image | None, *, several: bool) -> None:
        """Show what is taken for an image; ``several``: say which one it is."""
        self._image = image
        axes, doubt = ("", "") if image is None else self._find(image)
        if image is None or self.axes.value.strip().upper() != axes:
            with self.axes.changed.blocked():
                self.axes.value = axes
        named = f"Of ‘{image.name}’. " if image is not None and several else ""
        self.rows["axes"].say(hint=named + doubt)
        self.rows["axes"].show(visible=image is not None)
        with_channels = image is not None and "C" in axes
        self.rows["channels"].show(visible=with_channels)
        if image is not None and with_channels and not self._channels:
            with self.channels.changed.blocked():
                self.channels.value = ", ".join(map(str, self._all(image, axes)))

    def axes_of(self, image: Image) -> str:
        """Axes of an image's array, not checked; empty: they cannot be guessed."""
        return self._find(image)[0]

    def checked(self, image: Image) -> tuple[str, tuple[int, ...] | None]:
        """Axes and channels of an image.

        Raises
        ------
        InputError
            If the axes do not fit the image.
        FieldError
            If the channels are no numbers.
        """
        found = LayerImage.of(image)
        axes = self.axes_of(image)
        if not axes:
            guess_axes(found.shape)  # says what is wrong
        axes = check_axes(axes, found.shape)
        if "C" not in axes:
            return axes, None
        return axes, parse_channels(self._channels) if self._channels else self._all(image, axes)

    def _find(self, image: Image) -> tuple[str, str]:
        """Axes, and the doubt about them."""
        found = LayerImage.of(image)
        if image in self._typed:
            return self._typed[image], ""
        alike = [axes for axes in self._typed.values() if len(axes) == len(found.shape)]
        if alike and not found.rgb:
            return alike[-1], ""
        channels = 1 if self._card is None else self._card.architecture.in_channels
        labels = self._labels_of(image)
        try:
            flat = labels is not None and len(labels) == len(found.shape) - 1
            if flat and not found.rgb:  # there is an axis of channels, which labels have not
                axes, doubt = guess_axes(found.shape, ndim=self._ndim, channels=None)
                return axes, "" if doubt is None else doubt.worded(label_of)
            return found.guess_axes(ndim=self._ndim, channels=channels)
        except UNetError:
            return "", ""

    def follow_labels(self, shape_of: Callable[[Image], Any]) -> None:
        """Hear of the shape of an image's labels, which have no channels; None: there are none."""
        self._labels_of = shape_of

    def _all(self, image: Image, axes: str) -> tuple[int, ...]:
        """The channels that are taken where none were typed."""
        shape = LayerImage.of(image).shape
        count = shape[axes.index("C")] if len(axes) == len(shape) else 1
        wanted = count if self._card is None else self._card.architecture.in_channels
        return tuple(range(min(count, wanted)))

    def _edited(self) -> None:
        if self._image is None:
            return
        self._typed.pop(self._image, None)
        text = self.axes.value.strip().upper()
        if text and text != self._find(self._image)[0]:
            self._typed[self._image] = text
        self._on_change()

    def _channels_edited(self) -> None:
        self._channels = self.channels.value.strip()
        self._on_change()
