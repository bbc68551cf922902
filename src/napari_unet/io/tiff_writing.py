"""Writing TIFF files plane by plane: ImageJ hyperstacks, plain TIFF, OME-TIFF."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.io.label_colours import LUT_SIZE, colour_table
from napari_unet.io.pixel_size import resolution_from_size
from napari_unet.io.tiff_metadata import AXES_KEY, KIND_KEY, LABELS, RECORD_KEY

_IMAGEJ_DTYPES = ("uint8", "uint16", "float32")
_WIDE_LABELS = ("int32", "uint32")  # which ImageJ opens as float32, without loss up to 2**24
_COLOR_MAP = 320  # tag
OME_DTYPES = (
    "uint8", "uint16", "uint32", "int8", "int16", "int32", "float32", "float64",
)  # fmt: skip
"""Data types of pixels in OME-TIFF, as NumPy names them."""

_IMAGEJ_ORDER = "TZC"
_OME_ORDER = "TCZ"

CLASSIC_BYTES = 2**32 - 2**25
"""Pixels beyond this do not surely fit into the 4 GB that classic TIFF can address."""


def write_tiff(
    path: Path,
    array: Any,
    dtype: np.dtype[Any],
    axes: str,
    sizes: Mapping[str, float],
    more: Mapping[str, str],
) -> None:
    """Write an ImageJ hyperstack if ImageJ can read it, else a plain (Big)TIFF.

    ``more`` is our own metadata, as `own_metadata` reads them. Labels get a colour table.
    """
    layout = _Layout(array, dtype, axes, _IMAGEJ_ORDER)
    big = layout.nbytes > CLASSIC_BYTES
    labels = more.get(KIND_KEY) == LABELS
    wide = labels and dtype.name in _WIDE_LABELS and layout.shape[-1] > 1
    imagej = (wide or dtype.name in _IMAGEJ_DTYPES) and not big
    metadata: dict[str, Any] = {"axes": layout.axes, AXES_KEY: axes, **more}
    options: dict[str, Any] = {"imagej": True} if imagej else {"bigtiff": big}
    if imagej:
        if RECORD_KEY in metadata:
            metadata["Info"] = metadata.pop(RECORD_KEY)  # ImageJ shows it at Image > Show Info
        if labels:
            options["extratags"] = [_colour_tag()]
            # as many labels as there are colours: all others get the last one, and none is black
            metadata |= {"min": 0, "max": LUT_SIZE - 1}
        if sizes:
            metadata["unit"] = "um"
            options["resolution"] = tuple(resolution_from_size(sizes.get(a)) for a in "XY")
        if "Z" in sizes:
            metadata["spacing"] = sizes["Z"]
    else:
        metadata |= _physical_sizes(sizes)
        options |= _resolution_tags(sizes)
    layout.write(path, *_described_by_hand(layout, metadata, options, wide=wide and imagej))


def _colour_tag() -> tuple[int, str, int, list[int], bool]:
    """The colours of labels as ImageJ itself writes a look-up table, also of 16 bits."""
    values = colour_table().T.astype(np.uint16) * 257
    return (_COLOR_MAP, "H", values.size, values.ravel().tolist(), True)


def _described_by_hand(
    layout: _Layout, metadata: dict[str, Any], options: dict[str, Any], *, wide: bool
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Metadata and options; of 32 bits tifffile does not write those of ImageJ by itself."""
    if not wide:
        return metadata, options
    from tifffile.tifffile import imagej_description, imagej_metadata_tag

    info = {key: metadata.pop(key) for key in ("Info",) if key in metadata}
    axes = metadata.pop("axes")
    text = imagej_description(layout.shape, axes, rgb=False, **metadata)
    tags = [*options.pop("extratags", ()), *imagej_metadata_tag(info, "<")]
    del options["imagej"]
    by_hand = {"description": text, "software": False, "byteorder": "<", "extratags": tags}
    return None, {**options, **by_hand, "resolutionunit": "NONE"}


def write_ome_tiff(
    path: Path,
    array: Any,
    dtype: np.dtype[Any],
    axes: str,
    sizes: Mapping[str, float],
    more: Mapping[str, str],
) -> None:
    """Write an OME-TIFF, as BigTIFF where it may pass 4 GB."""
    layout = _Layout(array, dtype, axes, _OME_ORDER)
    own = {AXES_KEY: axes, **more}
    metadata = {"axes": layout.axes, "MapAnnotation": own, **_physical_sizes(sizes)}
    metadata |= {f"PhysicalSize{axis}Unit": "µm" for axis in sizes}
    options = {"ome": True, "bigtiff": layout.nbytes > CLASSIC_BYTES, **_resolution_tags(sizes)}
    layout.write(path, metadata, options)


def _physical_sizes(sizes: Mapping[str, float]) -> dict[str, Any]:
    return {f"PhysicalSize{axis}": size for axis, size in sizes.items()}


def _resolution_tags(sizes: Mapping[str, float]) -> dict[str, Any]:
    """Resolution tags, for programs that read nothing else."""
    if "X" not in sizes or "Y" not in sizes:
        return {}
    resolution = tuple(resolution_from_size(sizes[axis], 1e4) for axis in "XY")
    return {"resolution": resolution, "resolutionunit": "CENTIMETER"}


class _Layout:
    """An array brought into an order of axes that a format prescribes.

    Planes (Y, X) come last; three 8-bit channels after them stay there as RGB.
    """

    def __init__(self, array: Any, dtype: np.dtype[Any], axes: str, order: str) -> None:
        size = dict(zip(axes, (int(n) for n in array.shape), strict=True))
        self.rgb = axes[-1] == "C" and size["C"] == 3 and dtype == np.uint8
        self._array = array
        self._dtype = dtype
        self._given = axes
        self._outer = "".join(a for a in order if a in axes and not (self.rgb and a == "C"))
        self._inner = "YXC" if self.rgb else "YX"
        self.shape = tuple(size[a] for a in self._outer + self._inner)
        self.axes = self._outer + ("YXS" if self.rgb else "YX")
        self.nbytes = int(np.prod(self.shape, dtype=np.int64)) * dtype.itemsize

    def write(self, path: Path, metadata: dict[str, Any] | None, options: dict[str, Any]) -> None:
        import tifffile

        data: Any = self._planes()
        shape = self.shape
        if shape[-1] == 1 and metadata is not None:
            # tifffile takes a last axis of length 1 for samples, unless told otherwise.
            if options.get("imagej"):
                shape += (1,)
                metadata = metadata | {"axes": f"{self.axes}S"}
            elif not options.get("ome"):
                data = np.stack(list(data)).reshape(shape)
        tifffile.imwrite(
            path,
            data,
            shape=shape,
            dtype=self._dtype,
            photometric="rgb" if self.rgb else "minisblack",
            compression="zlib",
            metadata=metadata,
            **options,
        )

    def _planes(self) -> Iterator[NDArray[Any]]:
        for place in np.ndindex(*self.shape[: len(self._outer)]):
            at = dict(zip(self._outer, place, strict=True))
            index = tuple(at.get(axis, slice(None)) for axis in self._given)
            kept = [axis for axis in self._given if axis not in at]
            plane = np.asarray(self._array[index])
            plane = plane.transpose([kept.index(axis) for axis in self._inner])
            yield np.ascontiguousarray(plane, dtype=self._dtype)
