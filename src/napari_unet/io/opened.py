"""What opening a file of any format gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from napari_unet.errors import Note
from napari_unet.io.pixel_size import PixelSize
from napari_unet.io.scenes import Scene


@dataclass(frozen=True, eq=False)
class Opened:
    """An image as the code for one format gives it; `ImageFile` describes the fields.

    Attributes
    ----------
    array : ndarray or LazyArray
        The pixels.
    axes : str or None
        Over TCZYX.
    pixel_size : tuple of float or None, or None
        Micrometres per spatial axis.
    notes : tuple of Note
        What was left out, or taken otherwise than it is stored.
    scenes : tuple of Scene
        All images of the file; empty where it can hold only one.
    scene : int
        Which of them this is.
    channel_names : tuple of str
        Of the axis C; empty where the file gives none.
    is_labels : bool
        Whether the file says that it holds labels.
    place : mapping or None
        Where a viewer had laid the array.
    unitless_size : dict of str to float
        Pixel sizes in a unit that the file does not name, by axis.
    """

    array: Any
    axes: str | None
    pixel_size: PixelSize = None
    notes: tuple[Note, ...] = ()
    scenes: tuple[Scene, ...] = ()
    scene: int = 0
    channel_names: tuple[str, ...] = ()
    is_labels: bool = False
    place: Mapping[str, Any] | None = None
    unitless_size: Mapping[str, float] = field(default_factory=dict)
