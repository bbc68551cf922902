"""The pixel size that is typed for a layer, and diameters in µm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_unet.errors import InputError
from napari_unet.io import read_image
from napari_unet.samples import load_sample
from napari_unet.widgets.segment.pixel_size_field import parse_pixel_size
from napari_unet.widgets.viewer.layer_image import LayerImage

pytestmark = pytest.mark.windowless


@pytest.fixture
def nuclei() -> np.ndarray:
    """A part of the sample."""
    return load_sample("nuclei_2d").image[:96, :128]


def type_size(dock: Any, text: str) -> None:
    """As a user does: the text, then Return."""
    dock.form.pixel_size.native.setText(text)
    dock.form.pixel_size.native.editingFinished.emit()


@pytest.mark.usefixtures("plugins")
def test_a_typed_size_belongs_to_the_layer_its_record_and_its_files(
    dock: Any, viewer: Any, run: Any, labels_of: Any, nuclei: np.ndarray, tmp_path: Path
) -> None:
    image = viewer.add_image(nuclei, name="first")
    assert dock.form.pixel_size.value == "unknown"
    type_size(dock, "0.5")
    assert dock.form.pixel_size.value == "Y 0.5 × X 0.5 µm"
    assert "what the layer says (unknown)" in dock.rows["pixel_size"].note
    assert not dock.rows["pixel_size"].native.isHidden()  # also where the rest is folded
    np.testing.assert_array_equal(image.scale, (1, 1))
    run(dock)
    (labels,) = labels_of(viewer)
    assert labels.metadata["napari_unet"]["pixel_size"] == [0.5, 0.5]
    for layer, name in ((image, "image.tif"), (labels, "labels.tif")):
        layer.save(str(tmp_path / name), plugin="napari-unet-torch")
        assert read_image(tmp_path / name).pixel_size == (0.5, 0.5)
    (again,) = viewer.open(str(tmp_path / "image.tif"), plugin="napari-unet-torch")
    assert LayerImage.of(again).pixel_size("YX") == (0.5, 0.5)
    second = viewer.add_image(nuclei, name="second")
    dock.form.images.choose(second)
    assert dock.form.pixel_size.value == "unknown"
    dock.form.images.choose(image)
    assert dock.form.pixel_size.value == "Y 0.5 × X 0.5 µm"
    type_size(dock, "")
    assert dock.form.pixel_size.value == "unknown"
    assert dock.rows["pixel_size"].note == ""


@pytest.mark.parametrize("text", ["wide", "0", "-1", "1 2 3", "nan", "1e9"])
def test_what_is_no_size_is_said_and_not_taken(
    dock: Any, viewer: Any, nuclei: np.ndarray, text: str
) -> None:
    viewer.add_image(nuclei, scale=(0.5, 0.5), units="um")
    type_size(dock, text)
    assert "size" in dock.rows["pixel_size"].note
    assert dock.form.pixel_size.value == "Y 0.5 × X 0.5 µm"
    assert dock.form.request is not None


@pytest.mark.parametrize(
    ("text", "axes", "sizes"),
    [
        ("0.5", "ZYX", {"Z": 0.5, "Y": 0.5, "X": 0.5}),
        ("2; 0.5; 0.25", "ZYX", {"Z": 2, "Y": 0.5, "X": 0.25}),
        ("2,0.5,0.25", "ZYX", {"Z": 2, "Y": 0.5, "X": 0.25}),
        ("0,325 µm", "TYX", {"Y": 0.325, "X": 0.325}),
        ("?, 0.5, 0.5", "TZYX", {"Y": 0.5, "X": 0.5}),
    ],
)
def test_sizes_as_people_type_them(text: str, axes: str, sizes: Any) -> None:
    assert parse_pixel_size(text, axes) == sizes


def test_a_size_out_of_bounds_is_no_size() -> None:
    with pytest.raises(InputError, match="no size of a pixel"):
        parse_pixel_size("0", "YX")


def test_diameters_are_in_micrometres_where_the_size_is_known(
    dock: Any, viewer: Any, press: Any, nuclei: np.ndarray
) -> None:
    image = viewer.add_image(nuclei, scale=(0.5, 0.5), units="um")
    row = dock.rows["object_diameter"]
    assert row.label.text() == "Diameter (µm)"
    row.editor.auto.value = False
    row.editor.number.value = 10.5  # typed, in µm
    assert row.editor.value == 21
    assert dock.form.values()["object_diameter"] == 21
    image.units = "pixel"
    assert row.label.text() == "Diameter (px)"
    assert (row.editor.number.value, row.editor.value) == (21, 21)
    type_size(dock, "0.325")
    assert row.editor.number.value == pytest.approx(6.825)
    assert row.editor.value == 21
    press(dock.form.diameter.button)
    viewer.layers.selection.active.add_lines([[10, 10], [10, 40]])
    assert row.editor.value == 30
    assert "9.75 µm" in dock.form.diameter.row.note
    type_size(dock, "0.5 0.25")  # pixels that are no squares have no one length
    assert row.label.text() == "Diameter (px)"
    assert row.editor.value == 30
