"""Changes written into a layer, each as one step of the viewer's own undo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_unet.correction.change import Change


def write_change(layer: Labels, change: Change) -> None:
    """Write a change that is not empty; the viewer's undo takes back just this."""
    if isinstance(layer.data, np.ndarray):
        layer.data_setitem(change.indices(), change.new[change.changed])
        return
    # whole windows: arrays on disk are read and written by slices alone
    window = tuple(change.window)
    layer.data[window] = change.new
    layer._save_history((window, change.old, change.new))
    layer.refresh()
