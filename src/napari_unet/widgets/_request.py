"""What a form asks for, checked before it is run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_unet.axes import check_axes
from napari_unet.card import ModelCard
from napari_unet.errors import InputError, SettingsError, UNetError
from napari_unet.image import open_image
from napari_unet.settings import SegmentSettings, resolve
from napari_unet.widgets._preview import View, iter_preview

if TYPE_CHECKING:
    from napari_unet.widgets._job import Job
    from napari_unet.widgets._layers import LayerImage


class FieldError(Exception):
    """A fault in one field of the form.

    Attributes
    ----------
    field : str
        Its name.
    error : UNetError
        What is wrong.
    """

    def __init__(self, field: str, error: UNetError) -> None:
        super().__init__(str(error))
        self.field = field
        self.error = error


@dataclass(frozen=True, eq=False)
class Request:
    """A run in every detail; it holds arrays and values only.

    Attributes
    ----------
    image : LayerImage
        What is segmented.
    axes : str
        Of its array.
    channels : tuple of int or None
        Input channels where there is an axis C.
    card : ModelCard
        Of the model.
    settings : SegmentSettings
        How.
    """

    image: LayerImage
    axes: str
    channels: tuple[int, ...] | None
    card: ModelCard
    settings: SegmentSettings

    @classmethod
    def check(
        cls,
        image: LayerImage,
        card: ModelCard,
        axes: str,
        channels: str,
        values: Mapping[str, Any],
    ) -> Request:
        """Check what stands in the form.

        Raises
        ------
        FieldError
            For the first field that cannot be used.
        """
        array = image.array
        try:
            axes = check_axes(axes.strip(), image.shape)
        except InputError as error:
            raise FieldError("axes", error) from None
        config = card.architecture
        if config.ndim == 3 and "Z" not in axes:
            problem = f"The model is 3D, but the axes {axes} have no Z; choose a 2D model."
            raise FieldError("axes", InputError(problem))
        chosen = None
        if "C" in axes:
            chosen = parse_channels(channels)
        try:
            open_image(
                array,
                axes=axes,
                channels=chosen,
                pixel_size=image.pixel_size(axes),
                ndim=config.ndim,
                in_channels=config.in_channels,
            )
        except InputError as error:
            by_channel = "channel" in str(error) and "C" in axes
            raise FieldError("channels" if by_channel else "image", error) from None
        if values.get("object_diameter") is not None and card.object_diameter is None:
            problem = "The model does not record the diameter of its objects; tick auto."
            raise FieldError("object_diameter", SettingsError(problem))
        try:
            settings = resolve(SegmentSettings, None, dict(values))
        except SettingsError as error:
            raise FieldError(field_of(str(error), values) or "image", error) from None
        return cls(image, axes, chosen, card, settings)

    def job(self) -> Job:
        """The whole image."""
        # torch is imported here, in the worker thread
        from napari_unet.prediction import iter_predict
        from napari_unet.segmentation import iter_segmentation

        run = iter_predict if self.card.task == "regression" else iter_segmentation
        return run(self.image.array, self.card.name, **self._arguments())

    def preview(self, view: View) -> Job:
        """The part in view."""
        return iter_preview(self.image.array, self.card.name, view, **self._arguments())

    def _arguments(self) -> dict[str, Any]:
        return {
            "axes": self.axes,
            "channels": self.channels,
            "pixel_size": self.image.pixel_size(self.axes),
            "settings": self.settings,
        }


def parse_channels(text: str) -> tuple[int, ...]:
    """Channel numbers from what was typed.

    Raises
    ------
    FieldError
        If it is no list of numbers.

    Examples
    --------
    >>> parse_channels("2, 0")
    (2, 0)
    """
    parts = [part for part in re.split(r"[,;\s]+", text.strip()) if part]
    if not parts or not all(part.isascii() and part.isdigit() for part in parts):
        problem = f"Channels {text!r} must be numbers from 0, such as 0 or 2, 0."
        raise FieldError("channels", InputError(problem))
    return tuple(int(part) for part in parts)


def field_of(message: str, names: Mapping[str, Any]) -> str | None:
    """The field that a message is about: the first of ``names`` that it mentions.

    >>> field_of("object_diameter 5 cannot be used.", {"tile": 0, "object_diameter": 5})
    'object_diameter'
    """
    found = {name: re.search(rf"\b{name}\b", message) for name in names}
    hits = {name: hit.start() for name, hit in found.items() if hit}
    return min(hits, key=hits.__getitem__) if hits else None
