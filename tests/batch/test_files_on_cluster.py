"""Files on a Dask cluster of two worker processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import napari_unet as nu
from napari_unet.cli import main
from napari_unet.io import read_image, write_image

pytestmark = [pytest.mark.slow, pytest.mark.process, pytest.mark.filterwarnings("default")]


def test_files_on_a_cluster_are_those_of_one_process(
    bright_model: Callable[..., nu.Model], tmp_path: Path
) -> None:
    model = bright_model().save(tmp_path / "bright")
    image = np.zeros((40, 60), np.uint8)
    image[5:15, 5:20] = image[20:30, 30:50] = 200
    for n in range(4):
        write_image(tmp_path / "in" / f"a{n}.tif", image[:, n:], axes="YX")
    (tmp_path / "in" / "b.tif").write_bytes(b"nothing")
    words = ["segment", str(tmp_path / "in"), "-m", str(model)]
    assert main([*words, "-o", str(tmp_path / "alone")]) == 1
    assert main([*words, "-o", str(tmp_path / "out"), "--cluster", "local:2"]) == 1
    for n in range(4):
        first, second = (
            read_image(tmp_path / folder / f"a{n}_labels.tif").array for folder in ("alone", "out")
        )
        np.testing.assert_array_equal(first, second)
        assert first.max() == 2
