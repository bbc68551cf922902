"""Segment an OME-Zarr volume block by block into a store; neither is ever whole in memory."""

import sys
import tempfile
from pathlib import Path

import numpy as np
import zarr

import napari_unet as nu

if len(sys.argv) > 1:
    path = Path(sys.argv[1])
else:  # a small one to show it on
    path = Path(tempfile.mkdtemp()) / "volume.zarr"
    plane = nu.load_sample("nuclei_2d").image[:128, :160]
    group = zarr.create_group(path)
    group.create_array("0", data=np.stack([plane] * 3), chunks=(1, 64, 64))
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    scale = [{"type": "scale", "scale": [2.0, 0.5, 0.5]}]
    levels = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": levels}]}

volume = nu.read_image(path)  # lazy: shape, axes and pixel size, no pixels yet
print(volume.array.shape, volume.axes, volume.pixel_size)
target = path.with_name("labels.zarr")
labels = nu.segment(volume, "nuclei", volume_mode="slices", output=target)
print(labels.shape, labels.chunks, int(labels[1].max()))  # a zarr array, read where it is sliced
