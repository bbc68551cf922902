"""Labels exported in a real window, by the dock's button and by File > Save, and read back."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image as Picture

from napari_unet.formats import KINDS
from napari_unet.io import read_labels
from napari_unet.samples import load_sample
from napari_unet.widgets.segment import SegmentWidget
from napari_unet.widgets.viewer.layer_image import RECORD_KEY

_readers = Path(__file__).parents[1] / "formats" / "independent_readers.py"
READERS = runpy.run_path(str(_readers))["READERS"]
pytestmark = [
    pytest.mark.usefixtures("plugins"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
PLUGIN = "napari-unet-torch"
RUN = {"operation": "segment", "axes": "YX", "pixel_size": [0.5, 0.5], "task": "instance"}


def read_back(path: Path, labels: np.ndarray) -> None:
    """Compare a file with the labels that were exported."""
    name = path.name.lower()
    if name.endswith(("_seg.npy", ".tif", ".png")):
        found = tifffile.imread(path) if name.endswith(".tif") else read_labels(path).array
        np.testing.assert_array_equal(found, labels)
    elif name.endswith(".zarr"):
        np.testing.assert_array_equal(zarr.open_group(path, mode="r")["0"][:], labels)
    elif name.endswith(".csv"):
        assert path.read_text().count("\n") == len(np.unique(labels))  # and the head
    else:
        read = READERS[path.suffix.lstrip(".")]
        shape = (1,) * (4 - labels.ndim) + labels.shape
        np.testing.assert_array_equal(read(path, shape).reshape(labels.shape), labels)


def press(button: Any, qtbot: Any) -> None:
    """Press the button and wait for the file."""
    button.button.native.click()
    qtbot.waitUntil(lambda: not button.runner.running, timeout=60_000)


def test_every_format_by_the_dock_and_by_the_menu(viewer: Any, qtbot: Any, tmp_path: Path) -> None:
    sample = load_sample("nuclei_2d")
    image, labels = (np.asarray(each)[:200, :240] for each in (sample.image, sample.truth))
    viewer.add_image(image, name="nuclei", scale=(0.5, 0.5), units="um")
    dock = SegmentWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Segment")
    button = dock.form.export
    assert button.row.native.isHidden()  # there are no labels
    layer = viewer.add_labels(
        labels, name="nuclei labels", scale=(0.5, 0.5), units="um", metadata={RECORD_KEY: RUN}
    )
    assert not button.row.native.isHidden()
    asked: list[tuple[str, str]] = []
    answers: list[tuple[Path, str]] = []

    def ask(proposed: str, filters: str, first: str) -> tuple[str, str]:
        asked.append((proposed, first))
        path, title = answers.pop()
        (chosen,) = (each for each in filters.split(";;") if each.startswith(title))
        return str(path), chosen

    button._ask = ask
    for kind in KINDS.values():
        path = tmp_path / f"{kind.name}{kind.endings[0]}"
        answers.append((path, kind.title))
        press(button, qtbot)
        assert button.row.fault == ""
        assert button.row.note == f"Exported to {path.name}."
        if kind.name == "overlay":
            with Picture.open(path) as picture:
                assert picture.size == labels.shape[::-1]
                assert picture.mode == "RGB"
        else:
            read_back(path, labels)
    assert "intensity_mean" in (tmp_path / "csv.csv").read_text()
    assert asked[-1] == (str(tmp_path / "nuclei labels.png"), "PNG picture with outlines (*.png)")
    record = json.loads((tmp_path / "geojson.geojson").read_text())["napari_unet"]
    assert (record["pixel_size"], record["run"]["operation"]) == ([0.5, 0.5], "segment")
    # the viewer's own menu
    viewer.layers.selection.active = layer
    for ending in (
        ".tif", ".ome.tif", ".ome.zarr", ".zip", ".geojson", ".json", "_seg.npy", ".png", ".csv",
    ):  # fmt: skip
        path = tmp_path / "menu" / ending.lstrip("._") / f"saved{ending}"
        path.parent.mkdir(parents=True)
        assert layer.save(str(path), plugin=PLUGIN)[0] == str(path)
        read_back(path, labels)
    # and the way back, as labels that have their run
    for name in ("tif/saved.tif", "ome.zarr/saved.ome.zarr", "seg.npy/saved_seg.npy"):
        (opened,) = viewer.open(str(tmp_path / "menu" / name), plugin=PLUGIN)
        assert opened._type_string == "labels"
        np.testing.assert_array_equal(opened.data, labels)
        if not name.endswith(".npy"):
            assert opened.metadata[RECORD_KEY]["operation"] == "segment"
            assert tuple(opened.scale) == (0.5, 0.5)
        viewer.layers.remove(opened)
    # faults stand at the button, and nothing is lost
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "a.zip").write_text("mine")
    answers.append((tmp_path / "taken" / "a", "ImageJ/Fiji regions"))  # nobody was asked
    press(button, qtbot)
    assert "there already" in button.row.fault
    assert (tmp_path / "taken" / "a.zip").read_text() == "mine"
    layer.data = labels.astype(np.int32) - 1
    answers.append((tmp_path / "taken" / "b.tif", "ImageJ/Fiji label TIFF"))
    press(button, qtbot)
    assert "-1" in button.row.fault
    assert [file.name for file in (tmp_path / "taken").iterdir()] == ["a.zip"]


@pytest.mark.windowless
def test_of_a_stack_a_picture_shows_the_plane_in_view(
    bare_viewer: Any, qtbot: Any, tmp_path: Path, make_button: Callable[..., Any]
) -> None:
    image = np.random.default_rng(0).random((4, 30, 40))
    labels = np.zeros((4, 30, 40), np.int32)
    labels[2, 5:9, 5:9], labels[3] = 2, 70_000
    bare_viewer.add_image(image, name="stack")
    bare_viewer.add_labels(labels, name="stack labels", features={"index": [2], "class": ["big"]})
    bare_viewer.dims.set_point(0, 2)
    button = make_button(bare_viewer)
    for name, title in (("a.png", "PNG mask"), ("b.png", "PNG picture"), ("c.geojson", "QuPath")):
        button._ask = lambda _, filters, __, name=name, title=title: (
            str(tmp_path / name),
            next(each for each in filters.split(";;") if each.startswith(title)),
        )
        press(button, qtbot)
        assert button.row.fault == ""
    assert (read_labels(tmp_path / "a.png").array == labels[2]).all()
    with Picture.open(tmp_path / "b.png") as picture:
        assert picture.size == (40, 30)
    content = json.loads((tmp_path / "c.geojson").read_text())
    assert content["napari_unet"]["shape"] == [4, 30, 40]
    assert content["features"][0]["properties"]["classification"]["name"] == "big"
    button._ask = lambda *_: ("", "")
    press(button, qtbot)  # the dialog was closed


@pytest.fixture
def make_button(qtbot: Any) -> Any:
    from napari_unet.widgets.qt.form import Form
    from napari_unet.widgets.viewer.export_button import ExportButton

    made = []

    def make(viewer: Any) -> Any:
        button = ExportButton(viewer)
        form = Form([button.row])
        qtbot.addWidget(form)
        made.append((button, form))
        return button

    yield make
    for button, _ in made:
        button.close()
