"""Write the sample images that ship in ``src/napari_unet/data``.

    python scripts/make_samples.py DATA

DATA holds the folders ``dsb2018-nuclei`` and ``stardist-tiny-3d``. Sources and licences
stand in ``src/napari_unet/data/README.md``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tifffile
from skimage.measure import label

TARGET = Path(__file__).parents[1] / "src" / "napari_unet" / "data"
FLUORESCENCE = "fluor_53ad09e43487.tif"


def main(data: Path) -> None:
    """Copy one 2D image and one stack, each with its truth."""
    pairs = {
        "nuclei_2d": data / "dsb2018-nuclei" / "images" / FLUORESCENCE,
        "nuclei_3d": next((data / "stardist-tiny-3d" / "images").glob("*.tif")),
    }
    for name, source in pairs.items():
        image = tifffile.imread(source)
        truth = tifffile.imread(source.parents[1] / "labels" / source.name)
        axes = "YX" if image.ndim == 2 else "ZYX"
        write = {"compression": "zlib", "metadata": {"axes": axes}}
        tifffile.imwrite(TARGET / f"{name}.tif", image, **write)
        tifffile.imwrite(TARGET / f"{name}_truth.tif", truth.astype(np.uint16), **write)
        print(name, image.shape, image.dtype, int(label(truth > 0).max()), truth.max())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
