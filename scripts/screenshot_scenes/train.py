"""The dock "Train" in each of its states."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter
from skimage.segmentation import find_boundaries

from napari_unet.samples import load_sample
from napari_unet.training.loop import TrainingLoop
from napari_unet.widgets.qt.memory import remember
from screenshot_scenes.crash import found_notices, leave_behind
from screenshot_scenes.hand import begin, objects_within, paint, paint_background, paint_object
from screenshot_scenes.stage import Stage, settle, steps_taken


def name_of(stage: Stage, state: str) -> str:
    """Of a picture."""
    return f"train_{state}_{stage.theme}_{stage.height}"


def empty(stage: Stage) -> None:
    """No image; then an image without labels."""
    stage.open_dock("Train")
    stage.shoot(name_of(stage, "empty"))
    stage.sample("nuclei_2d")
    stage.shoot(name_of(stage, "unlabelled"))


def carried(stage: Stage) -> None:
    """What the last session left, and axes in doubt."""
    remember("train", {"task": "semantic", "base": None, "settings": {"minutes": 5.0}})
    dock = stage.open_dock("Train")
    cells = load_sample("nuclei_2d").image[:160, :200]
    stage.viewer.add_image(np.stack([cells, cells[::-1], cells[:, ::-1]]), name="series")
    stage.viewer.add_labels(np.ones((3, 160, 200), np.int32), name="labels")
    settle(stage, dock)
    stage.shoot(name_of(stage, "carried"))


def faulty(stage: Stage) -> None:
    """Objects without background; a prediction that nobody corrected; wrong settings."""
    dock, _ = begin(stage)
    paint(stage, background=False)
    settle(stage, dock)
    stage.shoot(name_of(stage, "faulty_background"))

    dock.form.settings.more.native.click()
    dock.rows["steps"].editor.value = 3
    dock.rows["validation_fraction"].editor.value = 0.0
    settle(stage, dock)
    stage.shoot(name_of(stage, "settings"))
    dock.form.native.verticalScrollBar().setValue(10_000)
    stage.shoot(name_of(stage, "settings_below"))
    dock.form.settings.defaults.native.click()
    dock.form.settings.more.native.click()

    segment = stage.open_dock("Segment")
    stage.press(segment.bar.run)
    stage.finish(segment)
    stage.viewer.layers.remove("nuclei labels")
    stage.open_dock("Train")
    settle(stage, dock)
    stage.shoot(name_of(stage, "faulty_prediction"))


def masks(stage: Stage) -> None:
    """A mask whose objects are numbered; labels that are negative where nobody looked."""
    dock = stage.open_dock("Train")
    sample = load_sample("nuclei_2d")
    stage.viewer.add_image(sample.image, name="nuclei")
    mask = stage.viewer.add_labels((sample.truth > 0) * 255, name="mask")
    settle(stage, dock)
    stage.shoot(name_of(stage, "mask"))
    (line,) = dock.form.table.lines
    line.findings.press("Number the objects")
    stage.wait(lambda: line.labels is not mask)
    settle(stage, dock)
    stage.shoot(name_of(stage, "mask_numbered"))

    negative = sample.truth.astype(np.int32)
    negative[:200] = -1
    line.choose(line.image, stage.viewer.add_labels(negative, name="partly"))
    settle(stage, dock)
    stage.shoot(name_of(stage, "negative"))


def places(stage: Stage) -> None:
    """Labels beside the image, without its pixel size, in an Image layer; of a part; flipped."""
    dock = stage.open_dock("Train")
    sample = load_sample("nuclei_2d")
    viewer, truth = stage.viewer, sample.truth.astype(np.int32)
    viewer.add_image(sample.image, name="nuclei", scale=(0.5, 0.5))
    viewer.add_image(truth.astype(np.uint16), name="segmentation", scale=(0.5, 0.5))
    viewer.add_labels(truth, name="without size")
    viewer.add_labels(truth, name="beside", scale=(0.5, 0.5), translate=(1.75, 0))
    settle(stage, dock)
    stage.shoot(name_of(stage, "unmatched"))

    viewer.layers.clear()
    viewer.add_image(sample.image, name="nuclei")
    viewer.add_labels(truth[100:300, 200:500], name="crop", translate=(100, 200))
    settle(stage, dock)
    stage.shoot(name_of(stage, "part"))

    viewer.layers.remove("crop")
    viewer.add_labels(truth[::-1], name="flipped")
    settle(stage, dock)
    stage.shoot(name_of(stage, "flipped"))


def failed(stage: Stage) -> None:
    """An image with values that are no numbers; and a training that ends in one."""
    image = load_sample("nuclei_2d").image.astype(np.float32)
    image[100:110, 100:110] = np.nan
    dock = stage.open_dock("Train")
    stage.viewer.add_image(image, name="nuclei", contrast_limits=(0, 120))
    dock.form.painting.new.native.click()
    paint(stage)
    settle(stage, dock)
    stage.shoot(name_of(stage, "faulty_nan"))

    stage.viewer.layers["nuclei"].data = np.nan_to_num(image)
    dock.rows["batch_size"].editor.value = 2
    settle(stage, dock)
    with _spoiled(after=0):
        stage.press(dock.bar.train)
        stage.finish(dock)
    stage.shoot(name_of(stage, "failed"))
    with _spoiled(after=30):  # when a model has been scored
        stage.press(dock.bar.train)
        stage.finish(dock)
    stage.shoot(name_of(stage, "failed_late"))


def training(stage: Stage) -> None:
    """Ready; training; labels added; stopped with a verdict; a wrong name; kept."""
    dock, labels = begin(stage)
    dock.rows["batch_size"].editor.value = 2  # quick steps
    paint(stage)
    settle(stage, dock)
    stage.shoot(name_of(stage, "ready"))

    stage.press(dock.bar.train)
    stage.rest(1)
    stage.shoot(name_of(stage, "starting"))
    stage.wait(lambda: steps_taken(dock) >= 1)
    stage.wait(lambda: any("training preview" in x.name for x in stage.viewer.layers))
    stage.shoot(name_of(stage, "early"))
    stage.wait(lambda: steps_taken(dock) >= 12)
    truth = load_sample("nuclei_2d").truth
    for number in objects_within(truth, slice(260, 520), slice(0, 340))[:5]:
        paint_object(labels, truth, number)
    stage.press(dock.bar.add)
    stage.wait(lambda: "were taken in" in dock.bar.message.value)
    at = steps_taken(dock)
    stage.wait(lambda: len(dock.curves.curve.scores) > 1 or steps_taken(dock) > at + 60)
    stage.shoot(name_of(stage, "training"))

    stage.press(dock.bar.stop)
    stage.shoot(name_of(stage, "stopping"))
    stage.finish(dock)
    stage.shoot(name_of(stage, "verdict"))
    dock.verdict.name = "nuclei"
    stage.shoot(name_of(stage, "verdict_name"))
    dock.verdict.name = "nuclei-2"
    stage.press(dock.verdict.keep)
    stage.shoot(name_of(stage, "kept_segment"))
    stage.open_dock("Train")
    stage.shoot(name_of(stage, "kept"))


def cancelled(stage: Stage) -> None:
    """A training that was cancelled."""
    dock, _ = begin(stage)
    dock.rows["batch_size"].editor.value = 2
    paint(stage)
    settle(stage, dock)
    stage.press(dock.bar.train)
    stage.wait(lambda: steps_taken(dock) >= 1)
    stage.press(dock.bar.cancel)
    stage.finish(dock)
    stage.shoot(name_of(stage, "cancelled"))


def planes(stage: Stage) -> None:
    """A stack, three planes of which are done."""
    dock = stage.open_dock("Train")
    stage.sample("nuclei_3d")
    stage.press(dock.form.painting.new)
    labels = stage.viewer.layers["nuclei 3D labels"]
    truth = load_sample("nuclei_3d").truth
    for z in (8, 15, 22):
        stage.viewer.dims.set_point(0, z)
        for number in np.unique(truth[z])[1:]:
            paint_object(labels, truth[z], int(number), (z,))
        dock.form.painting.done.value = True
    settle(stage, dock)
    stage.shoot(name_of(stage, "planes"))
    stage.viewer.dims.set_point(0, 16)
    stage.shoot(name_of(stage, "planes_between"))


def corrected(stage: Stage) -> None:
    """From a result to training."""
    segment = stage.open_dock("Segment")
    stage.sample("nuclei_2d")
    stage.press(segment.bar.run)
    stage.finish(segment)
    stage.shoot(name_of(stage, "correct_before"))
    segment.form.correct.button.native.click()
    dock = stage.open_dock("Train")
    settle(stage, dock)
    stage.shoot(name_of(stage, "corrected"))
    dock.form.painting.done.value = True
    settle(stage, dock)
    stage.shoot(name_of(stage, "corrected_done"))


def semantic(stage: Stage) -> None:
    """Three classes with colours, from scratch."""
    dock = stage.open_dock("Train")
    stage.sample("histology")
    dock.form.task.value = "semantic"
    stage.press(dock.form.painting.new)
    labels = stage.viewer.layers["histology labels"]
    truth = load_sample("histology").truth
    for number in objects_within(truth, slice(0, 256), slice(0, 320))[::4]:
        paint_object(labels, truth == number, 1)
    paint_background(labels, truth, [40, 90, 140], 2)
    paint_background(labels, truth, [200, 230], 3)
    settle(stage, dock)
    stage.wait(lambda: len(dock.form.classes.values) >= 3)
    dock.form.classes.rename(1, "nucleus")
    dock.form.classes.rename(2, "stroma")
    settle(stage, dock)
    stage.shoot(name_of(stage, "semantic"))


def regression(stage: Stage) -> None:
    """Two image layers: what goes in, and what is to come out."""
    dock = stage.open_dock("Train")
    clean = load_sample("nuclei_2d").image.astype(np.float32)
    noisy = clean + np.random.default_rng(0).normal(0, 20, clean.shape).astype(np.float32)
    stage.viewer.add_image(clean, name="long exposure", contrast_limits=(0, 120))
    stage.viewer.add_image(noisy, name="short exposure", contrast_limits=(0, 120))
    dock.form.task.value = "regression"
    line = dock.form.table.lines[0]
    line.image_choice.value = stage.viewer.layers["short exposure"]
    line.labels_choice.value = stage.viewer.layers["long exposure"]
    settle(stage, dock)
    stage.shoot(name_of(stage, "regression"))
    dock.rows["minutes"].editor.value = 0.3
    settle(stage, dock)
    stage.press(dock.bar.train)
    stage.wait(lambda: steps_taken(dock) >= 8 or not dock.runner.running)  # on a slow machine
    stage.shoot(name_of(stage, "regression_training"))
    stage.finish(dock)
    stage.shoot(name_of(stage, "regression_verdict"))


def dense(stage: Stage) -> None:
    """Cells that leave no background, labelled inside a box: training says how it parts them."""
    image, cells = _draw_tissue()
    dock = stage.open_dock("Train")
    stage.viewer.add_image(image, name="tissue")
    stage.viewer.add_labels(cells, name="cells")
    box = [[0, 0], [0, 250], [199, 250], [199, 0]]
    shapes = stage.viewer.add_shapes(
        [box], name="labelled", edge_color="yellow", face_color="#0000"
    )
    dock.rows["batch_size"].editor.value = 2
    settle(stage, dock)
    (line,) = dock.form.table.lines
    line.trust(shapes)
    settle(stage, dock)
    stage.shoot(name_of(stage, "dense"))
    stage.press(dock.bar.train)
    stage.wait(lambda: steps_taken(dock) >= 4)
    stage.shoot(name_of(stage, "dense_training"))
    stage.press(dock.bar.cancel)
    stage.finish(dock)


def _draw_tissue() -> tuple[Any, Any]:
    """An image (Y, X) of cell walls, and a label for each cell; they touch everywhere."""
    rng = np.random.default_rng(0)
    places = np.full((260, 340), 1)
    centres = rng.integers(0, places.size, 120)
    places.flat[centres] = 0
    nearest = distance_transform_edt(places, return_distances=False, return_indices=True)
    cells = np.ravel_multi_index(tuple(nearest), places.shape)
    cells = np.searchsorted(np.unique(centres), cells).astype(np.int32) + 1
    walls = gaussian_filter(find_boundaries(cells).astype(np.float32), 1)
    return rng.normal(200 + 800 * walls, 40).astype(np.float32), cells


def crashed(stage: Stage) -> None:
    """What is offered when the process was killed in mid-training."""
    leave_behind()
    stage.sample("nuclei_2d")
    dock = stage.open_dock("Train")
    settle(stage, dock)
    stage.shoot(name_of(stage, "offers"))
    for notice in found_notices(dock):
        for text in ("Restore", "Resume"):
            if text in notice.buttons:
                stage.press(notice.buttons[text])
    stage.wait(lambda: steps_taken(dock) >= 1)
    stage.shoot(name_of(stage, "resumed"))
    stage.press(dock.bar.cancel)
    stage.finish(dock)


@contextmanager
def _spoiled(after: int) -> Iterator[None]:
    """Weights become no numbers after so many steps, as by far too high a learning rate."""
    take_step = TrainingLoop._take_step

    def spoil_and_step(loop: Any) -> float | None:
        if loop.state.step >= after:
            next(loop.state.network.parameters()).data.fill_(np.nan)
        return take_step(loop)

    TrainingLoop._take_step = spoil_and_step  # type: ignore[method-assign]
    try:
        yield
    finally:
        TrainingLoop._take_step = take_step  # type: ignore[method-assign]


SCENES = {
    "train_empty": empty,
    "train_carried": carried,
    "train_faulty": faulty,
    "train_masks": masks,
    "train_places": places,
    "train_failed": failed,
    "train_training": training,
    "train_cancelled": cancelled,
    "train_planes": planes,
    "train_corrected": corrected,
    "train_semantic": semantic,
    "train_regression": regression,
    "train_dense": dense,
    "train_crashed": crashed,
}
