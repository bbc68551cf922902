"""The images that come with the package."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import tifffile

from napari_unet.axes import label_axes
from napari_unet.errors import InputError
from napari_unet.io import read_image
from napari_unet.samples import FOLDER, load_sample, sample_names

STORED = [name for name in sample_names() if name != "time_series"]


@pytest.mark.parametrize("name", sample_names())
def test_a_sample_is_an_image_with_its_truth(name: str) -> None:
    sample = load_sample(name)
    assert sample.name == name
    assert sample.image.ndim == len(sample.axes)
    assert sample.truth.ndim == len(label_axes(sample.axes))
    sizes = dict(zip(sample.axes, sample.image.shape, strict=True))
    assert sample.truth.shape == tuple(sizes[axis] for axis in label_axes(sample.axes))
    assert sizes.get("C", 3) == 3
    assert sample.image.dtype.kind == "u"
    assert np.ptp(sample.image) > 50  # there is something to see
    objects = np.unique(sample.truth)
    assert objects[0] == 0
    assert len(objects) > 20
    # what is labelled stands out: bright in fluorescence, dark in stained tissue
    inside = np.median(sample.image[sample.truth > 0])
    outside = np.median(sample.image[sample.truth == 0])
    assert inside < outside - 30 if name == "histology" else inside > outside + 10


@pytest.mark.parametrize("name", STORED)
def test_the_file_holds_the_image_and_names_its_axes(name: str) -> None:
    sample = load_sample(name)
    assert sample.path is not None
    stored = read_image(sample.path)
    np.testing.assert_array_equal(stored.array, sample.image)
    assert stored.axes == sample.axes
    assert stored.pixel_size is None


def test_colours_are_stored_as_colours_without_loss() -> None:
    with tifffile.TiffFile(FOLDER / "histology.tif") as file:
        page = file.pages.first
        assert page.photometric == tifffile.PHOTOMETRIC.RGB
        assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE


def test_what_is_synthetic_says_so_and_has_no_file() -> None:
    sample = load_sample("time_series")
    assert sample.path is None
    assert "synthetic" in sample.source
    assert sample.image.shape == (12, 256, 256)
    assert sample.image.dtype == np.uint16
    again = load_sample("time_series")
    np.testing.assert_array_equal(sample.image, again.image)
    np.testing.assert_array_equal(sample.truth, again.truth)


def test_there_is_one_of_each_kind() -> None:
    assert [load_sample(name).axes for name in sample_names()] == ["YX", "YXC", "ZYX", "TYX"]


def test_sources_and_licences_are_named() -> None:
    notice = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name in sample_names():
        source = load_sample(name).source
        assert "CC0" in source or "BSD" in source
        assert f"`{name}" in notice


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'cells'.*nuclei_2d.*time_series"):
        load_sample("cells")


def test_all_together_are_small() -> None:
    sizes = [path.stat().st_size for path in FOLDER.iterdir()]
    assert max(sizes) < 300_000
    assert sum(sizes) < 1_000_000


@pytest.mark.process
def test_loading_needs_no_torch() -> None:
    code = (
        "import sys; from napari_unet.samples import load_sample, sample_names; "
        "[load_sample(name) for name in sample_names()]; "
        "assert not {'torch', 'pydantic', 'napari'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
