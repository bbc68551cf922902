"""Measure the Train dock in a real window: the first preview, the pace, and how alive it stays.

    bash scripts/with_display.sh python studies/measure_train_dock.py [SECONDS] [PAGE.md]

A 512 x 512 part of a sample is learned from; its upper half is labelled. Each run lasts SECONDS,
120 unless another number is given, counted from pressing Train: with previews, twice without, and
with them again. A short run before them, with previews, tells how soon the first one comes in a
fresh window. PAGE.md gets the table between its markers.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

PLUGIN = "napari-unet-torch"
SIZE = 512
ORDER = (True, False, False, True)  # with previews or without; a drift of the machine cancels
FRESH = 15  # seconds of the first run of a window, which pays for what is compiled once
FIRST, LAST = "<!-- table: dock -->", "<!-- end: dock -->"


class Window:
    """A viewer with the dock, an image and its labels.

    Parameters
    ----------
    base : str or None
        The model to start from; None: from scratch.
    """

    def __init__(self, base: str | None) -> None:
        import napari  # noqa: TID251
        import numpy as np
        from qtpy.QtCore import QTimer  # noqa: TID251

        from napari_unet.samples import load_sample

        self.viewer = napari.Viewer(title="napari")
        self.viewer.window.resize(1280, 768)
        _, self.dock = self.viewer.window.add_plugin_dock_widget(PLUGIN, "Train")
        self.wait(lambda: self.dock.warm)
        sample = load_sample("nuclei_2d")
        image, truth = sample.image[:SIZE, :SIZE], sample.truth[:SIZE, :SIZE].copy()
        self.viewer.add_image(image, name="nuclei")
        self.dock.form.painting.new.native.click()
        labels = self.viewer.layers["nuclei labels"]
        half = SIZE // 2
        truth[half:] = 0
        labels.data_setitem(np.nonzero(truth), truth[truth > 0])
        corners = np.array([[0, 0], [0, SIZE], [half, SIZE], [half, 0]], float)
        box = self.viewer.add_shapes([corners], shape_type="polygon", opacity=0.1)
        self.dock.form.table.lines[0].trusted_choice.value = box
        self.dock.form.models.choose(base)
        self.wait(lambda: self.dock.form.checked)
        self._look = self.dock._look
        self.late: list[float] = []
        self._last = time.perf_counter()
        self._timer = QTimer()
        self._timer.setInterval(5)
        self._timer.timeout.connect(self._tick)

    def wait(self, reached: Callable[[], bool], seconds: float = 300) -> None:
        """Let the window live until something is so."""
        from qtpy.QtWidgets import QApplication  # noqa: TID251

        end = time.monotonic() + seconds
        while not reached():
            QApplication.processEvents()
            time.sleep(0.001)
            if time.monotonic() > end:
                raise SystemExit(f"not within {seconds} s: {self.dock.bar.message.value}")

    def _tick(self) -> None:
        now = time.perf_counter()
        self.late.append(now - self._last)
        self._last = now

    def train(self, seconds: float, *, look: bool) -> dict[str, Any]:
        """Train for so long, with previews or without, then cancel."""
        dock = self.dock
        dock._look = self._look if look else lambda: None
        self.late.clear()
        self._last = time.perf_counter()
        self._timer.start()
        start = time.perf_counter()
        dock.bar.train.native.click()
        shown: dict[str, float] = {}

        def taken() -> int:
            latest = dock.curves.curve.latest
            for layer in self.viewer.layers:
                for kind in ("training preview", "base preview"):
                    if kind in layer.name:
                        shown.setdefault(kind, time.perf_counter() - start)
            return 0 if latest is None else int(latest.step)

        self.wait(lambda: taken() >= 1)
        first = time.perf_counter()
        steps, took = taken(), first - start
        while took < seconds:
            self.wait(lambda before=steps: taken() != before)
            steps, took = taken(), time.perf_counter() - start
        self._timer.stop()
        dock.cancel()
        self.wait(lambda: not dock.runner.running)
        late = sorted(self.late)
        return {
            "previews": look,
            "first step, s": first - start,
            "first preview, s": shown.get("training preview"),
            "base preview, s": shown.get("base preview"),
            "steps a second": steps / took,
            "largest pauses of the window, ms": [round(1000 * x) for x in late[-5:]],
            "share of pauses over 100 ms": sum(x > 0.1 for x in late) / max(1, len(late)),
        }


def main(seconds: float, page: Path | None) -> None:
    """Measure, print, and write."""
    import torch

    rows = []
    for base in ("nuclei", None):
        window = Window(base)
        fresh = window.train(FRESH, look=True)
        runs = [fresh, *(window.train(seconds, look=look) for look in ORDER)]
        window.viewer.close()
        print(json.dumps({str(base): runs}, indent=1), flush=True)
        rows.append(summary(base or "from scratch", runs))
    heads = ["", *rows[0][1]]
    lines = [
        f"{torch.get_num_threads()} threads, {seconds:.0f} s a run.",
        "",
        "| " + " | ".join(heads) + " |",
        "| --- " * len(heads) + "|",
        *("| " + " | ".join([name, *cells.values()]) + " |" for name, cells in rows),
    ]
    print("\n".join(lines))
    if page is not None:
        before, rest = page.read_text(encoding="utf-8").split(FIRST)
        text = before + FIRST + "\n" + "\n".join(lines) + "\n" + LAST + rest.split(LAST)[1]
        page.write_text(text, encoding="utf-8")


def summary(name: str, runs: list[dict[str, Any]]) -> tuple[str, dict[str, str]]:
    """A row of the table: the first training of a window apart from the later ones."""
    seen = [run for run in runs if run["previews"]]
    pace = {
        look: mean(run["steps a second"] for run in runs[1:] if run["previews"] is look)
        for look in (True, False)
    }
    first = [f"{run['first preview, s']:.1f}" for run in seen]
    base = [run["base preview, s"] for run in seen]
    pauses = max(run["largest pauses of the window, ms"][-1] for run in runs)
    later = max(run["largest pauses of the window, ms"][-1] for run in runs if not run["previews"])
    share = sum(run["share of pauses over 100 ms"] for run in runs) / len(runs)
    return name, {
        "first preview, s": ", ".join(first),
        "base's preview, s": ", ".join("–" if x is None else f"{x:.1f}" for x in base),
        "steps a second, with previews": f"{pace[True]:.2f}",
        "without": f"{pace[False]:.2f}",
        "slower": f"{1 - pace[True] / pace[False]:.1%}",
        "longest pause, ms": f"{pauses}",
        "without previews": f"{later}",
        "pauses over 100 ms": f"{share:.2%}",
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["NAPARI_CONFIG"] = str(Path(scratch) / "settings.yaml")
        for name in ("CONFIG", "MODELS", "STATE"):
            os.environ[f"NAPARI_UNET_{name}"] = str(Path(scratch) / name.lower())
        main(
            float(sys.argv[1]) if len(sys.argv) > 1 else 120.0,
            Path(sys.argv[2]) if len(sys.argv) > 2 else None,
        )
