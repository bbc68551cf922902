"""The scores that labels were decoded from, while the dock that predicted them keeps them."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.widgets.viewer.layer_image import plain

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_unet.inference.roi import RoiPrediction

FOREGROUND_CHANNEL, DISTANCE_CHANNEL = 0, 1  # of the scores of objects


@dataclass(frozen=True, eq=False)
class KeptScores:
    """Scores of a layer of labels; they go when whoever predicted them lets them go.

    Attributes
    ----------
    found : weak reference to RoiPrediction
        The scores.
    axes : str
        Of the layer.
    corner : tuple of int
        Where in the layer the scores begin, per axis of the layer but C.
    """

    found: weakref.ref[RoiPrediction]
    axes: str
    corner: tuple[int, ...]


_kept: weakref.WeakKeyDictionary[Labels, KeptScores] = weakref.WeakKeyDictionary()


def keep_scores(layer: Any, found: RoiPrediction, axes: str, corner: Sequence[int]) -> None:
    """Tell which scores the labels of a layer were decoded from."""
    _kept[plain(layer)] = KeptScores(weakref.ref(found), axes, tuple(map(int, corner)))


def hand_on_scores(layer: Any, copy: Any, corner: Sequence[int]) -> None:
    """Let a copy of a layer have its scores; ``corner`` is where the layer begins in the copy."""
    kept = _kept.get(plain(layer))
    if kept is not None:
        shifted = tuple(a + int(b) for a, b in zip(kept.corner, corner, strict=True))
        _kept[plain(copy)] = KeptScores(kept.found, kept.axes, shifted)


def scores_of(layer: Any) -> tuple[RoiPrediction, str, tuple[int, ...]] | None:
    """Scores of a layer, its axes, and where the scores begin in it; None where there are none."""
    kept = _kept.get(plain(layer))
    found = None if kept is None else kept.found()
    return None if kept is None or found is None else (found, kept.axes, kept.corner)


def confidence_of(layer: Any, window: tuple[slice, ...], mask: NDArray[np.bool_]) -> float | None:
    """The mean foreground score in a part of a layer; None where it has none there.

    Parameters
    ----------
    layer : Labels
        Of objects.
    window : tuple of slice
        The part, in the axes of the layer.
    mask : bool array
        The pixels of it that count.
    """
    scores = read_foreground(layer, window)
    if scores is None or not mask.any():
        return None
    confidence = float(scores[mask].mean())
    return None if np.isnan(confidence) else confidence


class KeptDistance:
    """The distance map that the objects of a layer were decoded from, read by windows.

    Parameters
    ----------
    layer : Labels
        Of objects, with scores.

    Attributes
    ----------
    shape : tuple of int
        Of the layer.
    """

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self.shape = tuple(int(n) for n in layer.data.shape)

    def __getitem__(self, window: tuple[slice, ...]) -> NDArray[np.float32]:
        """A part of it; NaN where nothing was predicted."""
        found = _read_map(self._layer, window, DISTANCE_CHANNEL)
        if found is None:  # whoever predicted has let go of the scores
            return np.full([part.stop - part.start for part in window], np.nan, np.float32)
        return found


def distance_of(layer: Any) -> KeptDistance | None:
    """The distance map of a layer of objects; None where its scores are not kept."""
    known = scores_of(layer)
    if known is None or known[0].prediction.card.task != "instance":
        return None
    axes, shape = known[0].prediction.axes, known[0].scores.shape
    return KeptDistance(layer) if shape[axes.index("C")] > DISTANCE_CHANNEL else None


def read_foreground(layer: Any, window: tuple[slice, ...]) -> NDArray[np.float32] | None:
    """The foreground score of a part of a layer.

    Parameters
    ----------
    layer : Labels
        Of objects.
    window : tuple of slice
        The part, in the axes of the layer.

    Returns
    -------
    float32 array or None
        Of the window's shape, NaN where nothing was predicted; None where the layer has no
        scores, or not those of objects.
    """
    return _read_map(layer, window, FOREGROUND_CHANNEL)


def _read_map(layer: Any, window: tuple[slice, ...], channel: int) -> NDArray[np.float32] | None:
    """A channel of the scores in a part of a layer; see `read_foreground`."""
    known = scores_of(layer)
    if known is None:
        return None
    found, axes, corner = known
    if found.prediction.card.task != "instance":
        return None
    own = iter(corner)
    first = {axis: 0 if axis == "C" else next(own) for axis in axes}
    score_axes = found.prediction.axes
    source: list[Any] = []
    target = [slice(None)] * len(axes)
    for axis, size in zip(score_axes, found.scores.shape, strict=True):
        if axis == "C":
            source.append(channel)
            continue
        at = axes.index(axis)
        begin = window[at].start - first[axis]
        start, stop = max(begin, 0), min(window[at].stop - first[axis], size)
        source.append(slice(start, max(start, stop)))
        target[at] = slice(start - begin, max(start, stop) - begin)
    scores = np.asarray(found.scores[tuple(source)], np.float32)
    kept = [score_axes.replace("C", "").index(axis) for axis in axes if axis != "C"]
    whole = np.full([part.stop - part.start for part in window], np.nan, np.float32)
    part = whole[tuple(target)]
    part[...] = scores.transpose(kept).reshape(part.shape)
    return whole
