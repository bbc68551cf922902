"""Zarr arrays and OME-Zarr images behind URLs, read chunk by chunk."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from napari_unet.errors import FileError, UNetError
from napari_unet.io.opened import Opened
from napari_unet.io.pixel_size import believable_sizes, order_sizes
from napari_unet.io.reason import reason_of
from napari_unet.io.zarr_files import read_node


def open_zarr_url(url: str) -> Opened:
    """Open a Zarr array, or the full resolution of an OME-Zarr image, behind a URL.

    Parameters
    ----------
    url : str
        Of the array or group, such as ``s3://bucket/cells.zarr``. A level of an image, named by
        itself, has the axes of its own dimensions and no pixel size.

    Raises
    ------
    FileError
        If there is none, or it cannot be reached.
    """
    import zarr

    try:
        node: Any = zarr.open(url, mode="r")
        array, axes, sizes, unitless, names, notes = read_node(PurePosixPath(url), node)
        sizes, told = believable_sizes(sizes)
    except UNetError:
        raise
    except MemoryError:
        raise  # it is not the store's fault
    except Exception as error:
        # stores, codecs and metadata of other programs raise errors of any kind
        raise FileError(
            f"{url} is no Zarr image that can be read ({reason_of(error)})",
            "check the name and your access to it",
        ) from error
    return Opened(
        array,
        axes,
        order_sizes(sizes, axes) if axes else None,
        (*notes, *told, *unitless[1]),
        channel_names=names,
        unitless_size=unitless[0],
    )
