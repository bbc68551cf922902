"""Decoding settings that suit a trained network, found on its validation examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_unet.card import Decoding
from napari_unet.decoding import decode
from napari_unet.examples import Example
from napari_unet.metrics import evaluate
from napari_unet.model import Model
from napari_unet.prediction import predict

THRESHOLDS = (0.5, 0.4, 0.6, 0.3, 0.7)
SPLIT_DEPTHS = (0.15, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4)
SIZE_SHARES = (0.0, 0.5, 1.0)
SMALL_OBJECT = 1.0  # percentile of the true sizes


def calibrate(model: Model, examples: Sequence[Example], **settings: Any) -> Decoding:
    """The best thresholds and smallest size, one after the other.

    The network runs once per example. The settings are judged by the AP at IoU 0.5 to 0.75,
    averaged; a setting must be better than the default to replace it.

    Parameters
    ----------
    model : Model
        An instance model.
    examples : sequence of Example
        Not trained on.
    **settings
        Fields of `SegmentSettings` for the prediction, such as the device.

    Returns
    -------
    Decoding
        For the model's card.
    """
    predictions = [
        predict(
            example.image,
            model,
            axes=example.axes,
            channels=example.channels,
            pixel_size=example.pixel_size,
            **settings,
        )
        for example in examples
    ]
    truth = [np.asarray(example.labels) for example in examples]

    def judge(decoding: Decoding) -> float:
        found = [decode(p, **decoding.model_dump()) for p in predictions]
        scores = evaluate(found, truth, task="instance")
        return float(np.mean([ap for iou, ap in scores.ap_mean.items() if iou <= 0.75]))

    sizes = [np.unique(labels[labels > 0], return_counts=True)[1] for labels in truth]
    small = np.percentile(np.concatenate(sizes), SMALL_OBJECT) if any(map(len, sizes)) else 0
    best = model.card.decoding
    highest = judge(best)
    for field, values in (
        ("split_depth", SPLIT_DEPTHS),
        ("threshold", THRESHOLDS),
        ("min_size", tuple(int(share * small) for share in SIZE_SHARES)),
    ):
        for value in values:
            if value == getattr(best, field):
                continue
            candidate = best.model_copy(update={field: value})
            reached = judge(candidate)
            if reached > highest + 1e-9:
                best, highest = candidate, reached
    return best
