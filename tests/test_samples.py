"""The images that come with the package."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from napari_unet.errors import InputError
from napari_unet.io import read_image
from napari_unet.samples import FOLDER, load_sample, sample_names


@pytest.mark.parametrize("name", sample_names())
def test_a_sample_is_an_image_with_its_truth(name: str) -> None:
    sample = load_sample(name)
    assert sample.name == name
    assert sample.image.shape == sample.truth.shape
    assert sample.image.ndim == len(sample.axes)
    assert sample.image.dtype.kind == "u"
    assert np.ptp(sample.image) > 50  # there is something to see
    objects = np.unique(sample.truth)
    assert objects[0] == 0
    assert len(objects) > 20
    # what is labelled is brighter than what is not
    inside, outside = sample.image[sample.truth > 0], sample.image[sample.truth == 0]
    assert np.median(inside) > np.median(outside)


@pytest.mark.parametrize("name", sample_names())
def test_the_file_holds_the_image(name: str) -> None:
    sample = load_sample(name)
    np.testing.assert_array_equal(read_image(sample.path).array, sample.image)


def test_there_is_a_plane_and_a_stack() -> None:
    assert {load_sample(name).axes for name in sample_names()} == {"YX", "ZYX"}


def test_sources_and_licences_are_named() -> None:
    notice = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name in sample_names():
        source = load_sample(name).source
        assert "CC0" in source or "BSD" in source
        assert name in notice


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'cells'.*nuclei_2d"):
        load_sample("cells")


def test_all_together_are_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 1_000_000


def test_loading_needs_no_torch() -> None:
    code = (
        "import sys; from napari_unet.samples import load_sample; load_sample('nuclei_2d'); "
        "assert not {'torch', 'pydantic', 'napari'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
