"""Calibration of the decoding settings of a trained network on its validation pieces."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import ndimage

from napari_unet.card import Decoding
from napari_unet.dataset.validation_pieces import ValidationPiece
from napari_unet.inference.decoding import iter_frames
from napari_unet.inference.results import Prediction
from napari_unet.instances.maps import BOUNDARY, outline_distance, prepare_maps
from napari_unet.metrics import InstanceScores
from napari_unet.training.scoring import score_predictions
from napari_unet.training.stroke_calibration import estimate_least_size

THRESHOLDS = (0.5, 0.4, 0.6, 0.3, 0.7)
AREA_THRESHOLDS = tuple(n / 20 for n in range(2, 17))
HIGHEST_IOU = 0.9  # of the AP by which settings are judged; above, the labels' own outlines differ
LEAST_GAIN_OBJECTS = 0.5  # as many more must be found for a setting to replace that of the card
AP_TOLERANCE = 0.01  # AP that may be given up for less biased areas
SHAPE_TOLERANCE = 0.02  # AP by which splitting by shape may be worse before its own search
LEAST_MATCHED = 20  # objects; fewer tell little of their areas
SPLIT_DEPTHS = (0.15, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4)
SMOOTHINGS_PIXELS = (0.0, 0.5, 1.0, 1.5, 2.0)  # of boundaries, which noise opens and doubles
SIZE_SHARES = (0.0, 0.5, 1.0)
SMALL_OBJECT_PERCENTILE = 1.0  # percentile of the true sizes
RADIUS_SHARES = (1.0, 0.5)  # of the radius of a typical piece of foreground
MAX_RADIUS_PIXELS = 200.0  # the bound of `Decoding.shape_radius`


def calibrate(
    predictions: Sequence[Prediction],
    pieces: Sequence[ValidationPiece],
    *,
    threshold: float | None = None,
) -> Decoding:
    """The best way to split, thresholds and smallest size, one after the other.

    The settings are judged by the AP at IoU 0.5 to 0.9, averaged, of the objects of all pieces
    together, on the known pixels; to replace that of the card, a setting must gain as much as
    half an object is, so that few objects change little. Objects are split by the learned
    distance, or boundary (smoothed, where that helps), with the best settings for it; or by the
    shape of the foreground, with a radius that its pieces suggest, where that is better still.
    Of the thresholds that are about as good as the best one, that is taken in the end whose
    objects have the area of the true ones.

    Parameters
    ----------
    predictions : sequence of Prediction
        Of an instance model, one for each piece; the network does not run again.
    pieces : sequence of ValidationPiece
        Not trained on, and, where these have few objects, some that were.
    threshold : float, optional
        For labels that do not show where objects end, as strokes: taken as it is, and the
        smallest size is estimated as well (`napari_unet.training.stroke_calibration`).

    Returns
    -------
    Decoding
        For the model's card.
    """

    def evaluate_decoding(decoding: Decoding) -> InstanceScores:
        scores = score_predictions(predictions, pieces, **decoding.model_dump())
        assert isinstance(scores, InstanceScores)
        return scores

    card = predictions[0].card
    small = _find_small_size(pieces)
    searched: tuple[tuple[str, Sequence[float]], ...] = (
        ("split_depth", SPLIT_DEPTHS),
        ("smoothing", SMOOTHINGS_PIXELS if card.instances == BOUNDARY else ()),
        ("threshold", THRESHOLDS if threshold is None else ()),
        ("min_size", tuple(int(share * small) for share in SIZE_SHARES)),
    )
    learned = card.decoding.model_copy(update={"shape_radius": 0.0})
    if threshold is not None:
        learned = learned.model_copy(update={"threshold": threshold})
    first = evaluate_decoding(learned)
    least_gain = _least_gain(first)

    def improve(best: Decoding, highest: float) -> tuple[Decoding, float]:
        for field, values in searched:
            for value in values:
                if value == getattr(best, field):
                    continue
                candidate = best.model_copy(update={field: value})
                reached = _mean_ap(evaluate_decoding(candidate))
                if reached >= highest + least_gain:
                    best, highest = candidate, reached
        return best, highest

    best, highest = improve(learned, _mean_ap(first))
    # by the shape, where that is about as good before its own settings are searched for
    shapes = [
        best.model_copy(update={"shape_radius": radius, "split_depth": learned.split_depth})
        for radius in _propose_radii(predictions, best, small)
    ]
    by_shape = [(_mean_ap(evaluate_decoding(each)), each) for each in shapes]
    reached, shape = max(by_shape, key=lambda each: each[0], default=(-1.0, best))
    if reached >= highest - SHAPE_TOLERANCE:
        shape, reached = improve(shape, reached)
        if reached >= highest + least_gain:
            best = shape
    if threshold is None:
        return _unbias_areas(best, evaluate_decoding)
    least_size = estimate_least_size(predictions, pieces, best)
    return best.model_copy(update={"min_size": least_size})


def _mean_ap(scores: InstanceScores) -> float:
    return float(np.mean([ap for iou, ap in scores.ap.items() if iou <= HIGHEST_IOU + 1e-9]))


def _least_gain(scores: InstanceScores) -> float:
    """AP by which a setting must be better to replace another one."""
    return LEAST_GAIN_OBJECTS / max(scores.tp[0.5] + scores.fn[0.5], 1)


def _unbias_areas(best: Decoding, evaluate: Callable[[Decoding], InstanceScores]) -> Decoding:
    """The threshold at which areas are least biased, of those that are as good as the best."""
    scores = evaluate(best)
    if scores.tp[0.5] < LEAST_MATCHED:
        return best
    tried = {best.threshold: scores}
    for threshold in AREA_THRESHOLDS:
        if threshold not in tried:
            tried[threshold] = evaluate(best.model_copy(update={"threshold": threshold}))
    lowest = max(map(_mean_ap, tried.values())) - AP_TOLERANCE
    # from the highest on: the higher the threshold, the smaller the areas
    good = [t for t in sorted(tried, reverse=True) if _mean_ap(tried[t]) >= lowest]
    biases = np.maximum.accumulate([math.log(tried[t].area_ratio or 1) for t in good])
    threshold = round(float(np.interp(0, biases, good)), 2)
    return best.model_copy(update={"threshold": threshold})


def _find_small_size(pieces: Sequence[ValidationPiece]) -> float:
    """Pixels of a small object, of the pieces that are known everywhere; 0 if there is none."""
    counted = [p.labels[0][p.labels[0] > 0] for p in pieces if p.known.all()]
    sizes = [np.unique(labels, return_counts=True)[1] for labels in counted]
    sizes = [size for size in sizes if size.size]
    return float(np.percentile(np.concatenate(sizes), SMALL_OBJECT_PERCENTILE)) if sizes else 0.0


def _propose_radii(
    predictions: Sequence[Prediction], decoding: Decoding, least: float
) -> tuple[float, ...]:
    """Shape radii to be tried: of the median piece of foreground of ``least`` pixels or more.

    The radius of a piece is that of the largest ball in it, which pieces of several objects
    that touch hardly enlarge.
    """
    found = [np.zeros(0)]
    for maps in (maps for prediction in predictions for maps in iter_frames(prediction)):
        foreground = prepare_maps(maps, decoding)[0] > np.float32(decoding.threshold)
        pieces, count = ndimage.label(foreground)
        radii = ndimage.maximum(outline_distance(foreground), pieces, np.arange(1, count + 1))
        large = np.bincount(pieces.ravel(), minlength=count + 1)[1:] >= least
        found.append(np.asarray(radii)[large])
    radii = np.concatenate(found)
    radii = radii[np.isfinite(radii)]  # without an outline there is no radius
    if not radii.size:
        return ()
    typical = float(np.median(radii))
    return tuple(min(round(share * typical, 1), MAX_RADIUS_PIXELS) for share in RADIUS_SHARES)
