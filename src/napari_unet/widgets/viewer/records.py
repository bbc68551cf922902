"""Run records of the layers of a viewer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from napari_unet.widgets.viewer.layer_image import RECORD_KEY

if TYPE_CHECKING:
    from napari import Viewer


def record_shown(viewer: Viewer) -> tuple[str, Mapping[str, Any]] | None:
    """The name and the record of the selected result, else of the newest; None: there is none."""
    active = viewer.layers.selection.active
    for layer in [active, *reversed(viewer.layers)]:
        record = None if layer is None else layer.metadata.get(RECORD_KEY)
        if isinstance(record, Mapping):
            return layer.name, record
    return None
