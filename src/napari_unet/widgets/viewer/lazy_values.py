"""Values on disk, as a layer shows them without reading all of them."""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari_unet.inference.roi import RoiPrediction
    from napari_unet.io.scratch import ScratchFolder


class _OnDisk:
    """An array on disk; the folder around it goes when nobody holds this any more."""

    def __init__(self, array: Any, folder: ScratchFolder | None) -> None:
        self._array = array
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim
        if folder is not None:
            weakref.finalize(self, folder.remove)

    def __getitem__(self, index: Any) -> Any:
        return np.asarray(self._array[index])


def lazily(found: RoiPrediction, folder: ScratchFolder | None) -> RoiPrediction:
    """Scores that a layer can show without reading all of them.

    Parameters
    ----------
    found : RoiPrediction
        Scores in memory stay as they are.
    folder : ScratchFolder or None
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
