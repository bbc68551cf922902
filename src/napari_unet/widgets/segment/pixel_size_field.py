"""The pixel size of the chosen layers: shown, and typed where they do not know it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from magicgui.widgets import LineEdit

from napari_unet.axes import spatial_in_order
from napari_unet.errors import InputError
from napari_unet.io.pixel_size import check_pixel_size
from napari_unet.widgets.qt.form import AutoNumber, Row
from napari_unet.widgets.qt.wording import worded
from napari_unet.widgets.segment.tooltips import PIXEL_SIZE_TIP
from napari_unet.widgets.viewer.layer_image import (
    PIXEL_SIZE_KEY,
    LayerImage,
    describe_pixel_size,
    plain,
)

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_unet.widgets.segment.diameter_tool import DiameterTool

TYPED = "Typed here; empty the field for what the layer says ({said})."
LABEL_PIXELS, LABEL_MICROMETRES = "Diameter (px)", "Diameter (µm)"
_UNKNOWN = ("", "?", "unknown")


class PixelSizeField:
    """A line with the pixel size, which can be typed, and the unit of the diameter beneath.

    Parameters
    ----------
    on_change : callable
        Called when another size was typed.
    rows : mapping of str to Row
        With that of the diameter, which is shown in µm where the size of a pixel is known. Its
        value stays in pixels.
    tool : DiameterTool
        Tells what it measures in the same unit.
    """

    def __init__(
        self, on_change: Callable[[], None], rows: Mapping[str, Row], tool: DiameterTool
    ) -> None:
        self._on_change = on_change
        self._diameter, self._tool = rows["object_diameter"], tool
        self._layers: list[Image] = []
        self._axes = ""
        self._wrong = ""
        self.editor = LineEdit(value="unknown")
        self.row = Row(self.editor, "Pixel size", PIXEL_SIZE_TIP)
        self.editor.native.editingFinished.connect(self._edited)

    def show(self, layers: Sequence[Image], image: LayerImage | None, axes: str) -> str:
        """Show the pixel size of the image; None: there is none with these axes.

        Returns
        -------
        str
            What is to be said under the field.
        """
        if [id(layer) for layer in layers] != [id(layer) for layer in self._layers]:
            self._wrong = ""
        self._layers, self._axes = list(layers), axes if image is not None else ""
        sizes = image.pixel_size(axes) if image is not None else ()
        self.editor.enabled = image is not None
        self.editor.value = describe_pixel_size(sizes, axes)
        self._show_unit(plane_size(sizes, axes))
        if self._wrong or image is None or not image.typed_size:
            return self._wrong
        return TYPED.format(said=describe_pixel_size(image.pixel_size(axes, typed=False), axes))

    def _show_unit(self, size: float | None) -> None:
        editor: AutoNumber = self._diameter.editor
        editor.set_unit(1.0 if size is None else size)
        self._diameter.label.setText(LABEL_PIXELS if size is None else LABEL_MICROMETRES)
        self._tool.micrometres = size

    def _edited(self) -> None:
        layers = [plain(layer) for layer in self._layers]
        if not layers or not self._axes:
            return
        image = LayerImage.of(*layers)
        text = str(self.editor.value)
        if text.strip() == describe_pixel_size(image.pixel_size(self._axes), self._axes):
            return
        try:
            sizes = parse_pixel_size(text, self._axes)
        except InputError as error:
            self._wrong = worded(error)
        else:
            self._wrong = ""
            for layer in layers:
                others = {k: v for k, v in layer.metadata.items() if k != PIXEL_SIZE_KEY}
                layer.metadata = {**others, **({PIXEL_SIZE_KEY: sizes} if sizes else {})}
        self._on_change()


def parse_pixel_size(text: str, axes: str) -> dict[str, float]:
    """Sizes by axis letter from what was typed; empty where nothing was.

    Raises
    ------
    InputError
        If it is neither one number nor one for each spatial axis, or no size of a pixel.

    Examples
    --------
    >>> parse_pixel_size("0,5", "TYX"), parse_pixel_size("Z 2 × Y 0.5 × X 0.5 µm", "ZYX")
    ({'Y': 0.5, 'X': 0.5}, {'Z': 2.0, 'Y': 0.5, 'X': 0.5})
    >>> parse_pixel_size(" unknown ", "YX"), parse_pixel_size("? 0.5 0.5", "ZYX")
    ({}, {'Y': 0.5, 'X': 0.5})
    """
    if text.strip().lower() in _UNKNOWN:
        return {}
    spatial = spatial_in_order(axes)
    bare = re.sub(r"µm|um|[ZYX]", " ", text)
    if len(re.findall(r"\d,\d", bare)) == 1 and len(re.findall(r"[\d.]+", bare)) == 2:
        bare = bare.replace(",", ".")  # a decimal comma
    parts = [part for part in re.split(r"[×x*;,\s]+", bare) if part]
    try:
        values = [None if part == "?" else float(part) for part in parts]
    except ValueError:
        values = []
    if len(values) == 1:
        values *= len(spatial)
    if len(values) != len(spatial):
        raise InputError(
            f"‘{text.strip()}’ is no pixel size",
            f"type micrometres: one number, or one for each of {', '.join(spatial)}",
            parameter="pixel_size",
            value=text,
        )
    return check_pixel_size(tuple(values), spatial)


def plane_size(sizes: Sequence[float | None], axes: str) -> float | None:
    """Micrometres of a pixel where they are the same along Y and X; else None.

    >>> plane_size((2.0, 0.5, 0.5), "ZYX"), plane_size((0.5, 0.25), "YX")
    (0.5, None)
    """
    table: dict[str, Any] = dict(zip(spatial_in_order(axes), sizes, strict=False))
    y, x = table.get("Y"), table.get("X")
    return float(y) if y is not None and y == x else None
