"""The window while a training keeps the processor busy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from qtpy.QtCore import QTimer

from napari_unet.samples import load_sample

SIZE = 256
BEAT, STILL = 0.01, 0.1  # seconds between beats of the window, and from which it counts as still


def test_the_window_goes_on_while_it_trains(
    viewer: Any,
    open_train: Callable[..., Any],
    settle: Callable[..., None],
    press: Callable[[Any], None],
    finish: Callable[[Any], None],
    qtbot: Any,
) -> None:
    sample = load_sample("nuclei_2d")
    viewer.add_image(sample.image[:SIZE, :SIZE], name="nuclei")
    labels = viewer.add_labels(sample.truth[:SIZE, :SIZE].astype(np.int32), name="truth")
    dock = open_train()
    dock.form.models.choose("random")
    settle(dock, minutes=5)
    gaps: list[float] = []
    last = [time.perf_counter()]

    def tick() -> None:
        now = time.perf_counter()
        gaps.append(now - last[0])
        last[0] = now

    press(dock.bar.train)
    qtbot.waitUntil(
        lambda: any("training preview" in layer.name for layer in viewer.layers), timeout=60_000
    )
    timer = QTimer()
    timer.setInterval(round(BEAT * 1000))
    timer.timeout.connect(tick)
    last[0] = time.perf_counter()
    timer.start()
    end = time.monotonic() + 5
    number = 0
    while time.monotonic() < end:  # the user goes on painting
        number += 1
        labels.paint((10 + number % 200, 20), 1)
        qtbot.wait(100)
    timer.stop()
    assert dock.runner.running, dock.bar.message.value
    press(dock.bar.cancel)
    finish(dock)
    assert len(gaps) > 50
    assert np.mean(np.array(gaps) > STILL) < 0.05, sorted(gaps)[-10:]
