"""Segment all images of a folder, and measure their objects into one table."""

import sys
import tempfile
from pathlib import Path

import pandas as pd

import napari_unet as nu
from napari_unet.io import write_image

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp())
if len(sys.argv) < 2:  # two images to show it on
    sample = nu.load_sample("nuclei_2d").image
    write_image(folder / "left.tif", sample[:160, :200], axes="YX", pixel_size=(0.5, 0.5))
    write_image(folder / "right.tif", sample[:160, 200:400], axes="YX", pixel_size=(0.5, 0.5))

tables = []
for result in nu.segment_files([folder], "nuclei", folder / "results"):
    if result.error is not None:
        print(result.source, result.error)  # one bad file does not end the others
        continue
    labels, image = nu.read_image(result.output), nu.read_image(result.source)
    table = nu.measure(labels, image, properties=["area", "intensity_mean"])
    tables.append(table.assign(image=result.source.name))
table = pd.concat(tables, ignore_index=True)
print(table.groupby("image")[["area", "intensity_mean"]].agg(["count", "mean"]))
