"""Removing layers in a window that is drawn: in another process, since a fault there kills it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

COMMON = """
import time
import napari
import numpy as np
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication
from vispy.gloo import get_current_canvas
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

def draw_again():
    drawn = []
    canvas.events.draw.connect(drawn.append)
    for factor in (1.2, 1 / 1.2, 1.1, 1 / 1.1):
        before = len(drawn)
        viewer.scene.camera.zoom *= factor
        wait(lambda: len(drawn) > before)
    canvas.events.draw.disconnect(drawn.append)

def drag(start, end):
    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    ends = np.linspace(start, end, 4)
    moves = [(QEvent.Type.MouseMove, place, none, left) for place in ends]
    first = (QEvent.Type.MouseButtonPress, ends[0], left, left)
    last = (QEvent.Type.MouseButtonRelease, ends[-1], left, none)
    for kind, place, button, held in [first, *moves, last]:
        local = QPointF(*place)
        around = QPointF(canvas.native.mapToGlobal(local.toPoint()))
        keys = Qt.KeyboardModifier.NoModifier
        event = QMouseEvent(kind, local, around, button, held, keys)
        QApplication.sendEvent(canvas.native, event)
        rest(0.02)

def open_dock(name):
    dock = viewer.window.add_plugin_dock_widget("napari-unet-torch", name)[1]
    wait(lambda: dock.warm)
    return dock

def run(dock, button):
    button.native.click()
    wait(lambda: not dock.runner.running)
    draw_again()

viewer = napari.Viewer()
viewer.window.resize(1280, 768)
canvas = get_current_canvas()
sample = load_sample("nuclei_2d")
"""

END = """
draw_again()
viewer.close()
rest(0.2)
print("alive", flush=True)
"""

SMALL = 'viewer.add_image(sample.image[:200, :240], name="nuclei")\n'
SEGMENT = SMALL + 'dock = open_dock("Segment")\n'

TOOLS = {
    "lines that measure the diameter": SEGMENT
    + """
for _ in range(2):
    dock.form.diameter.button.native.click()
    for k in range(2):
        drag((200 + 30 * k, 200), (240 + 30 * k, 240))
    assert len(dock.form.diameter.layer.data) == 2
    dock.form.diameter.button.native.click()
    assert [layer.name for layer in viewer.layers] == ["nuclei"]
    draw_again()
dock.form.diameter.button.native.click()
drag((200, 200), (240, 240))
viewer.layers.remove("nuclei")  # and the lines with it
assert not viewer.layers
draw_again()
viewer.add_image(sample.image, name="another")
dock.form.diameter.button.native.click()
drag((200, 200), (240, 240))
other = napari.Viewer()  # another canvas is drawn last
other.add_image(sample.image)
rest(0.5)
around = dock.native.parent()
while not hasattr(around, "destroyOnClose"):
    around = around.parent()
around.destroyOnClose()
wait(lambda: len(viewer.layers) == 1)
""",
    "a region": SEGMENT
    + """
shapes = viewer.add_shapes(name="region")
shapes.mode = "add_rectangle"
rest(0.1)
drag((250, 200), (420, 350))
shapes.mode = "add_ellipse"
drag((450, 250), (520, 350))
assert len(shapes.data) == 2
dock.form.roi_picker.region.value = shapes
run(dock, dock.bar.run)
viewer.layers.remove(shapes)
""",
    "previews and results": SEGMENT
    + """
run(dock, dock.bar.preview)
run(dock, dock.bar.run)
assert [layer.name for layer in viewer.layers] == ["nuclei", "nuclei labels"]
dock.form.scores.value = True
run(dock, dock.bar.run)
dock.form.scores.value = False
draw_again()
viewer.layers.clear()
""",
    "a copy that is corrected": SEGMENT
    + """
run(dock, dock.bar.run)
dock.form.correct.button.native.click()
corrected = viewer.layers.selection.active
corrected.mode = "polygon"
rest(0.1)
drag((250, 200), (300, 260))
corrected.mode = "paint"
drag((250, 200), (300, 260))
viewer.layers.remove("nuclei labels")
draw_again()
viewer.layers.remove(corrected)
""",
    "labels of a training": SMALL
    + """
dock = open_dock("Train")
dock.form.painting.new.native.click()
labels = viewer.layers["nuclei labels"]
labels.mode = "paint"
labels.brush_size = 10
drag((250, 200), (300, 260))
shapes = viewer.add_shapes(name="complete here")
shapes.mode = "add_rectangle"
drag((250, 200), (420, 350))
draw_again()
viewer.layers.remove(shapes)
draw_again()
viewer.layers.remove(labels)
""",
    "the image that is learned from": """
dock = open_dock("Train")
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
""",
}


QUICK = "lines that measure the diameter"  # in each run of all tests: it crashed most


@pytest.mark.parametrize(
    "tool",
    [tool if tool == QUICK else pytest.param(tool, marks=pytest.mark.slow) for tool in TOOLS],
)
def test_a_tool_takes_its_layers_away(
    tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_CONFIG", str(tmp_path / "napari.yaml"))
    found = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", COMMON + TOOLS[tool] + END],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert found.returncode == 0, found.stderr[:3000]
    assert "alive" in found.stdout
