"""The window stays alive while the dock works."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QTimer

from napari_unet.samples import load_sample

PLUGIN = "napari-unet-torch"
LATEST = 0.1  # seconds


class Metronome:
    """A timer in the event loop that notes how late it is."""

    INTERVAL = 0.01

    def __init__(self) -> None:
        self.delays: list[float] = []
        self._last = time.monotonic()
        self._timer = QTimer()
        self._timer.setInterval(round(1000 * self.INTERVAL))
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def _tick(self) -> None:
        now = time.monotonic()
        self.delays.append(now - self._last - self.INTERVAL)
        self._last = now

    def restart(self) -> None:
        self.delays.clear()
        self._last = time.monotonic()

    def stop(self) -> None:
        self._timer.stop()


@pytest.fixture
def metronome() -> Iterator[Metronome]:
    metronome = Metronome()
    yield metronome
    metronome.stop()


def large_stack(planes: int) -> np.ndarray:
    sample = load_sample("nuclei_2d").image
    tiled = np.tile(sample, (-(-1024 // sample.shape[0]), -(-1024 // sample.shape[1])))
    return np.stack([np.roll(tiled[:1024, :1024], 3 * z, axis=1) for z in range(planes)])


@pytest.mark.slow
def test_the_event_loop_is_never_late_during_a_minute(
    viewer: Any, qtbot: Any, metronome: Metronome, capsys: Any
) -> None:
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Segment")
    viewer.add_image(large_stack(60), name="stack", axis_labels=("z", "y", "x"))
    # loading torch's libraries, seconds after the dock has opened, holds up all threads
    qtbot.waitUntil(lambda: dock.warm, timeout=60_000)
    qtbot.wait(1000)
    metronome.restart()
    start = time.monotonic()
    dock.bar.run.native.click()
    qtbot.waitUntil(
        lambda: not dock.runner.running or time.monotonic() - start > 75, timeout=200_000
    )
    delays = np.array(metronome.delays)
    took = time.monotonic() - start
    with capsys.disabled():
        latest = np.argsort(delays)[-5:]
        when = np.cumsum(delays + metronome.INTERVAL)[latest]
        pairs = ", ".join(
            f"{1000 * late:.0f} ms at {at:.1f} s"
            for late, at in zip(delays[latest], when, strict=True)
        )
        print(f"\n{took:.0f} s, {delays.size} ticks, latest: {pairs}")  # noqa: T201
    dock.cancel()
    qtbot.waitUntil(lambda: not dock.runner.running, timeout=60_000)
    assert took > 60
    assert delays.max() < LATEST
