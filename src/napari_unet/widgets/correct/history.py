"""Changes written into a layer, each as one step of the viewer's own undo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

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


def revert_steps(labels: NDArray[Any], steps: Sequence[Any]) -> None:
    """Take steps of the viewer's undo, the last first, back out of an array of a layer's shape."""
    for item in steps:
        for atom in reversed(item):
            key = getattr(atom, "slice_key", None)
            if key is None:
                where, before, _ = atom
                labels[where] = before
            else:  # a stroke: a box, and a mask where not all of it was painted
                labels[key][... if atom.mask is None else atom.mask] = atom.old_values
