"""Steps that a training yields, and requests that can be sent to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from napari_unet.dataset.example import Example
from napari_unet.errors import Note


@dataclass(frozen=True, eq=False)
class Preview:
    """A request to `iter_train`: ``job.send(Preview(image))`` gives the next step a preview.

    Its batch-norm statistics are a mean over few patches, so that it costs little; one that is
    made before the first validation is marked as early.

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
class MoreLabels:
    """A request to `iter_train`: ``job.send(MoreLabels(examples))`` takes in new labels.

    The message of the next step says whether they were taken in; where they do not fit,
    training goes on as before. What is held out stays held out: its pixels are never learned
    from, in whatever example they come again, and its labels are renewed too.

    Parameters
    ----------
    examples : sequence of Example
        All examples as they are now: first those that training began with, in the same order
        and with the same images (labels, region and background may be others), then any
        further ones. The arrays are read while training goes on: give copies of what is
        painted on.
    """

    examples: Sequence[Example]


Request = str | Preview | MoreLabels | None  # the only string is "stop"


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
        On the held-out examples, where they were just scored; ``metric_name`` says what.
    best : float or None
        The best metric so far; scored again when new labels were taken in.
    seconds : float
        Since training began.
    notes : tuple of Note
        Something to be told, each with a code, such as that the batch became smaller; mostly
        empty. ``message`` is all of it in words.
    preview : array or None
        Labels (values for regression) of the image of a `Preview`, by the present weights.
    preview_early : bool
        Whether the preview was made before the first validation: a network that has hardly
        begun to learn changes a lot from step to step, and with the few patches that the
        statistics are a mean over.
    taken_in : bool or None
        Of the step after a `MoreLabels`: whether the training has accepted the labels; None of
        every other step.
    metric_name : str
        What ``metric`` and ``best`` are, for a legend: "mean AP" (instance: average precision,
        mean over IoU 0.5 to 0.95), "Dice" (semantic: mean over the classes; instance while no
        distance is known: of the foreground) or "PSNR" (regression, in dB: mean over the held-out
        pieces). It can change when new labels are taken in.
    """

    step: int
    total: int
    loss: float
    learning_rate: float
    metric: float | None
    best: float | None
    seconds: float
    notes: tuple[Note, ...] = ()
    preview: Any = None
    preview_early: bool = False
    taken_in: bool | None = None
    metric_name: str = ""

    @property
    def message(self) -> str:
        """The notes in the words of the Python API; mostly empty."""
        return " ".join(map(str, self.notes))
