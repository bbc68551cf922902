"""A time series of several channels in one layer, as ImageJ's hyperstacks are opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import napari_unet as nu
from napari_unet.samples import load_sample
from napari_unet.widgets.annotation.marks import marks_of, plane_shown

FRAMES = 3


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """Time points, each shifted against the one before."""
    nuclei = load_sample("nuclei_2d").image[:128, :160]
    return np.stack([np.roll(nuclei, 40 * t, 1) for t in range(FRAMES)])


@pytest.fixture
def hyperstack(viewer: Any, frames: np.ndarray, tmp_path: Path) -> Any:
    """The layer; its second channel is black."""
    path = tmp_path / "hyperstack.tif"
    channels = np.stack([frames, frames * 0], 1)
    tifffile.imwrite(path, channels, imagej=True, metadata={"axes": "TCYX"})
    (layer,) = viewer.open(str(path), plugin="napari")
    assert layer.data.shape == (FRAMES, 2, 128, 160)
    return layer


def shown_at(viewer: Any, layer: Any, time: int, channel: int) -> np.ndarray:
    """The plane of a layer that the viewer draws."""
    viewer.dims.set_current_step(0, time)
    viewer.dims.set_current_step(1, channel)
    return np.asarray(layer._slice.image.raw)


def agrees(shown: np.ndarray, frame: np.ndarray, **settings: Any) -> bool:
    """Whether labels are those of a frame, apart from their numbers."""
    right = nu.segment(frame, "nuclei", axes="YX", **settings)
    return bool(nu.evaluate(shown.astype(np.int32), right).ap[0.9] == 1)


def test_labels_at_each_time_are_those_of_that_time(
    dock: Any, viewer: Any, hyperstack: Any, frames: np.ndarray, run: Any, set_value: Any
) -> None:
    dock.form.axes.value = "TCYX"
    run(dock)
    labels = viewer.layers[f"{hyperstack.name} labels"]
    for time in range(FRAMES):
        for channel in range(2):  # they lie on the other channel too
            assert agrees(shown_at(viewer, labels, time, channel), frames[time])
    # what follows the settings, first the plane in view, then the whole
    planes = []
    show_plane = dock.results.show_plane

    def note(*arguments: Any) -> bool:
        done = show_plane(*arguments)
        planes.append(np.asarray(labels._slice.image.raw).copy())
        return done

    dock.results.show_plane = dock.live._results.show_plane = note
    shown_at(viewer, labels, 2, 1)
    set_value(dock, threshold=0.8)
    assert agrees(planes[0], frames[2], threshold=0.8)
    for time in range(FRAMES):
        assert agrees(shown_at(viewer, labels, time, 0), frames[time], threshold=0.8)
    assert viewer.layers[f"{hyperstack.name} labels"] is labels


def test_a_preview_and_scores_lie_on_the_time_in_view(
    dock: Any,
    viewer: Any,
    hyperstack: Any,
    frames: np.ndarray,
    press: Any,
    finish: Any,
    run: Any,
) -> None:
    dock.form.axes.value = "TCYX"
    viewer.dims.set_current_step(0, 1)
    press(dock.bar.preview)
    finish(dock)
    preview = viewer.layers[f"{hyperstack.name} preview"]
    for channel in range(2):
        assert agrees(shown_at(viewer, preview, 1, channel), frames[1])
    assert not shown_at(viewer, preview, 2, 0).any()
    dock.form.scores.value = True
    run(dock)
    scores = [x for x in viewer.layers if x.name.endswith("foreground")]
    scores[0].visible = True
    inside = shown_at(viewer, scores[0], 2, 0) > 0.5
    labels = shown_at(viewer, viewer.layers[f"{hyperstack.name} labels"], 2, 0) > 0
    assert (inside == labels).mean() > 0.95


def test_a_result_is_corrected_on_its_time(
    dock: Any, viewer: Any, hyperstack: Any, frames: np.ndarray, run: Any, monkeypatch: Any
) -> None:
    taken = []
    dock.form.axes.value = "TCYX"
    run(dock)

    class Train:
        def take(self, image: Any, labels: Any) -> None:
            taken.append((image, labels))

    monkeypatch.setattr(dock.form.correct, "_open_train", Train)
    dock.form.correct.button.native.click()
    ((image, labels),) = taken
    assert image == hyperstack
    labels = viewer.layers[labels.name]  # itself, not what a plugin gets
    for time in range(FRAMES):
        assert agrees(shown_at(viewer, labels, time, 1), frames[time])
        assert plane_shown(viewer, labels, marks_of(labels).axes) == (time, 0)
