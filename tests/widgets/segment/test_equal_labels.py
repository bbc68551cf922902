"""Equal calls give bit-equal labels, whoever calls and whatever else the machine does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import napari_unet as nu
from napari_unet.cli.main import main
from napari_unet.io import read_image, write_image
from napari_unet.samples import load_sample

pytestmark = [pytest.mark.number_format, pytest.mark.windowless]

SEGMENT = """
import sys, numpy as np, napari_unet as nu
np.save(sys.argv[2], nu.segment(np.load(sys.argv[1]), "nuclei", axes="YX"))
"""


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.ascontiguousarray(load_sample("nuclei_2d").image[:200, :240])


@pytest.fixture(scope="module")
def labels(image: np.ndarray) -> np.ndarray:
    labels = nu.segment(image, "nuclei", axes="YX")
    assert labels.max() > 5
    return labels


@pytest.fixture
def burning() -> Iterator[None]:
    """Beside processes that want every core."""
    command = [sys.executable, "-c", "print(1, flush=True)\nwhile True: pass"]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()  # it is at work
    yield
    for child in children:
        child.kill()
        child.communicate()


@pytest.mark.usefixtures("burning")
def test_again_beside_other_work(image: np.ndarray, labels: np.ndarray) -> None:
    for _ in range(2):
        assert np.array_equal(nu.segment(image, "nuclei", axes="YX"), labels)


@pytest.mark.parametrize("free", [1 << 40, 2 << 30])
def test_again_with_other_memory_free(
    image: np.ndarray, labels: np.ndarray, monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    memory = psutil.virtual_memory()._replace(available=free)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    large = np.tile(image, (3, 3))
    expected = nu.segment(large, "nuclei", axes="YX", output=None)
    monkeypatch.undo()
    assert np.array_equal(nu.segment(large, "nuclei", axes="YX"), expected)
    assert np.array_equal(nu.segment(image, "nuclei", axes="YX"), labels)


def test_in_another_process(image: np.ndarray, labels: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", image)
    paths = [str(tmp_path / name) for name in ("image.npy", "labels.npy")]
    subprocess.run([sys.executable, "-c", SEGMENT, *paths], check=True, timeout=240)
    assert np.array_equal(np.load(paths[1]), labels)


def test_from_the_command_line(image: np.ndarray, labels: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    write_image(path, image, axes="YX")
    assert main(["segment", str(path), "-m", "nuclei", "-o", str(tmp_path / "out")]) == 0
    assert np.array_equal(read_image(tmp_path / "out" / "image_labels.tif").array, labels)


def test_in_the_dock(
    image: np.ndarray,
    labels: np.ndarray,
    dock: Any,
    viewer: Any,
    run: Callable[[Any], None],
    labels_of: Callable[[Any], list[Any]],
) -> None:
    viewer.add_image(image, name="nuclei")
    run(dock)
    (layer,) = labels_of(viewer)
    assert np.array_equal(layer.data, labels)
