"""Axes belong to a layer: corrected in one dock they hold in the other, and where it is saved."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_unet.io import read_image
from napari_unet.widgets.annotation.beside_channels import lay_beside_channels
from napari_unet.widgets.annotation.marks import marks_of, plane_shown
from napari_unet.widgets.train.form import TrainForm

pytestmark = [pytest.mark.windowless, pytest.mark.usefixtures("plugins")]
PLUGIN = "napari-unet-torch"


@pytest.fixture
def train(bare_viewer: Any, listen: Any, qtbot: Any) -> Iterator[Callable[[], TrainForm]]:
    """``train()``: the form of the dock "Train"."""
    forms = []

    def train() -> TrainForm:
        form = TrainForm(bare_viewer, lambda: form.show_messages() if forms else None)
        qtbot.addWidget(form.native)
        listen(bare_viewer, form)
        forms.append(form)
        form.start({})
        form.show_messages()
        return form

    yield train
    for form in forms:
        form.close()
    forms.clear()  # what the viewer tells from now on is for nobody


def test_corrected_in_one_dock_they_hold_in_the_other(
    dock: Any, bare_viewer: Any, train: Any, qtbot: Any, tmp_path: Path
) -> None:
    movie = bare_viewer.add_image(np.zeros((5, 32, 32), np.uint8), name="movie")
    form = train()
    field = form.rows["axes"].editor
    assert (dock.form.axes.value, field.value) == ("ZYX", "ZYX")
    dock.form.axes.value = "tyx"
    qtbot.waitUntil(lambda: field.value == "TYX")
    assert form.rows["axes"].note == ""
    field.value = "ZYX"
    assert dock.form.axes.value == "ZYX"
    assert dock.rows["axes"].note == ""  # somebody has said so
    field.value = "ZY"
    assert "one letter per axis" in form.rows["axes"].fault
    assert dock.form.axes.value == "ZYX"  # what fits no image is not its
    dock.form.axes.value = "TYX"
    qtbot.waitUntil(lambda: field.value == "TYX")
    assert form.rows["axes"].fault == ""
    form.painting.new.native.click()
    labels = bare_viewer.layers["movie labels"]
    assert labels.axis_labels == movie.axis_labels == ("t", "y", "x")
    assert marks_of(labels).axes == "TYX"
    for layer in (movie, labels):
        layer.save(str(tmp_path / "saved.tif"), plugin=PLUGIN)
        assert read_image(tmp_path / "saved.tif").axes == "TYX"


def test_they_stay_with_the_layer_when_docks_come_and_go(bare_viewer: Any, open_dock: Any) -> None:
    first = bare_viewer.add_image(np.zeros((5, 2, 32, 32), np.uint8), name="first")
    open_dock().form.axes.value = "TCYX"
    gc.collect()
    first.name = "renamed"
    assert open_dock().form.axes.value == "TCYX"
    colours = bare_viewer.add_image(np.zeros((5, 32, 32, 3), np.uint8), rgb=True)
    dock = open_dock()
    dock.form.images.choose(colours)
    dock.form.axes.value = "TYXC"
    assert colours.axis_labels == ("t", "y", "x")
    assert open_dock().form.axes.value in ("TCYX", "TYXC")


def test_another_image_takes_them_over_in_words(bare_viewer: Any, train: Any) -> None:
    first = bare_viewer.add_image(np.zeros((5, 32, 32), np.uint8), name="first")
    form = train()
    form.rows["axes"].editor.value = "TYX"
    second = bare_viewer.add_image(np.zeros((7, 32, 32), np.uint8), name="second")
    stack = bare_viewer.add_image(
        np.zeros((7, 32, 32), np.uint8), name="stack", axis_labels=("z", "y", "x")
    )
    assert [form.fields.axes_of(x) for x in (first, second, stack)] == ["TYX", "TYX", "ZYX"]
    form.fields.show(second, several=True)
    assert "typed for another image" in form.rows["axes"].note
    assert second.axis_labels == ("-3", "-2", "-1")


def test_the_file_of_a_layer_is_asked_first(
    dock: Any, bare_viewer: Any, train: Any, tmp_path: Path
) -> None:
    channels = np.zeros((7, 2, 64, 80), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", channels, imagej=True, metadata={"axes": "TCYX"})
    (layer,) = bare_viewer.open(str(tmp_path / "a.tif"), plugin="napari")
    assert dock.form.axes.value == "TCYX"
    assert dock.rows["axes"].note == ""
    form = train()
    assert form.fields.axes_of(layer) == "TCYX"
    form.painting.new.native.click()
    assert bare_viewer.layers["a labels"].data.shape == (7, 1, 64, 80)
    # of something else than what stands in the file it says nothing
    layer.data = np.zeros((7, 2, 60, 80), np.uint8)
    assert dock.form.axes.value == "TZYX"
    assert "C with its length of 2" in dock.rows["axes"].note
    assert "the axes TCYX for channels" in dock.rows["axes"].note
    (tmp_path / "a.tif").unlink()
    layer.data = channels
    assert dock.form.axes.value == "TZYX"


@pytest.mark.parametrize("channels", [2, 5])
def test_channels_behind_the_pixels_are_doubted(
    dock: Any, bare_viewer: Any, channels: int, tmp_path: Path
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((64, 80, channels), np.uint8))
    bare_viewer.open(str(tmp_path / "a.tif"), plugin="napari")
    assert dock.form.axes.value == "YXC"
    assert f"The last axis, of length {channels}" in dock.rows["axes"].note
    assert "the axes ZYX if it is X" in dock.rows["axes"].note
    assert f"channels 0 to {channels - 1}" in dock.rows["channels"].note


def test_labels_of_a_file_are_laid_beside_the_channels(
    bare_viewer: Any, train: Any, tmp_path: Path
) -> None:
    """As without that they would be painted at the time to which the slider of channels points."""
    image = bare_viewer.add_image(
        np.zeros((7, 2, 32, 40), np.uint8), name="movie", axis_labels=("t", "c", "y", "x")
    )
    truth = np.zeros((7, 32, 40), np.int32)
    truth[5, 8:16, 8:16] = 3
    labels = bare_viewer.add_labels(truth, name="truth", translate=(0, 0, 0))
    labels.paint((5, 12, 12), 3)  # a stroke that has no such axis
    form = train()
    assert form.table.lines[0].labels == labels
    labels.undo()
    assert labels.data.shape == (7, 1, 32, 40)
    assert np.shares_memory(labels.data, truth)
    for channel in range(2):
        bare_viewer.dims.set_current_step((0, 1), (5, channel))
        place = np.round(labels.world_to_data(image.data_to_world((5, channel, 9, 9))))
        assert labels.data[tuple(place.astype(int))] == 3
        assert plane_shown(bare_viewer, labels, "TCYX") == (5, 0)
    labels.paint((5, 0, 20, 20), 4)
    labels.undo()
    assert form.request is not None
    (example,) = form.request.examples(copy=True)
    np.testing.assert_array_equal(example.labels, truth)
    again = bare_viewer.add_labels(truth[:3], name="of something else")
    assert not lay_beside_channels(again, image, "TCYX")
