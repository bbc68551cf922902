"""From a layer that nobody worked on to one that is kept: marks, when it is corrected first."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari.layers import Image

from napari_unet.errors import InputError
from napari_unet.widgets.annotation.marks import Marks, marks_for, marks_of, set_marks
from napari_unet.widgets.viewer.layer_image import RECORD_KEY

if TYPE_CHECKING:
    from napari import Viewer

    from napari_unet.widgets.correct.target import Target


def begin_correction(viewer: Viewer, target: Target) -> Marks | None:
    """The marks of a layer, which gets some where it has none, so that it is kept from now on.

    A prediction becomes a corrected one: its run record moves into the marks.

    Returns
    -------
    Marks or None
        None where the layer has axes that labels of an image cannot have.
    """
    layer = target.layer
    known = marks_of(layer)
    if known is not None:
        return known
    record: Any = layer.metadata.get(RECORD_KEY)
    with suppress(InputError):
        marks = marks_for(layer, None, str(record.get("axes", "")) if record else "")
        names = [x.name for x in viewer.layers if isinstance(x, Image)]
        image = max((n for n in names if layer.name.startswith(n)), key=len, default="")
        marks = replace(marks, image=image, axes=target.axes)
        if isinstance(record, dict):
            marks = replace(marks, corrected=dict(record))
            layer.metadata = {k: v for k, v in layer.metadata.items() if k != RECORD_KEY}
        set_marks(layer, marks)
        return marks
    return None
