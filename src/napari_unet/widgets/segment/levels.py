"""Levels of a multiscale image: what they are called, and what lies where on a coarser one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_unet.image.roi import Roi

if TYPE_CHECKING:
    from napari.layers import Image


def list_levels(layer: Image | None) -> list[tuple[str, Any]]:
    """Names and numbers of the levels; 0 is the finest."""
    if layer is None or not layer.multiscale:
        return [("0", 0)]
    shapes = [" × ".join(map(str, level.shape)) for level in layer.data]
    return [(f"{i}: {shape}", i) for i, shape in enumerate(shapes)]


def coarsen_roi(roi: Roi, layer: Image, level: int, axes: str, shape: tuple[int, ...]) -> Roi:
    """A part of the finest level on another one, of that shape."""
    if not layer.multiscale:
        return roi
    factors = layer.downsample_factors[level]
    sizes = dict(zip(axes, shape, strict=True))
    return roi.coarsened(dict(zip(axes, factors, strict=False)), sizes)


def coarsen_length(pixels: float, layer: Image, level: int, axes: str) -> float:
    """A length in pixels of the finest level, in those of another one."""
    if not layer.multiscale or "X" not in axes:
        return pixels
    return pixels / float(layer.downsample_factors[level][axes.index("X")])
