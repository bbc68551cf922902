"""Labels and previews of a time series of several channels in one layer, in the dock "Train"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from napari_unet.samples import load_sample
from napari_unet.widgets.annotation.marks import marks_of

HEIGHT, WIDTH = 96, 112


def plane(viewer: Any, layer: Any, time: int, channel: int) -> np.ndarray:
    """What the viewer draws of a layer."""
    viewer.dims.set_current_step(0, time)
    viewer.dims.set_current_step(1, channel)
    return np.asarray(layer._slice.image.raw)


def test_labels_and_previews_lie_on_their_time(
    viewer: Any,
    open_train: Callable[..., Any],
    settle: Callable[..., None],
    press: Callable[[Any], None],
    finish: Callable[[Any], None],
    fill: Callable[[Any, Any], None],
    qtbot: Any,
) -> None:
    sample = load_sample("nuclei_2d")
    frames = np.stack([sample.image[:HEIGHT, n : n + WIDTH] for n in (0, 100, 200)])
    truth = sample.truth[:HEIGHT, 100 : 100 + WIDTH].astype(np.int32)
    viewer.add_image(np.stack([frames * 0, frames], 1), name="movie", scale=(5, 1, 0.5, 0.5))
    dock = open_train()
    dock.form.models.choose("random")
    dock.rows["axes"].editor.value = "TCYX"
    dock.rows["channels"].editor.value = "1"
    press(dock.form.painting.new)
    labels = viewer.layers["movie labels"]
    viewer.dims.set_current_step(0, 1)
    viewer.dims.set_current_step(1, 1)
    painted = np.zeros(labels.data.shape, np.int32)
    painted[1, 0] = truth
    fill(labels, painted)
    dock.form.painting.done.value = True
    assert marks_of(labels).done == ((1, 0),)
    for channel in range(2):
        np.testing.assert_array_equal(plane(viewer, labels, 1, channel), truth)
        assert not plane(viewer, labels, 0, channel).any()
    plane(viewer, labels, 1, 1)
    settle(dock, minutes=5)
    assert not dock.form.has_faults, dock.form.first_fault
    (example,) = dock.form.request.examples(copy=True)
    assert example.labels.shape == frames.shape
    np.testing.assert_array_equal(example.labels[1], truth)
    assert "axes='TCYX'" in dock.as_python()
    press(dock.bar.train)
    qtbot.waitUntil(lambda: any("training preview" in x.name for x in viewer.layers))
    preview = next(x for x in viewer.layers if "training preview" in x.name)
    assert preview.data.ndim == 4
    for layer in (preview, labels):  # on the image, at the time in view, on each channel
        np.testing.assert_allclose(layer.scale[[0, 2, 3]], (5, 0.5, 0.5))
    for channel in range(2):
        place = viewer.layers["movie"].data_to_world((1, channel, 0, 0))
        found = np.round(preview.world_to_data(place)).astype(int)
        assert found[:2].tolist() == [0, 0]
    press(dock.bar.cancel)
    finish(dock)
