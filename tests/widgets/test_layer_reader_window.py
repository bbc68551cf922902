"""Files opened in a real window by this plugin's reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from napari.layers import Labels

PLUGIN = "napari-unet-torch"


def test_channels_and_labels_open_in_a_window_and_lie_on_each_other(
    viewer: Any, tmp_path: Path
) -> None:
    image = np.random.default_rng(0).integers(0, 900, (3, 2, 40, 50), np.uint16)
    metadata = {"axes": "ZCYX", "Channel": {"Name": ["DAPI", "GFP"]}}
    metadata |= {f"PhysicalSize{a}": size for a, size in zip("ZYX", (2, 0.5, 0.25), strict=True)}
    tifffile.imwrite(tmp_path / "a.ome.tif", image, metadata=metadata, photometric="minisblack")
    dapi, gfp = viewer.open(str(tmp_path / "a.ome.tif"), plugin=PLUGIN)
    assert [layer.name for layer in viewer.layers] == ["DAPI", "GFP"]
    drawn = (image[:, 0] > 500).astype(np.int32)
    labels = viewer.add_labels(
        drawn,
        scale=dapi.scale,
        units=dapi.units,
        translate=(1, 2, 3),
    )
    labels.save(str(tmp_path / "a_labels.tif"), plugin=PLUGIN)
    (again,) = viewer.open(str(tmp_path / "a_labels.tif"), plugin=PLUGIN)
    assert isinstance(again, Labels)
    np.testing.assert_array_equal(again.extent.world, labels.extent.world)
    viewer.dims.set_point(0, 2.0)
    viewer.screenshot(canvas_only=True, flash=False)
    assert gfp.data[1].shape == (40, 50)
