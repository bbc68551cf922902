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


def click(field: Any, axes: str) -> None:
    """Press the button of these axes under the field."""
    assert not field.choices.isHidden()
    field.choices.buttons[axes].click()


def test_a_doubt_is_settled_by_a_click(dock: Any, bare_viewer: Any, train: Any, qtbot: Any) -> None:
    stack = bare_viewer.add_image(np.zeros((5, 32, 32), np.uint8), name="stack")
    form = train()
    fields = dock.form.fields
    assert list(fields.choices.buttons) == ["ZYX", "TYX", "CYX"]
    assert not dock.rows["axes"].native.isHidden()  # also while the settings are folded
    click(fields, "TYX")
    assert stack.axis_labels == ("t", "y", "x")
    assert dock.form.request.axes == "TYX"
    assert (dock.rows["axes"].note, fields.choices.isHidden()) == ("", True)
    qtbot.waitUntil(lambda: form.rows["axes"].editor.value == "TYX")
    assert form.fields._field.choices.isHidden()
    # what was guessed can be said to be right, and holds then; another image may take it over
    second = bare_viewer.add_image(np.zeros((7, 32, 32), np.uint8), name="second")
    dock.form.images.choose(second)
    assert list(fields.choices.buttons) == ["ZYX", "TYX"]
    click(fields, "ZYX")
    assert second.axis_labels == ("z", "y", "x")
    assert fields.choices.isHidden()
    third = bare_viewer.add_image(np.zeros((9, 32, 32), np.uint8), name="third")
    form.table.lines[0].image_choice.value = third
    form.show_messages()
    click(form.fields._field, form.rows["axes"].editor.value)
    assert third.axis_labels != ("-3", "-2", "-1")
    plane = bare_viewer.add_image(np.zeros((32, 32), np.uint8))
    dock.form.images.choose(plane)
    assert fields.choices.isHidden()


def test_channels_become_layers_by_a_click(
    dock: Any, bare_viewer: Any, run: Any, labels_of: Any, tmp_path: Path
) -> None:
    """A hyperstack that the viewer's own reader has opened as one layer."""
    from napari_unet.samples import load_sample

    cells = load_sample("nuclei_2d").image[:96, :120]
    series = np.stack([np.stack([cells // 8, np.roll(cells, 9 * t, 1)]) for t in range(3)])
    path = tmp_path / "series.tif"
    tifffile.imwrite(path, series, imagej=True, metadata={"axes": "TCYX"})
    (whole,) = bare_viewer.open(str(path), plugin="napari")
    whole.scale, whole.translate = (1, 1, 0.5, 0.5), (0, 3, 10, 20)
    assert not dock.form.fields.split.isHidden()
    dock.form.channels.value = "1"
    dock.form.fields.split.click()
    first, second = bare_viewer.layers[1:]
    assert [layer.name for layer in (first, second)] == ["series C0", "series C1"]
    assert not whole.visible
    assert dock.form.layer is second
    assert dock.form.request.axes == "TYX"
    assert dock.rows["channels"].native.isHidden()
    for number, layer in enumerate((first, second)):
        np.testing.assert_array_equal(np.asarray(layer.data), series[:, number])
        np.testing.assert_allclose(layer.scale, (1, 0.5, 0.5))
        np.testing.assert_allclose(layer.translate, (0, 10, 20))
        assert layer.axis_labels == ("t", "y", "x")
        assert layer.metadata["napari_unet_part"] == {"channel": number}
    run(dock)
    (labels,) = labels_of(bare_viewer)
    assert labels.data.shape == (3, 96, 120)
    # the labels at time t are those of time t
    for t in range(1, 3):
        moved = np.roll(labels.data[0] > 0, 9 * t, 1)
        assert (moved == (labels.data[t] > 0)).mean() > 0.95
    colours = bare_viewer.add_image(np.zeros((32, 32, 3), np.uint8), rgb=True)
    dock.form.images.choose(colours)
    assert dock.form.fields.split.isHidden()


def test_training_goes_on_with_a_channel_and_its_labels(bare_viewer: Any, train: Any) -> None:
    image = bare_viewer.add_image(
        np.zeros((3, 2, 32, 40), np.uint8), name="i", axis_labels=("t", "c", "y", "x")
    )
    labels = bare_viewer.add_labels(np.ones((3, 1, 32, 40), np.int32), name="l")
    form = train()
    (line,) = form.table.lines
    assert (line.image, line.labels) == (image, labels)
    form.rows["channels"].editor.value = "1"
    form.fields._field.split.click()
    (line,) = form.table.lines
    assert (line.image.name, line.labels) == ("i C1", labels)
    assert labels.data.shape == (3, 32, 40)  # else the viewer would show them at other times
    form.changed()
    assert form.request is not None, form.first_fault
    assert form.request.layers[0].axes == "TYX"
    # labels with an axis of length 1 more, which nobody has named
    line.labels_choice.value = bare_viewer.add_labels(np.ones((3, 1, 32, 40), np.int32), name="m")
    form.changed()
    assert form.request is not None, form.first_fault
