"""What stands in the form of the dock "Segment"; there is no window around it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_unet.samples import load_sample
from napari_unet.widgets.qt.form import FAULT_COLOUR

pytestmark = pytest.mark.windowless


@pytest.fixture
def small(dock: Any, viewer: Any) -> Any:
    """A dock with a part of the sample, fast to segment."""
    viewer.add_image(load_sample("nuclei_2d").image[:128, :160], name="nuclei")
    return dock


def test_without_an_image_the_dock_says_what_to_do(dock: Any) -> None:
    assert not dock.bar.run.enabled
    assert "Open Sample" in dock.rows["image"].fault
    assert "Open Sample" in dock.bar.message.value


def test_red_is_kept_for_errors(dock: Any, viewer: Any) -> None:
    def reds() -> list[bool]:
        row = dock.rows["image" if dock.form.image is None else "axes"]
        parts = (row._note, row.editor.native, dock.bar.message.native)
        return [FAULT_COLOUR in part.styleSheet() for part in parts]

    assert reds() == [False] * 3  # there is only no image yet
    viewer.add_image(np.zeros((5, 32, 32)))
    dock.form.axes.value = "TZ"
    assert reds() == [True] * 3


def test_an_image_that_is_gone_leaves_nothing_in_the_form(dock: Any, viewer: Any) -> None:
    viewer.add_image(np.zeros((5, 32, 32)))
    dock.native.show()
    assert dock.form.axes.value == "ZYX"
    assert dock.form.roi_picker.planes.size == 5
    viewer.layers.clear()
    assert dock.form.axes.value == ""
    assert dock.form.roi_picker.planes.size == 1
    assert "Open Sample" in dock.rows["image"].fault
    viewer.add_image(np.zeros((4, 32, 32)))
    assert dock.form.axes.value == "ZYX"
    assert dock.form.roi_picker.planes.size == 4


def test_a_foreign_distribution_is_noticed(
    open_dock: Any, viewer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "napari_unet.widgets.segment.dock.foreign_distribution", lambda: "another project's files"
    )
    dock = open_dock()
    viewer.add_image(np.zeros((32, 32)))
    assert "another project's files" in dock.bar.message.value


def test_doubt_about_the_axes_stands_beside_the_field(dock: Any, viewer: Any) -> None:
    viewer.add_image(np.zeros((5, 32, 32)))
    assert dock.form.axes.value == "ZYX"
    assert "may be Z or T" in dock.rows["axes"].note
    assert dock.rows["axes"].fault == ""
    dock.form.axes.value = "TYX"
    assert dock.rows["axes"].note == ""
    assert dock.bar.run.enabled
    assert dock.form.pixel_size.value == "unknown"


def test_wrong_axes_are_told_beside_the_field(dock: Any, viewer: Any) -> None:
    viewer.add_image(np.zeros((5, 32, 32)))
    for axes, words in (
        ("TZX", "must contain Y and X"),
        ("YX", "one letter per axis"),
        ("QYX", "at most once"),
        ("", "one letter per axis"),
    ):
        dock.form.axes.value = axes
        assert words in dock.rows["axes"].fault
        assert words in dock.bar.message.value
        assert "border" in dock.form.axes.native.styleSheet()
        assert not dock.bar.run.enabled
        dock.form.axes.value = "ZYX"
        assert dock.rows["axes"].fault == ""
        assert dock.form.axes.native.styleSheet() == ""
        assert dock.bar.run.enabled


def test_wrong_channels_are_told_beside_the_field(
    dock: Any, viewer: Any, run: Any, labels_of: Any
) -> None:
    viewer.add_image(np.zeros((32, 33, 3), np.uint8), rgb=True)
    dock.form.models.choose("nuclei")  # of one channel; one of three is suggested
    assert dock.form.axes.value == "YXC"
    assert "channels 0 to 2" in dock.rows["channels"].note
    for channels, words in (
        ("3", "no channel 3"),
        ("red", "must be numbers"),
        ("0, 1", "takes 1"),
        ("", "must be numbers"),
    ):
        dock.form.channels.value = channels
        assert words in dock.rows["channels"].fault
        assert not dock.bar.run.enabled
    dock.form.channels.value = "1"
    run(dock)
    (labels,) = labels_of(viewer)
    assert labels.data.shape == (32, 33)
    assert labels.metadata["napari_unet"]["channels"] == [1]


def test_typed_axes_stay_for_their_layer_only(dock: Any, viewer: Any) -> None:
    first = viewer.add_image(np.zeros((5, 32, 32)), name="first")
    dock.form.axes.value = "TYX"
    second = viewer.add_image(np.zeros((32, 32)), name="second")
    first.name = "renamed"
    assert dock.form.axes.value == "TYX"
    dock.form.images.choose(second)
    assert dock.form.axes.value == "YX"


def test_the_layer_is_read_anew_when_it_changes(dock: Any, viewer: Any) -> None:
    layer = viewer.add_image(np.zeros((5, 32, 32)))
    layer.units = ("um", "um", "um")
    layer.scale = (2, 0.5, 0.5)
    assert dock.form.pixel_size.value == "Z 2 × Y 0.5 × X 0.5 µm"
    layer.axis_labels = ("t", "y", "x")
    assert dock.form.axes.value == "TYX"
    assert dock.form.pixel_size.value == "Y 0.5 × X 0.5 µm"


def test_unfit_images_leave_the_dock_usable(
    dock: Any, viewer: Any, run: Any, labels_of: Any
) -> None:
    nan = np.full((32, 32), np.nan, np.float32)
    viewer.add_image(np.zeros((1, 1, 2, 2, 8, 8)), name="six axes")
    assert "axes" in dock.bar.message.value
    assert not dock.bar.run.enabled
    dock.form.images.choose(viewer.add_image(nan, name="nan"))
    run(dock)
    assert "NaN" in dock.bar.message.value
    dock.form.images.choose(viewer.add_image(np.zeros((1, 1)), name="tiny"))
    run(dock)
    assert labels_of(viewer)[0].data.shape == (1, 1)


def test_settings_are_kept_for_the_next_dock(
    small: Any, open_dock: Any, viewer: Any, run: Any, labels_of: Any
) -> None:
    small.rows["threshold"].editor.value = 0.35
    small.rows["flips"].editor.value = True
    assert "(1 changed)" in small.form.more.text
    run(small)
    other = open_dock()
    assert other.rows["threshold"].editor.value == 0.35
    assert other.rows["flips"].editor.value is True
    other.form.defaults.native.click()
    assert other.rows["threshold"].editor.value is None
    (labels,) = labels_of(viewer)
    assert labels.metadata["napari_unet"]["settings"]["threshold"] == 0.35
