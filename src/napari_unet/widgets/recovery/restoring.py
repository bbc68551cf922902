"""Lost labels come back as a layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari_unet.recovery.labels import PaintedStore, PaintedWork, plane_index
from napari_unet.widgets.annotation.layer_state import layer_from
from napari_unet.widgets.annotation.painting import bind_done_key
from napari_unet.widgets.annotation.snapshot import blank

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Labels

    from napari_unet.recovery.labels import Plane


def restore(
    viewer: Viewer,
    work: PaintedWork,
    keep: Callable[[Labels, PaintedStore], None] | None = None,
) -> tuple[Labels, str]:
    """Put lost work back as a layer, with its place, marks, name and colours.

    Parameters
    ----------
    viewer : Viewer
        Where.
    work : PaintedWork
        From `lost_work`. It belongs to this process then, and is offered to no other.
    keep : callable, optional
        Goes on keeping the layer; in the same place, unless a part of it is damaged.

    Returns
    -------
    layer : Labels
        The layer.
    fault : str
        What could not be read, in words; mostly empty.

    Raises
    ------
    FileError
        If it is damaged, gone, or open in another window.
    InputError
        If the system does not give the memory.
    """
    damaged: list[Plane] = []
    labels = work.read(blank(work.shape, work.dtype), damaged.append)
    layer = layer_from(labels, work.name, work.details)
    store, fault = work.take_over(), ""
    if damaged:
        # what there is of those planes stays where it is, for whoever can make use of it
        old, store = store, PaintedStore.new()
        planes = {plane: labels[plane_index(work.axes, plane)] for plane in work.planes}
        store.save(work.name, work.axes, work.shape, work.dtype, work.details, planes)
        old.mark_saved(store.folder)  # not before that is so
        fault = (
            f"{len(damaged)} of {len(work.planes)} planes of ‘{work.name}’ could not be read and "
            f"are empty now. Their files stay in {work.folder}."
        )
    if keep is not None:
        keep(layer, store)
    viewer.add_layer(layer)
    bind_done_key(viewer, layer)
    viewer.layers.selection.active = layer
    return layer, fault
