"""Files of microscopes (CZI, ND2, LIF and more) through bioio, where it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_unet.errors import FileError, Note
from napari_unet.io.lazy import LazyArray
from napari_unet.io.opened import Opened
from napari_unet.io.reason import reason_of
from napari_unet.io.scenes import Scene, choose_scene

BIOIO_SUFFIXES = (".czi", ".nd2", ".lif", ".dv", ".sld", ".oib", ".oif", ".vsi", ".ims")
"""Endings that bioio, with its plugins, may open."""

AXES = "TCZYX"


def open_bioio(path: Path, scene: int | str | None = None) -> Opened:
    """Open a file of a microscope, lazily.

    Axes of length 1 but Y and X are left out.

    Raises
    ------
    FileError
        If bioio, or what it needs for the format, is not installed, or the file is damaged.
    InputError
        If it has no such scene.
    """
    try:
        import bioio
    except ImportError:
        raise FileError(
            f"{path} is a file of a microscope ({path.suffix}), for which bioio is not installed",
            'install it with: pip install "napari-unet-torch[formats]"; or export the file as '
            "OME-TIFF",
            code="no-bioio",
        ) from None
    try:
        image: Any = bioio.BioImage(path)
        names = [str(name) for name in image.scenes]
        scenes = []
        for name in names:
            image.set_scene(name)
            shape = tuple(int(n) for n in image.shape)
            scenes.append(Scene(name, shape, (shape[-2], shape[-1])))
    except Exception as error:
        raise FileError(
            f"{path} cannot be opened by bioio ({reason_of(error)})",
            "install the plugin of bioio for this format, or export the file as OME-TIFF",
        ) from error
    chosen, notes = choose_scene(path, tuple(scenes), scene)
    try:
        image.set_scene(names[chosen])
        source = image.dask_data
        sizes, channels = image.physical_pixel_sizes, list(image.channel_names or ())
    except Exception as error:
        raise FileError(
            f"{path} is damaged, or cannot be read by bioio ({reason_of(error)})",
            "export the file as OME-TIFF",
        ) from error
    kept = [i for i, axis in enumerate(AXES) if axis in "YX" or int(source.shape[i]) > 1]
    axes = "".join(AXES[i] for i in kept)
    pixel = {"Z": sizes.Z, "Y": sizes.Y, "X": sizes.X}
    known = tuple(_positive(pixel[axis]) for axis in axes if axis in "ZYX")
    told: tuple[Note, ...] = notes
    return Opened(
        LazyArray(path, _Chunked(source), kept),
        axes,
        known if any(size is not None for size in known) else None,
        told,
        tuple(scenes),
        chosen,
        tuple(map(str, channels)) if "C" in axes else (),
    )


class _Chunked:
    """A Dask array as `LazyArray` takes one: with chunks of one size."""

    def __init__(self, array: Any) -> None:
        self._array = array
        self.shape = tuple(int(n) for n in array.shape)
        self.dtype = array.dtype
        self.chunks = tuple(int(sizes[0]) for sizes in array.chunks)

    def __getitem__(self, index: Any) -> Any:
        return self._array[index].compute(scheduler="synchronous")


def _positive(size: Any) -> float | None:
    return float(size) if size is not None and float(size) > 0 else None
