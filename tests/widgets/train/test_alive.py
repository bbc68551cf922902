"""The window while a training keeps the processor busy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QTimer

from napari_unet.samples import load_sample
from napari_unet.training.steps import TrainStep
from napari_unet.widgets.train.link import TrainingLink

SIZE = 256
BEAT_MS = 10
STEPS = 8


def test_the_window_goes_on_while_it_trains(
    viewer: Any,
    open_train: Callable[..., Any],
    settle: Callable[..., None],
    press: Callable[[Any], None],
    finish: Callable[[Any], None],
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The event loop turns several times in each step, on a busy machine too."""
    sample = load_sample("nuclei_2d")
    viewer.add_image(sample.image[:SIZE, :SIZE], name="nuclei")
    labels = viewer.add_labels(sample.truth[:SIZE, :SIZE].astype(np.int32), name="truth")
    dock = open_train()
    dock.form.models.choose("nuclei")
    settle(dock, minutes=5, batch_size=8)
    steps: list[int] = []
    add_news = TrainingLink.add_news

    def count_news(link: TrainingLink, news: Any) -> None:
        if isinstance(news, TrainStep):
            steps.append(news.step)
        add_news(link, news)

    monkeypatch.setattr(TrainingLink, "add_news", count_news)
    press(dock.bar.train)
    qtbot.waitUntil(
        lambda: any("training preview" in layer.name for layer in viewer.layers), timeout=120_000
    )
    beats: list[int] = []  # steps that were done by then
    timer = QTimer()
    timer.setInterval(BEAT_MS)
    timer.timeout.connect(lambda: beats.append(len(steps)))
    before = len(steps)
    timer.start()
    while len(steps) < before + STEPS and dock.runner.running:  # the user goes on painting
        labels.paint((10 + len(beats) % 200, 20), 1)
        qtbot.wait(100)
    timer.stop()
    assert dock.runner.running, dock.bar.message.value
    press(dock.bar.cancel)
    finish(dock)
    in_each_step = np.bincount(np.array(beats) - before, minlength=STEPS)[:STEPS]
    assert np.median(in_each_step) >= 3, in_each_step
