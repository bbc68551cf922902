"""The Labels layer that is corrected: its array, its axes, and places in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.transforms import CompositeAffine

from napari_unet.correction.edits import Point, Scene
from napari_unet.correction.free_label import largest_possible
from napari_unet.correction.object_index import ObjectIndex
from napari_unet.correction.window import Near
from napari_unet.errors import InputError
from napari_unet.io.pixel_size import tidy, unit_in_micrometres
from napari_unet.widgets.annotation.marks import marks_for
from napari_unet.widgets.correct.stored_layer import open_stored
from napari_unet.widgets.viewer.coordinates import unit_ratios
from napari_unet.widgets.viewer.kept_scores import distance_of
from napari_unet.widgets.viewer.layer_image import PIXEL_SIZE_KEY, RECORD_KEY, plain

if TYPE_CHECKING:
    from napari import Viewer


SEARCHED_BYTES = 1 << 28  # of labels in memory, all of which are searched within 0.1 s


@dataclass(eq=False)
class Target:
    """A layer whose objects can be corrected.

    Attributes
    ----------
    layer : Labels
        The layer itself, no proxy.
    axes : str
        Of its array, a letter of TCZYX each; T and C lead.
    spacing : tuple of float or None
        Micrometres per axis of space; None where they are unknown.
    largest : int
        The largest label that was ever used; numbers of deleted objects do not come back.
    index : ObjectIndex or None
        Where the objects lie; None for labels that are searched as fast.
    """

    layer: Labels
    axes: str
    spacing: tuple[float, ...] | None
    largest: int = 0
    index: ObjectIndex | None = None

    @classmethod
    def of(cls, layer: Labels) -> Target:
        """A layer as it is now.

        Raises
        ------
        InputError
            If its objects cannot be corrected, with what to do instead.
        """
        layer = plain(layer)
        if layer.multiscale:
            raise InputError(
                f"‘{layer.name}’ has several resolutions, and the coarser ones would not follow",
                "open its finest level as a layer of its own",
                code="multiscale",
            )
        largest_possible(layer.data)
        axes = _axes_of(layer)
        if not isinstance(layer.data, np.ndarray):
            open_stored(layer)
        elif layer.data.nbytes <= SEARCHED_BYTES:
            return cls(layer, axes, _spacing_of(layer, axes), int(layer.data.max(initial=0)))
        return cls(layer, axes, _spacing_of(layer, axes), index=ObjectIndex())

    @property
    def has_numbers(self) -> bool:
        """Whether it is known which numbers are free."""
        return self.index is None or self.index.is_complete

    @property
    def labels(self) -> Any:
        """The array, which is read and written by slices."""
        return self.layer.data

    @property
    def frame_depth(self) -> int:
        """How many leading axes are not space."""
        return sum(axis in "TC" for axis in self.axes)

    @property
    def depth_between_planes(self) -> int:
        """Leading axes that stay as they are when an object is filled in between planes."""
        return self.frame_depth if "Z" in self.axes else max(self.axes.find("T"), 0)

    @property
    def has_planes(self) -> bool:
        """Whether there is an axis across which an object can be filled in."""
        return "Z" in self.axes or "T" in self.axes

    @property
    def scene(self) -> Scene:
        """What an edit has to know."""
        largest = self.largest if self.has_numbers else None
        distance = distance_of(self.layer)
        return Scene(self.labels, largest, self.near, distance, self.spacing_of_axes)

    def near(self, label: int, point: Point) -> Near | None:
        """Where to look for an object: nowhere in particular, in its box, or at the point."""
        if self.index is None:
            return None
        box = self.index.box(label)
        return point if box is None else box

    @property
    def spacing_of_axes(self) -> tuple[float, ...] | None:
        """Pixel size along each axis; those that are not space have 1."""
        if self.spacing is None:
            return None
        known = iter(self.spacing)
        return tuple(next(known) if axis in "ZYX" else 1.0 for axis in self.axes)

    def label_at(self, point: Sequence[int]) -> int:
        """The label of a pixel; 0 beside the labels."""
        return self.scene.label_at(tuple(point))

    def contains(self, point: Sequence[int]) -> bool:
        """Whether a pixel lies in the labels."""
        return all(0 <= n < size for n, size in zip(point, self.labels.shape, strict=True))

    def point_at(self, viewer: Viewer, position: Sequence[float]) -> Point:
        """The pixel at a position of the viewer's world, which may lie outside of the labels."""
        layer = self.layer
        world = np.zeros(layer.ndim)
        given = np.asarray(position, float)[-layer.ndim :]  # aligned at the last axes
        world[layer.ndim - len(given) :] = given
        data = layer.world_to_data(world * unit_ratios(viewer, layer))
        return tuple(round(float(n)) for n in data)


def _axes_of(layer: Labels) -> str:
    record = layer.metadata.get(RECORD_KEY)
    of_image = str(record.get("axes", "")) if isinstance(record, Mapping) else ""
    axes = marks_for(layer, None, of_image).axes
    if axes.lstrip("TC") != axes.replace("T", "").replace("C", ""):
        raise InputError(
            f"‘{layer.name}’ has the axes {axes}, and corrections need T before Z, Y and X",
            "save it, and open the file anew with its axes in that order",
            code="axes-order",
        )
    return axes


def _spacing_of(layer: Labels, axes: str) -> tuple[float, ...] | None:
    place = CompositeAffine(
        scale=layer.scale, rotate=layer.rotate, shear=layer.shear, ndim=layer.ndim
    )
    steps = np.linalg.norm(layer.affine.linear_matrix @ place.linear_matrix, axis=0)
    typed = layer.metadata.get(PIXEL_SIZE_KEY)
    found = []
    for axis, step, unit in zip(axes, steps, layer.units, strict=True):
        if axis not in "ZYX":
            continue
        known = typed.get(axis) if isinstance(typed, Mapping) else None
        if known is None:
            micrometres = unit_in_micrometres(unit)
            known = None if micrometres is None else tidy(float(step) * micrometres)
        if known is None:
            return None
        found.append(float(known))
    return tuple(found)
