"""Results as layers of the viewer, each with its run record."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.widgets.viewer.layer_image import RECORD_KEY

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer

    from napari_unet.inference.decoding import Segmentation
    from napari_unet.inference.roi import RoiPrediction


def add_labels(viewer: Viewer, found: Segmentation, name: str, placement: dict[str, Any]) -> Layer:
    """Show labels as a layer that carries its run record.

    Classes get the colours of the model's card, and their names in the status bar.
    """
    look: dict[str, Any] = {}
    card = found.card
    if card.task == "semantic":
        from napari.utils.colormaps import DirectLabelColormap

        colours: dict[int | None, Any] = {c.value: c.colour for c in card.classes}
        look["colormap"] = DirectLabelColormap(
            color_dict={**colours, 0: "transparent", None: "transparent"}
        )
        look["features"] = {
            "index": [c.value for c in card.classes],
            "class": [c.name for c in card.classes],
        }
    metadata = {RECORD_KEY: found.record}
    return viewer.add_labels(found.labels, name=name, metadata=metadata, **placement, **look)


def compile_colours(dtype: Any) -> None:
    """Compile napari's map from labels to colours for a data type.

    Its first use takes seconds, in which the window would stand still: call this in a worker.
    """
    from napari.utils.colormaps import DirectLabelColormap

    colours: dict[int | None, Any] = {0: "transparent", 1: "white", None: "transparent"}
    DirectLabelColormap(color_dict=colours).map(np.ones((2, 2), dtype))


def add_values(
    viewer: Viewer,
    values: Any,
    axes: str,
    names: Sequence[str],
    placement: dict[str, Any],
    record: dict[str, Any],
    **look: Any,
) -> list[Layer]:
    """Show predicted values, an image layer for each channel.

    Parameters
    ----------
    viewer : Viewer
        Where.
    values : array
        With an axis C among ``axes``; a lazy one is not read.
    axes : str
        Of ``values``.
    names : sequence of str
        Of the layers, one per channel.
    placement : dict
        From `LayerImage.placement`.
    record : dict
        The run record.
    **look
        Further arguments of ``viewer.add_image``.
    """
    axis = axes.index("C")
    layers = []
    for channel, name in enumerate(names):
        index = tuple(channel if i == axis else slice(None) for i in range(values.ndim))
        layers.append(
            viewer.add_image(
                values[index],
                name=name,
                metadata={RECORD_KEY: record},
                **placement,
                **look,
            )
        )
    return layers


class _OnDisk:
    """An array on disk; the folder around it goes when nobody holds this any more."""

    def __init__(self, array: Any, folder: TemporaryDirectory[str] | None) -> None:
        self._array = array
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim
        if folder is not None:
            weakref.finalize(self, folder.cleanup)

    def __getitem__(self, index: Any) -> Any:
        return np.asarray(self._array[index])


def lazily(found: RoiPrediction, folder: TemporaryDirectory[str] | None) -> RoiPrediction:
    """Scores that a layer can show without reading all of them.

    Parameters
    ----------
    found : RoiPrediction
        Scores in memory stay as they are.
    folder : TemporaryDirectory or None
        Where scores on disk lie. It is removed with the last layer that shows them.
    """
    values = found.prediction.scores
    if isinstance(values, np.ndarray):
        return found
    import dask.array

    lazy = dask.array.from_array(  # type: ignore[no-untyped-call]
        _OnDisk(values, folder),
        chunks=values.chunks,
        name=False,  # else all is read for a checksum
        fancy=False,
        inline_array=True,
        meta=np.empty((0,) * values.ndim, values.dtype),
    )
    return replace(found, prediction=replace(found.prediction, scores=lazy))
