"""Which images train, which pick the decoding and which are scored."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cc3d
import edt
import numpy as np
import tifffile
from numpy.typing import NDArray

VALIDATION_LIST = Path(__file__).parents[2] / "scripts" / "nuclei_validation.txt"


@dataclass(frozen=True, eq=False)
class Sample:
    """Normalised image (C, *shape), labels (*shape) and what is not scored."""

    name: str
    image: NDArray[np.float32]
    labels: NDArray[np.int32]
    ignore: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples by use; the tests by kind of image."""

    name: str
    training: list[Sample]
    selection: list[Sample]
    tests: dict[str, list[Sample]]
    weights: NDArray[np.float64]
    patch: tuple[int, ...]
    batch: int
    steps: int
    features: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...] = ()
    split: str = ""
    radius: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "radius", median_radius(self.training))


def load(name: str, data: Path) -> Dataset:
    """One of the data sets under a folder."""
    return {"dsb": _dsb, "usiigaci": _usiigaci, "bbbc050": _bbbc050, "flyem": _flyem}[name](data)


NAMES = ("dsb", "usiigaci", "bbbc050", "flyem")
TESTS = {
    "dsb": ("dsb fluorescence", "dsb histology"),
    "usiigaci": ("usiigaci",),
    "bbbc050": ("bbbc050",),
    "flyem": ("flyem",),
}


def normalised(image: NDArray[Any]) -> NDArray[np.float32]:
    """Percentiles 1 and 99.8 to 0 and 1, over all channels."""
    low, high = np.percentile(image, (1, 99.8))
    return ((image - low) / max(high - low, 1e-6)).astype(np.float32)


def median_radius(samples: list[Sample]) -> float:
    """Median over the objects of the largest distance to the boundary, in pixels."""
    found = []
    for sample in samples:
        ids = sample.labels.astype(np.uint32)
        if sample.ignore is not None:
            ids[sample.ignore] = 0
        largest = np.zeros(int(ids.max(initial=0)) + 1, np.float32)
        np.maximum.at(largest, ids.ravel(), edt.edt(ids, black_border=False).ravel())
        found.append(largest[1:][largest[1:] > 0])
    return float(np.median(np.concatenate(found)))


def _sample(folder: Path, name: str) -> Sample:
    image = tifffile.imread(folder / "images" / name)
    labels = tifffile.imread(folder / "labels" / name).astype(np.int32)
    return Sample(name, normalised(image)[None], labels)


def _rgb(folder: Path, name: str) -> Sample:
    image = normalised(tifffile.imread(folder / "images" / name))
    labels = tifffile.imread(folder / "labels" / name).astype(np.int32)
    planes = np.stack([image] * 3) if image.ndim == 2 else np.moveaxis(image, -1, 0)
    return Sample(name, np.ascontiguousarray(planes), labels)


def _in_share(text: str, share: float) -> bool:
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) % 1000 < 1000 * share


def _dsb(data: Path) -> Dataset:
    folder = data / "dsb2018-nuclei"
    held_out = set(VALIDATION_LIST.read_text().split())
    with (folder / "index.csv").open() as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["file"])
    forbidden = {row["group"] for row in rows if row["file"] in held_out}
    uses: dict[str, list[Sample]] = {}
    for row in rows:
        name, kind, group = row["file"], row["kind"], row["group"]
        if kind == "fluorescence":
            if name in held_out:
                use = "dsb fluorescence" if _in_share("u" + name, 0.4) else "unused"
            elif group in forbidden:
                continue
            else:
                use = "selection" if _in_share("s" + group, 0.025) else "fluorescence"
        elif kind == "histology":
            if _in_share("t" + group, 0.2):
                use = "dsb histology"
            else:
                use = "selection" if _in_share("s" + group, 0.08) else "histology"
        else:
            continue
        uses.setdefault(use, []).append(_rgb(folder, name))
    training = uses["fluorescence"] + uses["histology"]
    shares = [(len(uses["fluorescence"]), 0.6), (len(uses["histology"]), 0.4)]
    weights = np.concatenate([np.full(n, share / n) for n, share in shares])
    return Dataset(
        name="dsb",
        training=training,
        selection=uses["selection"],
        tests={name: uses[name] for name in TESTS["dsb"]},
        weights=weights,
        patch=(96, 96),
        batch=4,
        steps=460,
        features=(16, 32, 64, 128),
        split="one network for both kinds, three channels; fluorescence: a "
        "part, by hash, of scripts/nuclei_validation.txt is the test, all groups in it are left "
        "out; histology: a fifth of the groups, by hash, is the test",
    )


