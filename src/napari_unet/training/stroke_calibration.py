"""The decoding of objects that were learned from strokes, which show no outline.

Strokes lie inside objects and inside the background, so that on them one threshold is as good as
another, whatever is between. At 0.5 objects are too large, as they are painted far more thickly
than the background around them, and the network takes them to be that common. Two things tell of
another threshold: the image, which is steep where most objects end; and, where it is steeper
inside of them, how common objects are among all pixels, as far as the network can tell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.card import Decoding
from napari_unet.dataset.validation_pieces import ValidationPiece
from napari_unet.inference.decoding import iter_decode
from napari_unet.inference.results import Prediction
from napari_unet.progress import drain
from napari_unet.training.class_calibration import estimate_shares
from napari_unet.training.learned_pieces import count_objects

THRESHOLDS = (np.arange(10, 91, 5) / 100).astype(np.float32)  # compared with float32
DEFAULT_THRESHOLD = 0.5  # of a card that nothing was calibrated for
SIGMA_PIXELS = 1.0  # of the Gaussian that takes the noise from the images
ROUNDS = 4  # of the estimate by shares, which hardly changes after the second
OUTLINE_PIXELS = 2  # of an object, on the average, with which labels show where objects end
DIM_SHARE = 0.1  # of the painted objects, whose foreground limits an estimate
HEIGHT_SHARE = 0.9  # of that foreground: a threshold just below it leaves little of an object
LEAST_OUTLINE = 0.5  # of the usual length of all outlines; shorter ones are those of few objects
LEAST_OBJECTS = 20  # with paint; fewer tell little of the smallest
SMALL_OBJECT_PERCENTILE = 1.0  # of the sizes of objects with paint
SIZE_SHARE = 0.5  # of a small object: what is smaller is no object


def lack_outlines(pieces: Sequence[ValidationPiece]) -> bool:
    """Whether the labels hardly show where objects end, as strokes.

    An outline is known where two neighbouring pixels are, and their labels differ. Strokes meet by
    chance; objects that were painted up to their border, beside painted background, rows of labels,
    or other pieces that are known everywhere show enough to search for a threshold on.
    """
    outlines = objects = 0
    for piece in pieces:
        labels, known = piece.labels[0], piece.known
        for axis in range(labels.ndim):
            along, sure = np.moveaxis(labels, axis, 0), np.moveaxis(known, axis, 0)
            differ = (along[1:] != along[:-1]) & sure[1:] & sure[:-1]
            outlines += int(np.count_nonzero(differ))
        objects += count_objects(piece)
    return objects > 0 and outlines < OUTLINE_PIXELS * objects


def estimate_threshold(
    predictions: Sequence[Prediction], pieces: Sequence[ValidationPiece]
) -> float | None:
    """Foreground above which a pixel belongs to an object: by the edges, else by the shares.

    Parameters
    ----------
    predictions : sequence of Prediction
        Of an instance model, one for each piece.
    pieces : sequence of ValidationPiece
        Painted in part.

    Returns
    -------
    float or None
        Within `THRESHOLDS`; None where nothing tells of it.
    """
    found = find_edge_threshold(predictions, pieces)
    return estimate_share_threshold(predictions, pieces) if found is None else found


def limit_threshold(
    threshold: float, predictions: Sequence[Prediction], pieces: Sequence[ValidationPiece]
) -> float:
    """The threshold, lowered as far as needed for the painted objects not to be lost.

    The foreground of an object is the median of its paint. It is that of a dim one, of those above
    0.5, that the threshold has to stay well below: else only bright ones would be left.

    Parameters
    ----------
    threshold : float
        An estimate.
    predictions, pieces
        As of `estimate_threshold`.
    """
    heights = [np.zeros(0)]
    for prediction, piece in zip(predictions, pieces, strict=True):
        paint = np.where(piece.known, piece.labels[0], 0)
        names = np.unique(paint[paint > 0])
        heights.append(np.asarray(ndimage.median(np.asarray(prediction.scores)[0], paint, names)))
    found = np.concatenate(heights)
    found = found[found > DEFAULT_THRESHOLD]
    if not found.size:
        return min(threshold, DEFAULT_THRESHOLD)
    highest = HEIGHT_SHARE * float(np.quantile(found, DIM_SHARE))
    return min(threshold, max(math.floor(100 * highest) / 100, DEFAULT_THRESHOLD))


def find_edge_threshold(
    predictions: Sequence[Prediction], pieces: Sequence[ValidationPiece]
) -> float | None:
    """The threshold whose outlines run along the steepest parts of the images.

    Wherever two neighbouring pixels of a plane lie on either side of an outline, the difference of
    their intensities counts, over the mean difference of neighbours in the piece; all channels
    count alike.

    Parameters
    ----------
    predictions, pieces
        As of `estimate_threshold`; what is known of the pieces does not count.

    Returns
    -------
    float or None
        One of `THRESHOLDS`; None where it would be the first or the last of those that leave most
        of the outlines, as of cells that are steepest inside: these are not the edges of objects.
    """
    steepness, outlines = np.zeros((2, len(THRESHOLDS)))
    for prediction, piece in zip(predictions, pieces, strict=True):
        foreground = np.asarray(prediction.scores)[0]
        sigmas = (0.0,) * (piece.image.ndim - 2) + (SIGMA_PIXELS,) * 2
        image = ndimage.gaussian_filter(piece.image, sigmas)
        for axis in (-2, -1):
            steps = np.abs(np.diff(image, axis=axis)).sum(0).ravel()
            mean = float(steps.mean()) if steps.size else 0.0
            if mean > 0:
                found = _count_crossings(foreground, axis, steps / mean)
                steepness += found[0]
                outlines += found[1]
    if not outlines.any():
        return None
    usual = float(np.median(outlines[outlines > 0]))
    tried = np.flatnonzero(outlines >= LEAST_OUTLINE * usual)
    best = int(tried[np.argmax(steepness[tried] / outlines[tried])])
    return round(float(THRESHOLDS[best]), 2) if tried[0] < best < tried[-1] else None


def estimate_share_threshold(
    predictions: Sequence[Prediction], pieces: Sequence[ValidationPiece]
) -> float | None:
    """Foreground above which a pixel of the images is rather object than background.

    With objects a share f of the painted and s of all pixels, the odds of a pixel change by
    s (1 - f) / f (1 - s) from the ones to the others (Saerens et al. 2002, equation 2.4). The share
    s is that of `napari_unet.training.class_calibration.estimate_shares`, again and again: pixels
    along the outlines, which nobody painted, count as halves only when the odds are right.

    Parameters
    ----------
    predictions, pieces
        As of `estimate_threshold`.

    Returns
    -------
    float or None
        Within `THRESHOLDS`; None where only objects, or only background, were painted.
    """
    maps = [np.asarray(p.scores)[0] for p in predictions]
    known = [piece.known for piece in pieces]
    labels = [piece.labels[0][piece.known] > 0 for piece in pieces]
    truth = np.concatenate(labels).astype(np.intp)
    painted = float(truth.mean()) if truth.size else 0.0
    if not 0 < painted < 1:
        return None
    threshold = 0.5
    for _ in range(ROUNDS):
        evened = [_even_out(each, threshold) for each in maps]
        foreground = np.concatenate([e[k] for e, k in zip(evened, known, strict=True)])
        mean = sum(float(e.sum(dtype=np.float64)) for e in evened) / sum(e.size for e in evened)
        scores = np.stack([1 - foreground, foreground])
        share = float(estimate_shares(scores, truth, np.array([1 - mean, mean]))[1])
        ours, others = painted * (1 - share), share * (1 - painted)
        threshold = float(np.clip(ours / (ours + others), THRESHOLDS[0], THRESHOLDS[-1]))
    return round(threshold, 2) if math.isfinite(threshold) else None


def _even_out(foreground: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
    """Probabilities whose odds are even at the threshold."""
    ours, others = foreground * (1 - threshold), (1 - foreground) * threshold
    return np.asarray(ours / (ours + others))


def _count_crossings(
    foreground: NDArray[np.float32], axis: int, steps: NDArray[np.float32]
) -> NDArray[np.float64]:
    """For each threshold the sum of ``steps`` between neighbours that it parts, and their number.

    Two neighbours are parted by the thresholds from the lower value on, below the higher one.
    """
    along = np.moveaxis(foreground, axis, 0)
    pairs = np.sort(np.stack([along[1:], along[:-1]]), axis=0)
    first, behind = np.searchsorted(THRESHOLDS, np.moveaxis(pairs, 1, axis).reshape(2, -1))
    parted = first < behind
    size = len(THRESHOLDS) + 1
    weights = (steps[parted], None)
    begun, ended = (
        np.stack([np.bincount(at[parted], w, size) for w in weights]) for at in (first, behind)
    )
    return np.cumsum(begun - ended, axis=1)[:, :-1]


def estimate_least_size(
    predictions: Sequence[Prediction], pieces: Sequence[ValidationPiece], decoding: Decoding
) -> int:
    """Pixels below which nothing was painted: specks, which strokes cannot tell from objects.

    Half the size of a small one of the objects that are found where one was painted; that of the
    decoding where they are few.
    """
    sizes: list[NDArray[np.intp]] = [np.zeros(0, np.intp)]
    settings: dict[str, Any] = decoding.model_dump()
    for prediction, piece in zip(predictions, pieces, strict=True):
        found = np.asarray(drain(iter_decode(prediction, **settings)).labels)
        hit = np.unique(found[piece.known & (piece.labels[0] > 0)])
        sizes.append(np.bincount(found.ravel())[hit[hit > 0]])
    counted = np.concatenate(sizes)
    if counted.size < LEAST_OBJECTS:
        return decoding.min_size
    return int(SIZE_SHARE * np.percentile(counted, SMALL_OBJECT_PERCENTILE))
