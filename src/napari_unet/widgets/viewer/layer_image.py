"""What an image layer says of its array, and where a result belongs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.transforms import CompositeAffine
from numpy.typing import NDArray

from napari_unet.axes import axes_beside, guess_axes
from napari_unet.image.given import (
    FILE_PART_KEY,
    PIXEL_SIZE_KEY,
    letters_of,
    origin_of_layer,
    steps_of,
    typed_size,
)
from napari_unet.io.declared_axes import declared_axes
from napari_unet.io.pixel_size import tidy
from napari_unet.widgets.qt.axes_field import AxesGuess
from napari_unet.widgets.qt.wording import label_of
from napari_unet.widgets.viewer.placement import Placement

if TYPE_CHECKING:
    from napari.layers import Image

RECORD_KEY = "napari_unet"  # in a layer's metadata

__all__ = ["FILE_PART_KEY", "PIXEL_SIZE_KEY", "RECORD_KEY", "LayerImage"]


@dataclass(frozen=True, eq=False)
class LayerImage:
    """An image layer as it was at one moment; the layer itself is not kept.

    It may stand for several layers, each a channel, that lie on the same place.

    Attributes
    ----------
    name : str
        Of the layer.
    arrays : tuple of array-like
        The pixels, an array for each layer; of a multiscale layer one level.
    rgb : bool
        Whether the last axis holds colours. It is no axis of the layer then.
    axis_labels : tuple of str
        One per axis of the layer.
    spacing : tuple of float or None
        Micrometres per axis of the layer; None where its unit is no length.
    place : CompositeAffine
        Scale, shear, rotation and translation, with units and labels.
    affine : Affine
        The layer's further transform.
    file : str or None
        That the layer was read from, as far as it knows.
    file_shape : tuple of int
        Shape of the array there: that of the finest level.
    typed_size : dict of str to float
        Micrometres by axis letter that a user has typed for the layer.
    coarsening : tuple of float
        Pixels of the finest level in one, per axis of the layer.
    origins : tuple of mapping
        Where each array is from, as far as the layers know; see `napari_unet.image.given.Given`.
    """

    name: str
    arrays: tuple[Any, ...]
    rgb: bool
    axis_labels: tuple[str, ...]
    spacing: tuple[float | None, ...]
    place: CompositeAffine
    affine: Any
    file: str | None
    file_shape: tuple[int, ...]
    typed_size: dict[str, float]
    coarsening: tuple[float, ...]
    origins: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of(cls, layer: Image, *channels: Image, level: int = 0) -> LayerImage:
        """What a layer holds now.

        Parameters
        ----------
        layer : Image
            The layer.
        *channels : Image
            Further layers, which lie on the same place, for the channels after the first.
        level : int
            Of a multiscale layer; 0 is the finest.
        """
        coarser = np.ones(layer.ndim)
        if layer.multiscale:
            level = min(level, len(layer.data) - 1)
            coarser = np.asarray(layer.downsample_factors[level], float)[: layer.ndim]
        place = _coarsen(layer, coarser)
        return cls(
            name=layer.name,
            arrays=tuple(level_of(each, level) for each in (layer, *channels)),
            rgb=bool(layer.rgb),
            axis_labels=tuple(layer.axis_labels),
            spacing=tuple(
                None if step is None else tidy(step * factor)
                for step, factor in zip(steps_of(layer), coarser, strict=True)
            ),
            place=place,
            affine=layer.affine,
            file=layer.source.path,
            file_shape=shape_of(layer),
            typed_size=typed_size(layer),
            coarsening=tuple(float(factor) for factor in coarser),
            origins=tuple(origin_of_layer(each, level) for each in (layer, *channels)),
        )

    @property
    def array(self) -> Any:
        """The pixels of the first layer."""
        return self.arrays[0]

    @property
    def image(self) -> Any:
        """The pixels as the Python API takes them: an array, or a list of one per channel."""
        return self.arrays[0] if len(self.arrays) == 1 else list(self.arrays)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array, colours included."""
        return tuple(int(n) for n in self.array.shape)

    @property
    def known_axes(self) -> str | None:
        """Axes of the array that the layer names, else those that its file declares; or None."""
        named = letters_of(self.axis_labels)
        if named is not None:
            return named + "C" * self.rgb
        found = declared_axes(self.file, self.file_shape)
        return found if found is None or found.endswith("C") or not self.rgb else None

    def guess_axes(self, *, ndim: int, channels: int | None) -> AxesGuess:
        """Axes of the array, and the doubt about them in words.

        Parameters
        ----------
        ndim, channels : int
            Spatial axes and input channels of the model; None: there is an axis of channels.

        Returns
        -------
        AxesGuess
            Those that are known; else guessed.

        Raises
        ------
        InputError
            If the array has too few or too many axes.
        """
        known = self.known_axes
        if known is not None:
            return AxesGuess(known)
        if not self.rgb:
            in_axis = channels if len(self.arrays) == 1 else 1
            axes, doubt = guess_axes(self.shape, ndim=ndim, channels=in_axis)
        else:
            axes, doubt = guess_axes(self.shape, ndim=ndim, colours=True)
        if doubt is None:
            return AxesGuess(axes)
        return AxesGuess(axes, doubt.worded(label_of), doubt.others)

    def pixel_size(self, axes: str, *, typed: bool = True) -> tuple[float | None, ...]:
        """Micrometres per spatial axis, in the order of ``axes``; None where unknown.

        Sizes that a user has ``typed`` go before those of the layer.
        """
        given = self.typed_size if typed else {}
        sizes: list[float | None] = []
        for i, axis in enumerate(axes):
            if axis in "ZYX":
                own = self.spacing[i] if i < len(self.spacing) else None
                coarser = self.coarsening[i] if i < len(self.coarsening) else 1.0
                sizes.append(given[axis] * coarser if axis in given else own)
        return tuple(sizes)

    def placement(self, axes: str, corner: Sequence[int] | None = None) -> Placement:
        """How a result is laid beside the image.

        Parameters
        ----------
        axes : str
            Of the array. The result has them less C.
        corner : sequence of int, optional
            Where in the image the result begins, one pixel index per axis of the result.
        """
        own = axes[: len(self.axis_labels)]  # colours are no axis of a layer
        shown = axes_beside(own)
        place = self.place
        if "C" in shown:
            # one pixel that covers all channels: it is there whichever of them is shown
            place = _coarsen(
                place, [n if a == "C" else 1 for a, n in zip(own, self.shape, strict=False)]
            )
        kept = [i for i, axis in enumerate(own) if axis in shown]
        place = place.set_slice(kept)
        translate = place.translate
        if corner is not None:
            first = dict(zip(axes.replace("C", ""), corner, strict=True))
            translate = translate + place.linear_matrix @ [float(first.get(a, 0)) for a in shown]
        return Placement(
            shown,
            {
                "scale": place.scale,
                "translate": translate,
                "rotate": place.rotate,
                "shear": place.shear,
                "affine": self.affine.set_slice(kept).affine_matrix,
                "units": place.units,
                "axis_labels": place.axis_labels,
            },
        )


