"""What is drawn of a training: its losses, smoothed too, and its scores; axes and their ticks."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from napari_unet.card import Task
from napari_unet.training.steps import TrainStep

MOST = 2000  # points of a curve
SMOOTHING_STEPS = 20  # steps over which the loss is smoothed
DECADES = 1.5  # a loss that spans more is drawn on a logarithmic axis

# what the axis of a task's score spans at least, and the highest value there is
SPANS: dict[Task, tuple[float, float]] = {
    "instance": (0.1, 1.0),
    "semantic": (0.1, 1.0),
    "regression": (2.0, math.inf),
}


@dataclass(frozen=True)
class _Point:
    step: int


P = TypeVar("P", bound=_Point)


@dataclass(frozen=True)
class LossPoint(_Point):
    """A loss, and the mean over it and the steps before it."""

    loss: float
    smooth: float


@dataclass(frozen=True)
class Score(_Point):
    """The metric on what is held out; higher is better."""

    value: float


class LearningCurve:
    """Losses and scores of a training; of a long one, every so many steps.

    Examples
    --------
    >>> curve = LearningCurve()
    >>> for step in range(1, 5001):
    ...     curve.add(TrainStep(step, 9000, 1 / step, 1e-3, None, None, 0.1))
    >>> len(curve.losses) <= MOST, curve.losses[1].step, curve.latest.step
    (True, 5, 5000)
    """

    def __init__(self) -> None:
        self.losses: list[LossPoint] = []
        self.scores: list[Score] = []
        self.latest: LossPoint | None = None
        self.best: Score | None = None
        self.metric_name = ""
        self.total = 0
        self._seen = 0
        self._stride = 1  # every so many losses are kept

    def add(self, step: TrainStep) -> None:
        """Take a step in; what is no number, such as an infinite PSNR, is left out."""
        self.total = step.total
        if step.metric_name != self.metric_name:
            self.metric_name = step.metric_name
            self.scores = []  # of something else
        if math.isfinite(step.loss):
            self._add_loss(step.step, step.loss)
        if step.metric is not None and math.isfinite(step.metric):
            self.scores.append(Score(step.step, step.metric))
            if len(self.scores) > MOST:
                self.scores = self.scores[::2]

        if step.best is not None and math.isfinite(step.best):
            # the best weights stay the same ones where they were only scored anew
            new = self.best is None or step.metric == step.best
            self.best = Score(step.step if new or self.best is None else self.best.step, step.best)

    def _add_loss(self, step: int, loss: float) -> None:
        before = loss if self.latest is None else self.latest.smooth
        # a plain mean at first, so that the first loss has no more weight than the others
        smooth = before + (loss - before) / min(self._seen + 1, SMOOTHING_STEPS)
        self.latest = LossPoint(step, loss, smooth)
        if self._seen % self._stride == 0:
            self.losses.append(self.latest)
        self._seen += 1
        if len(self.losses) > MOST:
            self.losses = self.losses[::2]
            self._stride *= 2

    def loss_near(self, step: float) -> LossPoint | None:
        """The kept loss that is nearest to a step."""
        return _nearest(self.losses, step)

    def score_near(self, step: float) -> Score | None:
        """The score that is nearest to a step."""
        return _nearest(self.scores, step)


def _nearest(points: Sequence[P], step: float) -> P | None:
    place = bisect_left(points, step, key=lambda point: point.step)
    around = points[max(place - 1, 0) : place + 1]
    return min(around, key=lambda point: abs(point.step - step), default=None)


@dataclass(frozen=True)
class Scale:
    """From values to places along an axis.

    Attributes
    ----------
    low, high : float
        The values at its ends.
    log : bool
        Whether it is logarithmic.
    """

    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """Where a value stands: 0 at the lower end, 1 at the upper one; not beyond them.

        >>> Scale(0.01, 1, log=True).place(0.1), Scale(2, 4).place(5)
        (0.5, 1.0)
        """
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(max(value, self.low))
        return min(max((value - low) / (high - low), 0.0), 1.0)

    def value(self, place: float) -> float:
        """What stands at a place; the inverse of `place` on a linear axis."""
        return self.low + place * (self.high - self.low)

    def ticks(self, most: int) -> list[float]:
        """Round values along the axis, so many at most, and at least one.

        >>> Scale(0, 1).ticks(6), Scale(0.003, 4, log=True).ticks(4)
        ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.01, 0.1, 1.0])
        """
        if not self.log:
            return _round_values(self.low, self.high, most)
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for digits in ((1, 2, 5), (1, 3), (1,)):
            found = [digit * 10.0**decade for decade in decades for digit in digits]
            found = [value for value in found if self.low <= value <= self.high]
            if 0 < len(found) <= most:
                return found
        # many decades, or less than one
        return found[:: max(1, -(-len(found) // most))] or _round_values(self.low, self.high, most)


def loss_scale(points: Sequence[LossPoint]) -> Scale:
    """An axis for the losses: single outliers run against its ends.

    >>> loss_scale([LossPoint(i, 2.0**-i, 2.0**-i) for i in range(10)]).log
    True
    """
    raw = sorted(point.loss for point in points)
    smooth = [point.smooth for point in points]
    rare = len(raw) // 50
    low = min(raw[rare], *smooth) if smooth else 0.0
    high = max(raw[-1 - rare], *smooth) if smooth else 1.0
    if low > 0 and math.log10(high / low) > DECADES:
        return Scale(low / 1.1, high * 1.1, log=True)
    return _wide(low, high, 0.1 * abs(high), 0.0 if low >= 0 else -math.inf, math.inf)


def score_scale(scores: Sequence[Score], task: Task) -> Scale:
    """An axis for the scores of a task.

    >>> score_scale([Score(1, 0.97)], "instance")
    Scale(low=0.9, high=1.0, log=False)
    """
    span, highest = SPANS[task]
    values = [score.value for score in scores] or [0.0]
    lowest = 0.0 if min(values) >= 0 else -math.inf
    return _wide(min(values), max(values), span, lowest, highest)


def step_scale(curve: LearningCurve) -> Scale:
    """An axis from the first step to the latest."""
    steps = [point.step for point in (*curve.losses[:1], *curve.scores[:1], *curve.scores[-1:])]
    if curve.latest is not None:
        steps.append(curve.latest.step)
    first, last = min(steps, default=0), max(steps, default=1)
    first = 0 if first < 0.1 * last else first  # one that was resumed begins late
    return Scale(first, max(last, first + 1))


def _wide(low: float, high: float, span: float, lowest: float, highest: float) -> Scale:
    """An axis with some air at its ends, and at least so wide."""
    air = max(0.05 * (high - low), (span - (high - low)) / 2, 1e-9)
    low, high = low - air, high + air
    if high > highest:
        low, high = max(min(low, highest - span), lowest), highest
    if low < lowest:
        low, high = lowest, max(high, lowest + span)
    return Scale(round(low, 9), round(high, 9))


def _round_values(low: float, high: float, most: int) -> list[float]:
    raw = (high - low) / max(most, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    for digit in (1, 2, 5, 10, 20, 50):
        step = digit * power
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if 0 < last - first + 1 <= most:
            # rounded: 3 * 0.1 is no round value
            return [round(i * step, 12) for i in range(first, last + 1)]
    return [round(low, 12)]
