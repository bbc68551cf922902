"""The dock "Correct" and the tutorial ``docs/tutorials/correct.md``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt

from napari_unet.correction.edits import Point
from napari_unet.samples import load_sample
from screenshot_scenes.stage import Stage

PICTURES = {"correct": ("correct_next", "correct_split", "correct_seen")}


def correct(stage: Stage) -> None:
    """Empty; a result, its worst object, split, accepted; faults; a stack; disk; a journal."""
    viewer, theme = stage.viewer, stage.theme
    dock = stage.open_dock("Correct")
    stage.shoot(f"correct_empty_{theme}")
    stage.sample("histology")
    segment = stage.open_dock("Segment")
    segment.form.models.choose("nuclei-histology")
    stage.press(segment.bar.run)
    stage.finish(segment)
    segment.form.correct.button.native.click()
    dock = stage.open_dock("Correct")
    layer = viewer.layers.selection.active
    layer.opacity, layer.mode = 0.5, "pan_zoom"
    review = dock.review
    review.order.setCurrentText("Suggested splits")
    stage.wait(lambda: not review.working)
    review.act("next")
    (_, label) = review.current
    look_at(stage, dock, inside(layer.data == label))
    stage.shoot("correct_next")
    stage.shoot(f"correct_next_{theme}")

    truth = load_sample("histology").truth
    both = np.bincount(truth[layer.data == label])
    both[0] = 0
    first, second = (inside((layer.data == label) & (truth == n)) for n in both.argsort()[:-3:-1])
    dock.tools.buttons["merge_split"].click()
    stage.shoot(f"correct_tool_{theme}")
    dock.tools.mouse._add_seed(dock.session.target, first)
    stage.shoot(f"correct_seed_{theme}")
    dock.tools.mouse._add_seed(dock.session.target, second)
    stage.wait(lambda: not review.working)
    look_at(stage, dock, second)
    stage.shoot("correct_split")
    stage.shoot(f"correct_split_{theme}")

    review.order.setCurrentText("All, by number")
    review.act("next")
    for _ in range(24):
        review.act("accept")
    stage.wait(lambda: not review.working)
    viewer.reset_view()
    review.act("done")
    stage.shoot("correct_seen")
    stage.shoot(f"correct_seen_{theme}")
    session = dock.session
    session.make(session.place("take_off", (second,)))  # it is in one piece
    stage.shoot(f"correct_fault_{theme}")
    dock.tools.buttons["merge_split"].click()

    # another prediction of the same image
    other = np.where(layer.data == label, 0, layer.data)
    viewer.add_labels(other, name="histology labels of another model")
    stage.wait(lambda: not review.working)
    stage.shoot(f"correct_repeat_{theme}")
    dock.journal.repeat.click()
    stage.wait(lambda: not review.working)
    stage.shoot(f"correct_repeated_{theme}")

    viewer.layers.clear()
    stack = load_sample("nuclei_3d")
    viewer.add_image(stack.image, name="stack", scale=(2, 0.5, 0.5), units=("um",) * 3)
    found = viewer.add_labels(
        stack.truth.astype(np.int32), name="stack labels", scale=(2, 0.5, 0.5), units=("um",) * 3
    )
    stage.wait(lambda: not review.working)
    review.act("next")
    place = inside(found.data == review.current[1])
    viewer.dims.set_current_step(0, place[0])
    look_at(stage, dock, place)
    stage.shoot(f"correct_stack_{theme}")
    with tempfile.TemporaryDirectory() as folder:
        import zarr

        path = Path(folder, "labels.zarr")
        zarr.create_array(path, data=found.data.copy(), chunks=(16, 61, 57))
        viewer.layers.clear()
        viewer.add_labels(zarr.open_array(path, mode="r"), name="labels on disk")
        stage.wait(lambda: dock.session.target.has_numbers and not review.working)
        review.act("next")
        stage.shoot(f"correct_disk_{theme}")
        viewer.add_labels([found.data, found.data[:, ::2, ::2]], name="pyramid", multiscale=True)
        stage.rest(0.2)
        stage.shoot(f"correct_pyramid_{theme}")
        viewer.layers.clear()


def inside(mask: np.ndarray) -> Point:
    """The innermost pixel of a mask."""
    depth = distance_transform_edt(np.pad(mask, 1))
    return tuple(int(n) - 1 for n in np.unravel_index(depth.argmax(), depth.shape))


def look_at(stage: Stage, dock: Any, point: Point) -> None:
    """Bring the cursor over a pixel of the active layer."""
    layer = stage.viewer.layers.selection.active
    stage.viewer.cursor.position = tuple(layer.data_to_world(point))
    dock.hover.refresh()


SCENES = {"correct": correct}
