"""Loss and metric of a training, as they are drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QColor, QMouseEvent, QPalette
from qtpy.QtWidgets import QApplication

from napari_unet.training.steps import TrainStep
from napari_unet.widgets.train.curve_plot import EMPTY, LOSS, METRIC, REDRAW_INTERVAL_MS, Curves
from napari_unet.widgets.train.learning_curve import (
    MOST,
    LearningCurve,
    LossPoint,
    Scale,
    Score,
    loss_scale,
    score_scale,
    step_scale,
)

finite = st.floats(-1e6, 1e6, allow_subnormal=False)


def step(
    number: int,
    loss: float = 0.5,
    metric: float | None = None,
    total: int = 100,
    *,
    best: float | None = None,
    name: str = "mean AP",
) -> Any:
    best = metric if best is None else best
    return TrainStep(number, total, loss, 1e-3, metric, best, number * 0.1, metric_name=name)


@pytest.fixture
def curves(qapp: Any, qtbot: Any) -> Curves:
    curves = Curves("instance")
    qtbot.addWidget(curves)
    curves.resize(320, 150)
    return curves


def colours(curves: Curves) -> set[tuple[int, int, int]]:
    """All colours of the picture."""
    picture = curves.grab().toImage()
    places = ((x, y) for x in range(picture.width()) for y in range(picture.height()))
    return {QColor(picture.pixel(x, y)).getRgb()[:3] for x, y in places}


# what is drawn


def test_a_long_training_keeps_few_points_its_last_loss_and_its_best_score() -> None:
    curve = LearningCurve()
    for n in range(1, 30_001):
        metric = 2.0 if n == 777 else 1 - 1 / n if n % 3 == 0 else None
        curve.add(step(n, 1 / n, metric, total=30_000, best=2.0 if n >= 777 else None))
    assert MOST / 2 <= len(curve.losses) <= MOST
    assert len(curve.scores) <= MOST
    assert [p.step for p in curve.losses] == sorted({p.step for p in curve.losses})
    assert curve.losses[0].step == 1
    assert curve.latest is not None
    assert curve.latest.step == 30_000
    assert curve.best == Score(777, 2.0)


def test_the_smoothed_loss_follows_without_the_noise() -> None:
    curve = LearningCurve()
    for n in range(1, 401):
        curve.add(step(n, 1 + 0.5 * (-1) ** n if n <= 200 else 0.2))
    first, last = curve.loss_near(150), curve.latest
    assert first is not None
    assert last is not None
    assert first.smooth == pytest.approx(1, abs=0.05)
    assert last.smooth == pytest.approx(0.2, abs=0.01)


def test_what_is_no_number_is_left_out() -> None:
    curve = LearningCurve()
    for n, (loss, metric) in enumerate([(0.5, 0.1), (math.nan, math.inf), (math.inf, None)], 1):
        curve.add(step(n, loss, metric))
    assert [p.step for p in curve.losses] == [1]
    assert curve.scores == [Score(1, 0.1)]
    assert curve.best == Score(1, 0.1)


def test_the_nearest_values_are_found() -> None:
    curve = LearningCurve()
    assert curve.loss_near(3) is None
    for n in (10, 20, 40):
        curve.add(step(n, n / 100, 0.5))
    assert [curve.loss_near(at).step for at in (-5, 14, 16, 31, 99)] == [10, 10, 20, 40, 40]  # type: ignore[union-attr]
    assert curve.score_near(29) == Score(20, 0.5)


# axes


def test_only_a_loss_over_decades_gets_a_logarithmic_axis() -> None:
    def falls(factor: float) -> list[LossPoint]:
        return [LossPoint(i, factor**-i, factor**-i) for i in range(100)]

    assert loss_scale(falls(1.1)).log
    assert not loss_scale(falls(1.02)).log
    assert not loss_scale([LossPoint(1, -1, -1), LossPoint(2, 900, 900)]).log


def test_an_outlier_does_not_press_the_curve_flat() -> None:
    points = [LossPoint(i, 0.5 + 0.001 * i, 0.5) for i in range(100)]
    points[40] = LossPoint(40, 30.0, 0.5)
    assert loss_scale(points).high < 1


@pytest.mark.parametrize("task", ["instance", "semantic"])
def test_a_score_never_stands_beside_impossible_values(task: Any) -> None:
    for values in ([0.0], [1.0], [0.97, 0.99], [0, 1]):
        scale = score_scale([Score(i, v) for i, v in enumerate(values)], task)
        assert scale.low >= 0
        assert scale.high <= 1
        assert scale.high - scale.low >= 0.1 - 1e-9


@given(st.lists(finite, min_size=1, max_size=30), st.integers(2, 8))
def test_every_axis_holds_its_values_and_some_ticks(values: list[float], most: int) -> None:
    points = [LossPoint(i, v, v) for i, v in enumerate(values)]
    scores = [Score(i, v) for i, v in enumerate(values)]
    for scale in (loss_scale(points), score_scale(scores, "regression")):
        assert scale.low < scale.high
        ticks = scale.ticks(most)
        assert 1 <= len(ticks) <= most
        room = 1e-6 * max(abs(scale.low), abs(scale.high))
        assert all(scale.low - room <= tick <= scale.high + room for tick in ticks)
    whole = score_scale(scores, "regression")
    assert whole.low <= min(values)
    assert max(values) <= whole.high


@given(st.floats(1e-6, 1e3), st.floats(1.01, 1e6), st.integers(2, 8))
def test_a_logarithmic_axis_has_ticks_too(low: float, factor: float, most: int) -> None:
    scale = Scale(low, low * factor, log=True)
    assert len(scale.ticks(most)) <= most
    assert scale.place(low) == 0
    assert scale.place(low * factor) == pytest.approx(1)
    assert scale.place(low * math.sqrt(factor)) == pytest.approx(0.5)


def test_a_resumed_training_does_not_begin_at_step_0() -> None:
    curve = LearningCurve()
    for n in range(800, 850):
        curve.add(step(n))
    assert step_scale(curve) == Scale(800, 849)


# the widget


def test_it_says_what_it_shows(curves: Curves) -> None:
    assert curves.values_text() == EMPTY
    for n, metric in ((1, None), (2, 0.5), (3, 0.75), (4, 0.7)):
        curves.add(step(n, 1 / n, metric, best=0.75 if n > 2 else None))
    text = curves.values_text()
    assert "Step 4 of 100. Loss 0.25," in text
    assert "mean AP 0.700 at step 4, best 0.750 at step 3." in text
    assert "step 2: loss 0.5" in curves.text_at(2.2)
    curves.clear("regression")
    assert curves.values_text() == EMPTY
    curves.add(step(1, 1.0, 31.5, name="PSNR"))
    assert "PSNR 31.500" in curves.values_text()


def test_another_metric_in_mid_run_begins_anew(curves: Curves) -> None:
    curves.add(step(1, 1.0, 0.9, name="Dice"))
    curves.add(step(2, 1.0, 0.8, best=0.9, name="Dice"))
    assert "Dice 0.800 at step 2, best 0.900 at step 1." in curves.values_text()
    curves.add(step(3, 1.0, best=0.4))  # the same weights by the other metric
    assert "mean AP best 0.400 at step 1." in curves.values_text()
    assert "0.9" not in curves.values_text() + curves.text_at(1)
    curves.grab()  # without any point yet
    curves.add(step(4, 1.0, 0.3, best=0.4))
    assert "mean AP 0.300 at step 4, best 0.400 at step 1." in curves.values_text()


def test_the_ring_follows_the_best_that_the_training_tells() -> None:
    curve = LearningCurve()
    curve.add(step(1, metric=0.8))
    curve.add(step(2, best=0.6))  # scored again on new labels
    assert curve.best == Score(1, 0.6)
    curve.add(step(3, metric=0.7, best=0.7))  # lower than the first point, yet the best
    assert curve.best == Score(3, 0.7)


def test_it_is_drawn_anew_five_times_a_second_at_most(
    curves: Curves, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    monkeypatch.setattr(curves, "_renew", lambda: drawn.append(1))
    curves._pause.timeout.disconnect()
    curves._pause.timeout.connect(curves._renew)
    for n in range(1, 300):
        curves.add(step(n))
    assert not drawn
    qtbot.waitUntil(lambda: bool(drawn))
    qtbot.wait(REDRAW_INTERVAL_MS + 50)
    assert len(drawn) == 1


@pytest.mark.parametrize("dark", [True, False])
def test_curves_are_seen_on_both_themes(curves: Curves, dark: bool) -> None:
    palette = QPalette()
    palette.setColor(QPalette.ColorRole.Window, QColor("#262930" if dark else "#efebe9"))
    palette.setColor(QPalette.ColorRole.WindowText, QColor("#f0f1f2" if dark else "#3b3a39"))
    curves.setPalette(palette)
    for n in range(1, 60):
        curves.add(step(n, 1 - n / 100))
    loss, metric = (QColor(pair[not dark]).getRgb()[:3] for pair in (LOSS, METRIC))
    found = colours(curves)
    assert loss in found
    assert metric not in found  # nothing was held out
    curves.add(step(60, 0.4, 0.3))
    curves.add(step(90, 0.4, 0.8))
    assert metric in colours(curves)


@pytest.mark.parametrize("count", [0, 1, 2, 500])
@pytest.mark.parametrize("size", [(1, 1), (60, 110), (900, 400)])
def test_it_is_drawn_at_any_size(curves: Curves, count: int, size: tuple[int, int]) -> None:
    curves.setMinimumHeight(0)
    curves.resize(*size)
    for n in range(1, count + 1):
        curves.add(step(n, 0.0, 0.0 if n % 7 == 1 else None))
    assert not curves.grab().isNull()  # an error while drawing would fail the test


@pytest.fixture
def hover(curves: Curves) -> Iterator[Any]:
    """``hover(x, y)``: move the mouse over the curves."""

    def hover(x: float, y: float) -> None:
        place = QPointF(x, y)
        kind, none = QMouseEvent.Type.MouseMove, Qt.MouseButton.NoButton
        keys = Qt.KeyboardModifier.NoModifier
        over = curves.mapToGlobal(QPoint(int(x), int(y)))
        QApplication.sendEvent(curves, QMouseEvent(kind, place, QPointF(over), none, none, keys))

    yield hover
    curves._leave()


def test_the_mouse_reads_values(
    curves: Curves, hover: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(
        "napari_unet.widgets.train.curve_plot.QToolTip.showText",
        lambda _, text, __: said.append(text),
    )
    hover(160, 70)
    assert not said  # nothing to tell yet
    for n in range(1, 101):
        curves.add(step(n, n / 100))
    curves.grab()
    hover(160, 70)
    number = int(said[-1].split(":")[0].removeprefix("step "))
    assert 40 < number < 60
    hover(160, 2)  # over the legend
    assert len(said) == 1
    curves.add(step(101, 0.5, 0.7))
    curves.grab()
    hover(310, 6)  # where the metric is named
    assert "precision" in said[-1]
