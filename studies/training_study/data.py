"""Which images train and which are scored. All splits are fixed; no test image is trained on."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

import napari_unet as nu

VALIDATION_LIST = Path(__file__).parents[2] / "scripts" / "nuclei_validation.txt"
DSB = "dsb2018-nuclei"
PER_FIELD = 2  # images of one field, at most
HISTOLOGY_TESTS, LABELLED = 16, 4
FLUORESCENCE_TESTS, FLUORESCENCE_TRAINING = 30, 40
EMBRYO_TESTS = ("Emb02_t501", "Emb05_t501", "Emb09_t501")
EMBRYO_PAIRS = (
    ("Emb01_t501", "Emb04_t501"),
    ("Emb06_t501", "Emb07_t501"),
    ("Emb08_t501", "Emb11_t501"),
)


@cache
def histology(data: Path, seed: int) -> tuple[list[nu.Example], list[nu.Example]]:
    """Images to learn from, another set for each seed, and the tests; nuclei made bright.

    Many images are neighbouring parts of one field: those stay on one side.
    """
    rows = _rows(data, "histology")
    fields = _in_random_order(_fields(data, rows, least=0.9))
    tests, used = _take(fields, HISTOLOGY_TESTS)
    rest = fields[used:]
    first = LABELLED * seed % (len(rest) - LABELLED + 1)
    labelled = [members[0] for members in rest[first : first + LABELLED]]
    return [_inverted(data, n) for n in labelled], [_inverted(data, n) for n in tests]


@cache
def fluorescence(data: Path) -> tuple[list[nu.Example], list[nu.Example]]:
    """Images to learn from, and tests; none of those that the bundled model is scored on."""
    held_out = set(VALIDATION_LIST.read_text().split())
    rows = [row for row in _rows(data, "fluorescence") if row["file"] not in held_out]
    fields = _in_random_order(_fields(data, rows, least=0.95))
    tests, used = _take(fields, FLUORESCENCE_TESTS)
    training, _ = _take(fields[used:], FLUORESCENCE_TRAINING)
    return [_pair(data / DSB, n) for n in training], [_pair(data / DSB, n) for n in tests]


@cache
def phase_contrast(data: Path) -> dict[str, nu.Example]:
    """The five images of usiigaci by name."""
    folder = data / "usiigaci-phase-t98g"
    names = sorted(path.name for path in (folder / "images").glob("*.tif"))
    return {name.removesuffix(".tif"): _pair(folder, name) for name in names}


@cache
def embryos(data: Path, seed: int) -> tuple[list[nu.Example], list[nu.Example]]:
    """Two volumes to learn from, another pair for each of three seeds, and tests."""
    folder = data / "bbbc050-mouse-embryo-3d"

    def load(names: Sequence[str]) -> list[nu.Example]:
        return [_pair(folder, f"train_{name}.tif", "ZYX") for name in names]

    return load(EMBRYO_PAIRS[seed % len(EMBRYO_PAIRS)]), load(EMBRYO_TESTS)


@cache
def sections(data: Path) -> tuple[list[nu.Example], list[nu.Example]]:
    """Sections 1 to 6 of the nerve cord to learn from, 9 and 10 as tests.

    The class values are raised by one, so that 0 is free to mean unpainted.
    """
    folder = data / "vnc-sstem-multiclass"
    name = "stack1_slices_00-09.tif"
    image = tifffile.imread(folder / "images" / name)
    labels = tifffile.imread(folder / "labels" / name).astype(np.int32) + 1
    planes = [nu.Example(i, t, axes="YX") for i, t in zip(image, labels, strict=True)]
    return planes[:6], planes[8:]


def _rows(data: Path, kind: str) -> list[dict[str, str]]:
    with (data / DSB / "index.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == kind]
    return sorted(rows, key=lambda row: row["file"])


def _pair(folder: Path, name: str, axes: str = "YX") -> nu.Example:
    labels = tifffile.imread(folder / "labels" / name).astype(np.int32)
    return nu.Example(_grey(tifffile.imread(folder / "images" / name), axes), labels, axes=axes)


def _inverted(data: Path, name: str) -> nu.Example:
    """An image of dark nuclei as one of bright ones, in grey."""
    example = _pair(data / DSB, name)
    return nu.Example(255 - example.image.astype(np.float32), example.labels, axes="YX")


def _grey(image: NDArray[Any], axes: str) -> NDArray[Any]:
    return image[..., :3].mean(-1, dtype=np.float32) if image.ndim > len(axes) else image


def _fields(data: Path, rows: list[dict[str, str]], least: float) -> list[list[str]]:
    """File names by field of view: joined by group, and where one image goes on in another.

    Two images are neighbours if the last row or column of one and the first of the other
    correlate by at least ``least``.
    """
    images = [_grey(tifffile.imread(data / DSB / "images" / row["file"]), "YX") for row in rows]
    return [[rows[i]["file"] for i in members] for members in join(images, rows, least)]


def join(
    images: Sequence[NDArray[Any]], rows: Sequence[dict[str, str]], least: float
) -> list[list[int]]:
    """Indices of images, those of one field together."""
    first, second = [], []
    for group in {row["group"] for row in rows}:
        members = [i for i, row in enumerate(rows) if row["group"] == group]
        first += [members[0]] * len(members)
        second += members
    for shape in {image.shape for image in images}:
        alike = np.array([i for i, image in enumerate(images) if image.shape == shape])
        for axis in (0, 1):
            ends = _standardised([images[i].take(-1, axis) for i in alike])
            starts = _standardised([images[i].take(0, axis) for i in alike])
            correlation = ends @ starts.T
            np.fill_diagonal(correlation, 0)
            a, b = np.nonzero(correlation >= least)
            first += [int(i) for i in alike[a]]
            second += [int(i) for i in alike[b]]
    size = len(images)
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(size, size))
    count, label = connected_components(graph, directed=False)
    return [[int(i) for i in np.flatnonzero(label == k)] for k in range(count)]


def _standardised(lines: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    table = np.stack(lines).astype(np.float64)
    table -= table.mean(1, keepdims=True)
    length = np.linalg.norm(table, axis=1, keepdims=True)
    return np.asarray(table / np.maximum(length, 1e-9))


def _in_random_order(fields: list[list[str]]) -> list[list[str]]:
    rng = np.random.default_rng(2018)
    return [fields[i] for i in rng.permutation(len(fields))]


def _take(fields: Sequence[Sequence[str]], count: int) -> tuple[list[str], int]:
    """Names from the first fields, a few of each, and the number of fields used."""
    names: list[str] = []
    used = 0
    while len(names) < count:
        names += fields[used][:PER_FIELD]
        used += 1
    return names[:count], used
