"""Where the layers of this process are kept on disk: known to every dock and to the writer."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.recovery.labels import LabelStore
from napari_unet.widgets.viewer.layer_image import level_of, plain

if TYPE_CHECKING:
    from napari.layers import Labels

_stores: weakref.WeakKeyDictionary[Labels, LabelStore] = weakref.WeakKeyDictionary()


def store_of(layer: Any) -> LabelStore | None:
    """Where a layer is kept; None where it is not."""
    store = _stores.get(plain(layer))
    return None if store is None or store.is_discarded else store


def set_store(layer: Labels, store: LabelStore) -> LabelStore:
    """Let a layer be kept in a store from now on; gives that store."""
    _stores[plain(layer)] = store
    return store


def mark_saved(labels: Any, path: Path) -> None:
    """Tell the store of a layer that a file has its labels, as they are.

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
