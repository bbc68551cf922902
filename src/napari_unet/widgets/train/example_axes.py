"""The axes and channels of the images that are learned from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from napari.layers import Image

from napari_unet.axes import check_axes, guess_axes
from napari_unet.card import ModelCard
from napari_unet.errors import UNetError
from napari_unet.widgets.annotation.beside_channels import split_with_labels
from napari_unet.widgets.qt.axes_field import AxesField, AxesGuess
from napari_unet.widgets.viewer.layer_axes import name_axes
from napari_unet.widgets.viewer.layer_image import LayerImage, plain, shape_of

if TYPE_CHECKING:
    from napari import Viewer

    from napari_unet.widgets.train.example_line import ExampleLine

CHANNELS_TIP = "Which channels the model gets, counted from 0; of all images that have channels."


class ExampleAxes:
    """Guesses the axes of images, and offers them in a field.

    What was typed for an image belongs to its layer. Other images with as many axes, whose own are
    doubtful, take it over, which is said; the channels are those of all images.

    Parameters
    ----------
    viewer : Viewer
        With the images.
    on_change : callable
        Called when something was typed.
    label_shape : callable
        Gives the shape of an image's labels, which have no channels; None: there are none.
    lines : callable
        Gives the examples.
    """

    def __init__(
        self,
        viewer: Viewer,
        on_change: Callable[[], None],
        label_shape: Callable[[Image], tuple[int, ...] | None],
        lines: Callable[[], Sequence[ExampleLine]],
    ) -> None:
        self._viewer = viewer
        self._lines = lines
        self._label_shape = label_shape
        self._card: ModelCard | None = None
        self._ndim = 2
        self._field = AxesField(
            self._guess,
            self._default_channels,
            on_change,
            name_axes,
            channels_tip=CHANNELS_TIP,
            holds_for=_holds_for,
            split=self._split,
        )
        self.rows = self._field.rows

    @property
    def typed(self) -> tuple[object, ...]:
        """All that was typed."""
        return self._field.typed

    def set_model(self, card: ModelCard | None, ndim: int) -> None:
        """Guess for a model to start from; None: for a new network of ``ndim`` axes."""
        self._card = card
        self._ndim = ndim if card is None else card.architecture.ndim

    def show(self, image: Image | None, *, several: bool) -> None:
        """Show what is taken for an image; ``several``: name it."""
        self.rows["axes"].show(visible=image is not None)
        self._field.show(None if image is None else plain(image))
        hint = ""
        if image is not None:
            doubt = self._field.doubt_about(plain(image))
            hint = f"Of ‘{image.name}’. {doubt}" if several else doubt
        self.rows["axes"].show_message(hint=hint)

    def axes_of(self, image: Image) -> str:
        """Axes of an image's array, not checked; empty: they cannot be guessed."""
        return self._field.axes_of(plain(image))

    def checked(self, image: Image) -> tuple[str, tuple[int, ...] | None]:
        """Axes and channels of an image.

        Raises
        ------
        InputError
            If the axes do not fit the image.
        FieldError
            If the channels are no numbers.
        """
        shape, axes = shape_of(image), self.axes_of(image)
        if not axes:
            guess_axes(shape)  # raises an error that says why there is no guess
        axes = check_axes(axes, shape)
        return axes, self._field.channels_of(plain(image)) if "C" in axes else None

    def _guess(self, image: Image) -> AxesGuess:
        found, labels = LayerImage.of(image), self._label_shape(image)
        channels = 1 if self._card is None else self._card.architecture.in_channels
        # where labels have an axis less, they have no channels
        flat = labels is not None and len(labels) == len(found.shape) - 1
        try:
            return found.guess_axes(ndim=self._ndim, channels=None if flat else channels)
        except UNetError:
            return AxesGuess("")

    def _split(self, image: Image, axes: str, channel: int) -> None:
        """Make layers of the channels of an image, and learn from one of them in its place."""
        layers = split_with_labels(self._viewer, image, axes)
        for line in self._lines():
            if line.image == image:
                labels = line.labels
                line.image_choice.value = plain(layers[min(channel, len(layers) - 1)])
                if labels is not None:
                    line.labels_choice.value = labels

    def _default_channels(self, image: Image, axes: str) -> tuple[int, ...]:
        """As many channels as the model takes; all of them for a new network."""
        shape = shape_of(image)
        count = shape[axes.index("C")] if len(axes) == len(shape) else 1
        wanted = count if self._card is None else self._card.architecture.in_channels
        return tuple(range(min(count, wanted)))


def _holds_for(image: Image, axes: str) -> bool:
    """Whether axes that were typed for another image hold for this one."""
    return not image.rgb and len(axes) == len(shape_of(image))
