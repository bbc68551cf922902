"""Painted labels that were saved come back with their marks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels

from napari_unet.errors import FileError
from napari_unet.io import read_image, record_path
from napari_unet.widgets.annotation.painting import Marks, marks_of, new_labels, set_marks
from napari_unet.widgets.recovery.autosave import Autosave
from napari_unet.widgets.viewer.layer_image import RECORD_KEY

pytestmark = [pytest.mark.windowless, pytest.mark.usefixtures("plugins")]
PLUGIN = "napari-unet-torch"


@pytest.fixture
def layer(bare_viewer: Any) -> Labels:
    """Painted labels of an image, with all that can be marked."""
    image = bare_viewer.add_image(
        np.zeros((5, 40, 60), np.uint8),
        name="stack",
        scale=(2, 0.5, 0.5),
        translate=(7, 8, 9),
        rotate=20,
        units="um",
    )
    layer = new_labels(bare_viewer, image, "ZYX")
    layer.paint((1, 10, 10), 3)
    marks = replace(
        marks_of(layer),
        done=((0, 1), (0, 4)),
        background=2,
        corrected={"axes": "ZYX", "model": {"name": "nuclei"}},
        part=((0, 5), (3, 9), (0, 60)),
    )
    set_marks(layer, marks)
    return layer


def reopen(viewer: Any, path: Path) -> Any:
    """As with File > Open, in a window with a dock."""
    autosave = Autosave(viewer)
    (layer,) = viewer.open(str(path), plugin="napari")
    autosave.close()
    return layer


@pytest.mark.parametrize("name", ["mine.tif", "mine.ome.tif"])
def test_marks_come_back_with_the_file(
    layer: Labels, bare_viewer: Any, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    assert layer.save(str(path), plugin=PLUGIN) == [str(path), str(record_path(path))]
    again = reopen(bare_viewer, path)
    assert isinstance(again, Labels)  # which the viewer tells by 32 bits
    assert np.array_equal(again.data, layer.data)
    assert marks_of(again) == marks_of(layer)
    corner = (1, 30, 50)
    assert np.allclose(again.data_to_world(corner), layer.data_to_world(corner))
    assert again.units == layer.units
    assert read_image(path).axes == "ZYX"


def test_labels_beside_channels_come_back_beside_them(bare_viewer: Any, tmp_path: Path) -> None:
    image = bare_viewer.add_image(
        np.zeros((3, 2, 40, 60), np.uint8), name="movie", scale=(2, 1, 0.5, 0.5)
    )
    layer = new_labels(bare_viewer, image, "TCYX")
    layer.data[2, 0, 5:9, 5:9] = 4
    set_marks(layer, replace(marks_of(layer), done=((2, 0),)))
    layer.save(str(tmp_path / "mine.tif"), plugin=PLUGIN)
    assert read_image(tmp_path / "mine.tif").axes == "TYX"
    again = reopen(bare_viewer, tmp_path / "mine.tif")
    assert marks_of(again) == marks_of(layer)
    assert np.array_equal(again.data, layer.data)
    for place in ((2, 0, 3, 4), (1, 1, 8, 9)):
        world = image.data_to_world(place)
        assert np.allclose(again.world_to_data(world), layer.world_to_data(world))


def test_labels_that_lie_somewhere_already_stay_there(
    layer: Labels, bare_viewer: Any, tmp_path: Path
) -> None:
    path = tmp_path / "mine.tif"
    layer.save(str(path), plugin=PLUGIN)
    (again,) = bare_viewer.open(str(path), plugin="napari", scale=(3, 1, 1))
    Autosave(bare_viewer).close()
    assert marks_of(again) == marks_of(layer)
    assert again.scale.tolist() == [3, 1, 1]


def test_layers_that_were_there_before_the_dock_get_their_marks(
    layer: Labels, bare_viewer: Any, tmp_path: Path
) -> None:
    path = tmp_path / "mine.tif"
    layer.save(str(path), plugin=PLUGIN)
    (again,) = bare_viewer.open(str(path), plugin="napari")
    assert marks_of(again) is None
    Autosave(bare_viewer).close()
    assert marks_of(again) == marks_of(layer)


def test_a_file_that_was_written_anew_has_no_marks(
    layer: Labels, bare_viewer: Any, tmp_path: Path
) -> None:
    path = tmp_path / "mine.tif"
    layer.save(str(path), plugin=PLUGIN)
    other = Labels(np.random.default_rng(0).integers(0, 9, layer.data.shape, np.int32))
    other.save(str(path), plugin="napari")
    assert marks_of(reopen(bare_viewer, path)) is None
    layer.save(str(path), plugin=PLUGIN)
    other.save(str(path), plugin=PLUGIN)  # it has no marks to be written
    again = bare_viewer.open(str(path), plugin="napari", layer_type="labels")[0]
    Autosave(bare_viewer).close()
    assert marks_of(again) is None


@pytest.mark.parametrize("content", ["[]", "{", '{"napari_unet_labels": {"marks": 3}}', ""])
def test_a_record_that_says_nothing_is_passed_over(
    layer: Labels, bare_viewer: Any, tmp_path: Path, content: str
) -> None:
    path = tmp_path / "mine.tif"
    layer.save(str(path), plugin=PLUGIN)
    record_path(path).write_text(content)
    assert marks_of(reopen(bare_viewer, path)) is None


def test_marks_stand_beside_the_record_of_a_run(
    layer: Labels, bare_viewer: Any, tmp_path: Path
) -> None:
    run = {"operation": "segment", "axes": "ZYX"}
    layer.metadata = {**layer.metadata, RECORD_KEY: run}
    path = tmp_path / "mine.tif"
    layer.save(str(path), plugin=PLUGIN)
    assert run.items() <= json.loads(record_path(path).read_text()).items()
    layer.save(str(path), plugin=PLUGIN)  # in place of its own record
    assert marks_of(reopen(bare_viewer, path)) == marks_of(layer)


def test_a_file_of_another_program_is_not_replaced(layer: Labels, tmp_path: Path) -> None:
    path = tmp_path / "mine.tif"
    record_path(path).write_text('{"microscope": 1}')
    with pytest.raises(FileError, match="another name"):
        layer.save(str(path), plugin=PLUGIN)
    assert record_path(path).read_text() == '{"microscope": 1}'
    assert not path.exists()
    layer.metadata = {}
    layer.save(str(path), plugin=PLUGIN)  # nothing is to be written there


def test_a_png_of_painted_labels_stays_small(bare_viewer: Any, tmp_path: Path) -> None:
    layer = Labels(np.eye(20, dtype=np.int32))
    set_marks(layer, Marks("cells", "YX", done=((0, 0),)))
    layer.save(str(tmp_path / "mine.tif"), plugin=PLUGIN)
    assert read_image(tmp_path / "mine.tif").array.dtype == np.int32
    from napari_unet.widgets.layer_writer import write_labels_layer

    data, attributes, _ = layer.as_layer_data_tuple()
    write_labels_layer(tmp_path / "small.png", data, attributes)
    assert read_image(tmp_path / "small.png").array.dtype == np.uint8
