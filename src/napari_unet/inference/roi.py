"""A part of an image, predicted and decoded as it is in the whole.

Objects are linked through z within the part alone: a stack that is cut in z can be parted or
joined differently near its first and last planes.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.axes import label_axes
from napari_unet.card import ModelCard
from napari_unet.image.roi import Roi, pack_mask
from napari_unet.image.source import ImageSource, open_image
from napari_unet.inference.decoding import (
    Segmentation,
    class_values,
    decoding_settings,
    frame_reader,
    iter_decode,
    score_source,
)
from napari_unet.inference.plan import find_zoom, plan_prediction
from napari_unet.inference.prediction import Prediction, iter_plan
from napari_unet.inference.summary import ResultSummary
from napari_unet.instances import maps as instances
from napari_unet.network.model import Model
from napari_unet.progress import Progress
from napari_unet.settings import SegmentSettings, decoding_of, resolve

MARGIN = 64  # pixels around a part that its objects may reach into, where the card knows none


@dataclass(frozen=True, eq=False)
class RoiPrediction:
    """Scores of a part of an image and of a margin around it.

    Attributes
    ----------
    prediction : Prediction
        Of the part with its margin, so that objects at its edge are decoded whole.
    cut : tuple of slice
        The part itself, per axis of the labels.
    corner : tuple of int
        Where in the image it begins, per axis of the labels.
    inside : (Y, X) bool array or None
        Pixels of the part that may have labels.
    """

    prediction: Prediction
    cut: tuple[slice, ...]
    corner: tuple[int, ...]
    inside: NDArray[np.bool_] | None

    @property
    def axes(self) -> str:
        """Axes of the labels."""
        return label_axes(self.prediction.axes)

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


def iter_predict_roi(
    image: Any,
    model: Model | str | Path,
    roi: Roi | None = None,
    *,
    axes: str | None = None,
    channels: Sequence[int] | None = None,
    pixel_size: float | Sequence[float | None] | None = None,
    settings: SegmentSettings | None = None,
    output: str | Path | None = None,
    **overrides: Any,
) -> Generator[Progress, None, RoiPrediction]:
    """Predict a part of an image: the scores are those of the whole image.

    The part is read with the network's halo around it, normalised with the limits of the
    whole image, and predicted on the whole image's grid. (Networks with instance or group norm
    depend on their tiles; theirs differ a little.)

    Parameters
    ----------
    image, model, axes, channels, pixel_size, settings, output
        As for `napari_unet.predict`.
    roi : Roi, optional
        The part; None: the whole image.

    Raises
    ------
    UNetError
        If the image, the model, the part, a setting or the output cannot be used.
    """
    loaded = Model.load(model)
    card = loaded.card
    wanted = resolve(SegmentSettings, settings, overrides)
    source = open_image(
        image,
        axes=axes,
        channels=channels,
        pixel_size=pixel_size,
        ndim=card.architecture.ndim,
        in_channels=card.architecture.in_channels,
    )
    part = (roi or Roi()).of(source)
    wide = _widened(part, source, card, wanted.object_diameter)
    ranges: dict[str, Any] = {a.lower(): (s.start, s.stop) for a, s in wide.items()}
    yield Progress(0, 1, "reading the intensities", "reading")
    plan = plan_prediction(
        image,
        loaded,
        wanted,
        axes=source.axes,
        channels=channels,
        pixel_size=pixel_size,
        roi=Roi(**ranges),
    )
    prediction = yield from iter_plan(plan, loaded, output)
    kept = label_axes(source.axes)
    prediction.record["extent"] = {a: [part[a].start, part[a].stop] for a in kept}
    if roi is not None and roi.inside is not None:
        prediction.record["outline"] = pack_mask(roi.inside)
    return RoiPrediction(
        prediction,
        tuple(slice(part[a].start - wide[a].start, part[a].stop - wide[a].start) for a in kept),
        tuple(part[a].start for a in kept),
        None if roi is None else roi.inside,
    )


def iter_decode_roi(
    found: RoiPrediction, settings: SegmentSettings | None = None
) -> Generator[Progress, None, Segmentation]:
    """Labels of a part, without the network; objects are numbered from 1.

    Parameters
    ----------
    found : RoiPrediction
        Of an instance or semantic model.
    settings : SegmentSettings, optional
        Its decoding fields are used; None: those of the prediction.
    """
    result = yield from iter_decode(found.prediction, settings=settings)
    labels = _cut(found, result.labels, result.card)
    if labels is result.labels:
        return result
    summary = ResultSummary(result.card, constant=bool(result.record.get("constant")))
    summary.low, summary.high = map(list, zip(*result.record["score_range"], strict=True))
    summary.objects = int(labels.max(initial=0))
    if result.card.task == "semantic":
        summary.pixels = _count_classes(found, labels, result.card)
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
    return _cut(found, arranged, card, "".join(order))


def _count_classes(
    found: RoiPrediction, labels: NDArray[Any], card: ModelCard
) -> NDArray[np.int64]:
    """Pixels of each class, inside the outline."""
    inside = np.ones(labels.shape, bool)
    if found.inside is not None:
        inside = np.broadcast_to(_outline(found, found.axes, labels.shape), labels.shape)
    values = class_values(card)
    return np.array([np.count_nonzero((labels == v) & inside) for v in values], np.int64)


def _outline(found: RoiPrediction, axes: str, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The outline with an axis of one pixel for each axis that is not Y or X."""
    assert found.inside is not None
    inside = found.inside if axes.index("Y") < axes.index("X") else found.inside.T
    return inside.reshape([n if a in "YX" else 1 for a, n in zip(axes, shape, strict=True)])


def _cut(
    found: RoiPrediction, labels: NDArray[Any], card: ModelCard, axes: str | None = None
) -> NDArray[Any]:
    """The part itself, with nothing outside its outline; objects numbered anew."""
    axes = found.axes if axes is None else axes
    cut = dict(zip(found.axes, found.cut, strict=True))
    whole = tuple(slice(0, n) for n in labels.shape)
    parts = tuple(cut[axis] for axis in axes)
    if parts == whole and found.inside is None:
        return labels
    labels = labels[parts]
    if found.inside is not None:
        inside = _outline(found, axes, labels.shape)
        labels = np.where(inside, labels, labels.dtype.type(0))
    return instances.remove_small(labels, 0) if card.task == "instance" else labels.copy()


def _widened(
    part: Mapping[str, slice], source: ImageSource, card: ModelCard, diameter: float | None
) -> dict[str, slice]:
    """A part with a margin that the objects at its edge reach into."""
    zoom = find_zoom(card, source, diameter)
    if card.task == "instance":
        size = MARGIN if card.object_diameter is None else 2 * card.object_diameter
    else:
        size = 0
    wide = {axis: part[axis] for axis in part if axis in source.axes}
    for axis, factor in zip(source.spatial[-card.architecture.ndim :], zoom, strict=True):
        margin = math.ceil(size / factor)
        start, stop = part[axis].start, part[axis].stop
        wide[axis] = slice(max(start - margin, 0), min(stop + margin, source.size(axis)))
    return wide
