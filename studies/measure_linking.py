"""Measure linking through z: stacks segmented by the bundled 2D model, and from true planes.

    python studies/measure_linking.py DATA

DATA has folders with ``images/`` and ``labels/`` of 3D stacks. The constants of
`napari_unet.instances.linking` were chosen on the stacks in ``CHOSEN_ON``; the others tell how it
does. Each stack is given its own true median diameter in the plane, as a user would measure it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

import napari_unet as nu
from napari_unet.instances.linking import PlaneLinker
from napari_unet.renumbering import remove_small

FOLDERS = ("stardist-tiny-3d", "gonuclear-ovule-nuclei-3d", "bbbc050-mouse-embryo-3d")
CHOSEN_ON = {
    "img3d",
    "1136_mini",
    "train_Emb01_t301",
    "train_Emb02_t501",
    "train_Emb04_t401",
    "train_Emb05_t501",
    "train_Emb06_t401",
    "train_Emb07_t501",
    "train_Emb08_t451",
    "train_Emb09_t501",
    "train_Emb11_t501",
}


def median_diameter(truth: NDArray[np.integer]) -> float:
    """Median diameter in pixels of the sections of all objects, as discs of their area."""
    areas = [np.bincount(plane.ravel())[1:] for plane in truth]
    found = np.concatenate(areas)
    return float(np.median(2 * np.sqrt(found[found > 0] / np.pi)))


def link_true_planes(truth: NDArray[np.integer]) -> NDArray[np.int32]:
    """What linking makes of planes without a fault."""
    linker = PlaneLinker(0.5)
    linked = [linker.link(remove_small(plane, 0)) for plane in truth]
    final = linker.finish()
    return np.stack([final.renumber(z, plane) for z, plane in enumerate(linked)])


def main() -> None:
    """Print a line per stack, and means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    data: Path = parser.parse_args().data
    rows: dict[tuple[str, bool], list[tuple[float, float]]] = {}
    for folder in FOLDERS:
        for path in sorted((data / folder / "images").glob("*.tif")):
            truth = tifffile.imread(data / folder / "labels" / path.name).astype(np.int32)
            labels = nu.segment(
                tifffile.imread(path),
                "nuclei",
                axes="ZYX",
                object_diameter=median_diameter(truth),
                device="cpu",
            )
            found = (
                nu.evaluate(labels, truth).ap[0.5],
                nu.evaluate(link_true_planes(truth), truth).ap[0.5],
            )
            chosen = path.stem in CHOSEN_ON
            rows.setdefault((folder, chosen), []).append(found)
            print(f"{path.stem}{' *' * chosen}: AP {found[0]:.3f}, true planes {found[1]:.3f}")
    for (folder, chosen), values in rows.items():
        ours, ideal = np.mean(values, axis=0)
        kind = "chosen on" if chosen else "not chosen on"
        print(f"{folder}, {len(values)} {kind}: AP {ours:.3f}, from true planes {ideal:.3f}")


if __name__ == "__main__":
    main()
