"""Write the sample images that ship in ``src/napari_unet/samples/files``.

    python scripts/make_samples.py DATA

DATA holds the folders ``dsb2018-nuclei`` and ``stardist-tiny-3d``. Sources and licences
stand in ``src/napari_unet/samples/files/README.md``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from skimage.measure import label

TARGET = Path(__file__).parents[1] / "src" / "napari_unet" / "samples" / "files"
FLUORESCENCE = "fluor_53ad09e43487.tif"
HISTOLOGY = "histo_65c8527c16a0.tif"


def main(data: Path) -> None:
    """Copy one 2D image, one RGB image and one stack, each with its truth."""
    science_bowl = data / "dsb2018-nuclei" / "images"
    pairs = {
        "nuclei_2d": (science_bowl / FLUORESCENCE, "YX"),
        "histology": (science_bowl / HISTOLOGY, "YXS"),
        "nuclei_3d": (next((data / "stardist-tiny-3d" / "images").glob("*.tif")), "ZYX"),
    }
    for name, (source, axes) in pairs.items():
        image = tifffile.imread(source)
        truth = tifffile.imread(source.parents[1] / "labels" / source.name).astype(np.uint16)
        colours = {"photometric": "rgb", "predictor": True} if axes == "YXS" else {}
        _write(TARGET / f"{name}.tif", image, axes, **colours)
        _write(TARGET / f"{name}_truth.tif", truth, axes.replace("S", ""))
        print(name, image.shape, image.dtype, int(label(truth > 0).max()), truth.max())


def _write(path: Path, array: np.ndarray, axes: str, **options: Any) -> None:
    tifffile.imwrite(path, array, compression="zlib", metadata={"axes": axes}, **options)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
