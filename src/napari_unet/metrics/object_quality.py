"""Scores of objects that need no threshold of the IoU: aggregated Jaccard, SEG."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_unet.metrics.matching import ObjectOverlap


def aggregate_pixels(overlap: ObjectOverlap) -> tuple[int, int]:
    """Pixels of the aggregated Jaccard index: shared ones, and those of the unions.

    Each true object is laid beside the predicted object with which its IoU is highest. Predicted
    objects that are nobody's best add to the unions; of several that are equally good the source
    leaves the choice open, and none of them adds. The index is shared over union.

    References
    ----------
    N. Kumar et al., "A dataset and a technique for generalized nuclear segmentation for
    computational pathology", IEEE Transactions on Medical Imaging 36, 2017, algorithm 1.
    """
    true, predicted, shared = overlap.true, overlap.predicted, overlap.shared
    # the last of each true object is its best one; of equal ones one with the most pixels, so
    # that the numbers of the objects do not matter
    order = np.lexsort((shared, overlap.iou, true))
    last = np.ones(order.size, bool)
    last[:-1] = true[order][1:] != true[order][:-1]
    best = order[last]
    highest = np.zeros(overlap.true_sizes.size)
    highest[true[best]] = overlap.iou[best]
    as_good = overlap.iou == highest[true]
    union = overlap.true_sizes[true[best]] + overlap.predicted_sizes[predicted[best]] - shared[best]
    unseen = np.delete(overlap.true_sizes, true[best]).sum()
    spurious = np.delete(overlap.predicted_sizes, np.unique(predicted[as_good])).sum()
    return int(shared[best].sum()), int(union.sum() + unseen + spurious)


def sum_seg(overlap: ObjectOverlap) -> float:
    """Sum over the true objects of the SEG measure of the Cell Tracking Challenge.

    A true object has the IoU with the predicted object that covers more than half of it, of which
    there is one at most; else 0. SEG is the mean over the true objects: objects that are nobody's
    do not lower it.

    References
    ----------
    M. Maška et al., "A benchmark for comparison of cell tracking algorithms", Bioinformatics 30,
    2014.
    """
    covered = 2 * overlap.shared > overlap.true_sizes[overlap.true]
    return float(overlap.iou[covered].sum())
