"""Removing layers in a window that is drawn: in another process, since a fault there kills it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHILD = """
import time
import napari
import numpy as np
from qtpy.QtWidgets import QApplication
from napari_unet.samples import load_sample

def rest(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)

def wait(condition):
    end = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < end
        rest(0.02)

viewer = napari.Viewer()
viewer.window.resize(1280, 768)
dock = viewer.window.add_plugin_dock_widget("napari-unet-torch", "Train")[1]
wait(lambda: dock.warm)
sample = load_sample("nuclei_2d")
viewer.add_image(sample.image, name="nuclei")
dock.form.painting.new.native.click()
labels = viewer.layers["nuclei labels"]
part = sample.truth[:260, :340]
for number in np.unique(part)[1:8]:
    labels.selected_label = int(number)
    labels.brush_size = 3
    with labels.block_history():
        for place in np.argwhere(part == number)[::5]:
            labels.paint(tuple(place), int(number), refresh=False)
    labels.refresh()
    rest(0.05)
labels.data_setitem(np.nonzero(part), part[part > 0])
dock.form.table.lines[0].trusted_choice.value = "all"
dock.rows["batch_size"].editor.value = 2
dock.rows["steps"].editor.value = 60
wait(lambda: dock.form.checked and dock.bar.train.enabled)
dock.bar.train.native.click()
wait(lambda: sum("preview" in layer.name for layer in viewer.layers) == 2)
rest(0.5)
viewer.layers.remove("nuclei")  # the previews go a moment later
wait(lambda: len(viewer.layers) == 1)
rest(1)
dock.cancel()
wait(lambda: not dock.runner.running)
viewer.layers.remove(labels)
rest(0.5)
viewer.close()
rest(0.2)
print("alive", flush=True)
"""


def test_the_image_is_removed_while_it_is_learned_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_CONFIG", str(tmp_path / "napari.yaml"))
    found = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", CHILD],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert found.returncode == 0, found.stderr[:3000]
    assert "alive" in found.stdout
