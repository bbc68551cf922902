"""The tutorial ``docs/tutorials/paint-and-train.md``, followed to the letter.

Where the window does not do what the text says, it stops. The pictures are those of the tutorial,
the figures in the text are what it prints.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet import evaluate
from napari_unet.samples import load_sample
from napari_unet.widgets.train.job import UNITS_PER_S
from screenshot_scenes.crash import found_notices, leave_behind
from screenshot_scenes.hand import BACKGROUND, paint_object
from screenshot_scenes.stage import Stage, settle

PICTURES = {
    "tutorial": ("train_base", "train_ready", "train_training", "train_verdict"),
    "tutorial_planes": ("train_planes",),
    "tutorial_crash": ("train_offers",),
}
BOX = slice(0, 256), slice(0, 150)  # rows and columns of the sample that are labelled
WIDER = slice(0, 256), slice(0, 200)  # and with what is added in mid-run
REST = slice(200, None)  # columns that nobody labels
PLANES = (8, 15, 22)
ENOUGH = 240  # seconds of training until it is stopped


def painted(stage: Stage) -> None:
    """A model that fails, labels, training, a better one."""
    truth = load_sample("histology").truth
    stage.sample("histology")
    segment = stage.open_dock("Segment")
    _see(str(segment.form.models.source), "nuclei-histology")
    segment.form.models.choose("nuclei")
    before = _segmented(stage, segment, "histology labels")
    _tell("histology, nuclei", before[:, REST], truth[:, REST])
    stage.shoot("train_base")
    stage.viewer.layers.remove("histology labels")

    dock = stage.open_dock("Train")
    _see(dock.bar.message.value, "There are no labels")
    dock.form.models.choose("nuclei")
    stage.press(dock.form.painting.new)
    labels = stage.viewer.layers["histology labels"]
    _see(labels.mode, "paint")
    _paint(labels, truth, BOX)
    shapes = stage.viewer.add_shapes([_corners(BOX)], name="Shapes")
    shapes.opacity = 0.2
    dock.form.table.lines[0].trusted_choice.value = shapes
    stage.viewer.layers.selection.active = labels
    settle(stage, dock)
    print(dock.form.painting.counts_line.value)
    _see(dock.rows["channels"].editor.value, "0")
    _see(dock.bar.message.value, "Press Train")
    stage.shoot("train_ready")

    stage.press(dock.bar.train)
    stage.wait(lambda: any(x.name.startswith("(early)") for x in stage.viewer.layers))
    _paint(labels, truth, WIDER)
    shapes.data = [_corners(WIDER)]
    stage.wait(lambda: dock.bar.add.enabled)
    stage.press(dock.bar.add)
    stage.wait(lambda: "new labels were taken in" in dock.bar.message.value)
    print(dock.bar.message.value)
    stage.wait(lambda: dock.bar.progress.value > ENOUGH * UNITS_PER_S)
    stage.shoot("train_training")
    stage.press(dock.bar.stop)
    stage.finish(dock)
    print(dock.verdict.sentence.value)
    dock.verdict.name = "stained nuclei"
    stage.shoot("train_verdict")
    stage.press(dock.verdict.keep)
    _see(dock.bar.message.value, "Kept as ‘stained nuclei’, which is chosen in Segment now.")
    _see(str(segment.form.models.source), "stained nuclei")
    labels.visible = shapes.visible = False
    after = _segmented(stage, segment, "histology labels [1]")
    _tell("histology, stained nuclei", after[:, REST], truth[:, REST])
    stage.shoot("train_after")

    stage.viewer.layers.selection.active = stage.viewer.layers["histology labels [1]"]
    stage.press(segment.form.correct.button)
    _see(stage.viewer.layers.selection.active.name, "histology corrected")
    dock.form.painting.done.value = True
    settle(stage, dock)
    _see(dock.form.painting.rows["done"].note, "done")
    _see(str(dock.form.models.source), "stained nuclei")
    if not dock.bar.train.enabled:
        raise SystemExit("the corrected result cannot be learned from")
    stage.shoot("train_corrected")


def planes(stage: Stage) -> None:
    """A stack is learned from three of its planes."""
    truth = load_sample("nuclei_3d").truth
    others = [z for z in range(len(truth)) if z not in PLANES]
    stage.sample("nuclei_3d")
    segment = stage.open_dock("Segment")
    before = _segmented(stage, segment, "nuclei 3D labels")
    _tell("nuclei 3D, nuclei", before, truth, others)
    stage.viewer.layers.remove("nuclei 3D labels")
    dock = stage.open_dock("Train")
    stage.press(dock.form.painting.new)
    labels = stage.viewer.layers["nuclei 3D labels"]
    for z in PLANES:
        stage.viewer.dims.set_point(0, z)
        for number in np.unique(truth[z])[1:]:
            paint_object(labels, truth[z], int(number), (z,))
        dock.form.painting.done.value = True
    settle(stage, dock)
    _see(dock.form.painting.rows["done"].note, "8, 15, 22 of 31 planes")
    _see(str(dock.form.table.lines[0].where), "planes")
    stage.shoot("train_planes")
    dock.rows["preset"].editor.value = "Quick look"
    settle(stage, dock)
    stage.press(dock.bar.train)
    stage.finish(dock)
    print(dock.verdict.sentence.value)
    dock.verdict.name = "my stack"
    stage.press(dock.verdict.keep)
    labels.visible = False
    after = _segmented(stage, segment, "nuclei 3D labels [1]")
    _tell("nuclei 3D, my stack", after, truth, others)


def crash(stage: Stage) -> None:
    """Napari was killed in mid-training; labels and training come back."""
    leave_behind()
    dock = stage.open_dock("Train")
    notices = found_notices(dock)
    _see(" ".join(str(x.text.value) for x in notices), "‘nuclei labels’")
    stage.sample("nuclei_2d")
    settle(stage, dock)
    stage.shoot("train_offers")
    for notice in notices:
        stage.press(notice.buttons["Restore" if "Restore" in notice.buttons else "Resume"])
    stage.wait(lambda: dock.curves.curve.latest is not None)
    print("resumed at step", dock.curves.curve.latest.step)
    _see(" ".join(x.name for x in stage.viewer.layers), "nuclei labels")
    _see(str(dock.form.painting.background.value), str(BACKGROUND))
    stage.press(dock.bar.cancel)
    stage.finish(dock)


def _segmented(stage: Stage, dock: Any, name: str) -> NDArray[Any]:
    """Labels by the model that is chosen in the dock, in a layer of that name."""
    stage.open_dock("Segment")
    stage.press(dock.bar.run)
    stage.finish(dock)
    found: NDArray[Any] = stage.viewer.layers[name].data
    return found


def _tell(
    words: str, labels: NDArray[Any], truth: NDArray[Any], planes: list[int] | None = None
) -> None:
    """Print how well labels agree with the truth, in some planes."""
    pairs = [(labels, truth)] if planes is None else [(labels[z], truth[z]) for z in planes]
    ap = np.mean([evaluate(a, b, task="instance").ap[0.5] for a, b in pairs])
    print(f"{words}: AP at IoU 0.5 is {ap:.2f}, {len(np.unique(labels)) - 1} objects")


def _paint(layer: Any, truth: NDArray[Any], part: tuple[slice, slice]) -> None:
    """Paint what lies in a part; nothing beyond it."""
    wanted = np.zeros_like(truth)
    wanted[part] = truth[part]
    there = np.unique(np.asarray(layer.data))
    for number in np.unique(wanted)[1:]:
        if number not in there or (layer.data == number).sum() < (wanted == number).sum():
            paint_object(layer, wanted, int(number))


def _corners(part: tuple[slice, slice]) -> NDArray[Any]:
    (top, bottom), (left, right) = ((s.start, s.stop) for s in part)
    return np.array([[top, left], [top, right], [bottom, right], [bottom, left]], float) - 0.5


def _see(shown: str, expected: str) -> None:
    """The window must say what the tutorial says."""
    if expected not in shown:
        raise SystemExit(f"expected ‘{expected}’, but there stands ‘{shown}’")


SCENES = {"tutorial": painted, "tutorial_planes": planes, "tutorial_crash": crash}
