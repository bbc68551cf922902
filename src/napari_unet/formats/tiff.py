"""Label TIFFs: as ImageJ and Fiji read them, and OME-TIFF."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.formats.labels import Extent, LabelSource
from napari_unet.formats.steps import Steps, in_steps
from napari_unet.io.tiff_metadata import KIND_KEY, LABELS, RECORD_KEY
from napari_unet.io.tiff_writing import write_ome_tiff, write_tiff


def write_label_tiff(
    part: Path, labels: LabelSource, extent: Extent, record: Mapping[str, Any], *, ome: bool
) -> Steps:
    """Write a label TIFF plane by plane, in the smallest type that holds every label.

    Parameters
    ----------
    part : Path
        The file to fill.
    labels : LabelSource
        What is written.
    extent : Extent
        What it holds.
    record : mapping
        Goes into the file: what ImageJ shows as its information, or an annotation of OME.
    ome : bool
        Whether as OME-TIFF.
    """
    write = write_ome_tiff if ome else write_tiff
    more = {KIND_KEY: LABELS, RECORD_KEY: json.dumps(record)}

    def run(planes: _Planes) -> None:
        write(part, planes, extent.dtype, labels.axes, labels.pixel_size, more)

    yield from in_steps(lambda step: run(_Planes(labels, step)), labels.plane_count, "writing")


class _Planes:
    """Labels as an array that is sliced plane by plane; each slice is a step."""

    def __init__(self, labels: LabelSource, step: Any) -> None:
        self._labels, self._step = labels, step
        self.shape = tuple(labels.sizes[axis] for axis in labels.axes)
        self.ndim = len(self.shape)
        self.dtype = np.dtype(labels.source.arrays[0].dtype)

    def __getitem__(self, index: tuple[int | slice, ...]) -> NDArray[Any]:
        self._step()
        at = dict(zip(self._labels.axes, index, strict=True))
        time, z = at.get("T"), at.get("Z")
        assert not isinstance(time, slice)
        assert not isinstance(z, slice)
        plane = self._labels.read_plane(time, z)
        return plane if self._labels.axes.index("Y") < self._labels.axes.index("X") else plane.T
