"""An image of a batch whose file is open."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from napari_unet.errors import Note
from napari_unet.image.source import ImageSource
from napari_unet.io.reading import ImageFile


@dataclass(eq=False)
class OpenedTask:
    """A task whose file is open.

    Attributes
    ----------
    file : ImageFile
        As it was read.
    image : ImageSource
        As the model takes it.
    notes : tuple of Note
        What is to be told of it.
    identity : dict
        Size and time of the file before it was read.
    stack : ExitStack
        What is to be released once the results are written.
    """

    file: ImageFile
    image: ImageSource
    notes: tuple[Note, ...]
    identity: dict[str, Any]
    stack: ExitStack = field(default_factory=ExitStack)
