"""A label in separate places is doubted, and not where it may be one object."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest

import napari_unet as nu
from napari_unet.samples import load_sample

NUCLEI = load_sample("nuclei_2d")
CODE = "label-in-pieces"


def findings(*examples: nu.Example, **config: Any) -> list[Any]:
    return [f for f in nu.check_examples(examples, **config) if f.code == CODE]


def merged(labels: np.ndarray, *pairs: tuple[int, int]) -> np.ndarray:
    """Labels in which one object was given the number of another."""
    labels = labels.copy()
    for kept, lost in pairs:
        labels[labels == lost] = kept
    return labels


def apart() -> tuple[np.ndarray, list[int]]:
    """A part of the sample, and the numbers of objects in it from left to right."""
    labels = NUCLEI.truth[:300, :400]
    inside = [n for n in np.unique(labels)[1:] if (labels == n).sum() > 150]
    return labels, sorted(inside, key=lambda n: np.argwhere(labels == n)[:, 1].mean())


def test_two_objects_of_one_number_are_named() -> None:
    labels, numbers = apart()
    wrong = merged(labels, (numbers[0], numbers[-1]))
    (finding,) = findings(nu.Example(NUCLEI.image[:300, :400], wrong))
    assert (finding.severity, finding.field) == ("doubt", "labels")
    assert f"The label {numbers[0]} lies in separate places" in finding.problem
    assert "number of its own" in finding.remedy
    several = merged(labels, (numbers[0], numbers[-1]), (numbers[1], numbers[-2]))
    (finding,) = findings(nu.Example(NUCLEI.image[:300, :400], several))
    first, second = sorted(numbers[:2])
    assert finding.problem.startswith("2 labels lie in separate places")
    assert f"{first}, {second}" in finding.problem


@pytest.mark.parametrize("name", ["nuclei_2d", "histology", "nuclei_3d", "time_series"])
def test_it_is_silent_on_the_samples(name: str) -> None:
    sample = load_sample(name)
    assert findings(nu.Example(sample.image, sample.truth, axes=sample.axes)) == []


def test_a_slip_of_the_brush_and_touching_corners_are_one_object() -> None:
    labels, numbers = apart()
    (y, x), *_ = np.argwhere(labels == 0)
    slip = labels.copy()
    slip[y, x] = numbers[-1]
    assert findings(nu.Example(NUCLEI.image[:300, :400], slip)) == []
    image = np.random.default_rng(0).random((64, 64))
    corners = np.zeros((64, 64), int)
    corners[8:20, 8:20] = corners[20:30, 20:30] = 3
    corners[40:50, 40:50] = 4
    assert findings(nu.Example(image, corners)) == []


def test_what_a_region_leaves_out_may_join_the_pieces() -> None:
    image = np.random.default_rng(0).random((64, 64))
    labels = np.zeros((64, 64), int)
    labels[10:14, 10:50] = 1
    labels[40:50, 10:20] = 2
    region = np.ones((64, 64), bool)
    region[:, 25:30] = False
    assert findings(nu.Example(image, labels, region)) == []
    labels[10:14, 20:40] = 0  # apart inside of the region, too
    labels[10:14, 15:18] = 0
    assert findings(nu.Example(image, labels, region))


def test_pieces_of_a_plane_may_be_joined_in_the_next() -> None:
    image = np.random.default_rng(0).random((6, 64, 64))
    labels = np.zeros((6, 64, 64), int)
    labels[2, 10:20, 10:50] = 1  # a bridge
    labels[3:5, 10:20, 10:20] = labels[3:5, 10:20, 40:50] = 1
    labels[:, 40:50, 10:20] = 2
    for ndim in (2, 3):
        assert findings(nu.Example(image, labels, axes="ZYX"), ndim=ndim) == []
    labels[2] = 0
    for ndim in (2, 3):
        assert findings(nu.Example(image, labels, axes="ZYX"), ndim=ndim)


def test_planes_that_are_numbered_each_for_itself_are_no_mistake() -> None:
    image = np.random.default_rng(0).random((6, 64, 64))
    labels = np.zeros((6, 64, 64), int)
    for z in range(0, 6, 2):
        labels[z, 8 * z : 8 * z + 12, 10:20] = 1
        labels[z, 8 * z : 8 * z + 12, 40:50] = 2
    assert findings(nu.Example(image, labels, axes="ZYX"), ndim=2) == []
    assert findings(nu.Example(image, labels, axes="ZYX"), ndim=3)  # in a volume it is


@pytest.mark.slow
def test_of_large_labels_only_windows_are_read() -> None:
    read = 0

    def block(block_info: Any = None) -> np.ndarray:
        nonlocal read
        where = block_info[None]["array-location"]
        read += 1
        found = np.zeros([b - a for a, b in where], np.int32)
        found[0, 10:60, 10:60] = found[0, 100:150, 100:150] = 1 + where[0][0]
        return found

    labels = da.map_blocks(block, chunks=((1,) * 400, (256,), (256,)), dtype=np.int32)
    image = da.random.random((400, 256, 256), chunks=(1, 256, 256))
    (finding,) = findings(nu.Example(image, labels, axes="ZYX"), ndim=2)
    assert "separate places" in finding.problem
    assert read < 3 * 400


def test_the_same_number_at_another_time_is_the_same_object() -> None:
    image = np.random.default_rng(0).random((3, 64, 64))
    labels = np.zeros((3, 64, 64), int)
    for t in range(3):
        labels[t, 20 * t : 20 * t + 12, 10:20] = 1
        labels[t, 20 * t : 20 * t + 12, 40:50] = 2
    assert findings(nu.Example(image, labels, axes="TYX")) == []
