"""A part of an image, whose scores and labels are those of the whole.

Objects are linked through z within the part alone: a stack that is cut in z can be parted or
joined differently near its first and last planes.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.axes import label_axes
from napari_unet.card import ModelCard
from napari_unet.image.roi import Roi, pack_mask
from napari_unet.image.source import ImageSource
from napari_unet.inference.decoding import decoding_settings, iter_decode, score_source
from napari_unet.inference.frames import class_values, frame_reader
from napari_unet.inference.plan import find_zoom
from napari_unet.inference.results import Prediction, Segmentation
from napari_unet.inference.run_record import ResultSummary
from napari_unet.instances import maps as instances
from napari_unet.progress import Progress
from napari_unet.renumbering import remove_small
from napari_unet.settings import SegmentSettings, decoding_of

MARGIN = 64  # pixels around a part that its objects may reach into, where the card knows none


@dataclass(frozen=True, eq=False)
class RoiPlace:
    """Where a part of an image lies, and the margin that is predicted around it.

    Attributes
    ----------
    axes : str
        Axes of the labels.
    part, wide : mapping of str to slice
        The part, and the part with its margin, by axis of TZYX.
    inside : (Y, X) bool array or None
        Pixels of the part that may have labels.
    """

    axes: str
    part: Mapping[str, slice]
    wide: Mapping[str, slice]
    inside: NDArray[np.bool_] | None

    @classmethod
    def of(cls, roi: Roi, source: ImageSource, card: ModelCard, diameter: float | None) -> RoiPlace:
        """The place of a part, with a margin that the objects at its edge reach into.

        Parameters
        ----------
        roi : Roi
            The part.
        source : ImageSource
            The image.
        card : ModelCard
            Of the model.
        diameter : float or None
            Of the objects, in pixels of the image, where the settings give it.

        Raises
        ------
        InputError, SettingsError
            If it is no part of the image, or the diameter cannot be used.
        """
        part = roi.of(source)
        wide = dict(part)
        if card.task == "instance":
            zoom = find_zoom(card, source, diameter)
            size = MARGIN if card.object_diameter is None else 2 * card.object_diameter
            for axis, factor in zip(source.spatial[-card.architecture.ndim :], zoom, strict=True):
                margin = math.ceil(size / factor)
                start, stop = part[axis].start, part[axis].stop
                wide[axis] = slice(max(start - margin, 0), min(stop + margin, source.size(axis)))
        return cls(label_axes(source.axes), part, wide, roi.inside)

    @property
    def cut(self) -> tuple[slice, ...]:
        """The part, counted from the corner of its margin, per axis of the labels."""
        found = []
        for axis in self.axes:
            part, first = self.part[axis], self.wide[axis].start
            found.append(slice(part.start - first, part.stop - first))
        return tuple(found)

    @property
    def corner(self) -> tuple[int, ...]:
        """Where in the image the part begins, per axis of the labels."""
        return tuple(self.part[axis].start for axis in self.axes)

    def as_record(self) -> dict[str, Any]:
        """The part for a run record, JSON-ready."""
        extent = {axis: [self.part[axis].start, self.part[axis].stop] for axis in self.axes}
        if self.inside is None:
            return {"extent": extent}
        return {"extent": extent, "outline": pack_mask(self.inside)}


@dataclass(frozen=True, eq=False)
class RoiPrediction:
    """Scores of a part of an image and of a margin around it.

    Attributes
    ----------
    prediction : Prediction
        Of the part with its margin, so that objects at its edge are decoded whole.
    place : RoiPlace
        Where the part lies.
    """

    prediction: Prediction
    place: RoiPlace

    @property
    def axes(self) -> str:
        """Axes of the labels."""
        return self.place.axes

    @property
    def cut(self) -> tuple[slice, ...]:
        """The part, counted from the corner of its margin, per axis of the labels."""
        return self.place.cut

    @property
    def corner(self) -> tuple[int, ...]:
        """Where in the image the part begins, per axis of the labels."""
        return self.place.corner

    @property
    def scores(self) -> Any:
        """Scores of the part without its margin, with the axes of the prediction."""
        scores, axes = self.prediction.scores, self.prediction.axes
        cut = dict(zip(self.axes, self.cut, strict=True))
        index = tuple(cut.get(axis, slice(None)) for axis in axes)
        whole = all(
            part in (slice(None), slice(0, n)) for part, n in zip(index, scores.shape, strict=True)
        )
        return scores if whole else scores[index]


def iter_decode_roi(
    found: RoiPrediction, settings: SegmentSettings | None = None
) -> Generator[Progress, None, Segmentation]:
    """Labels of a part from scores that were kept, without the network.

    Parameters
    ----------
    found : RoiPrediction
        Of an instance or semantic model.
    settings : SegmentSettings, optional
        Its decoding fields are used; None: those of the prediction.

    Yields
    ------
    Progress
        Per plane or time point.

    Returns
    -------
    Segmentation
        Objects are numbered from 1.
    """
    result = yield from iter_decode(found.prediction, settings=settings)
    return cut_segmentation(result, found.place)


def cut_segmentation(result: Segmentation, place: RoiPlace) -> Segmentation:
    """Labels of a part without its margin, and nothing outside its outline."""
    card = result.card
    labels = _cut(place, result.labels, card)
    if labels is result.labels:
        return result
    summary = ResultSummary(
        card,
        constant=bool(result.record.get("constant")),
        left_out=result.record.get("left_out"),
        doubt=result.record.get("domain_doubt", ""),
    )
    summary.low, summary.high = map(list, zip(*result.record["score_range"], strict=True))
    summary.objects = int(labels.max(initial=0))
    if card.task == "semantic":
        summary.pixels = _count_classes(place, labels, card)
    return replace(result, labels=labels, record={**result.record, **summary.as_dict()})


def decode_plane(
    found: RoiPrediction,
    time: int = 0,
    plane: int = 0,
    settings: SegmentSettings | None = None,
) -> NDArray[Any]:
    """Labels of one plane (2D model) or time point (3D model) of a part, not linked.

    Parameters
    ----------
    found : RoiPrediction
        Of an instance or semantic model.
    time, plane : int
        Counted from the corner of the part; of a 3D model the plane does not matter.
    settings : SegmentSettings, optional
        Its decoding fields are used; None: those of the prediction.

    Returns
    -------
    (Y, X) or (Z, Y, X) array
        In the order of the axes of the labels.
    """
    prediction, card = found.prediction, found.prediction.card
    wanted = decoding_settings(prediction, settings)
    source = score_source(prediction)
    planewise = card.architecture.ndim == 2 and "Z" in source.axes
    first = {axis: part.start for axis, part in zip(found.axes, found.cut, strict=True)}
    at = plane + first.get("Z", 0) if planewise else None
    shape = source.spatial_shape if at is None else source.spatial_shape[1:]
    maps = frame_reader(source, time + first.get("T", 0), at)(tuple(slice(0, n) for n in shape))
    if card.task == "semantic":
        labels = class_values(card)[maps.argmax(0)]
    else:
        labels = instances.decode(maps, decoding_of(wanted))
    axes = [axis for axis in source.spatial if axis != "Z" or not planewise]
    order = [axis for axis in found.axes if axis in axes]
    arranged = labels.transpose([axes.index(axis) for axis in order])
    return _cut(found.place, arranged, card, "".join(order))


def _count_classes(place: RoiPlace, labels: NDArray[Any], card: ModelCard) -> NDArray[np.int64]:
    """Pixels of each class, inside the outline."""
    inside = np.ones(labels.shape, bool)
    if place.inside is not None:
        inside = np.broadcast_to(_outline(place, place.axes, labels.shape), labels.shape)
    values = class_values(card)
    return np.array([np.count_nonzero((labels == v) & inside) for v in values], np.int64)


def _outline(place: RoiPlace, axes: str, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The outline with an axis of one pixel for each axis that is not Y or X."""
    assert place.inside is not None
    inside = place.inside if axes.index("Y") < axes.index("X") else place.inside.T
    return inside.reshape([n if a in "YX" else 1 for a, n in zip(axes, shape, strict=True)])


def _cut(
    place: RoiPlace, labels: NDArray[Any], card: ModelCard, axes: str | None = None
) -> NDArray[Any]:
    """The part itself, with nothing outside its outline; objects numbered anew."""
    axes = place.axes if axes is None else axes
    cut = dict(zip(place.axes, place.cut, strict=True))
    whole = tuple(slice(0, n) for n in labels.shape)
    parts = tuple(cut[axis] for axis in axes)
    if parts == whole and place.inside is None:
        return labels
    labels = labels[parts]
    if place.inside is not None:
        inside = _outline(place, axes, labels.shape)
        labels = np.where(inside, labels, labels.dtype.type(0))
    return remove_small(labels, 0) if card.task == "instance" else labels.copy()
