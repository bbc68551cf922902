"""What training says after a step, and what it can be asked meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Preview:
    """A request to `iter_train`: ``job.send(Preview(image))`` gives the next step a preview.

    Parameters
    ----------
    image : array-like, or list of array-like
        The view, such as the visible part of a plane; as in `napari_unet.segment`.
    axes, channels, pixel_size
        As in `napari_unet.segment`.
    limits : sequence of (low, high), optional
        Intensities of each channel that become 0 and 1; None: from ``image`` itself.
    """

    image: Any
    axes: str | None = None
    channels: Sequence[int] | None = None
    pixel_size: float | Sequence[float | None] | None = None
    limits: Sequence[tuple[float, float]] | None = None


@dataclass(frozen=True, eq=False)
class TrainStep:
    """What training says after a step.

    Attributes
    ----------
    step, total : int
        Steps so far, and in all (an estimate where a time budget decides).
    loss : float
        Of this step.
    learning_rate : float
        Of this step.
    metric : float or None
        On the held-out examples, where they were just scored: mean AP over IoU 0.5 to 0.95
        (instance; Dice of the foreground where no distance is determined), mean Dice
        (semantic), PSNR in dB (regression).
    best : float or None
        The best metric so far.
    seconds : float
        Since training began.
    message : str
        Something to be told, such as that the batch became smaller; mostly empty.
    preview : array or None
        Labels (values for regression) of the image of a `Preview`, by the present weights.
    """

    step: int
    total: int
    loss: float
    learning_rate: float
    metric: float | None
    best: float | None
    seconds: float
    message: str = ""
    preview: Any = None
