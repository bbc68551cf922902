"""What a dead process leaves of painting and training, and how a new dock goes on with it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_unet.network.files import list_models
from napari_unet.recovery.labels import labels_folder
from napari_unet.recovery.training import sessions_folder
from napari_unet.samples import load_sample
from napari_unet.widgets.annotation.marks import marks_of
from napari_unet.widgets.qt.notice import Notice
from napari_unet.widgets.recovery.offers import TrainingOffers

SIZE = 96
MINUTES = 1  # of the training that is killed: a checkpoint every 3 seconds
PATIENCE = 90  # seconds for the process until it can be killed

CHILD = f"""
import time
import napari
import numpy as np
from qtpy.QtWidgets import QApplication
from napari_unet.samples import load_sample

end = time.monotonic() + {PATIENCE}

def wait(condition):
    while not condition():
        assert time.monotonic() < end
        QApplication.processEvents()
        time.sleep(0.01)

def open_window(image, name):
    viewer = napari.Viewer(show=False)
    viewer.add_image(image, name=name, scale=(0.5, 0.5), units="um")
    dock = viewer.window.add_plugin_dock_widget("napari-unet-torch", "Train")[1]
    wait(lambda: dock.warm)
    dock.form.models.choose("random")
    return viewer, dock

def train(dock, **budget):
    for name, value in {{**budget, "batch_size": 4}}.items():
        dock.rows[name].editor.value = value
    wait(lambda: dock.form.checked)
    dock.bar.train.native.click()

sample = load_sample("nuclei_2d")
image, truth = sample.image[:{SIZE}, :{SIZE}], sample.truth[:{SIZE}, :{SIZE}].astype(np.int32)

# one window with a model that nobody decides on
_, short = open_window(image.T, "turned")
short._viewer.add_labels(truth.T, name="turned truth", scale=(0.5, 0.5), units="um")
train(short, steps=2)
wait(lambda: short.trained is not None)

# another with painted labels and a training that takes long
viewer, dock = open_window(image, "nuclei")
dock.form.painting.new.native.click()
labels = viewer.layers["nuclei labels"]
place = np.nonzero(truth)
labels.data_setitem(place, truth[place])
dock.form.painting.done.value = True
train(dock, steps=None, minutes={MINUTES})
wait(lambda: dock.bar.add.enabled)
labels.paint((2, 2), 77)
dock.bar.add.native.click()
wait(lambda: "were taken in" in dock.bar.message.value)
wait(lambda: not dock.autosave.busy)
print("ready", flush=True)
wait(lambda: False)
"""


@pytest.fixture
def killed(save_model: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """A process has painted and trained, and was killed: the step of its last checkpoint."""
    import torch

    save_model(features=(4, 8))
    monkeypatch.setenv("NAPARI_CONFIG", str(tmp_path / "napari.yaml"))
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert any(line == "ready\n" for line in child.stdout)  # napari prints as well
        end = time.monotonic() + PATIENCE
        step = 0
        while step < 1:
            assert time.monotonic() < end
            assert child.poll() is None
            time.sleep(0.1)
            for path in sessions_folder().glob("*/checkpoint.pt"):
                step = torch.load(path, weights_only=True)["step"]
        os.kill(child.pid, signal.SIGKILL)
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    (path,) = sessions_folder().glob("*/checkpoint.pt")
    return int(torch.load(path, weights_only=True)["step"])


def notices(dock: Any) -> dict[str, Notice]:
    """What is offered above the form, by what its first button says."""
    shown = [x for x in dock.native.findChildren(Notice) if x.isVisibleTo(dock.native)]
    return {next(iter(notice.buttons)): notice for notice in shown}


@pytest.mark.slow
def test_a_killed_process_leaves_labels_a_training_and_a_model(
    killed: int,
    viewer: Any,
    open_train: Callable[..., Any],
    press: Callable[[Any], None],
    finish: Callable[[Any], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: Any,
) -> None:
    shutil.copytree(tmp_path / "state", tmp_path / "copy")
    sample = load_sample("nuclei_2d")
    viewer.add_image(sample.image[:SIZE, :SIZE], name="nuclei", scale=(0.5, 0.5), units="um")
    dock = open_train()
    qtbot.waitUntil(lambda: len(notices(dock)) == 3, timeout=10_000)
    found = notices(dock)
    assert set(found) == {"Restore", "Resume", "Decide"}
    assert "‘nuclei labels’" in found["Restore"].text.value
    assert "‘nuclei’" in found["Resume"].text.value
    assert "‘turned’" in found["Decide"].text.value

    press(found["Restore"].buttons["Restore"])
    labels = viewer.layers["nuclei labels"]
    expected = sample.truth[:SIZE, :SIZE].astype(np.int32)
    assert labels.data[2, 2] == 77
    assert np.array_equal(labels.data[8:], expected[8:])
    assert np.allclose(labels.scale, 0.5)
    marks = marks_of(labels)
    assert marks is not None
    assert marks.image == "nuclei"
    assert marks.done == ((0, 0),)
    assert dock.form.table.lines[0].labels is labels  # ready to be learned from

    press(found["Resume"].buttons["Resume"])
    step = first_step(dock, qtbot)
    assert step == killed + 1
    assert "new labels were taken in" in dock.bar.message.value
    assert set(notices(dock)) == {"Decide"}
    press(found["Decide"].buttons["Decide"])
    assert "at work" in found["Decide"].fault.value  # and the notice stays
    qtbot.waitUntil(
        lambda: any("training preview" in layer.name for layer in viewer.layers), timeout=20_000
    )
    press(dock.bar.stop)
    finish(dock)
    assert dock.trained.model.card.training.steps > killed
    dock.verdict.name = "resumed"
    press(dock.verdict.keep)

    press(notices(dock)["Decide"].buttons["Decide"])
    assert dock.trained.model.card.training.steps == 2
    assert not notices(dock)
    dock.verdict.name = "decided"
    press(dock.verdict.keep)
    assert {"resumed", "decided"} <= {card.name for card in list_models()}
    assert not list(sessions_folder().iterdir())

    # all of it once more: two windows offer it, and what one has restored the other leaves
    monkeypatch.setenv("NAPARI_UNET_STATE", str(tmp_path / "copy"))
    other = TrainingOffers(viewer, dock.autosave, lambda *_: "not now").find()
    mine = dock.offers.find()
    for notice in (*other, *mine):
        qtbot.addWidget(notice)
    press(other[0].buttons["Restore"])
    press(mine[0].buttons["Discard"])
    assert "another window" in mine[0].fault.value
    assert len(list(labels_folder().iterdir())) == 1
    viewer.layers.remove("nuclei labels [1]")

    for notice in mine[1:]:
        press(notice.buttons["Discard"])
    assert not list(sessions_folder().iterdir())
    assert not dock.offers.find()


def first_step(dock: Any, qtbot: Any) -> int:
    """The step that a training tells of first."""
    qtbot.waitUntil(lambda: bool(dock.curves.curve.losses), timeout=60_000)
    return int(dock.curves.curve.losses[0].step)
