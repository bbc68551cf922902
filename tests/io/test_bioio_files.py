"""Files of microscopes: refused in words without bioio, read through it where it is there."""

from __future__ import annotations

import sys
from collections import namedtuple
from pathlib import Path
from types import ModuleType
from typing import Any

import dask.array as da
import numpy as np
import pytest

import napari_unet as nu
from napari_unet.errors import FileError
from napari_unet.io import read_image

Sizes = namedtuple("Sizes", "Z Y X")  # as bioio names them


def test_without_bioio_it_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bioio", None)
    (tmp_path / "a.czi").write_bytes(b"ZISRAWFILE")
    with pytest.raises(FileError, match=r"a\.czi.*bioio is not installed.*formats"):
        read_image(tmp_path / "a.czi")
    (result,) = nu.segment_files([tmp_path], "nuclei")
    assert "bioio is not installed" in str(result.error)


def test_with_bioio_axes_sizes_scenes_and_channels_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.arange(2 * 3 * 20 * 30, dtype=np.uint16).reshape(1, 2, 3, 20, 30)

    class BioImage:
        scenes = ("first", "second")
        physical_pixel_sizes = Sizes(2.0, 0.5, 0.25)
        channel_names = ("DAPI", "GFP")

        def __init__(self, path: Path) -> None:
            self._scene = 0

        def set_scene(self, name: str) -> None:
            self._scene = self.scenes.index(name)

        @property
        def shape(self) -> tuple[int, ...]:
            return pixels.shape

        @property
        def dask_data(self) -> Any:
            return da.from_array(pixels + 1000 * self._scene, chunks=(1, 1, 1, 20, 30))

    module = ModuleType("bioio")
    module.BioImage = BioImage  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "bioio", module)
    (tmp_path / "a.nd2").write_bytes(b"any")
    image = read_image(tmp_path / "a.nd2", scene="second")
    assert (image.axes, image.pixel_size) == ("CZYX", (2.0, 0.5, 0.25))
    assert image.channel_names == ("DAPI", "GFP")
    np.testing.assert_array_equal(np.asarray(image.array), pixels[0] + 1000)
    np.testing.assert_array_equal(image.array[1, 2, 3:5], pixels[0, 1, 2, 3:5] + 1000)
    assert read_image(tmp_path / "a.nd2").scene == 0
