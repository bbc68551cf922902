"""How many images of each kind the model ``nuclei`` says it was not made for; writes a page.

    python studies/measure_domain.py DATA docs/results/domain.md

DATA has the folders of ``SETS`` and ``dsb2018-nuclei``. No label is looked at.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import tifffile

from napari_unet.image.domain import TOLERANCE, doubt_domain
from napari_unet.image.normalization import find_limits
from napari_unet.image.source import open_image
from napari_unet.network.files import find_model, read_header

SETS = {
    "dsb2018-stage1test-nuclei": "nuclei and sections, test images of the Bowl",
    "bbbc039-u2os-nuclei": "fluorescence, U2OS",
    "bbbc050-mouse-embryo-3d": "fluorescence, embryos",
    "w2s-denoise-pairs": "fluorescence, noisy",
    "qpi-pc3-pnt1a-cells": "quantitative phase",
    "usiigaci-phase-t98g": "phase contrast",
    "c2c12-phase-crop": "phase contrast, small",
    "tnbc-hne-nuclei": "stained sections",
    "isbi2012-em-membranes": "electron microscopy",
}


def iter_images(data: Path) -> Iterator[tuple[str, Path]]:
    """Kind and path of each image."""
    bowl = data / "dsb2018-nuclei"
    with (bowl / "index.csv").open() as file:
        for row in csv.DictReader(file):
            yield f"Bowl, {row['kind']}", bowl / "images" / row["file"]
    for folder, words in SETS.items():
        for path in sorted((data / folder / "images").iterdir()):
            yield f"{words} ({folder})", path


def main() -> None:
    """Count and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("page", type=Path)
    arguments = parser.parse_args()
    card = read_header(find_model("nuclei"))
    doubted: dict[str, list[bool]] = defaultdict(list)
    for kind, path in iter_images(arguments.data):
        image = tifffile.imread(path)
        colours = image.ndim == 3 and image.shape[-1] in (3, 4)
        image = image[..., 0] if colours else image
        axes = "ZYX" if image.ndim == 3 else "YX"
        profile = find_limits(open_image(image, axes=axes), card.normalization).profile
        doubted[kind + (", red" if colours else "")].append(bool(doubt_domain(profile, card)))
    lines = [
        "# Images that a model was not made for",
        "",
        (
            "Written by `studies/measure_domain.py`. How many images the model `nuclei` says "
            "it was not made for: their darkest tenth, or their median, lies more than "
            f"{TOLERANCE} of the normalised intensity outside what its training images had. "
            "Of colour images it looks at the red channel."
        ),
        "",
        "| images | told of | of |",
        "| --- | --- | --- |",
        *(f"| {kind} | {sum(found)} | {len(found)} |" for kind, found in doubted.items()),
        "",
        (
            "The one U2OS image is an empty well, where noise alone is stretched. Quantitative "
            "phase has a dark background as fluorescence has: intensities alone do not tell it."
        ),
    ]
    arguments.page.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
