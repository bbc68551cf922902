"""Which layers of this process are kept on disk, and where."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.recovery.labels import PaintedStore
from napari_unet.widgets.viewer.layer_image import level_of, plain

if TYPE_CHECKING:
    from napari.layers import Labels

# so that a dock that is opened again goes on in the same place
_stores: weakref.WeakKeyDictionary[Any, PaintedStore] = weakref.WeakKeyDictionary()


def store_of(layer: Labels) -> PaintedStore:
    """Where a layer is kept; a new place where it is not yet."""
    store = _stores.get(plain(layer))
    return keep_in(layer, PaintedStore.new()) if store is None or store.is_discarded else store


def keep_in(layer: Labels, store: PaintedStore) -> PaintedStore:
    """Let a layer be kept in a place from now on; gives that place."""
    _stores[plain(layer)] = store
    return store


def note_saved(labels: Any, path: Path) -> None:
    """Say that a file has the labels of a layer, as they are.

    Parameters
    ----------
    labels : array-like
        The very array of the layer: others may have its name and shape.
    path : Path
        The file.
    """
    for layer, store in list(_stores.items()):
        if level_of(layer) is labels:
            store.mark_saved(path)
