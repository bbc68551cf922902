"""Labels are put into the order of axes of their image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.cli.training_files import read_example
from napari_unet.dataset.label_axes import arrange_labels
from napari_unet.errors import InputError
from napari_unet.io import write_image, write_labels

SIZES = {"T": 2, "Z": 3, "Y": 4, "X": 5}


@given(st.permutations("TZYX"), st.permutations("TZYX"), st.booleans())
def test_every_order_is_brought_to_that_of_the_image(
    axes: list[str], target: list[str], lazy: bool
) -> None:
    labels: Any = np.arange(120).reshape([SIZES[axis] for axis in axes])
    expected = labels.transpose([axes.index(axis) for axis in target])
    if lazy:
        labels = zarr.array(labels, chunks=labels.shape)
    found = arrange_labels(labels, "".join(axes), "".join(target))
    np.testing.assert_array_equal(np.asarray(found), expected)


@pytest.mark.parametrize(
    ("axes", "shape", "image_axes", "expected"),
    [
        ("TCZYX", (1, 1, 1, 4, 5), "TCZYX", (1, 1, 4, 5)),
        ("YX", (4, 5), "TCZYX", (1, 1, 4, 5)),
        ("TYX", (1, 4, 5), "YX", (4, 5)),
        (None, (7, 4, 5), "YX", (7, 4, 5)),
        ("YX", (4, 5), "YXC", (4, 5)),
    ],
)
def test_axes_of_length_1_do_not_matter(
    axes: str | None, shape: tuple[int, ...], image_axes: str, expected: tuple[int, ...]
) -> None:
    assert arrange_labels(np.zeros(shape), axes, image_axes).shape == expected


def test_an_axis_that_the_image_has_not_is_told() -> None:
    with pytest.raises(InputError, match="Z of length 3, which the image"):
        arrange_labels(np.zeros((3, 4, 5)), "ZYX", "YX")


def test_an_axis_of_another_name_in_the_same_place_is_taken() -> None:
    labels = np.zeros((3, 4, 5))
    assert arrange_labels(labels, "ZYX", "TYX", {"T": 3, "Y": 4, "X": 5}) is labels


def test_files_that_declare_other_orders_make_a_pair(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 99, (2, 3, 16, 17)).astype(np.uint16)
    labels = image % 3
    write_image(tmp_path / "image.ome.tif", image, axes="TZYX")
    write_labels(tmp_path / "labels.ome.tif", labels.transpose(1, 0, 2, 3), axes="ZTYX")
    example, _ = read_example(tmp_path / "image.ome.tif", tmp_path / "labels.ome.tif")
    np.testing.assert_array_equal(np.asarray(example.labels), labels)