def _usiigaci(data: Path) -> Dataset:
    folder = data / "usiigaci-phase-t98g"
    samples = [_sample(folder, path.name) for path in sorted((folder / "images").glob("*.tif"))]
    tests = [sample for sample in samples if sample.name == "set20.tif"]
    training = [sample for sample in samples if sample.name != "set20.tif"]
    return Dataset(
        name="usiigaci",
        training=training,
        selection=training[:2],
        tests={"usiigaci": tests},
        weights=np.full(4, 0.25),
        patch=(128, 128),
        batch=2,
        steps=340,
        features=(16, 32, 64, 128),
        split="trained on four images, tested on set20 (114 cells); the decoding is picked on "
        "two of the training images",
    )


def _bbbc050(data: Path) -> Dataset:
    folder = data / "bbbc050-mouse-embryo-3d"
    names = [path.name for path in sorted((folder / "images").glob("*.tif"))]
    held_out = ("Emb02", "Emb05", "Emb09")
    tests = [_sample(folder, n) for n in names if any(f"{e}_t501" in n for e in held_out)]
    training = [_sample(folder, n) for n in names if not any(e in n for e in held_out)]
    return Dataset(
        name="bbbc050",
        training=training,
        selection=[s for s in training if s.name.endswith("Emb08_t501.tif")],
        tests={"bbbc050": tests},
        weights=np.full(len(training), 1 / len(training)),
        patch=(16, 40, 40),
        batch=1,
        steps=100,
        features=(16, 32, 64),
        strides=((1, 2, 2), (2, 2, 2)),
        split="embryos 2, 5 and 9 are not trained on, their last volumes are the "
        "test; the decoding is picked on one training volume",
    )


def _flyem(data: Path) -> Dataset:
    folder = data / "flyem-fibsem-neurons-3d"
    name = next((folder / "images").glob("*.tif")).name
    image = normalised(tifffile.imread(folder / "images" / name))
    labels = tifffile.imread(folder / "labels" / name).astype(np.uint32)

    def part(x: slice, y: slice = slice(None), z: slice = slice(None)) -> Sample:
        cut = labels[z, y, x]
        # a neuron that leaves the part and comes back is two objects in it
        pieces = np.asarray(cc3d.connected_components(cut, connectivity=6), np.int32)
        tiny = np.bincount(pieces.ravel())[pieces] < 100
        return Sample(name, np.ascontiguousarray(image[None, z, y, x]), pieces, tiny)

    return Dataset(
        name="flyem",
        training=[part(slice(0, 146))],
        selection=[part(slice(0, 110), slice(0, 110), slice(0, 48))],
        tests={"flyem": [part(slice(162, None))]},
        weights=np.ones(1),
        patch=(20, 40, 40),
        batch=2,
        steps=60,
        features=(16, 32, 64),
        split="trained on x 0 to 145, tested on x 162 to 249 with a gap; pieces under 100 "
        "voxels are not scored; the decoding is picked on a corner of the training part",
    )


def iter_patches(
    samples: list[Sample],
    maps: list[NDArray[np.float32]],
    dataset: Dataset,
    seed: int,
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32], int, tuple[int, ...]]]:
    """Random cuts of images and their maps, with the turn to give them; without end.

    The cuts depend on the seed alone, so that every representation sees the same ones.
    """
    rng = np.random.default_rng(seed)
    ndim = len(dataset.patch)
    while True:
        i = int(rng.choice(len(samples), p=dataset.weights))
        shape = samples[i].labels.shape
        starts = [
            int(rng.integers(0, max(1, n - p + 1)))
            for n, p in zip(shape, dataset.patch, strict=True)
        ]
        window = (
            slice(None),
            *(slice(s, s + p) for s, p in zip(starts, dataset.patch, strict=True)),
        )
        quarters = int(rng.integers(4))
        flips = tuple(axis - ndim for axis in range(ndim) if rng.integers(2))
        yield samples[i].image[window], maps[i][window], quarters, flips
