"""Metadata that promise more than a file holds are not believed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_unet.errors import FileError
from napari_unet.io import read_image, write_image

OME = (
    '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/'
    '2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" '
    'SizeX="32" SizeY="32" SizeC="1" SizeT="1" SizeZ="{z}"><Channel ID="Channel:0:0" '
    'SamplesPerPixel="1"/><TiffData IFD="{ifd}" PlaneCount="{count}"/></Pixels></Image>{more}</OME>'
)
MODULO = (
    '<StructuredAnnotations><XMLAnnotation ID="a" Namespace="openmicroscopy.org/omero/dimension/'
    'modulo"><Value><Modulo><ModuloAlongZ Type="angle" Start="0" End="1e9" Step="1"/></Modulo>'
    "</Value></XMLAnnotation></StructuredAnnotations>"
)
READ = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
from pathlib import Path
from napari_unet.errors import FileError
from napari_unet.io import read_image
try:
    read_image(sys.argv[1])
    print("read")
except FileError as error:
    print(error)
"""


@pytest.mark.process
@pytest.mark.parametrize(
    "fields",
    [
        {"z": 10**9},
        {"z": 1, "count": 10**9},
        {"z": 1, "ifd": 10**9},
        {"z": 10**30},
        {"z": 8, "count": 8, "more": MODULO},
    ],
    ids=lambda fields: next(reversed(fields)),
)
@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory as Linux does")
def test_planes_that_no_file_of_that_size_holds(tmp_path: Path, fields: dict[str, object]) -> None:
    path = tmp_path / "bomb.ome.tif"
    text = OME.format(**{"z": 1, "count": 1, "ifd": 0, "more": "", **fields})
    tifffile.imwrite(path, np.zeros((32, 32), np.uint8), description=text, metadata=None)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "declare more planes than" in done.stdout, done


def test_planes_that_lie_in_other_files_are_still_told_as_missing(tmp_path: Path) -> None:
    path = tmp_path / "part.ome.tif"
    text = OME.format(z=5, count=5, ifd=0, more="")
    tifffile.imwrite(path, np.zeros((32, 32), np.uint8), description=text, metadata=None)
    with pytest.raises(FileError, match="planes"):
        read_image(path)


def test_a_store_of_which_next_to_nothing_is_stored(tmp_path: Path) -> None:
    shape, chunks = (1_000_000, 40, 36), (1, 20, 20)
    for name, attributes in (("image.zarr", {}), ("labels.zarr", {"napari_unet": {}})):
        array = zarr.create_array(
            tmp_path / name, shape=shape, chunks=chunks, dtype="u2", attributes=attributes
        )
        array[:3] = 1
    with pytest.raises(FileError, match=r"1000000, 40, 36\), of which next to nothing is stored"):
        read_image(tmp_path / "image.zarr")
    assert read_image(tmp_path / "labels.zarr").array.shape == shape  # they may be empty
    small = zarr.create_array(tmp_path / "b.zarr", shape=(900, 40, 36), chunks=chunks, dtype="u2")
    assert read_image(tmp_path / "b.zarr").array.shape == small.shape


def test_metadata_that_are_cut_are_told(tmp_path: Path) -> None:
    path = tmp_path / "cut.ome.tif"
    write_image(path, np.ones((3, 32, 32), np.uint8), axes="ZYX", pixel_size=(1, 0.5, 0.5))
    assert read_image(path).notes == ()
    whole = tifffile.tiffcomment(path)
    tifffile.tiffcomment(path, whole[: len(whole) // 2])
    (note,) = read_image(path).notes
    assert note.code == "metadata-damaged"
    assert read_image(path).pixel_size is None
