"""Memory does not grow with the image where the result is written as it comes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr

pytestmark = pytest.mark.process

RUN = """
import resource, sys
import zarr, napari_unet as nu

source, output = sys.argv[1:]
nu.segment(zarr.open_array(source, mode="r"), "nuclei", axes="ZYX", output=output, tile=128,
           volume_mode="slices", device="cpu", precision="float32")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def peak_megabytes(folder: Path, planes: int) -> int:
    """Peak RSS of a process that segments a zarr stack of that many planes into another."""
    source = folder / f"{planes}.zarr"
    array = zarr.create_array(source, shape=(planes, 512, 512), chunks=(4, 256, 256), dtype="u2")
    plane = np.random.default_rng(0).integers(0, 4000, (512, 512), np.uint16)
    for z in range(planes):
        array[z] = plane
    command = [sys.executable, "-c", RUN, str(source), str(folder / f"{planes}_labels.zarr")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.slow
def test_peak_memory_stays_when_the_stack_grows(tmp_path: Path) -> None:
    small, large = peak_megabytes(tmp_path, 8), peak_megabytes(tmp_path, 64)
    # the larger stack alone has 28 MB more of pixels and 59 MB more of labels
    assert large < 1.05 * small
