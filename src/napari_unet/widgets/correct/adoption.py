"""From a layer that nobody worked on to one that is kept: marks, when it is corrected first."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image

from napari_unet.dataset.correction import remember_objects
from napari_unet.errors import InputError
from napari_unet.widgets.annotation.marks import marks_for, marks_of, set_marks
from napari_unet.widgets.viewer.layer_image import RECORD_KEY

if TYPE_CHECKING:
    from napari import Viewer

    from napari_unet.widgets.correct.target import Target


def begin_correction(viewer: Viewer, target: Target) -> None:
    """Give a layer marks where it has none, so that it is kept from now on.

    A prediction becomes a corrected one: its run record moves into the marks, with the objects
    as they were. Labels on disk are kept there already.
    """
    layer = target.layer
    if marks_of(layer) is not None or not isinstance(layer.data, np.ndarray):
        return
    record: Any = layer.metadata.get(RECORD_KEY)
    with suppress(InputError):  # axes that labels of an image cannot have
        marks = marks_for(layer, None, str(record.get("axes", "")) if record else "")
        names = [x.name for x in viewer.layers if isinstance(x, Image)]
        image = max((n for n in names if layer.name.startswith(n)), key=len, default="")
        marks = replace(marks, image=image, axes=target.axes)
        if isinstance(record, dict):
            marks = replace(marks, corrected=dict(record), predicted=remember_objects(layer.data))
            layer.metadata = {k: v for k, v in layer.metadata.items() if k != RECORD_KEY}
        set_marks(layer, marks)
