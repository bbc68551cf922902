"""Dark objects on a bright background: the negative is predicted, by whichever way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import napari_unet as nu
from napari_unet.card import Normalization
from napari_unet.cli.main import main
from napari_unet.image.source import invert
from napari_unet.samples import load_sample

FIXED: dict[str, Any] = {"device": "cpu", "precision": "float32"}


@pytest.fixture(scope="module")
def nuclei() -> np.ndarray:
    return load_sample("nuclei_2d").image[:160, :192]


def test_the_negative_of_an_image_gives_its_labels(nuclei: np.ndarray) -> None:
    labels = nu.segment(nuclei, "nuclei", **FIXED)
    assert labels.max() > 10
    np.testing.assert_array_equal(nu.segment(255 - nuclei, "nuclei", invert=True, **FIXED), labels)
    dark = nu.segment(255 - nuclei, "nuclei", **FIXED)
    assert np.mean((dark > 0) == (labels > 0)) < 0.9


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_a_fixed_range_is_one_of_the_image_as_it_is(nuclei: np.ndarray, dtype: str) -> None:
    def scores(image: np.ndarray, low: float, high: float, **more: Any) -> np.ndarray:
        fixed = Normalization(mode="range", limits=((low, high),))
        return np.asarray(nu.predict(image, "nuclei", normalization=fixed, **more, **FIXED).scores)

    image = nuclei[:64, :64].astype(dtype)
    top = float(invert(np.zeros(1, dtype))[0])
    negative = invert(image)
    expected = scores(image, 10, 200)
    np.testing.assert_allclose(
        scores(negative, top - 200, top - 10, invert=True), expected, atol=1e-5
    )


def test_tiles_and_the_record_give_it_again(nuclei: np.ndarray) -> None:
    dark = 1000.0 - nuclei.astype(np.float32)
    dark[:20, :30] = np.nan
    whole = nu.predict(dark, "nuclei", invert=True, **FIXED)
    tiled = nu.predict(dark, "nuclei", invert=True, tile=64, **FIXED)
    assert np.abs(np.asarray(whole.scores) - np.asarray(tiled.scores)).max() <= 1e-4
    assert whole.record["settings"]["invert"] is True
    settings = nu.SegmentSettings.model_validate(whole.record["settings"])
    again = nu.predict(dark, "nuclei", settings=settings)
    np.testing.assert_array_equal(np.asarray(again.scores), np.asarray(whole.scores))


def test_from_the_command_line(nuclei: np.ndarray, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "dark.tif", 255 - nuclei)
    out = tmp_path / "out"
    command = ["segment", str(tmp_path / "dark.tif"), "--model", "nuclei", "--output", str(out)]
    assert main([*command, "--invert", "--device", "cpu", "--precision", "float32"]) == 0
    (written,) = out.glob("*.tif")
    expected = nu.segment(nuclei, "nuclei", **FIXED)
    np.testing.assert_array_equal(tifffile.imread(written), expected)
