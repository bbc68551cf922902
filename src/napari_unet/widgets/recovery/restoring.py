"""Lost labels come back as a layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari_unet.axes import Plane, plane_index
from napari_unet.recovery.labels import LabelStore, StoredLabels
from napari_unet.widgets.annotation.layer_state import layer_from
from napari_unet.widgets.annotation.painting import bind_done_key
from napari_unet.widgets.annotation.snapshot import blank
from napari_unet.widgets.recovery.stores import set_store

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Labels


def restore_labels(
    viewer: Viewer,
    stored: StoredLabels,
    keep: Callable[[Labels, LabelStore], Any] | None = None,
) -> tuple[Labels, str]:
    """Put lost labels back as a layer, with its place, marks, name and colours.

    Parameters
    ----------
    viewer : Viewer
        Where.
    stored : StoredLabels
        They belong to this process then, and are offered to no other.
    keep : callable, optional
        Goes on keeping the layer; in the same store, unless a part of it is damaged.

    Returns
    -------
    layer : Labels
        The layer.
    fault : str
        What could not be read, in words; mostly empty.

    Raises
    ------
    FileError
        If they are damaged, gone, or open in another window.
    InputError
        If the system does not give the memory.
    """
    damaged: list[Plane] = []
    record = stored.record
    store, fault = stored.take_over(), ""
    try:
        labels = stored.read(blank(stored.shape, stored.dtype), damaged.append)
    except BaseException:
        store.release()
        raise
    layer = layer_from(labels, record.name, record.details)
    if damaged:
        # what there is of those planes stays where it is, for whoever can make use of it
        old, store = store, LabelStore()
        store.save(record.name, record.axes, stored.shape, stored.dtype, record.details)
        for plane in stored.planes:
            store.write_plane(plane, labels[plane_index(record.axes, plane)])
        old.mark_saved(store.folder)  # not before that is so
        fault = (
            f"{len(set(damaged))} of {len(stored.planes)} planes of ‘{record.name}’ could not be "
            f"read and are empty now. Their files stay in {stored.folder}."
        )
    set_store(layer, store)
    if keep is not None:
        keep(layer, store)
    viewer.add_layer(layer)
    bind_done_key(viewer, layer)
    viewer.layers.selection.active = layer
    return layer, fault