def _coarsen(place: Any, factors: Sequence[float] | NDArray[Any]) -> CompositeAffine:
    """Where pixels lie that cover so many of a layer, or of a place, along each axis."""
    known = {"rotate": place.rotate, "shear": place.shear, "ndim": len(factors)}
    finest = CompositeAffine(scale=place.scale, translate=place.translate, **known)
    # the first pixel covers several of the finer ones: its centre is theirs
    shift = finest.linear_matrix @ ((np.asarray(factors, float) - 1) / 2)
    return CompositeAffine(
        scale=place.scale * np.asarray(factors, float),
        translate=place.translate + shift,
        units=place.units,
        axis_labels=place.axis_labels,
        **known,
    )


def describe_pixel_size(sizes: Sequence[float | None], axes: str) -> str:
    """The pixel size in words.

    Examples
    --------
    >>> describe_pixel_size((2.0, 0.325, 0.325), "ZYX")
    'Z 2 × Y 0.325 × X 0.325 µm'
    >>> describe_pixel_size((None, None), "YX")
    'unknown'
    """
    if all(size is None for size in sizes):
        return "unknown"
    letters = [axis for axis in axes if axis in "ZYX"]
    parts = [
        f"{axis} {'?' if size is None else format(size, '.4g')}"
        for axis, size in zip(letters, sizes, strict=True)
    ]
    return " × ".join(parts) + " µm"


def level_of(layer: Any, level: int = 0) -> Any:
    """The array of a layer; of a multiscale one that of a level, 0 the finest."""
    return layer.data[level] if layer.multiscale else layer.data


def shape_of(layer: Any) -> tuple[int, ...]:
    """Shape of a layer's array at full resolution, colours included."""
    return tuple(int(n) for n in level_of(layer).shape)


def plain(proxy: Any) -> Any:
    """The viewer or layer itself: plugins get proxies, other ones each time."""
    return getattr(proxy, "__wrapped__", proxy)
